import pytest

from passband.config import ClassificationRecipe, RecipeError, parse_recipe


def recipe(**changes):
    return parse_recipe({"name": "mine", "task": "classification", "optim": {"epochs": 2}, **changes}, "mine")


def test_a_recipe_of_the_task_is_one_of_classification_and_comes_back_from_json():
    made = recipe(data={"channels": [0, 1, 64]}, gate={"weight": 0.5})
    assert isinstance(made, ClassificationRecipe)
    assert made.data.channels == (0, 1, 64)
    assert parse_recipe(made.model_dump(mode="json"), "again") == made


@pytest.mark.parametrize(
    ("kind", "size", "stride"), [("coefficients", 224, 4), ("published", 448, 8), ("rgb", 224, 4), ("ycbcr", 224, 4)]
)
def test_one_word_changes_the_input(kind, size, stride):
    data = recipe(data={"input": kind}).data
    assert (data.input, data.size, data.stride) == (kind, size, stride)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"size": 240}, "multiple of 32 pixels for input = 'coefficients'; got 240"),
        ({"input": "published", "size": 256}, "multiple of 56 pixels for input = 'published'; got 256"),
        ({"input": "published", "stride": 4}, 'stride must be 8 for input = "published"; got 4'),
        ({"scale": (0.5, 0.2)}, "0 < smallest <= largest <= 1"),
        ({"scale": (0.0, 1.0)}, "0 < smallest <= largest <= 1"),
        ({"statistics": "imagnet"}, "imagnet"),
        ({"input": "ycbcr", "statistics": "imagenet"}, "use \"fit\" for input = 'ycbcr'"),
        ({"held_out": 1.0}, "less than 1"),
        ({"stride": 2}, "8 or 4"),
        ({"chanels": "24S"}, "did you mean data.channels?"),
    ],
)
def test_data_that_cannot_be_made_are_refused_with_a_reason(data, words):
    with pytest.raises(RecipeError, match="recipe mine") as error:
        recipe(data=data)
    assert words in str(error.value)


@pytest.mark.parametrize("number", ["channels", "classes"])
def test_numbers_that_the_data_decide_are_refused(number):
    with pytest.raises(RecipeError, match=f"leave out {number} of model.arguments"):
        recipe(model={"name": "dct-resnet18", "arguments": {number: 3}})


def test_pixels_may_have_any_size():
    assert recipe(data={"input": "rgb", "size": 75}).data.size == 75


def test_the_folder_to_train_on_is_described_for_who_forgets_it():
    assert "subfolder for each class" in recipe().data.content
