"""The file of a study: what it may hold, and what is refused before anything trains."""

import pytest

from passband.config import load_recipe
from passband.studies.points import check_values, study_cells, study_points
from passband.studies.settings import StudyError, load_study, parse_study, shipped_studies

SMALL = {
    "recipe": "segment-small",
    "scientific": {"loss.name": ["dice", "cross_entropy"]},
    "nuisance": {"optim.learning_rate": {"log": [1e-4, 1e-2]}},
}


def checked(**changes):
    """Settings that every cell and point of the recipe accepts."""
    settings = parse_study({**SMALL, **changes}, "a.toml")
    recipe = load_recipe(settings.recipe)
    check_values(settings, recipe, study_cells(settings), study_points(settings, recipe))
    return settings


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trails": 3}, "unknown key trails; did you mean trials"),
        ({"nuisance": {"optim.learning_rate": {"lin": [1, 2]}}}, r"lin; did you mean nuisance\..*\.linear"),
        ({"trials": 0}, "trials is the budget of each cell and must be at least 1; got 0"),
        ({"trials": 2, "nuisance": {}}, "would repeat the same training, because the study has no nuisance ranges"),
        ({"seeds": []}, "seeds is empty"),
        ({"seeds": [1, 2, 1]}, "seeds names 1 twice"),
        ({"seeds": [1, -2]}, r"seeds.*greater than or equal to 0"),
        ({"scientific": {}}, "scientific is empty"),
        ({"scientific": {"loss.name": []}}, "scientific.loss.name is empty"),
        ({"scientific": {"loss.name": "dice"}}, "must be a list of values.* got 'dice'.* use the table fixed"),
        ({"scientific": {"loss.name": ["dice"]}}, "a comparison needs at least two"),
        ({"scientific": {"loss.name": ["dice", "dice"]}}, "names 'dice' twice"),
        ({"scientific": {"order": {"a": 3, "b": 4}}}, r"scientific\.order\.a must be a table of recipe keys"),
        ({"nuisance": {"data.batch": {"choice": []}}}, "the choice is empty"),
        ({"nuisance": {"data.batch": {"linear": [4, 4]}}}, r"the range is empty.*\[4, 4\]"),
        ({"nuisance": {"data.batch": {"linear": [4, 2]}}}, r"the range is empty.*\[4, 2\]"),
        ({"nuisance": {"optim.ema": {"log": [0, 0.9]}}}, "log range must be above 0"),
        ({"nuisance": {"optim.ema": {"log": [0.1, 0.9], "choice": [0.5]}}}, "got log and choice"),
        ({"nuisance": {"optim.ema": {}}}, "got none of them"),
        ({"fixed": {"loss.name": "dice"}}, "loss.name is in scientific and in fixed: give each key one role"),
        ({"fixed": {"optim.learning_rate": 1.0}}, "optim.learning_rate is in nuisance and in fixed"),
        (
            {"scientific": {"loss.name": ["dice", "cross_entropy"], "o": {"a": {"loss.name": "dice"}}}},
            r"loss.name is in scientific and in scientific\.o",
        ),
        ({"fixed": {"loss": {"name": "dice"}}}, 'write "loss.name" = VALUE instead of loss.name'),
        ({"scientific": {"loss": {"name": ["dice", "a"]}}}, 'write "loss.name" = VALUE instead of loss.name'),
        ({"scientific": {"seed": [1, 2]}}, "scientific sets seed: give the training seeds"),
        ({"fixed": {"model.arguments": {}}, "nuisance": {"model.arguments.width": {"choice": [4]}}}, "the same value"),
    ],
)
def test_unusable_settings_are_refused_with_the_reason(changes, message):
    with pytest.raises(StudyError, match=message):
        parse_study({**SMALL, **changes}, "a.toml")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scientific": {"loss.name": ["dice", "dise"]}}, "refuses the scientific values loss.name = dise: .*'dice'"),
        (
            {"scientific": {"loss.nam": ["dice", "x"]}},
            "unknown key loss.nam; did you mean loss.name",
        ),
        ({"fixed": {"optim.step": 3}}, "refuses the table fixed: .*did you mean optim.steps"),
        (
            {"nuisance": {"optim.ema": {"linear": [2, 3]}}},
            r"the nuisance values optim.ema = 2\.\d+ \(point 0\)",
        ),
        ({"nuisance": {"data.batch": {"linear": [1.2, 1.8]}}}, r"data\.batch needs a range that holds an integer"),
        ({"fixed": {"curriculum.mode": "mask", "curriculum.final_ratios": [0.5]}}, "final_ratios train several runs"),
    ],
)
def test_values_that_the_recipe_refuses_are_found_before_any_training(changes, message):
    with pytest.raises(StudyError, match=message):
        checked(**changes)


def test_a_value_that_only_one_point_has_is_found_with_the_cell_it_is_in():
    with pytest.raises(StudyError, match=r"data\.size = 8 \(point \d\) with curriculum\.mode = crop"):
        checked(scientific={"curriculum.mode": ["none", "crop"]}, nuisance={"data.size": {"choice": [8, 128]}})


def test_unknown_studies_name_the_shipped_ones(tmp_path):
    with pytest.raises(StudyError, match=r"no study 'spectral-los'.* Did you mean 'spectral-loss'.*window-modulation"):
        load_study("spectral-los")
    (tmp_path / "a.toml").write_text("recipe = ")
    with pytest.raises(StudyError, match=r"a\.toml cannot be read"):
        load_study(tmp_path / "a.toml")


def test_a_recipe_beside_the_file_is_found_from_any_folder(tmp_path):
    (tmp_path / "mine.toml").write_text('name = "mine"')
    (tmp_path / "a.toml").write_text('recipe = "mine.toml"\nscientific = {"loss.name" = ["dice", "cross_entropy"]}\n')
    settings = load_study(tmp_path / "a.toml")
    assert settings.recipe == str((tmp_path / "mine.toml").resolve())
    assert (settings.points, settings.seeds) == (1, (0,))


@pytest.mark.parametrize("name", shipped_studies())
def test_every_shipped_study_fits_its_recipe_and_asks_a_question(name):
    settings = load_study(name)
    recipe = load_recipe(settings.recipe)
    cells = study_cells(settings)
    check_values(settings, recipe, cells, study_points(settings, recipe))
    assert settings.question.endswith("?")
    assert len(cells) >= 2
    text = shipped_studies()[name].read_text(encoding="utf-8")
    assert f"passband study {name} --data" in text
    trials = len(cells) * settings.points * len(settings.seeds)
    assert f"# {trials} trials" in text  # the comment says how long the study takes
