import csv
import json
import shutil

import pytest
import torch

from passband.config import RecipeError
from passband.data.degradations import degrade_files
from passband.data.pairs import find_pairs
from passband.drawing.comparison import GAP, MARGIN
from passband.finetuning import finetune, resume_finetuning, training_precision
from passband.finetuning.settings import fit_time
from passband.io.image import read_image, write_image
from passband.metrics import psnr, ssim
from passband.models import SFNet, load_model
from passband.runs import RunError, read_run
from passband.training import train
from tests.tiny_runs import recipe, rows, stop_after

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:tensorboard")


@pytest.fixture
def pairs(tmp_path, photograph):
    """Six small hazy pairs."""
    for number in range(6):
        top, left = 40 * number, 60 * number
        write_image(tmp_path / "photographs" / f"{number}.png", photograph[:, top : top + 40, left : left + 48])
    list(degrade_files(tmp_path / "photographs", tmp_path / "pairs", "haze"))
    return tmp_path / "pairs"


def states(*folders):
    return [load_model(folder).state_dict() for folder in folders]


def test_it_learns_from_four_fifths_and_scores_the_rest_before_and_after(tmp_path, pairs, tiny_weights):
    lines, steps = [], []
    result = finetune(
        tiny_weights,
        pairs,
        tmp_path / "run",
        steps=12,
        crop=32,
        learning_rate=2e-3,
        device="cpu",
        announce=lines.append,
        report=steps.append,
    )
    assert [step.step for step in steps] == list(range(1, 13))
    (name,) = result["held_out"]
    assert lines[0] == f"5 pairs to learn from, 1 held out: {name}"
    assert lines[1].startswith("12 steps of 4 crops of 32 pixels")
    (image,) = result["images"]
    assert image["name"] == name
    degraded, clean = (read_image(pairs / side / f"{name}.png")[None] for side in ("degraded", "clean"))
    assert image["psnr_degraded"] == pytest.approx(psnr(degraded, clean).item())
    with torch.no_grad():
        for when, weights in (("before", tiny_weights), ("after", tmp_path / "run" / "weights" / "best")):
            restored = load_model(weights)(degraded)[-1].clamp(0, 1)
            assert image[f"psnr_{when}"] == pytest.approx(psnr(restored, clean).item(), abs=1e-3)
            assert image[f"ssim_{when}"] == pytest.approx(ssim(restored, clean).item(), abs=1e-4)
    assert result["mean"]["psnr_after"] > result["mean"]["psnr_before"] + 0.5

    assert json.loads((tmp_path / "run" / "finetune.json").read_text()) == json.loads(json.dumps(result))
    with (tmp_path / "run" / "finetune.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert float(row["psnr_after"]) == image["psnr_after"]
    height, width = read_image(tmp_path / "run" / "before_after.png").shape[-2:]
    assert width == 4 * 5 * 48 + 3 * GAP + 2 * MARGIN  # small pictures are shown five times as large
    assert height > 5 * 40 + 2 * MARGIN  # captions above
    recipe = read_run(tmp_path / "run")["recipe"]
    assert recipe.optim.keep_statistics
    assert recipe.validation.patience is not None


def test_the_statistics_of_the_weights_stay(tmp_path, pairs, tiny_weights):
    finetune(str(tiny_weights), str(pairs), str(tmp_path / "run"), steps=2, crop=32, device="cpu")
    before, after = states(tiny_weights, tmp_path / "run" / "weights" / "last")
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert not any("running_" in key for key in before.keys() & changed)
    assert "head.0.weight" in changed


def test_chosen_settings_can_be_changed_one_by_one_and_decide_what_follows_from_them(tmp_path, pairs, tiny_weights):
    changes = {"optim.epochs": 1, "data.batch": 1, "data.crop": 24, "data.held_out": 0.5, "seed": 5}
    lines = []
    options = {"changes": changes, "device": "cpu", "announce": lines.append}
    result = finetune(tiny_weights, pairs, tmp_path / "run", **options)
    assert lines[1].startswith("3 steps of 1 crop of 24 pixels, ")
    recipe = read_run(tmp_path / "run")["recipe"]
    assert (recipe.optim.epochs, recipe.optim.steps, recipe.seed) == (1, None, 5)
    assert (recipe.data.batch, recipe.data.crop, recipe.data.held_out) == (1, 24, 0.5)
    count = len(find_pairs(pairs))
    assert len(result["held_out"]) == count // 2
    assert result["steps"] == count - count // 2
    with pytest.raises(RecipeError, match=r"unknown key optim\.step; did you mean optim\.steps"):
        finetune(tiny_weights, pairs, tmp_path / "other", steps=2, changes={"optim.step": 3}, device="cpu")


def test_a_resumed_fine_tuning_is_the_uninterrupted_one_to_the_bit(tmp_path, pairs, tiny_weights):
    settings = {"steps": 6, "crop": 32, "device": "cpu"}
    whole = finetune(tiny_weights, pairs, tmp_path / "whole", **settings)
    with pytest.raises(KeyboardInterrupt):
        finetune(tiny_weights, pairs, tmp_path / "cut", **settings, report=stop_after(4))
    assert read_run(tmp_path / "cut")["status"] == "interrupted"
    resumed = resume_finetuning(tmp_path / "cut", device="cpu")
    assert resumed["images"] == whole["images"]
    for name in ("log.csv", "validation.csv"):
        assert rows(tmp_path / "cut" / name) == rows(tmp_path / "whole" / name)
    for name in ("best", "last"):
        first, second = states(tmp_path / "whole" / "weights" / name, tmp_path / "cut" / "weights" / name)
        assert all(torch.equal(first[key], second[key]) for key in first)


def test_minutes_become_steps_that_a_resumed_run_keeps(tmp_path, pairs, tiny_weights, monkeypatch):
    monkeypatch.setattr("passband.finetuning.run.time_steps", lambda probe, **_: (5.0, 3.0 * probe.validation.count))
    monkeypatch.setattr("passband.finetuning.run.time.monotonic", lambda: 0.0)
    monkeypatch.setattr("passband.finetuning.run.training_precision", lambda device: "float32")
    with pytest.raises(KeyboardInterrupt):
        finetune(tiny_weights, pairs, tmp_path / "run", minutes=1, crop=32, device="cpu", report=stop_after(4))
    # of 60 seconds, 9 are three validations of the one pair held out; the others are steps of 5
    recipe = read_run(tmp_path / "run")["recipe"]
    assert recipe.optim.steps == 10
    assert recipe.validation.every == 5
    assert resume_finetuning(tmp_path / "run", device="cpu")["steps"] == 10


def test_a_time_into_which_no_step_fits_leaves_one_and_says_so(tmp_path, pairs, tiny_weights):
    lines = []
    result = finetune(
        tiny_weights, pairs, tmp_path / "run", minutes=0.001, crop=32, device="cpu", announce=lines.append
    )
    assert result["steps"] == 1
    assert lines[1].startswith("only 1 step fits into 0.001 minutes, too few to learn much. Use --minutes ")
    assert lines[2].startswith("1 step of 4 crops")


@pytest.mark.parametrize("seconds", [1, 60, 900, 36_000])
@pytest.mark.parametrize("step", [0.02, 0.7, 11, 200])
@pytest.mark.parametrize("validated", [0.01, 0.4, 6])
@pytest.mark.parametrize("count", [1, 9, 50])
def test_a_plan_fits_its_time_and_validates_for_a_fifth_of_it_at_most(seconds, step, validated, count):
    plan = fit_time(seconds, step, validated, (160, 128, 96, 64), count)
    validations = (plan.validations + 1) * plan.count * validated
    steps = plan.steps * step * (plan.crop / 160) ** 2
    assert 1 <= plan.count <= count
    assert 1 <= plan.validations <= min(12, plan.steps)
    if seconds > 20 * validated:
        assert validations <= seconds / 5
    if plan.steps > 1:
        assert 0.6 * seconds < steps + validations <= seconds + 1e-6
    if plan.crop > 64:  # smaller crops are for short times alone
        assert plan.steps >= 200


def test_a_slow_machine_makes_steps_and_not_validations():
    # measured: 48 pairs, 15 minutes, 70 seconds for a step of four crops of 160 pixels, 4 for a validation crop
    plan = fit_time(800, 70, 4, (160, 128, 96, 64), 9)
    assert plan.crop == 64
    assert plan.steps >= 55
    assert plan.count * (plan.validations + 1) * 4 <= 160


def test_weights_that_only_get_worse_stay_the_best(tmp_path, pairs, identity_weights):
    for path in (pairs / "degraded").iterdir():  # almost clean: hardly anything to learn, much to spoil
        write_image(path, read_image(pairs / "clean" / path.name) * 0.98 + 0.01)
    result = finetune(identity_weights, pairs, tmp_path / "run", steps=24, crop=32, learning_rate=0.05, device="cpu")
    assert result["mean"]["psnr_after"] == result["mean"]["psnr_before"]
    before, after = states(identity_weights, tmp_path / "run" / "weights" / "best")
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert result["steps"] == 12  # six validations, two steps apart
    assert result["ended"] == "the last 6 validations did not improve the score"
    again = resume_finetuning(tmp_path / "run", device="cpu")
    assert again["steps"] == 12


def test_a_folder_to_score_on_is_scored_on_and_nothing_is_held_out(tmp_path, pairs, photograph, tiny_weights):
    write_image(tmp_path / "other" / "degraded" / "a.png", photograph[:, :40, 400:440])
    write_image(tmp_path / "other" / "clean" / "a.png", photograph[:, :40, 400:440] / 2)
    result = finetune(
        tiny_weights, pairs, tmp_path / "run", validation_data=tmp_path / "other", steps=1, crop=32, device="cpu"
    )
    assert result["held_out"] == ["a"]
    assert read_run(tmp_path / "run")["recipe"].data.held_out == 0
    shutil.copy(pairs / "clean" / "0.png", tmp_path / "other" / "clean" / "a.png")
    with pytest.raises(
        RunError, match=r"1 of the pairs to score on in .*other have a clean image that is also in .*pairs"
    ):
        finetune(tiny_weights, pairs, tmp_path / "new", validation_data=tmp_path / "other", steps=1, device="cpu")


def test_small_pictures_make_smaller_crops(tmp_path, photograph, tiny_weights):
    for number in range(2):
        for side, offset in (("degraded", 0), ("clean", 1)):
            picture = photograph[:, 80 * number + offset :][:, : 79 + number, :90]
            write_image(tmp_path / "pairs" / side / f"{number}.png", picture)
    lines = []
    finetune(tiny_weights, tmp_path / "pairs", tmp_path / "run", steps=1, device="cpu", announce=lines.append)
    assert "crops of 72 pixels" in lines[1]


@pytest.mark.parametrize(("depth", "rate"), [(7, "0.0005"), (8, "5e-05")])
def test_the_rate_is_half_of_what_such_a_network_was_trained_with(tmp_path, pairs, depth, rate):
    SFNet(width=16, depth=depth).save_pretrained(tmp_path / "weights")
    lines = []
    finetune(tmp_path / "weights", pairs, tmp_path / "run", steps=1, crop=32, device="cpu", announce=lines.append)
    assert f"rate {rate}, " in lines[1]


def test_a_recipe_replaces_the_chosen_settings_and_holds_out_still(tmp_path, pairs, tiny_weights):
    settings = recipe(data={"source": "pairs"}, optim={"steps": 1, "warmup_steps": 0})
    result = finetune(tiny_weights, pairs, tmp_path / "run", recipe=settings, device="cpu")
    assert len(result["held_out"]) == 1
    assert read_run(tmp_path / "run")["recipe"].data.held_out == 0.2
    assert read_run(tmp_path / "run")["recipe"].name == "tiny"


class TestMistakes:
    def test_one_pair_is_too_few(self, tmp_path, pairs, tiny_weights):
        for path in find_pairs(pairs)[1:]:
            path.degraded.unlink()
            path.clean.unlink()
        with pytest.raises(ValueError, match="at least 2 pairs are needed"):
            finetune(tiny_weights, pairs, tmp_path / "run", device="cpu")

    def test_a_missing_picture_is_named(self, tmp_path, pairs, tiny_weights):
        (pairs / "clean" / "3.png").unlink()
        with pytest.raises(ValueError, match=r"no partner.*3\.png"):
            finetune(tiny_weights, pairs, tmp_path / "run", device="cpu")

    def test_two_sizes_in_a_pair_are_named_before_anything_begins(self, tmp_path, pairs, tiny_weights):
        write_image(pairs / "clean" / "5.png", read_image(pairs / "clean" / "5.png")[:, 1:])
        with pytest.raises(ValueError, match=r"5\.png is 48x40 but .*5\.png is 48x39"):
            finetune(tiny_weights, pairs, tmp_path / "run", device="cpu")
        assert not (tmp_path / "run").exists()

    def test_a_crop_larger_than_a_picture_and_a_tiny_picture_are_named(self, tmp_path, pairs, tiny_weights):
        with pytest.raises(ValueError, match=r"crops of 64 pixels need 64x64 pixels, and .*\.png is 48x40: choose a"):
            finetune(tiny_weights, pairs, tmp_path / "run", crop=64, device="cpu")
        for side in ("degraded", "clean"):
            write_image(pairs / side / "2.png", torch.rand(3, 9, 30))
        with pytest.raises(ValueError, match=r"need 16x16 pixels, and .*2\.png is 30x9: leave it out"):
            finetune(tiny_weights, pairs, tmp_path / "run", device="cpu")

    def test_a_crop_that_no_network_takes_is_said_so(self, tmp_path, pairs, tiny_weights):
        with pytest.raises(RecipeError, match=r"data\.crop must be a multiple of 8"):
            finetune(tiny_weights, pairs, tmp_path / "run", crop=30, steps=1, device="cpu")

    def test_weights_for_six_channels_are_refused_for_pairs_of_three(self, tmp_path, pairs):
        SFNet(width=16, depth=1, in_channels=6).save_pretrained(tmp_path / "dual")
        with pytest.raises(FileNotFoundError, match=r"no pairs of images with two views, .* \(6 input channels\)"):
            finetune(tmp_path / "dual", pairs, tmp_path / "run", device="cpu")

    def test_a_recipe_for_photographs_is_refused(self, tmp_path, pairs, tiny_weights):
        with pytest.raises(RunError, match=r'degrades photographs itself; fine-tuning needs data\.source = "pairs"'):
            finetune(tiny_weights, pairs, tmp_path / "run", recipe=recipe(), device="cpu")

    def test_a_network_of_another_project_is_refused(self, tmp_path, pairs):
        from tests.models.restoration.test_foreign import dncnn

        torch.save(dncnn().state_dict(), tmp_path / "denoiser.pth")
        with pytest.raises(
            RunError, match=r"denoiser\.pth is a DnCNN, and only an SFNet, FSNet or ConvIR is fine-tuned on pairs"
        ):
            finetune(tmp_path / "denoiser.pth", pairs, tmp_path / "run", device="cpu")

    def test_a_run_is_not_overwritten_and_a_training_is_no_fine_tuning(self, tmp_path, pairs, tiny_weights):
        settings = recipe(data={"source": "pairs"}, optim={"steps": 1, "warmup_steps": 0})
        train(settings, tmp_path / "run", data=pairs, device="cpu")
        with pytest.raises(RunError, match="already holds a run"):
            finetune(tiny_weights, pairs, tmp_path / "run", device="cpu")
        with pytest.raises(RunError, match="holds a training from fresh weights, not a fine-tuning"):
            resume_finetuning(tmp_path / "run", device="cpu")
        with pytest.raises(RunError, match="holds no run"):
            resume_finetuning(tmp_path / "nothing", device="cpu")

    def test_no_time_is_said_so(self, tmp_path, pairs, tiny_weights):
        with pytest.raises(ValueError, match="takes minutes above 0"):
            finetune(tiny_weights, pairs, tmp_path / "run", minutes=0, device="cpu")


def test_left_and_right_views_are_fine_tuned_together(tmp_path, photograph):
    for number in range(3):
        picture = photograph[:, 60 * number :][:, :40, 100:150]
        write_image(tmp_path / "pairs" / "target" / f"{number}.png", picture)
        for side, shift in (("inputL", 1), ("inputR", -1)):
            write_image(tmp_path / "pairs" / side / f"{number}.png", picture.roll(shift, -1))
    SFNet(width=16, depth=1, in_channels=6).save_pretrained(tmp_path / "dual")
    result = finetune(tmp_path / "dual", tmp_path / "pairs", tmp_path / "run", steps=1, crop=32, device="cpu")
    assert len(result["held_out"]) == 1
    assert load_model(tmp_path / "run" / "weights" / "best").arguments["in_channels"] == 6


def test_a_recipe_that_says_nothing_of_views_gets_those_of_the_weights(tmp_path, photograph):
    for number in range(3):
        picture = photograph[:, 60 * number :][:, :40, 100:150]
        for side in ("inputL", "inputR", "target"):
            write_image(tmp_path / "pairs" / side / f"{number}.png", picture)
    SFNet(width=16, depth=1, in_channels=6).save_pretrained(tmp_path / "dual")
    settings = recipe(data={"source": "pairs"}, optim={"steps": 1, "warmup_steps": 0})
    finetune(tmp_path / "dual", tmp_path / "pairs", tmp_path / "run", recipe=settings, device="cpu")
    kept = read_run(tmp_path / "run")["recipe"]
    assert (kept.data.views, kept.model.arguments["in_channels"]) == (2, 6)
    assert load_model(tmp_path / "run" / "weights" / "best").arguments["in_channels"] == 6
    told = recipe(data={"source": "pairs", "views": 1}, optim={"steps": 1, "warmup_steps": 0})
    with pytest.raises(ValueError, match=r"dual takes 6 input channels .*, but gets 3"):
        finetune(tmp_path / "dual", tmp_path / "pairs", tmp_path / "other", recipe=told, device="cpu")


@pytest.mark.parametrize(
    ("fast", "trained"), [("bfloat16", "bfloat16"), ("float32", "float32"), ("float16", "float32")]
)
def test_training_is_in_bfloat16_where_it_is_fast_and_never_in_float16(monkeypatch, fast, trained):
    monkeypatch.setattr("passband.hardware.fast_precision", lambda device, threads: fast)
    assert training_precision("cpu") == trained
