import csv
import json
import math

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from passband.data.degrade import degrade_files
from passband.evaluation import evaluate
from passband.inference import Restorer
from passband.io.image import read_image, write_image


@pytest.fixture
def pairs(photographs, tmp_path):
    list(degrade_files(photographs, tmp_path / "pairs", "haze", seed=5))
    return tmp_path / "pairs"


def test_figures_equal_scikit_images_and_the_report_holds_them_all(pairs, tiny_weights, tmp_path):
    shown = []
    result = evaluate(tiny_weights, pairs, tmp_path / "report", device="cpu", report=lambda row, _: shown.append(row))
    restorer = Restorer(tiny_weights, "cpu")
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
    picture = read_image(tmp_path / "report" / "worst_median_best.png")
    assert picture.shape == (3, 6 * 48 + 5 * 4, 3 * 56 + 2 * 4)


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
    with pytest.raises(ValueError, match="unknown protocol 'y': one of rgb, rgb8"):
        evaluate("general", tmp_path, tmp_path, protocol="y")


def test_a_pair_too_small_for_ssim_is_named(identity_weights, tmp_path):
    for part in ("degraded", "clean"):
        write_image(tmp_path / part / "a.png", torch.rand(3, 10, 30))
    with pytest.raises(ValueError, match=r"clean/a\.png is 30x10: SSIM needs pictures of at least 11x11"):
        evaluate(identity_weights, tmp_path, tmp_path / "report", device="cpu")
