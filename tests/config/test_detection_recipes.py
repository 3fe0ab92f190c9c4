"""The shipped recipes of detection are the rows that their first lines say."""

import re

import pytest
import torch

from passband.analysis.cost import macs
from passband.config import DetectionRecipe, load_recipe, shipped_recipes
from passband.evaluation.detection_report import PUBLISHED
from passband.models import build_model

ROWS = {
    "rgb-mask-rcnn": (3, "RGB, 12 epochs"),
    "rgb-mask-rcnn-24": (3, "RGB, 24 epochs"),
    "dct-mask-rcnn-24s": (24, "DCT-24S"),
    "dct-mask-rcnn-48s": (48, "DCT-48S"),
    "dct-mask-rcnn-64s": (64, "DCT-64S"),
}


def built(name):
    data, model = load_recipe(name).data, load_recipe(name).model
    fitted = {"mean": [0.0] * ROWS[name][0], "std": [1.0] * ROWS[name][0]} if data.statistics == "fit" else {}
    with torch.device("meta"):
        return build_model(
            model.name,
            **model.arguments,
            channels=data.channels,
            chroma_ratio=data.chroma_ratio,
            doubled=data.doubled,
            min_size=data.min_size,
            max_size=data.max_size,
            **fitted,
        )


def test_every_row_of_the_tables_is_shipped():
    shipped = {name for name in shipped_recipes() if isinstance(load_recipe(name), DetectionRecipe)}
    assert shipped == {*ROWS, "detection-small", "detection-pretrained"}


@pytest.mark.parametrize("name", ROWS)
def test_rows_say_their_input_cost_and_published_figures(name):
    channels, source = ROWS[name]
    model = built(name)
    assert model.channels == channels
    said = re.sub(r"\n# ?", " ", shipped_recipes()[name].read_text().split("\nname = ")[0])
    figure = re.search(r"(\d+\.\d+) GMACs", said)
    assert macs(model.backbone.body, (3, 224, 224)) / 1e9 == pytest.approx(float(figure[1]), abs=0.005)
    row = next(row for row in PUBLISHED["coco"] if row["source"].startswith(source))
    assert f"{row['box']} box AP" in said
    assert f"{row['mask']} mask AP" in said
    assert f"passband train {name} " in said
    assert f"passband evaluate runs/{name}/weights/last " in said


def test_rows_differ_in_their_input_alone():
    recipes = [load_recipe(name) for name in ROWS if name != "rgb-mask-rcnn-24"]
    assert len({recipe.optim for recipe in recipes}) == 1
    assert len({(recipe.data.batch, recipe.data.min_size, recipe.data.flip) for recipe in recipes}) == 1


@pytest.mark.parametrize("name", ROWS)
def test_the_rate_fits_the_batch_of_all_processes(name):
    recipe = load_recipe(name)
    assert recipe.optim.learning_rate / recipe.data.batch == pytest.approx(0.02 / 16)  # as usual for COCO


def test_the_small_one_builds():
    recipe = load_recipe("detection-small")
    with torch.device("meta"):
        model = build_model(recipe.model.name, **recipe.model.arguments, min_size=recipe.data.min_size)
    assert model.norm == "group"
    assert sum(weight.numel() for weight in model.parameters()) < 8e6
