"""Single settings of a recipe, changed for one run."""

import pytest

from passband.config import (
    RecipeError,
    changed_recipe,
    load_recipe,
    parse_changes,
    parse_recipe,
    recipe_scored_on,
    refuse_changes_of_network,
)


def test_values_are_those_of_toml_and_else_text():
    texts = ["optim.steps=100", "optim.clip_norm = none", "model.name=unet", "data.flip=false", "data.scale=[0.5, 1.0]"]
    assert parse_changes([*texts, 'name="a = b"', "seed=3"]) == {
        "optim.steps": 100,
        "optim.clip_norm": None,
        "model.name": "unet",
        "data.flip": False,
        "data.scale": [0.5, 1.0],
        "name": "a = b",
        "seed": 3,
    }


@pytest.mark.parametrize("text", ["optim.steps", "=3", ""])
def test_a_change_needs_a_key_and_a_value(text):
    with pytest.raises(RecipeError, match=r"KEY=VALUE, such as optim\.learning_rate=1e-4; got"):
        parse_changes([text])
    with pytest.raises(RecipeError, match="seed is changed twice"):
        parse_changes(["seed=1", "seed=2"])


def test_a_change_changes_nothing_else():
    recipe = load_recipe("segment-small")
    changed = changed_recipe(recipe, {"optim.learning_rate": 0.5, "seed": 9})
    whole = recipe.model_dump()
    whole["optim"]["learning_rate"], whole["seed"] = 0.5, 9
    assert changed.model_dump() == whole
    assert changed.data.model_fields_set == recipe.data.model_fields_set
    assert changed_recipe(recipe, {}) is recipe


@pytest.mark.parametrize("name", ["segment-small", "general", "dehaze-indoor", "dct-small", "dct-resnet50-24t"])
def test_every_task_takes_a_length_in_either_unit_instead_of_its_own(name):
    recipe = load_recipe(name)
    for unit, other in (("steps", "epochs"), ("epochs", "steps")):
        optim = changed_recipe(recipe, {f"optim.{unit}": 7000, "optim.warmup_steps": 5}).optim
        assert (getattr(optim, unit), getattr(optim, other), optim.least_steps) == (7000, None, 0)
        assert (optim.warmup_steps, optim.warmup_epochs) == (5, None)


def test_a_table_within_a_table_keeps_its_other_values():
    recipe = load_recipe("general")
    changed = changed_recipe(recipe, {"data.degradations.rain": 3.0, "model.arguments.depth": 2})
    assert changed.data.degradations == {**recipe.data.degradations, "rain": 3.0}
    plain = parse_recipe({"name": "plain", "optim": {"steps": 5}}, "plain")
    mixture = changed_recipe(plain, {"data.degradations.rain": 3.0}).data.degradations
    assert mixture == {**plain.data.degradations, "rain": 3.0}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optim.step": 3}, r"unknown key optim\.step; did you mean optim\.steps\?"),
        ({"steps": 3}, r"unknown key steps; did you mean optim\.steps\?"),
        ({"optim.steps": "many"}, r"optim\.steps: .* got 'many'"),
        ({"seed.x": 3}, r"seed\.x cannot be changed: seed is a value"),
        (
            {"optim.steps": 50},
            r"warm-up of 100 steps is longer than the run of 50 steps: make .* optim\.warmup_steps=5\)",
        ),
    ],
)
def test_a_change_that_does_not_fit_says_what_would(changes, message):
    with pytest.raises(RecipeError, match=message):
        changed_recipe(load_recipe("general").model_copy(update={"seed": 4}), changes)


def test_a_network_that_weights_decide_is_not_changed():
    refuse_changes_of_network(["optim.steps", "data.model"])
    for key in ("model.name", "model.arguments.width", "model"):
        with pytest.raises(RecipeError, match=rf"^{key} cannot be changed, because the weights to start from decide"):
            refuse_changes_of_network(["optim.steps", key])


def test_a_warm_up_longer_than_the_run_is_refused_in_both_units():
    for unit in ("steps", "epochs"):
        content = {"name": "a", "optim": {unit: 3, f"warmup_{unit}": 4}}
        with pytest.raises(RecipeError, match=rf"warm-up of 4 {unit} is longer than the run of 3 {unit}"):
            parse_recipe(content, "a")
        parse_recipe({"name": "a", "optim": {unit: 3, f"warmup_{unit}": 3}}, "a")


def test_small_sets_are_learned_from_for_the_least_number_of_steps():
    optim = parse_recipe({"name": "a", "optim": {"epochs": 3, "least_steps": 100}}, "a").optim
    assert [optim.length(count) for count in (1, 33, 34)] == [100, 100, 102]


@pytest.mark.parametrize("pictures", [10, 60, 300])
def test_the_recipe_for_small_sets_has_steps_enough_and_a_curve_whatever_their_size(pictures):
    recipe = load_recipe("segment-small")
    learned = round(pictures * (1 - recipe.data.held_out))
    steps = recipe.optim.length(max(1, learned // recipe.data.batch))
    assert steps >= 1200
    assert recipe.validation.every <= steps / 10


def test_none_is_the_choice_of_a_setting_that_has_one_and_otherwise_removes_the_value():
    changes = parse_changes(["curriculum.mode=none", "optim.clip_norm=none"])
    recipe = changed_recipe(load_recipe("segment-small"), changes)
    assert recipe.curriculum.mode == "none"
    assert recipe.optim.clip_norm is None


HELD_OUT = {
    "segment-kvasir-pretrained": ("held_out", "sequence"),  # sequence alone would be refused
    "dct-small": ("held_out",),
    "detection-small": ("held_out",),
    "general": (),
}


@pytest.mark.parametrize("name", HELD_OUT)
def test_nothing_is_held_out_if_a_folder_to_score_on_is_given(name):
    recipe = load_recipe(name)
    assert recipe_scored_on(recipe, None) is recipe
    given = recipe_scored_on(recipe, "others")
    expected = recipe.model_dump()
    for key in HELD_OUT[name]:
        assert expected["data"][key]
        expected["data"][key] = type(recipe.data).model_fields[key].default
    assert given.model_dump() == expected
    assert recipe_scored_on(given, "others") is given  # as a run records it, and goes on with it


def test_a_list_of_what_is_learned_from_holds_beside_a_folder_to_score_on():
    lists = {"data.held_out": 0.0, "data.sequence": None, "data.training_list": "t", "data.validation_list": "v"}
    given = recipe_scored_on(changed_recipe(load_recipe("segment-kvasir-pretrained"), lists), "others")
    assert (given.data.training_list, given.data.validation_list) == ("t", None)
