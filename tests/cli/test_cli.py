"""Commands as a person types them, in this process; what they print and how they end."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import get_type_hints

import numpy as np
import pytest
import torch
import typer
from PIL import Image

from passband import Restorer, SFNet
from passband.__main__ import main as script
from passband.cli import app, main
from passband.cli.shared.interruption import ENDING
from passband.config import load_recipe, shipped_recipes
from passband.data.degradations.files import PARTS
from passband.io.failures import naming_file
from passband.io.files import write_whole
from passband.io.image import read_image, write_image
from passband.models import load_model
from passband.weights_io import load_weights
from tests import clips, golden

pytestmark = pytest.mark.usefixtures("without_charts")


def one_sentence(status, err, *parts):
    """Whether a command failed with one line that says these things, and no traceback."""
    line = err.strip().splitlines()[-1]
    assert status == 1
    assert line.startswith("Error: ")
    assert "Traceback" not in err
    for part in parts:
        assert part in line
    return True


def test_help_names_every_command_and_imports_nothing_heavy():
    script = (
        "import sys; sys.argv = ['passband', '--help']\n"
        "from passband.cli import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "heavy = {'torch', 'numpy', 'PIL', 'pydantic', 'accelerate'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    for command in ("restore", "demo", "degrade", "evaluate", "train", "finetune", "convert", "export"):
        assert command in done.stdout


def commands_below(group, path=()):
    """Iterate over the names and the commands of a group and the groups in it."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands_below(command, (*path, name))
        else:
            yield (*path, name), command


def with_numbers():
    """Return each option that takes floating-point numbers: its command with the arguments it needs, and its name."""
    cases = []
    for path, command in commands_below(typer.main.get_command(app)):
        needed = [
            word
            for parameter in command.params
            if parameter.required
            for word in ((parameter.opts[-1],) if parameter.opts[-1].startswith("-") else ()) + ("x",)
        ]
        hints = get_type_hints(command.callback)
        for parameter in command.params:
            if hints.get(parameter.name) in (float, float | None, tuple[float, float]):
                cases.append(([*path, *needed], parameter.opts[-1], parameter.nargs))
    return cases


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_every_option_that_takes_a_number_refuses_one_that_is_not_finite(run, tmp_path, monkeypatch, value):
    monkeypatch.chdir(tmp_path)
    cases = with_numbers()
    assert len(cases) > 15
    for words, option, count in cases:
        status, out, err = run(*words, option, *[value] * count)
        refused = f"Error: {option} needs a finite number, got {value}" in err
        assert refused or (status == 2 and f"Invalid value for '{option}'" in err), (words, option, out, err)


def test_version_is_the_packages(run):
    from passband import __version__

    assert run("--version") == (0, f"{__version__}\n", "")


def test_restore_does_a_folder_counts_and_ends_well(run, tmp_path, identity_weights):
    for name in ("a.png", "deep/b.png"):
        write_image(tmp_path / "in" / name, torch.rand(3, 9, 9))
    options = ("-o", tmp_path / "out", "--weights", identity_weights, "--device", "cpu", "--compare")
    status, _, err = run("restore", tmp_path / "in", *options)
    assert status == 0
    assert "2 restored, 0 failed" in err
    assert (tmp_path / "out" / "deep" / "b_compare.png").exists()
    original, restored = (np.asarray(Image.open(tmp_path / part / "deep" / "b.png")) for part in ("in", "out"))
    np.testing.assert_array_equal(original, restored)
    status, _, err = run("restore", tmp_path / "in", *options)
    assert status == 0
    assert "0 restored, 2 skipped" in err


def test_restore_does_a_video_with_an_engine_of_choice(run, tmp_path, identity_weights):
    source = clips.write_clip(tmp_path / "clip.mp4", clips.even(5))
    options = ("--weights", identity_weights, "--engine", "onnxruntime", "--crf", "12", "--codec", "h265")
    status, out, err = run("restore", source, *options)
    assert status == 0
    assert str(tmp_path / "clip_restored.mp4") in out.replace("\n", "")
    assert "1 restored, 0 failed" in err
    assert clips.times(tmp_path / "clip_restored.mp4") == clips.times(source)
    assert "5 frames in " in err
    assert "h265 (crf 12); copied: audio aac" in err.replace("\n", " ")
    status, _, err = run("restore", source, "-o", tmp_path / "x.mp4", *options, "--temporal")
    assert status == 1
    assert "onnxruntime runs the network outside of torch; use the engine torch" in err
    assert not (tmp_path / "x.mp4").exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--memory", "lots"), "memory is a size such as '2GB'"),
        (("--precision", "float8"), "precision is one of auto, float32"),
        (("--engine", "onx"), "engine is one of torch, openvino, onnxruntime, ncnn; got 'onx'"),
        (("--precision", "int8"), "int8 needs --engine openvino"),
        (("--compare-pixels", "all"), "--compare-pixels is the size of a comparison: add --compare, which writes it"),
        (("--compare", "--compare-pixels", "big"), "must be at least 20000 pixels, or all; got 'big'"),
        (("--compare", "--compare-pixels", "19999"), "must be at least 20000 pixels, or all; got '19999'"),
    ],
)
def test_restore_says_what_an_option_may_be(run, tmp_path, identity_weights, options, sentence):
    write_image(tmp_path / "a.png", torch.rand(3, 9, 9))
    status, _, err = run("restore", tmp_path / "a.png", "--weights", identity_weights, *options)
    assert status == 1
    assert sentence in err


def test_tiles_are_not_for_videos_that_are_smoothed_which_is_said(run, tmp_path, tiny_weights):
    write_image(tmp_path / "a.png", torch.zeros(3, 9, 9))
    options = ("--weights", tiny_weights, "--device", "cpu", "--temporal", "--dry-run")
    note = "--tile 80 is for images: --temporal restores the frames of videos as a whole"
    assert note in run("restore", tmp_path / "a.png", *options, "--tile", 80)[2]
    assert "--tile" not in run("restore", tmp_path / "a.png", *options, "--tile", 0)[2]


@pytest.mark.parametrize(("options", "tile"), [((), 64), (("--tile", 80), 80), (("--tile", 0), None)])
def test_images_are_restored_in_tiles_of_the_weights_or_of_the_given_side(run, tmp_path, options, tile):
    torch.manual_seed(0)
    write_image(tmp_path / "a.png", torch.rand(3, 70, 90) * torch.linspace(0, 1, 90))
    SFNet(width=16, depth=1, tile=64).save_pretrained(tmp_path / "weights")
    here = ("--weights", tmp_path / "weights", "--device", "cpu", "--precision", "float32", "-o", tmp_path / "b.png")
    assert run("restore", tmp_path / "a.png", *here, *options)[0] == 0
    restorer = Restorer(tmp_path / "weights", "cpu", precision="float32", tile=tile)
    expected = restorer.restore(read_image(tmp_path / "a.png")[None])[0]
    torch.testing.assert_close(read_image(tmp_path / "b.png"), expected, rtol=0, atol=0.51 / 255)


def test_comparisons_have_as_many_pixels_as_asked_and_all_with_all(run, tmp_path, identity_weights):
    write_image(tmp_path / "a.png", torch.zeros(3, 300, 200))
    areas = []
    for size in ("40_000", "ALL", "100,000"):
        options = ("--weights", identity_weights, "--compare", "--compare-pixels", size)
        assert run("restore", tmp_path / "a.png", *options)[0] == 0
        with Image.open(tmp_path / "a_restored_compare.png") as picture:
            areas.append(picture.width * picture.height)
    assert areas[0] <= 40_000 < areas[2] <= 100_000 < 2 * 300 * 200 < areas[1]


def test_restore_names_a_bad_file_does_the_others_and_ends_badly(run, tmp_path, identity_weights):
    write_image(tmp_path / "in" / "good.png", torch.rand(3, 9, 9))
    (tmp_path / "in" / "bad.png").write_text("text")
    status, _, err = run("restore", tmp_path / "in", "-o", tmp_path / "out", "--weights", identity_weights)
    assert status == 1
    assert "bad.png is not a" in err
    assert "1 restored, 1 failed" in err
    assert (tmp_path / "out" / "good.png").exists()


def test_a_size_beyond_the_limit_is_refused_with_how_to_raise_it(run, tmp_path, identity_weights):
    Image.new("1", (20_000, 20_000)).save(tmp_path / "huge.png")
    status, _, err = run("restore", tmp_path / "huge.png", "--weights", identity_weights)
    assert status == 1
    assert "20000" in err.replace(",", "").replace(" ", "")
    assert "--max-pixels" in err


def test_mistakes_are_one_sentence_each(run, tmp_path, tiny_weights):
    (tmp_path / "empty").mkdir()
    status, _, err = run("restore", tmp_path / "empty")
    assert one_sentence(status, err, "empty holds no images")
    status, _, err = run("restore", tmp_path / "missing.png")
    assert one_sentence(status, err, "no file, folder or match for", "missing.png")
    write_image(tmp_path / "a.png", torch.rand(3, 9, 9))
    status, _, err = run("restore", tmp_path / "a.png", "--weights", "generl")
    assert one_sentence(status, err, "No weights named 'generl'")
    torch.save({"model": {"weight": torch.zeros(2)}}, tmp_path / "other.pkl")
    status, _, err = run("restore", tmp_path / "a.png", "--weights", tmp_path / "other.pkl")
    assert one_sentence(status, err, "neither passband nor spandrel knows a network with these entries: weight")
    status, _, err = run("degrade", tmp_path / "a.png", tmp_path / "out", "--kind", "rian")
    assert one_sentence(status, err, "Did you mean 'rain'?")
    (tmp_path / "typo.toml").write_text('name = "x"\n[optim]\nstep = 3\n')
    status, _, err = run("train", tmp_path / "typo.toml", "--data", tmp_path)
    assert one_sentence(status, err, "unknown key optim.step; did you mean optim.steps?")
    status, _, err = run("train", "general")
    assert one_sentence(status, err, "--data is needed: a folder of photographs")
    status, _, err = run("train")
    assert one_sentence(status, err, "name a shipped recipe")
    status, _, err = run("train", "-o", tmp_path / "nothing", "--resume")
    assert one_sentence(status, err, "holds no run")
    status, _, err = run("evaluate", tiny_weights, "--data", tmp_path / "empty", "-o", tmp_path / "report")
    assert one_sentence(status, err, "holds no pairs of images")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["restore", ""], "the argument after restore is empty"),
        (["restore", "a.jpg", "-o", ""], "the argument after -o is empty"),
        (["restore", "a.jpg", "--weights="], "--weights has no value"),
        (["evaluate", "general", "--data", "", "-o", "report"], "the argument after --data is empty"),
    ],
)
def test_an_empty_argument_is_not_the_current_folder(run, tmp_path, monkeypatch, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    write_image("a.jpg", torch.rand(3, 16, 16))
    status, out, err = run(*arguments)
    assert (status, out) == (1, "")
    assert err == f"Error: {sentence}: give one, or check the shell variable in its place\n"
    assert [path.name for path in tmp_path.iterdir()] == ["a.jpg"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["restore", "data", "-o", "OUTPUT"],
        ["degrade", "data", "OUTPUT", "--kind", "haze"],
        ["evaluate", "general", "--data", "data", "-o", "OUTPUT"],
        ["compare", "general", "dehaze-small", "--data", "data", "-o", "OUTPUT"],
        ["train", "derain-small", "--data", "data", "-o", "OUTPUT"],
        ["finetune", "--data", "data", "-o", "OUTPUT"],
        ["shards", "data", "OUTPUT"],
        ["export", "general", "--to", "onnx", "-o", "OUTPUT/general.onnx"],
        ["demo", "restore", "-o", "OUTPUT"],
        ["analyze", "filters", "data/a.png", "-o", "OUTPUT"],
        ["analyze", "ratio", "general", "--data", "data", "-o", "OUTPUT"],
        ["analyze", "channels", "general", "--data", "data", "-o", "OUTPUT"],
        ["analyze", "seams", "data/a.png", "-o", "OUTPUT"],
        ["analyze", "spectrum", "data/a.png", "data/a.png", "-o", "OUTPUT"],
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_an_output_below_a_file_is_refused_before_the_work(run, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    write_image("data/a.png", torch.rand(3, 16, 16))
    Path("file").touch()
    status, out, err = run(*(argument.replace("OUTPUT", "file/new") for argument in arguments))
    assert (status, out) == (1, "")
    assert "cannot write to the folder" in err  # a writer says the file, after the work
    assert "file is a file, and a folder is needed" in err


def test_the_home_folder_is_known_where_no_shell_put_it(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))  # on Windows
    write_image(tmp_path / "home" / "a.png", torch.rand(3, 16, 16))
    status, out, _ = run("analyze", "spectrum", "~/a.png", "--output=~/report")
    assert (status, out.splitlines()[-1]) == (0, f"Pictures and table: {tmp_path / 'home' / 'report'}")
    assert (tmp_path / "home" / "report" / "spectrum.csv").exists()
    assert not (tmp_path / "~").exists()


def test_the_pairs_of_one_image_are_not_written_into_a_folder_that_is_called_like_an_image(run, tmp_path):
    write_image(tmp_path / "a.png", torch.rand(3, 16, 16))
    status, _, err = run("degrade", tmp_path / "a.png", tmp_path / "hazy.png", "--kind", "haze")
    assert status == 1
    assert "a folder is needed, and " in err
    assert not (tmp_path / "hazy.png").exists()
    status, out, _ = run("degrade", tmp_path / "a.png", tmp_path / "hazy", "--kind", "haze")
    assert (status, out) == (0, f"1 pair in {tmp_path / 'hazy'}\n")


def test_debug_shows_the_traceback(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "argv", ["passband", "restore", str(tmp_path), "--debug"])
    with pytest.raises(FileNotFoundError, match="holds no images"):
        main()


def test_interruption_says_what_is_kept_and_ends_with_130(run, tmp_path, identity_weights, monkeypatch):
    write_image(tmp_path / "a.png", torch.rand(3, 9, 9))

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("passband.inference.Restorer.restore_file", interrupted)
    status, _, err = run("restore", tmp_path / "a.png", "--weights", identity_weights)
    assert status == 130
    assert "Traceback" not in err


@pytest.mark.parametrize("number", [*ENDING, signal.SIGINT])
def test_the_end_of_a_service_or_a_terminal_ends_a_command_as_ctrl_c_does(run, tmp_path, monkeypatch, number):
    """A signal that comes while a file is written leaves no part of it, and the status is that of shells."""
    write_image(tmp_path / "a.png", torch.rand(3, 9, 9))

    def interrupted(restorer, source, target, **_):
        with write_whole(target) as temporary:
            temporary.write_bytes(b"half")
            signal.raise_signal(number)

    monkeypatch.setattr("passband.inference.Restorer.restore_file", interrupted)
    for command, sentence in (
        (("restore", tmp_path / "a.png"), "Interrupted: 0 of 1 files are done"),
        (("evaluate", "general", "--data", "a", "-o", "b"), "Interrupted. Finished files are kept."),
    ):
        status, _, err = run(*command)
        assert (status, sentence in err) == (128 + number, True)
        assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
        assert signal.getsignal(number) is (signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        monkeypatch.setattr("passband.models.task_of", lambda _: signal.raise_signal(number))


def test_an_error_that_another_package_makes_of_an_interruption_counts_as_one(run, monkeypatch):
    def import_interrupted(_):
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt as error:
            raise ImportError("a part of a package is missing") from error

    monkeypatch.setattr("passband.models.task_of", import_interrupted)
    status, _, err = run("evaluate", "general", "--data", "a", "-o", "b")
    assert (status, err.splitlines()[-1]) == (130, "Interrupted. Finished files are kept.")


def test_ctrl_c_while_the_command_line_is_loaded_leaves_no_traceback(monkeypatch, capsys):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr("passband.cli.main", interrupted)
    with pytest.raises(SystemExit) as ended:
        script()
    assert (ended.value.code, capsys.readouterr().err) == (130, "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_set_of_pairs_has_whole_pairs_only_and_is_made_by_the_same_command(run, tmp_path, number):
    (tmp_path / "photos").mkdir()
    for name in range(30):
        write_image(tmp_path / "photos" / f"{name}.png", torch.rand(3, 96, 96))
    words = ("degrade", tmp_path / "photos", tmp_path / "pairs", "--kind", "rain")
    command = subprocess.Popen(
        [sys.executable, "-m", "passband", *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    while len(list(tmp_path.glob("pairs/clean/*.png"))) < 2 and time.monotonic() < deadline:  # the first pair is whole
        time.sleep(0.002)
    command.send_signal(number)
    _, err = command.communicate()
    assert (command.returncode, err.splitlines()[-1]) == (128 + number, "Interrupted. Finished files are kept.")
    degraded, clean = (sorted(path.name for path in (tmp_path / "pairs" / part).iterdir()) for part in PARTS)
    assert degraded == clean
    assert 1 <= len(clean) < 30
    status, _, err = run(*words, "--seed", "1")
    assert (status, "already holds pairs of rain with the seed 0" in err) == (1, True)
    assert run(*words)[:2] == (0, f"30 pairs in {tmp_path / 'pairs'}\n")


def test_a_command_that_shall_outlive_its_terminal_does(run, monkeypatch):
    before, recipes = signal.signal(signal.SIGHUP, signal.SIG_IGN), shipped_recipes()
    try:
        monkeypatch.setattr("passband.config.shipped_recipes", lambda: signal.raise_signal(signal.SIGHUP) or recipes)
        assert run("recipe")[0] == 0
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_degrade_then_evaluate_says_both_figures(run, tmp_path, photographs, identity_weights):
    status, out, _ = run("degrade", photographs, tmp_path / "pairs", "--kind", "snow", "--seed", 4)
    assert (status, out) == (0, f"4 pairs in {tmp_path / 'pairs'}\n")
    status, out, _ = run("evaluate", identity_weights, "--data", tmp_path / "pairs", "-o", tmp_path / "report")
    assert status == 0
    assert "mean of 4 (rgb)" in out
    mean = json.loads((tmp_path / "report" / "evaluation.json").read_text())["mean"]
    assert mean["psnr"] == pytest.approx(mean["psnr_degraded"], abs=1e-5)


def test_degrade_names_a_bad_picture_does_the_others_and_replaces_no_set_unasked(run, tmp_path, photographs):
    bad = sorted(photographs.iterdir())[0]
    bad.write_bytes(bad.read_bytes()[:100])
    status, out, err = run("degrade", photographs, tmp_path / "pairs", "--kind", "snow")
    assert (status, out) == (1, f"3 pairs in {tmp_path / 'pairs'}, 1 failed\n")
    assert f"failed: {bad}" in err
    status, _, err = run("degrade", photographs, tmp_path / "pairs", "--kind", "rain")
    assert one_sentence(status, err, "already holds pairs of snow with the seed 0", "--overwrite")
    bad.unlink()
    status, out, _ = run("degrade", photographs, tmp_path / "pairs", "--kind", "rain", "--overwrite")
    assert (status, out) == (0, f"3 pairs in {tmp_path / 'pairs'}\n")


def test_a_published_pickle_becomes_a_folder_that_gives_the_same_pictures(run, tmp_path):
    torch.save({"model": golden.published_state()}, tmp_path / "GOPRO.pkl")
    status, out, _ = run("convert", tmp_path / "GOPRO.pkl", tmp_path / "gopro", "--pool-window", 80)
    assert status == 0
    assert "SFNet" in out
    assert set(load_weights(tmp_path / "gopro")) == set(load_weights(tmp_path / "GOPRO.pkl"))
    with torch.no_grad():
        restored = load_model(tmp_path / "gopro")(golden.image("golden-c", 64, 64))[-1]
    torch.testing.assert_close(restored, golden.outputs("sfnet_tlc80_64x64")["full"], rtol=0, atol=1e-5)


def test_no_time_is_measured_for_a_run_whose_folder_is_refused(run, tmp_path, monkeypatch):
    monkeypatch.setattr("passband.run_length.recipe_within", lambda *_, **__: pytest.fail("the time was measured"))
    command = ("train", "general", "--data", tmp_path, "--minutes", 1, "-o")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text("{}")
    status, _, err = run(*command, tmp_path / "run")
    assert one_sentence(status, err, "run already holds a run")
    (tmp_path / "file").touch()
    status, _, err = run(*command, tmp_path / "file")
    assert one_sentence(status, err, "file is a file, and a folder is needed")


def test_a_training_from_weights_refuses_another_network(run, tmp_path):
    command = ("train", "general", "--from", "general", "--data", tmp_path, "-o", tmp_path / "run")
    status, _, err = run(*command, "--set", "model.name=convir-s")
    assert one_sentence(status, err, "model.name cannot be changed, because the weights to start from decide")


def test_train_trains_and_resumes(run, tmp_path, photographs):
    (tmp_path / "tiny.toml").write_text(
        'name = "tiny"\n[model]\nname = "sfnet"\narguments = {width = 16, depth = 1}\n'
        "[data]\ncrop = 32\nbatch = 2\nworkers = 0\n[optim]\nsteps = 2\n[validation]\ncount = 1\ncrop = 32\n"
    )
    status, out, err = run(
        "train", tmp_path / "tiny.toml", "--data", photographs, "-o", tmp_path / "run", "--device", "cpu"
    )
    assert status == 0
    # where no bar can be seen, there are lines
    assert "tiny: step 1 of 2  loss " in err
    assert "tiny: step 2 of 2  loss " in err
    assert "step 2 of 2: psnr" in out
    assert f"Curves: {tmp_path / 'run' / 'curves.png'}" in out
    assert (tmp_path / "run" / "curves.svg").exists()
    status, out, err = run(
        *("train", tmp_path / "tiny.toml", "--data", photographs, "-o", tmp_path / "none"),
        *("--device", "cpu", "--max-minutes", 0),
    )
    assert (status, err) == (0, "")
    assert out.splitlines() == [
        "step 0 of 2: not validated yet",
        "Stopped after 0 minutes, before the end of the run. "
        f"There is no checkpoint in {tmp_path / 'none'} yet: start again in another folder.",
    ]
    resumed = ("train", "-o", tmp_path / "run", "--resume", "--device", "cpu")
    status, out, _ = run(*resumed)
    assert status == 0
    assert "step 2 of 2: psnr" in out
    status, out, _ = run(*resumed, "--steps", 5, "--max-minutes", 0)
    assert status == 0
    assert "step 2 of 5: psnr" in out
    command = f"To continue after step-000000002, run: passband train -o {tmp_path / 'run'} --resume"
    assert f"Stopped after 0 minutes, before the end of the run. {command}" in out
    status, out, _ = run(*resumed, "--epochs", 2, "--set", "data.batch=1", "--set", "optim.clip_norm=none")
    assert (status, "step 8 of 8: psnr" in out) == (0, True)
    settings = json.loads((tmp_path / "run" / "run.json").read_text())["recipe"]
    assert (settings["optim"]["steps"], settings["optim"]["epochs"], settings["optim"]["clip_norm"]) == (None, 2, None)
    status, _, err = run(*resumed, "--set", "optim.step=3")
    assert one_sentence(status, err, "unknown key optim.step; did you mean optim.steps?")
    status, _, err = run(*resumed, "--steps", 3)
    assert one_sentence(status, err, "is already at step 8, which is beyond the 3 steps of this run")
    status, _, err = run(*resumed, "--steps", 3, "--epochs", 2)
    assert one_sentence(status, err, "give the length as --steps or as --epochs, not both")
    status, _, err = run(*resumed, "--steps", 3, "--set", "optim.steps=4")
    assert one_sentence(status, err, "give optim.steps once")
    status, out, _ = run("restore", next(photographs.iterdir()), "--weights", tmp_path / "run", "-o", tmp_path / "out")
    assert status == 0


def test_an_interrupted_run_says_where_it_would_go_on(run, tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("passband.training.train", interrupted)
    command = ("train", "general", "--data", tmp_path, "-o", tmp_path / "run")
    status, _, err = run(*command)
    assert status == 130
    assert err.splitlines() == [
        f"Nothing was written to {tmp_path / 'run'} yet: start again.",
        "Interrupted. Finished files are kept.",
    ]
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    assert f"There is no checkpoint in {tmp_path / 'run'} yet" in run(*command)[2]
    (tmp_path / "run" / "checkpoints" / "step-000000058").mkdir()
    assert f"To continue after step-000000058, run: passband train -o {tmp_path / 'run'} --resume" in run(*command)[2]


def test_an_interrupted_finetuning_says_where_it_would_go_on(run, tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("passband.finetuning.finetune", interrupted)
    (tmp_path / "run" / "checkpoints" / "step-000000058").mkdir(parents=True)
    status, _, err = run("finetune", "--data", tmp_path, "-o", tmp_path / "run")
    assert status == 130
    assert f"To continue after step-000000058, run: passband finetune -o {tmp_path / 'run'} --resume" in err


@pytest.mark.parametrize("command", ["train", "finetune"])
def test_a_run_that_a_full_disk_stops_says_where_it_would_go_on(run, tmp_path, monkeypatch, command):
    def full(*_, **__):
        with naming_file(tmp_path / "run" / "log.csv"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("passband.training.train", full)
    monkeypatch.setattr("passband.finetuning.finetune", full)
    (tmp_path / "run" / "checkpoints" / "step-000000058").mkdir(parents=True)
    options = ("--data", tmp_path, "-o", tmp_path / "run")
    status, _, err = run(command, *(["general"] if command == "train" else []), *options)
    assert status == 1
    assert err.splitlines() == [
        f"To continue after step-000000058, run: passband {command} -o {tmp_path / 'run'} --resume",
        f"Error: cannot write {tmp_path / 'run' / 'log.csv'}: no space left in {tmp_path / 'run'}; free some space "
        "there, or choose another folder",
    ]


@pytest.mark.parametrize(
    ("command", "work"),
    [
        (("degrade", "a", "b", "--kind", "rain"), "passband.cli.shared.console.progress_bar"),
        (("evaluate", "general", "--data", "a", "-o", "b"), "passband.models.task_of"),
        (("demo", "curriculum"), "passband.demos.curriculum.demonstrate_curriculum"),
    ],
)
def test_ctrl_c_never_ends_a_command_without_a_word(run, monkeypatch, command, work):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(work, interrupted)
    status, _, err = run(*command)
    assert status == 130
    assert err.splitlines()[-1] == "Interrupted. Finished files are kept."


def test_recipes_are_listed_and_printed(run, tmp_path):
    status, out, _ = run("recipe")
    assert status == 0
    listed = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert listed.keys() == shipped_recipes().keys()
    assert listed["general"].startswith("The shipped weights `general`: one small network")
    assert not any(about.endswith(".") for about in listed.values())
    status, out, _ = run("recipe", "dct-small")
    (tmp_path / "mine.toml").write_text(out)
    assert status == 0
    assert load_recipe(tmp_path / "mine.toml") == load_recipe("dct-small")
    status, _, err = run("recipe", "dct-smal")
    assert one_sentence(status, err, "no recipe 'dct-smal'", "Did you mean 'dct-small'?")


def test_a_second_signal_of_another_kind_ends_the_process_at_once():
    script = (
        "import signal\n"
        "from passband.cli.shared.interruption import ended_by_signals\n"
        "with ended_by_signals():\n"
        "    try:\n        signal.raise_signal(signal.SIGTERM)\n"
        "    finally:\n        signal.raise_signal(signal.SIGHUP)\n        print('cleaned up')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (-signal.SIGHUP, "")
