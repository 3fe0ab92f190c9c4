import pytest
import torch

from passband.config import parse_recipe
from passband.evaluation import evaluate
from passband.io.image import ImageError, write_image
from passband.models import SFNet
from passband.tasks.restoration import Restoration, check_views, input_views
from passband.training import train

DUAL = {
    "name": "dual",
    "model": {"name": "sfnet", "numbers": {"width": 16, "depth": 1, "in_channels": 6}},
    "data": {"source": "pairs", "views": 2, "crop": 16, "batch": 2, "workers": 0},
    "optim": {"steps": 2},
    "validation": {"every": 1, "count": 2, "crop": 16},
}


@pytest.fixture
def views(tmp_path):
    """Two scenes with a left, a right and a clean picture."""
    for name in ("inputL", "inputR", "target"):
        for number in (1, 2):
            write_image(tmp_path / "views" / name / f"{number}.png", torch.rand(3, 20, 24))
    return tmp_path / "views"


def test_a_network_of_two_views_is_trained_validated_saved_and_scored(views, tmp_path):
    progress = train(parse_recipe(DUAL, "dual"), tmp_path / "run", data=views, device="cpu")
    assert progress.step == 2
    assert {"psnr", "gain/pair"} <= set(progress.figures)
    result = evaluate(tmp_path / "run" / "weights" / "best", views, tmp_path / "report", device="cpu")
    assert result["network"]["in_channels"] == 6
    assert len(result["images"]) == 2


def test_weights_that_do_not_take_what_the_recipe_gives_are_refused_before_training(views, tiny_weights, tmp_path):
    with pytest.raises(
        ValueError, match=r"takes 3 input channels \(one view of a scene\), but gets 6 \(left and right"
    ):
        train(parse_recipe(DUAL, "dual"), tmp_path / "run", data=views, weights=tiny_weights, device="cpu")
    assert not (tmp_path / "run" / "run.json").exists()


@pytest.mark.parametrize("source", ["photographs", "pairs"])
def test_a_truncated_file_ends_a_run_naming_it_or_is_left_out_and_named(tmp_path, caplog, source):
    folders = ("clean",) if source == "photographs" else ("degraded", "clean")
    for name in folders:
        for number in range(5):
            write_image(tmp_path / "data" / name / f"{number}.png", torch.rand(3, 20, 24))
    bad = tmp_path / "data" / "clean" / "0.png"
    bad.write_bytes(bad.read_bytes()[:300])

    def run(skip_bad, output):
        content = DUAL | {
            "model": {"name": "sfnet", "numbers": {"width": 16, "depth": 1}},
            "data": {"source": source, "crop": 16, "batch": 2, "workers": 0, "skip_bad": skip_bad},
            "optim": {"epochs": 2},
        }
        return train(parse_recipe(content, "test"), tmp_path / output, data=tmp_path / "data", device="cpu")

    with pytest.raises(ImageError, match=r"0\.png.* set data\.skip_bad = true"):
        run(skip_bad=False, output="strict")
    assert run(skip_bad=True, output="skipping").step == 4
    assert sum(str(bad) in message for message in caplog.messages) == 1


def test_a_validation_without_any_usable_file_is_an_error(tmp_path):
    for name in ("degraded", "clean"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.png").write_bytes(b"nothing")
    content = DUAL | {"model": {"name": "sfnet"}, "data": {"source": "pairs", "skip_bad": True}}
    job = Restoration(parse_recipe(content, "test"))
    crops = job.validation_data(tmp_path, None, {})
    with pytest.raises(ImageError, match="none of the pictures to score on can be used"):
        job.validate(torch.nn.Identity(), [job.collate([crops[0]])])


@pytest.mark.parametrize("channels", [3, 6, 9])
def test_the_views_of_a_network_are_counted_and_no_other_number_of_them_passes(channels):
    with torch.device("meta"):
        model = SFNet(width=16, depth=1, in_channels=channels)
    taken = channels // 3
    assert input_views(model) == taken
    check_views(model, taken, "mine")
    with pytest.raises(ValueError, match=rf"^mine takes {channels} input channels .*, but gets {channels + 3} "):
        check_views(model, taken + 1, "mine")
    assert input_views(torch.nn.Identity()) == 1  # networks of other houses take a picture
