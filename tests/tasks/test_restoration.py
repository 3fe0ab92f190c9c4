import pytest
import torch

from passband.config import parse_recipe, recipe_scored_on
from passband.evaluation import evaluate
from passband.io.image import ImageError, write_image
from passband.models import SFNet
from passband.models.inputs import check_views, input_views
from passband.tasks.restoration import Restoration
from passband.training import train

DUAL = {
    "name": "dual",
    "model": {"name": "sfnet", "arguments": {"width": 16, "depth": 1, "in_channels": 6}},
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


@pytest.mark.usefixtures("without_charts")
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
            "model": {"name": "sfnet", "arguments": {"width": 16, "depth": 1}},
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
    with pytest.raises(ImageError, match="none of the images to score on can be used"):
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


SOURCES = {
    "name": "sources",
    "model": {"name": "sfnet", "arguments": {"width": 16, "depth": 1}},
    "data": {
        "batch": 2,
        "workers": 0,
        "degradations": {"rain": 1.0, "raindrop": 1.0, "clean": 1.0},
        "camera": 0.5,
        "mixtures": 0.5,
        "zoom": 2.0,
        "crops": [16, 24],
        "sources": [
            {"folder": "photographs", "weight": 2.0},
            {"folder": "more", "degradations": {"snow": 1.0}, "simulators": 1},
            {"folder": "rainy", "content": "pairs", "held_out": 0.4},
        ],
    },
    "optim": {"steps": 4},
    "validation": {"every": 2, "count": 2, "crop": 16},
}


@pytest.fixture
def several(tmp_path):
    """Two folders of photographs and one of pairs."""
    for folder in ("photographs", "more", "rainy/degraded", "rainy/clean"):
        for number in range(5):
            write_image(tmp_path / "data" / folder / f"{number}.png", torch.rand(3, 40, 44))
    return tmp_path / "data"


def test_several_sources_are_learned_from_and_held_out_pairs_scored_on(several, tmp_path):
    progress = train(parse_recipe(SOURCES, "sources"), tmp_path / "run", data=several, device="cpu")
    assert progress.step == 4
    assert {"psnr", "gain/pair", "gain/rain", "gain/raindrop"} == set(progress.figures)


def test_crops_grow_with_the_steps_and_held_out_pairs_are_not_learned_from(several):
    task = Restoration(parse_recipe(SOURCES, "sources"))
    data = task.training_data(several, {})
    sides = [data[number]["clean"].shape[-1] for number in range(8)]
    assert sides == [16] * 4 + [24] * 4
    assert [source.simulation.version for source in data.sources[:2]] == [2, 1]
    seen = {data[number]["kind"].split("+")[0] for number in range(60)}
    assert seen == {"rain", "raindrop", "clean", "snow", "pair"}
    learned = {pair.name for pair in data.sources[2].pairs}
    scored = {sample["name"] for sample in task.validation_data(several, None, {}) if sample["kind"] == "pair"}
    assert len(learned) == 3
    assert len(scored) == 2
    assert not learned & scored


def test_a_folder_to_score_on_takes_the_place_of_photographs_only(several):
    recipe = recipe_scored_on(parse_recipe(SOURCES, "sources"), several / "more")
    kinds = {sample["kind"] for sample in Restoration(recipe).validation_data(several, several / "more", {})}
    assert kinds == {"pair", "rain", "raindrop"}
    pairs = parse_recipe(SOURCES | {"data": SOURCES["data"] | {"sources": SOURCES["data"]["sources"][2:]}}, "sources")
    with pytest.raises(ValueError, match="and all data.sources are pairs: leave out .*more"):
        Restoration(pairs).validation_data(several, several / "more", {})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"source": "pairs"}, "set content and held_out in each of data.sources"),
        ({"crop_shares": [1.0]}, "must have one share per crop"),
        ({"crops": [20]}, "multiple of 8"),
        ({"sources": [{"folder": "a", "weigth": 1.0}]}, "weight"),
    ],
)
def test_recipes_of_sources_that_contradict_themselves_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        parse_recipe(SOURCES | {"data": SOURCES["data"] | changes}, "sources")


def test_crops_of_a_run_need_its_length_in_steps():
    with pytest.raises(ValueError, match="optim.steps"):
        parse_recipe(SOURCES | {"optim": {"epochs": 2}}, "sources")


def test_a_picture_that_is_not_degraded_at_all_has_a_finite_score():
    task = Restoration(parse_recipe(SOURCES, "sources"))
    image = torch.rand(1, 3, 16, 16)
    batch = {"degraded": image, "clean": image, "kind": ["scratch"], "name": ["a"], "problem": [""]}
    figures = task.validate(SFNet(width=16, depth=1), [batch]).figures
    assert all(torch.tensor(value).isfinite() for value in figures.values())
