"""Recipes of segmentation: what is refused, and that the shipped ones are the rows that their first lines say."""

import re
from pathlib import Path

import pytest
import torch

from passband.analysis.cost import cost
from passband.config import RecipeError, SegmentationRecipe, load_recipe, parse_recipe, shipped_recipes
from passband.config import segmentation as config
from passband.curriculum import DEFINITIONS, MODES, SHAPES, Curriculum, RatioSchedule
from passband.curriculum.adaptive import BETWEEN
from passband.curriculum.objective import TERMS
from passband.curriculum.search import METHODS
from passband.losses import SEGMENTATION_LOSSES
from passband.models import build_model
from passband.models.base import without_initial_weights
from passband.studies.ratio_sweep import of_ratio
from passband.tasks import Segmentation

VARIANTS = ("full", "fixed", "down", "up", "adaptive", "crop")
SLIDES = [f"segment-{name}-{variant}" for name in ("kvasir", "cvc") for variant in VARIANTS]
OTHERS = ("segment-small", "segment-kvasir-pretrained")


def parsed(**tables):
    return parse_recipe({"name": "mine", "task": "segmentation", **tables}, "r.toml")


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"curriculum": {"start": 1.2}}, r"curriculum\.start: .*less than or equal to 1, got 1\.2"),
        ({"curriculum": {"end": -0.1}}, r"curriculum\.end: .*greater than or equal to 0, got -0\.1"),
        ({"curriculum": {"mode": "crops"}}, r"curriculum\.mode: .*'none', 'mask' or 'crop', got 'crops'"),
        ({"curriculum": {"mod": "crop"}}, r"unknown key curriculum\.mod; did you mean curriculum\.mode\?"),
        ({"curriculum": {"hold": 0.7, "tail": 0.6}}, r"hold and tail .* sum is at most 1; got 0\.7 and 0\.6"),
        (
            {"curriculum": {"mode": "crop", "profile": "image", "definition": "energy"}},
            r"definition = .energy. may crop each image to another size",
        ),
        ({"curriculum": {"mode": "crop", "sizes": [512]}}, r"sizes must be at most data\.size, 256 pixels; got 512"),
        ({"data": {"size": 16}, "curriculum": {"mode": "crop"}}, r"images of 16 pixels are too small for default"),
        (
            {"curriculum": {"mode": "mask", "final_ratios": [0.5, 1.5]}},
            r"final_ratios must be from 0 to 1; got 1\.5",
        ),
        ({"curriculum": {"mode": "mask", "final_ratios": [0.5, 0.5]}}, r"final_ratios must be different"),
        ({"curriculum": {"final_ratios": [0.5]}}, r"final_ratios need mode = \"mask\" or \"crop\""),
        (
            {"curriculum": {"adaptive": {"hold": 0.5}}},
            r"the last 0\.5 of the run train on the whole spectrum, so a search at 0\.75 has no effect",
        ),
        ({"curriculum": {"schedule": "adaptive", "hold": 0.5}}, r"set adaptive\.hold"),
        ({"curriculum": {"adaptive": {"shares": [0.5, 1.0]}}}, r"shares must be ascending shares .* from 0 to below 1"),
        ({"curriculum": {"adaptive": {"shares": [0.5, 0.2]}}}, r"shares must be ascending shares of the run"),
        ({"curriculum": {"adaptive": {"alpha": 0, "beta": 0}}}, r"alpha and beta are both 0"),
        ({"curriculum": {"adaptive": {"term": "noisy"}}}, r"curriculum\.adaptive\.term: .*got 'noisy'"),
        ({"curriculum": {"adaptive": {"radi": 3}}}, r"did you mean curriculum\.adaptive\.radii\?"),
        ({"data": {"class_names": ["a"]}}, r"class_names needs 2 names, one for each class and the background; got 1"),
        (
            {"data": {"held_out": 0.1, "validation_list": "v.txt"}},
            r"held_out draws the validation images at random, and the lists name them",
        ),
        ({"data": {"sequence": "frames"}}, r"sequence needs held_out, the share"),
        ({"data": {"scale": [0.0, 1.0]}}, r"scale must be two shares of the area of an image"),
        ({"model": {"arguments": {"classes": 3}}}, r"leave out classes of model\.arguments: data\.classes sets"),
        ({"loss": {"name": "dise"}}, r"loss\.name: .*got 'dise'"),
    ],
)
def test_a_recipe_with_a_mistake_is_one_sentence_with_the_key(tables, message):
    with pytest.raises(RecipeError, match=message):
        parsed(**tables)


def test_the_names_that_a_recipe_may_give_are_those_that_there_are():
    def names(section, field):
        return set(section.model_fields[field].annotation.__args__)

    assert names(config.SegmentationLoss, "name") == set(SEGMENTATION_LOSSES)
    assert names(config.CurriculumConfig, "mode") == {"none", *MODES}
    assert names(config.CurriculumConfig, "definition") == set(DEFINITIONS)
    assert names(config.CurriculumConfig, "shape") == set(SHAPES)
    assert names(config.AdaptiveConfig, "between") == set(BETWEEN)
    assert names(config.AdaptiveConfig, "term") == set(TERMS)
    assert names(config.AdaptiveConfig, "method") == set(METHODS)


def test_a_recipe_that_says_nothing_has_the_slides_settings_and_one_word_turns_on_the_stages():
    recipe = parsed()
    optim = recipe.optim
    assert (optim.optimizer, optim.learning_rate, optim.final_learning_rate) == ("adam", 1e-4, 1e-6)
    assert (recipe.optim.epochs, recipe.data.batch, recipe.data.size) == (200, 16, 256)
    assert (recipe.model.name, recipe.loss.name, recipe.curriculum.mode) == ("unet", "cross_entropy", "none")
    assert parsed(optim={"steps": 7}).optim.length(3) == 7
    assert recipe.sizes == ()
    crop = parsed(curriculum={"mode": "crop"})
    assert crop.sizes == (128, 192)
    assert parsed(data={"size": 352}, curriculum={"mode": "crop"}).sizes == (192, 288)
    settings = crop.curriculum
    schedule = RatioSchedule(
        1, settings.start, settings.end, settings.shape, settings.plateaus, settings.hold, settings.tail
    )
    followed = Curriculum(schedule, "crop", crop.sizes)
    assert [followed.size_at(done, 256, 256)[0] for done in (0, 0.333, 0.334, 0.666, 0.667, 1)] == [
        128,
        128,
        192,
        192,
        256,
        256,
    ]


def test_further_keywords_of_an_architecture_are_a_table_that_survives_json():
    options = {"decoder_channels": (8, 8, 4, 4, 2), "decoder_attention_type": None}
    arguments = {"encoder": "mobilenet_v2", "options": {**options, "decoder_channels": [8, 8, 4, 4, 2]}}
    settings = parsed(model={"name": "smp", "arguments": arguments})
    assert settings.model.arguments["options"] == options
    assert type(settings).model_validate_json(settings.model_dump_json()) == settings
    with torch.device("meta"):
        model = build_model("smp", **settings.model.arguments)
    assert model.network.decoder.blocks[-1].conv2[0].out_channels == 2


def test_a_recipe_survives_json():
    recipe = load_recipe("segment-cvc-adaptive")
    assert parse_recipe(recipe.model_dump(mode="json"), "again") == recipe


def test_both_data_sets_of_the_slides_have_every_row_and_anybody_a_small_one():
    shipped = {name for name in shipped_recipes() if isinstance(load_recipe(name), SegmentationRecipe)}
    assert shipped == {*SLIDES, *OTHERS}


@pytest.mark.filterwarnings("ignore:the schedule ends at a frequency ratio:UserWarning")
@pytest.mark.parametrize("name", [*SLIDES, *OTHERS])
def test_a_shipped_recipe_builds_and_its_first_lines_are_true(name):
    recipe = load_recipe(name)
    said = " ".join(
        line.removeprefix("#").strip()
        for line in shipped_recipes()[name].read_text().splitlines()
        if line.startswith("#")
    )
    runs = [of_ratio(recipe, ratio) for ratio in recipe.curriculum.final_ratios] or [recipe]
    with torch.device("meta"):
        model = build_model(recipe.model.name, **without_initial_weights(recipe.model.arguments))
    for run in runs:
        Segmentation(run).check(model, name)
    counted = cost(model, (3, recipe.data.size, recipe.data.size))
    for figure, value in (("M parameters", counted.parameters / 1e6), ("GMACs", counted.macs / 1e9)):
        found = re.search(rf"([\d.]+) {figure}", said)[1]
        assert float(found) == pytest.approx(value, abs=0.5 * 10 ** -len(found.split(".")[1])), figure
    assert f"passband train {name} --data" in said
    share = re.search(r"0?(\.\d+) of the pixels|in 0?(\.\d+) of the pixels", said)
    if share:
        told = recipe.curriculum
        schedule = RatioSchedule(1, told.start, told.end, told.shape, told.plateaus, told.hold)
        pixels = Curriculum(schedule, "crop", recipe.sizes).pixels(1000, recipe.data.size, recipe.data.size)
        assert pixels == pytest.approx(float(share[1]), abs=0.005)


def test_recipes_of_the_slides_differ_in_data_and_curriculum_alone():
    recipes = [load_recipe(name) for name in SLIDES]
    assert len({(recipe.optim, recipe.loss, recipe.model.name, recipe.data.size) for recipe in recipes}) == 1
    ratios = [load_recipe(f"segment-{name}-down").curriculum.final_ratios for name in ("kvasir", "cvc")]
    assert ratios[0] == ratios[1] == tuple(step / 10 for step in range(9, -1, -1))
    run = of_ratio(load_recipe("segment-kvasir-down"), 0.3)
    assert (run.curriculum.start, run.curriculum.end, run.curriculum.shape) == (1.0, 0.3, "linear")
    assert run.curriculum.definition == "magnitude"
    run = of_ratio(load_recipe("segment-kvasir-fixed"), 0.3)
    assert (run.curriculum.fixed, run.curriculum.end) == (True, 0.3)


def test_the_documentation_names_recipes_and_keys_that_exist():
    page = (Path(__file__).parents[2] / "docs" / "segmentation.md").read_text()
    named = set(re.findall(r"`(segment-[a-z-]+)`", page)) | set(re.findall(r"passband train (\S+)", page))
    assert named == {*(name for name in SLIDES if "kvasir" in name), *OTHERS}
    keys = re.findall(r"`(model|data|loss|curriculum)\.(\w+)`", page)
    assert len(keys) > 8
    for table, key in keys:
        assert key in SegmentationRecipe.model_fields[table].annotation.model_fields, f"{table}.{key}"
    table = page.split("| key | meaning |\n|---|---|\n")[1].split("\n\n")[0]
    for row in table.splitlines():
        for key in re.findall(r"`(\w+)", row.split("|")[1]):
            assert key in config.CurriculumConfig.model_fields, key
