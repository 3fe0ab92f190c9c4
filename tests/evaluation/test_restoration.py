import csv
import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from passband.data.degradations import degrade_files
from passband.drawing.comparison import GAP, MARGIN
from passband.drawing.lettering import line_height
from passband.evaluation import evaluate
from passband.evaluation.benchmarks import BENCHMARKS
from passband.export import export_model
from passband.inference import Restorer
from passband.inference.restoration import memory, planned
from passband.io.image import read_image, write_image
from passband.metrics import PROTOCOLS, image_metric
from passband.models import ConvIR, SFNet, load_model
from passband.provenance import jpeg_decoder, weights_checksum
from tests.models.restoration.test_foreign import dncnn

pytestmark = pytest.mark.usefixtures("without_charts")


@pytest.fixture
def pairs(photographs, tmp_path):
    list(degrade_files(photographs, tmp_path / "pairs", "haze", seed=5))
    return tmp_path / "pairs"


def test_figures_equal_scikit_images_and_the_report_holds_them_all(pairs, tiny_weights, tmp_path):
    shown = []
    folders = str(tiny_weights), str(pairs), str(tmp_path / "report")
    result = evaluate(*folders, device="cpu", report=lambda row, _: shown.append(row))
    restorer = Restorer(tiny_weights, "cpu", precision="float32")
    for row in result["images"]:
        degraded, clean = (read_image(pairs / part / f"{row['name']}.png") for part in ("degraded", "clean"))
        for suffix, image in (("", restorer(degraded)), ("_degraded", degraded)):
            ours, theirs = (x.double().movedim(0, -1).numpy() for x in (image, clean))
            assert row[f"psnr{suffix}"] == pytest.approx(peak_signal_noise_ratio(theirs, ours, data_range=1), abs=1e-6)
            _, similarity = structural_similarity(
                theirs, ours, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1,
                channel_axis=-1, full=True,
            )  # fmt: skip
            assert row[f"ssim{suffix}"] == pytest.approx(similarity[5:-5, 5:-5].mean(), abs=1e-6)
    assert shown == result["images"]
    for name in ("psnr", "ssim", "psnr_degraded", "ssim_degraded"):
        assert result["mean"][name] == pytest.approx(np.mean([row[name] for row in result["images"]]))
    written = json.loads((tmp_path / "report" / "evaluation.json").read_text())
    assert written["mean"] == result["mean"]
    assert written["images"] == result["images"]
    assert written["protocol"] == "rgb"
    assert set(written) >= {"weights", "versions", "commit", "worst", "median", "best"}
    with (tmp_path / "report" / "evaluation.csv").open(newline="") as file:
        assert [float(row["psnr"]) for row in csv.DictReader(file)] == [row["psnr"] for row in result["images"]]
    assert math.isclose(written["seconds"], sum(row["seconds"] for row in result["images"]))
    assert written["weights_sha256"] == weights_checksum(load_model(tiny_weights))
    assert written["jpeg_decoder"] == jpeg_decoder()
    assert (written["device"], written["precision"]) == ("cpu", "float32")
    assert written["peak_memory_bytes"] > 50e6
    picture = read_image(tmp_path / "report" / "worst_median_best.png")
    # each picture and its part four times as large, below a title and a line of captions
    group = 2 * line_height(11) + 2 * 4 * 48 + GAP
    assert picture.shape == (3, 3 * group + 2 * 3 * GAP + 2 * MARGIN, 3 * 4 * 56 + 2 * GAP + 2 * MARGIN)


def test_rgb8_rounds_what_is_compared(pairs, tiny_weights, tmp_path):
    floats = evaluate(tiny_weights, pairs, tmp_path / "a", protocol="rgb", device="cpu")["mean"]
    rounded = evaluate(tiny_weights, pairs, tmp_path / "b", protocol="rgb8", device="cpu")["mean"]
    assert floats["psnr"] != rounded["psnr"]
    assert floats["psnr"] == pytest.approx(rounded["psnr"], abs=0.05)
    assert floats["psnr_degraded"] == pytest.approx(rounded["psnr_degraded"], abs=1e-4)  # files are 8 bits already


def test_a_perfect_network_on_clean_input_scores_infinity_in_valid_json(identity_weights, tmp_path):
    image = torch.rand(3, 16, 16)
    for part in ("degraded", "clean"):
        write_image(tmp_path / "pairs" / part / "a.png", image)
    result = evaluate(identity_weights, tmp_path / "pairs", tmp_path / "report", device="cpu")
    assert math.isinf(result["mean"]["psnr"])
    text = (tmp_path / "report" / "evaluation.json").read_text()
    assert json.loads(text, parse_constant=pytest.fail)["mean"]["psnr"] == "inf"


def test_an_unknown_protocol_is_refused_before_any_work(tmp_path):
    with pytest.raises(ValueError, match="unknown protocol 'y-matlb'; did you mean 'y-matlab'"):
        evaluate("general", tmp_path, tmp_path / "report", protocol="y-matlb")


def test_a_pair_too_small_for_ssim_is_named(identity_weights, tmp_path):
    for part in ("degraded", "clean"):
        write_image(tmp_path / part / "a.png", torch.rand(3, 10, 30))
    with pytest.raises(ValueError, match=r"clean/a\.png is 30x10: SSIM needs images of at least 11x11"):
        evaluate(identity_weights, tmp_path, tmp_path / "report", device="cpu")


def noisy_pair(folder, height=24, width=31, suffix="png"):
    """A pair of a smooth picture and a noisy one, in folder/degraded and folder/clean; the clean one."""
    rows, columns = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    clean = torch.stack([rows, columns, rows * columns])
    noise = 0.1 * torch.randn(3, height, width, generator=torch.Generator().manual_seed(0))
    write_image(folder / "degraded" / f"a.{suffix}", (clean + noise).clamp(0, 1))
    write_image(folder / "clean" / "a.png", clean)
    return clean


@pytest.fixture
def windowed_weights(tmp_path):
    """A tiny network whose pooling shows, as its modulation vectors are not zero."""
    torch.manual_seed(1)
    model = SFNet(width=16, depth=1)
    for name, value in model.named_parameters():
        if ".modulate_" in name or name.startswith("head"):
            torch.nn.init.normal_(value, std=0.1)
    model.save_pretrained(tmp_path / "windowed")
    return tmp_path / "windowed"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_protocol_scores_what_a_restorer_gives_and_stands_in_the_report(tiny_weights, tmp_path, protocol):
    noisy_pair(tmp_path)
    result = evaluate(tiny_weights, tmp_path, tmp_path / "report", protocol=protocol, device="cpu")
    degraded, clean = (read_image(tmp_path / part / "a.png")[None] for part in ("degraded", "clean"))
    restored = Restorer(tiny_weights, "cpu", precision="float32").restore(degraded)
    expected = [*PROTOCOLS[protocol](restored, clean), *PROTOCOLS[protocol](degraded, clean)]
    figures = [result["mean"][name] for name in ("psnr", "ssim", "psnr_degraded", "ssim_degraded")]
    assert figures == pytest.approx([one.item() for one in expected], abs=1e-9)
    text = (tmp_path / "report" / "report.md").read_text()
    assert f"by the protocol `{protocol}`" in text


def test_the_report_reads_alone_and_its_links_lead_somewhere(tiny_weights, tmp_path):
    noisy_pair(tmp_path / "my pairs")
    result = evaluate(tiny_weights, tmp_path / "my pairs", tmp_path / "report", device="cpu", save=True)
    text = (tmp_path / "report" / "report.md").read_text()
    links = re.findall(r"\]\(<?([^)>]+)>?\)", text)
    assert sorted(links) == ["restored/a.png", "spectrum.csv", "spectrum.png", "worst_median_best.png"]
    assert all((tmp_path / "report" / link).is_file() for link in links)
    for part in (result["weights_sha256"], result["jpeg_decoder"], "cpu, float32", " GB", result["versions"]["torch"]):
        assert part in text
    degraded = read_image(tmp_path / "my pairs" / "degraded" / "a.png")
    restored = Restorer(tiny_weights, "cpu", precision="float32")(degraded)
    # half a step of 8 bits, and a little for the float that holds it
    torch.testing.assert_close(
        read_image(tmp_path / "report" / "restored" / "a.png"), restored, rtol=0, atol=0.501 / 255
    )


def test_differences_to_a_benchmark_are_given_for_as_many_pictures_with_its_names(tiny_weights, tmp_path, monkeypatch):
    noisy_pair(tmp_path, 40, 48)
    few = {**BENCHMARKS, "Rain100H": replace(BENCHMARKS["Rain100H"], counts=(1,), names="^a$")}
    monkeypatch.setattr("passband.evaluation.benchmarks.BENCHMARKS", few)
    result = evaluate(tiny_weights, tmp_path, tmp_path / "report", benchmark="Rain100H", device="cpu")
    (row,) = result["published"]
    assert row["psnr_difference"] == result["mean"]["psnr"] - 31.90
    assert (
        f"| ours - paper | {result['mean']['psnr'] - 31.90:+.2f} |" in (tmp_path / "report" / "report.md").read_text()
    )
    assert not any("cannot be compared" in note for note in result["notes"])


def test_a_benchmark_brings_its_protocol_its_window_and_the_published_figures(windowed_weights, tmp_path):
    noisy_pair(tmp_path, 40, 48)
    result = evaluate(windowed_weights, tmp_path, tmp_path / "report", benchmark="gopro", device="cpu")
    assert (result["benchmark"], result["protocol"]) == ("GoPro", "rgb")
    assert result["network"]["pool_window"] == 80
    assert "as for the table of GoPro (pool_window 80)" in result["notes"][1]
    said = "These scores cannot be compared with GoPro: GoPro has 1111 images, and these data have 1."
    assert result["notes"][0].startswith(said)
    assert [row["source"] for row in result["published"]] == ["paper", "FSNet", "ConvIR-L"]
    assert all(row["psnr_difference"] is row["ssim_difference"] is None for row in result["published"])
    text = (tmp_path / "report" / "report.md").read_text()
    assert "| paper | 33.27 | 0.963 |" in text
    assert "ours - paper" not in text
    assert said in text
    given = evaluate(
        windowed_weights, tmp_path, tmp_path / "b", benchmark="GoPro", protocol="rgb8", pool_window=200, device="cpu"
    )
    assert (given["protocol"], given["network"]["pool_window"]) == ("rgb8", 200)
    assert given["mean"]["psnr"] != result["mean"]["psnr"]


def test_a_convir_is_scored_as_its_own_scripts_do_and_without_a_window(tmp_path):
    ConvIR(width=8, depth=1, dilations=(1, 1, 1)).save_pretrained(tmp_path / "weights")
    noisy_pair(tmp_path / "pairs", 40, 48)
    result = evaluate(tmp_path / "weights", tmp_path / "pairs", tmp_path / "a", benchmark="SOTS-Indoor", device="cpu")
    assert result["protocol"] == "convir"
    assert "pool_window" not in result["network"]
    assert [row["source"] for row in result["published"]][2:] == ["FSNet", "ConvIR-S", "ConvIR-B"]
    plain = evaluate(
        tmp_path / "weights",
        tmp_path / "pairs",
        tmp_path / "b",
        benchmark="SOTS-Indoor",
        protocol="sfnet",
        device="cpu",
    )
    assert plain["protocol"] == "sfnet"
    assert plain["mean"]["psnr"] == result["mean"]["psnr"]
    assert plain["mean"]["ssim"] != result["mean"]["ssim"]


def test_the_four_pooling_modes_are_those_of_the_network(windowed_weights, tmp_path):
    for name, size in (("one", (40, 48)), ("two", (72, 24))):
        noisy_pair(tmp_path / "pairs" / name, *size)

    def scores(pool_mode, pool_window=40):
        options = {"pool_mode": pool_mode, "pool_window": pool_window, "device": "cpu"}
        result = evaluate(windowed_weights, tmp_path / "pairs", tmp_path / "report", **options)
        return [row["psnr"] for row in result["images"]], result["notes"]

    fraction, first, tlc = (scores(mode) for mode in ("fraction", "first", "tlc"))
    everywhere = scores("global", None)
    assert fraction[0][0] == first[0][0]  # the first picture's window is its own
    assert len({figures[1] for figures, _ in (fraction, first, tlc, everywhere)}) == 4
    assert "depend on which file sorts first" in first[1][0]
    assert "(one/a)" in first[1][0]
    assert fraction[1] == tlc[1] == everywhere[1] == []
    assert scores(None, None) == everywhere


def test_networks_that_run_one_after_the_other_all_pool_as_asked(windowed_weights, tmp_path):
    noisy_pair(tmp_path, 40, 48)
    two = f"{windowed_weights}+{windowed_weights}"

    def windows(folder, weights=two, **options):
        result = evaluate(weights, tmp_path, tmp_path / folder, device="cpu", **options)
        return [network["pool_window"] for network in result["network"]["networks"]], result["notes"]

    assert windows("a", pool_window=40)[0] == [40, 40]
    assert windows("b", pool_mode="global")[0] == [None, None]
    found, notes = windows("c", benchmark="GoPro")
    assert found == [80, 80]
    assert "as for the table of GoPro (pool_window 80)" in notes[1]
    ConvIR(width=8, depth=1, dilations=(1, 1, 1)).save_pretrained(tmp_path / "convir")
    mixed = f"{windowed_weights}+{tmp_path / 'convir'}"
    with pytest.raises(ValueError, match="convir is a ConvIR, which has no pooling window: leave out the pooling"):
        windows("d", mixed, pool_window=40)


def test_an_exported_network_is_scored_on_a_benchmark_with_its_own_pooling(tiny_weights, tmp_path):
    noisy_pair(tmp_path, 40, 48)
    export_model(tiny_weights, tmp_path / "tiny.onnx")
    exported = tmp_path / "tiny.onnx"
    result = evaluate(exported, tmp_path, tmp_path / "report", benchmark="GoPro", device="cpu")
    assert result["benchmark"] == "GoPro"
    with pytest.raises(ValueError, match=r"tiny\.onnx is exported with fixed pooling: leave out the pooling"):
        evaluate(exported, tmp_path, tmp_path / "other", pool_window=40, device="cpu")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"benchmark": "SOTS-Indor"}, "unknown benchmark 'SOTS-Indor'; did you mean 'SOTS-Indoor'"),
        ({"pool_mode": "frist"}, "unknown pool_mode 'frist'; did you mean 'first'"),
        ({"pool_mode": "first"}, "pool_mode first needs a window, and .* has none: give pool_window also"),
        ({"pool_mode": "global", "pool_window": 80}, "pool_mode global has no window, but pool_window is 80"),
    ],
)
def test_settings_that_do_not_fit_are_one_sentence(tiny_weights, tmp_path, options, message):
    noisy_pair(tmp_path)
    with pytest.raises(ValueError, match=message):
        evaluate(tiny_weights, tmp_path, tmp_path / "report", device="cpu", **options)
    assert not (tmp_path / "report").exists()


def test_left_and_right_views_are_restored_from_6_channels(tmp_path):
    torch.manual_seed(0)
    model = SFNet(width=16, depth=1, in_channels=6).eval()
    model.save_pretrained(tmp_path / "dual")
    left, right, clean = torch.rand(3, 3, 24, 40).mul(255).round() / 255
    for name, image in (("inputL", left), ("inputR", right), ("target", clean)):
        write_image(tmp_path / "pairs" / name / "1.png", image)
    result = evaluate(tmp_path / "dual", tmp_path / "pairs", tmp_path / "report", device="cpu")
    with torch.no_grad():
        restored = model(torch.cat([left, right])[None])[-1].clamp(0, 1)
    psnr, _ = PROTOCOLS["rgb"](restored, clean[None])
    assert result["mean"]["psnr"] == pytest.approx(psnr.item(), abs=1e-4)
    before, _ = PROTOCOLS["rgb"]((left + right)[None] / 2, clean[None])
    assert result["mean"]["psnr_degraded"] == pytest.approx(before.item(), abs=1e-4)
    assert "mean of its left and right view" in result["notes"][0]


def test_weights_for_another_number_of_views_than_there_are_say_so(tiny_weights, tmp_path):
    SFNet(width=16, depth=1, in_channels=6).save_pretrained(tmp_path / "dual")
    noisy_pair(tmp_path / "single")
    with pytest.raises(FileNotFoundError, match="no pairs of images with two views, which this network takes"):
        evaluate(tmp_path / "dual", tmp_path / "single", tmp_path / "report", device="cpu")
    for name in ("inputL", "inputR", "target"):
        write_image(tmp_path / "double" / name / "1.png", torch.rand(3, 16, 16))
    with pytest.raises(FileNotFoundError, match="left and right views are for a network with 6 input channels"):
        evaluate(tiny_weights, tmp_path / "double", tmp_path / "report", device="cpu")
    with pytest.raises(
        ValueError, match=r"dual takes 6 input channels \(left and right views of a scene\), but gets 3"
    ):
        Restorer(tmp_path / "dual", "cpu")


@pytest.fixture
def little_room(monkeypatch):
    """Gives pictures so much memory, and tiles that are small enough for it."""
    for name, value in {"CONSTANT": 10**6, "BAND_COPIES": 0, "LEAST_TILE": 64}.items():
        monkeypatch.setattr(memory, name, value)
    for module in (memory, planned):
        monkeypatch.setattr(module, "OVERLAP", 32)
    return lambda size: monkeypatch.setattr(planned, "free_memory", lambda *_: size)


def test_what_does_not_fit_whole_is_restored_by_bands_to_the_same_figures(windowed_weights, tmp_path, little_room):
    noisy_pair(tmp_path / "pairs" / "large", 96, 131)
    noisy_pair(tmp_path / "pairs" / "small", 24, 31)
    whole = evaluate(windowed_weights, tmp_path / "pairs", tmp_path / "whole", device="cpu")
    assert ([row["computed"] for row in whole["images"]], whole["notes"]) == (["whole", "whole"], [])
    little_room(3_500_000)
    bands = evaluate(windowed_weights, tmp_path / "pairs", tmp_path / "bands", device="cpu")
    assert [row["computed"] for row in bands["images"]] == ["bands", "whole"]
    for one, other in zip(bands["images"], whole["images"], strict=True):
        assert one["psnr"] == pytest.approx(other["psnr"], abs=1e-3)
    assert bands["notes"] == []


def test_what_fits_in_tiles_alone_is_restored_so_and_the_note_says_what_that_gives(
    windowed_weights, tmp_path, little_room
):
    noisy_pair(tmp_path / "pairs", 96, 331)
    whole = evaluate(windowed_weights, tmp_path / "pairs", tmp_path / "whole", device="cpu")
    little_room(3_000_000)
    tiles = evaluate(windowed_weights, tmp_path / "pairs", tmp_path / "tiles", device="cpu")
    (way,) = [row["computed"] for row in tiles["images"]]
    assert re.fullmatch(r"tiles of \d+ pixels", way)
    assert tiles["notes"] == [
        f"1 of 1 images were too large and were restored in {way} that share the whole image's statistics, so the "
        "result is close but not the same: a."
    ]
    assert tiles["mean"]["psnr"] == pytest.approx(whole["mean"]["psnr"], abs=0.05)
    torch.save(dncnn().state_dict(), tmp_path / "denoiser.pth")
    little_room(memory.plan_memory(load_model(tmp_path / "denoiser.pth"), (1, 3, 96, 331), 10**12).bytes - 1)
    plain = evaluate(tmp_path / "denoiser.pth", tmp_path / "pairs", tmp_path / "plain", device="cpu")
    assert "in tiles of" in plain["notes"][0]
    assert "that are restored independently" in plain["notes"][0]


def test_a_cap_on_memory_is_a_size_and_is_kept(tiny_weights, tmp_path):
    noisy_pair(tmp_path)
    with pytest.raises(ValueError, match="memory is a size such as '2GB'.* got 'plenty'"):
        evaluate(tiny_weights, tmp_path, tmp_path / "report", device="cpu", memory="plenty")
    with pytest.raises(ValueError, match=r"none of 1 pairs could be scored: .*a\.png: 31x24 pixels need .*Allow"):
        evaluate(tiny_weights, tmp_path, tmp_path / "report", device="cpu", memory="10MB")
    assert not (tmp_path / "report").exists()


def test_pairs_that_cannot_be_scored_are_named_and_the_others_are_scored(tiny_weights, tmp_path):
    for name in ("fine", "mismatched", "empty", "small"):
        noisy_pair(tmp_path / name)
    write_image(tmp_path / "mismatched" / "clean" / "a.png", torch.rand(3, 24, 30))
    (tmp_path / "empty" / "degraded" / "a.png").write_bytes(b"")
    for part in ("degraded", "clean"):
        write_image(tmp_path / "small" / part / "a.png", torch.rand(3, 9, 30))
    seen = []
    result = evaluate(
        tiny_weights, tmp_path, tmp_path / "report", device="cpu", report=lambda row, count: seen.append((row, count))
    )
    assert [row["name"] for row in result["images"]] == ["fine/a"]
    empty, mismatched, small = (one["reason"] for one in result["failed"])
    assert "empty/degraded/a.png is empty" in empty
    assert "mismatched/degraded/a.png is 31x24 but" in mismatched
    assert "small/clean/a.png is 30x9: SSIM needs" in small
    assert [count for _, count in seen] == [4] * 4
    assert [row["name"] for row, _ in seen if "reason" in row] == ["empty/a", "mismatched/a", "small/a"]
    (tmp_path / "fine" / "clean" / "a.png").write_bytes(b"")
    with pytest.raises(ValueError, match="^none of 4 pairs can be scored: "):
        evaluate(tiny_weights, tmp_path, tmp_path / "report", device="cpu")


def test_an_error_of_any_kind_fails_one_pair_and_no_other(tiny_weights, tmp_path, monkeypatch):
    for name in ("one", "two"):
        noisy_pair(tmp_path / name)
    restore = planned.restore_within
    calls = []

    def broken(*given):
        calls.append(given)
        if len(calls) == 1:
            raise AttributeError("no such attribute")
        return restore(*given)

    monkeypatch.setattr("passband.inference.restoration.network.restore_within", broken)
    result = evaluate(tiny_weights, tmp_path, tmp_path / "report", device="cpu")
    assert [row["name"] for row in result["images"]] == ["two/a"]
    (failed,) = result["failed"]
    assert failed["reason"] == f"{tmp_path / 'one' / 'degraded' / 'a.png'}: AttributeError: no such attribute"


def test_pictures_of_one_size_once_they_are_turned_are_a_pair(identity_weights, tmp_path):
    clean = noisy_pair(tmp_path)
    turned = (clean.transpose(1, 2).flip(1) * 255).round().byte().movedim(0, -1).numpy()  # a quarter turn to the left
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(turned).save(tmp_path / "degraded" / "a.png", exif=exif)
    result = evaluate(identity_weights, tmp_path, tmp_path / "report", device="cpu")
    assert result["failed"] == []
    assert result["mean"]["psnr"] > 50


def test_a_picture_that_turns_out_to_be_damaged_is_named_and_in_no_mean(identity_weights, tmp_path, close_folder):
    for name in ("one", "two", "three"):
        noisy_pair(tmp_path / name)
    path = tmp_path / "two" / "degraded" / "a.png"
    path.write_bytes(path.read_bytes()[:-300])
    noisy_pair(tmp_path / "private")
    close_folder(tmp_path / "private")
    result = evaluate(identity_weights, tmp_path, tmp_path / "report", device="cpu")
    assert [row["name"] for row in result["images"]] == ["one/a", "three/a"]
    (failed,) = result["failed"]
    assert failed["name"] == "two/a"
    assert f"{path} is a PNG file that is incomplete or damaged" in failed["reason"]
    assert result["notes"] == [
        f"1 of 3 pairs could not be scored and are not in the means: {failed['reason']}.",
        f"Pairs in 1 folder that cannot be read are left out: {tmp_path / 'private'} (Permission denied).",
    ]
    assert json.loads((tmp_path / "report" / "evaluation.json").read_text())["failed"] == [failed]


def test_an_exported_network_and_another_engine_get_the_figures_of_torch(pairs, tiny_weights, tmp_path):
    exact = evaluate(tiny_weights, pairs, tmp_path / "torch", device="cpu")
    exported = export_model(tiny_weights, tmp_path / "network.xml", "openvino").path
    for weights, engine in ((exported, "torch"), (tiny_weights, "openvino")):  # a file names its engine itself
        result = evaluate(weights, pairs, tmp_path / "other", engine=engine)
        assert (result["engine"], result["precision"]) == ("openvino", "float32")
        assert [row["computed"] for row in result["images"]] == ["whole"] * len(exact["images"])
        for row, other in zip(result["images"], exact["images"], strict=True):
            assert row["psnr"] == pytest.approx(other["psnr"], abs=1e-3)
            assert row["psnr_degraded"] == other["psnr_degraded"]
    assert result["network"] == exact["network"]
    assert result["weights_sha256"] == exact["weights_sha256"]
    with pytest.raises(ValueError, match="a cap on memory is for the engine torch"):
        evaluate(exported, pairs, tmp_path / "other", memory="2GB")


def test_a_lower_precision_is_scored_where_it_is_asked_for(pairs, tiny_weights, tmp_path):
    exact = evaluate(tiny_weights, pairs, tmp_path / "exact", device="cpu")
    lower = evaluate(tiny_weights, pairs, tmp_path / "lower", device="cpu", precision="bfloat16")
    assert lower["precision"] == "bfloat16"
    assert lower["mean"]["psnr"] != exact["mean"]["psnr"]
    assert lower["mean"]["psnr"] == pytest.approx(exact["mean"]["psnr"], abs=0.5)


def test_metrics_and_the_spectrum_are_scored_with_the_protocol_and_written(pairs, tiny_weights, tmp_path):
    names = ["psnr-hvs-m", "frequency:jpeg:quality=90"]
    result = evaluate(tiny_weights, pairs, tmp_path / "report", device="cpu", metrics=[*names, names[0]])
    restorer = Restorer(tiny_weights, "cpu", precision="float32")
    row = result["images"][0]
    degraded, clean = (read_image(pairs / part / f"{row['name']}.png")[None] for part in ("degraded", "clean"))
    for name in names:
        metric = image_metric(name)
        assert row[f"{name}_degraded"] == pytest.approx(float(metric(degraded, clean)))
        assert row[name] == pytest.approx(float(metric(restorer(degraded[0])[None], clean)), rel=1e-4)
        assert result["mean"][name] == pytest.approx(np.mean([one[name] for one in result["images"]]))
    assert [one["name"] for one in result["metrics"]] == names
    means = [10 ** (-one["psnr"] / 10) for one in result["images"]]
    assert result["spectrum"]["total"]["after"] == pytest.approx(np.mean(means), rel=1e-5)
    with (tmp_path / "report" / "evaluation.csv").open(newline="") as file:
        assert float(next(csv.DictReader(file))["psnr-hvs-m_degraded"]) == row["psnr-hvs-m_degraded"]
    report = (tmp_path / "report" / "report.md").read_text()
    assert "| | PSNR, dB | SSIM | PSNR-HVS-M, dB | frequency distance, jpeg (quality=90) |" in report
    assert "![Maps and curves of the errors](spectrum.png)" in report
    assert (tmp_path / "report" / "spectrum.png").exists()
    assert len((tmp_path / "report" / "spectrum.csv").read_text().splitlines()) == 10


def test_a_metric_that_is_unknown_or_needs_larger_images_is_refused_before_any_work(pairs, tiny_weights, tmp_path):
    with pytest.raises(ValueError, match="unknown metric 'lpisp'; did you mean 'lpips'"):
        evaluate("general", tmp_path, tmp_path / "report", metrics=["lpisp"])
    with pytest.raises(ValueError, match=r"ms-ssim needs images of at least 176x176 pixels, got 56x48"):
        evaluate(tiny_weights, pairs, tmp_path / "report", device="cpu", metrics=["ms-ssim"])
