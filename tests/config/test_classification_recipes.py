"""The shipped recipes of classification are the rows that their first lines say."""

import re

import pytest
import torch

from passband.analysis.cost import cost, normalized_input_size
from passband.config import ClassificationRecipe, load_recipe, parse_recipe, shipped_recipes
from passband.models import build_model
from passband.models.base import without_initial_weights
from passband.tasks import Classification

TABLE_1 = {
    "rgb-resnet50": (3, 224),
    "ycbcr-resnet50": (3, 224),
    "dct-resnet50-192-28": (192, 28),
    "dct-resnet50-192": (192, 56),
    "dct-resnet50-24d": (24, 56),
    "dct-resnet50-24s": (24, 56),
    "dct-resnet50-24t": (24, 56),
    "dct-resnet50-48s": (48, 56),
    "dct-resnet50-48t": (48, 56),
    "dct-resnet50-64s": (64, 56),
    "dct-resnet50-64t": (64, 56),
}
TABLE_2 = {
    "rgb-mobilenetv2": (3, 224),
    "dct-mobilenetv2-6s": (6, 112),
    "dct-mobilenetv2-12s": (12, 112),
    "dct-mobilenetv2-24s": (24, 112),
    "dct-mobilenetv2-32s": (32, 112),
}
OURS = {
    "dct-vit-tiny": (192, 28),
    "dct-lite0": (24, 56),
    "gated-resnet50": (192, 56),
    "dct-small": (24, 40),
    "gated-small": (192, 32),
}
ROWS = TABLE_1 | TABLE_2 | OURS


def test_every_row_of_the_two_tables_is_shipped():
    shipped = {name for name in shipped_recipes() if isinstance(load_recipe(name), ClassificationRecipe)}
    assert shipped == set(ROWS)


@pytest.mark.parametrize("name", ROWS)
def test_the_network_takes_what_the_data_give_at_the_cost_that_is_said(name):
    recipe = load_recipe(name)
    channels, side = ROWS[name]
    given = Classification(recipe).plain.input_shape
    assert given == (channels, side, side)
    with torch.device("meta"):
        arguments = without_initial_weights(recipe.model.arguments)
        model = build_model(recipe.model.name, channels=channels, classes=1000, **arguments)
    if name not in ("dct-small", "gated-small"):
        assert model.input_shape == given
    said = "".join(line for line in shipped_recipes()[name].read_text().splitlines(keepends=True) if line[0] == "#")
    figure = re.search(r"(?<!for )(\d+\.\d+) GMACs", said)
    assert cost(model, given).macs / 1e9 == pytest.approx(
        float(figure[1]), abs=0.5 * 10 ** -len(figure[1].split(".")[1])
    )
    times = re.search(r"(half|twice|[\d.]+ times|) ?as many numbers as RGB", said)
    if times:
        factor = {"half": 0.5, "twice": 2.0, "": 1.0}.get(times[1]) or float(times[1].split()[0])
        assert normalized_input_size(given) == pytest.approx(factor, abs=0.005)
    assert f"passband train {name} " in said


def test_rows_of_a_table_differ_in_their_input_alone():
    for rows in (TABLE_1, TABLE_2):
        recipes = [load_recipe(name) for name in rows]
        assert len({recipe.optim for recipe in recipes}) == 1
        assert len({(recipe.data.batch, recipe.data.scale, recipe.data.flip) for recipe in recipes}) == 1


def test_one_word_turns_the_published_input_into_the_files_own():
    for name in ROWS:
        recipe = load_recipe(name)
        if recipe.data.input == "published":
            changed = recipe.model_copy(update={"data": recipe.data.model_copy(update={"input": "coefficients"})})
            own = parse_recipe(changed.model_dump(), name)
            assert Classification(own).plain.channels == Classification(recipe).plain.channels
            assert Classification(own).plain.input_shape == Classification(recipe).plain.input_shape
