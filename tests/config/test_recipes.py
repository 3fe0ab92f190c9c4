import ast
import inspect
import re

import pytest
import torch

from passband.config import (
    RECIPES,
    OptimConfig,
    RecipeError,
    RestorationRecipe,
    Section,
    load_recipe,
    parse_recipe,
    shipped_recipes,
)
from passband.data.datasets.crops import CLEAN
from passband.data.degradations import KINDS
from passband.evaluation.benchmarks import find_benchmark
from passband.models import MODELS, build_model
from passband.models.base import without_initial_weights
from passband.models.inputs import input_views
from passband.tasks import TASKS

RECIPE = {"name": "mine", "optim": {"steps": 10}}


@pytest.mark.parametrize("name", shipped_recipes())
def test_every_shipped_recipe_parses_and_names_what_exists(name):
    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe.task in TASKS
    assert recipe.model.name in MODELS
    with torch.device("meta"):
        model = build_model(recipe.model.name, **without_initial_weights(recipe.model.arguments))
    if isinstance(recipe, RestorationRecipe):
        assert set(recipe.data.degradations) <= {*KINDS, CLEAN}
        assert input_views(model) == recipe.data.views
    epoch = 7330 if recipe.task == "detection" else 7  # COCO in batches of 16
    assert recipe.optim.warmup(epoch) < recipe.optim.length(epoch)


def test_general_is_shipped():
    assert "general" in shipped_recipes()


@pytest.mark.parametrize(
    ("name", "epochs", "batch"),
    [
        ("dehaze-indoor", 300, 4),
        ("dehaze-outdoor", 30, 8),
        ("deblur-gopro", 3000, 4),
        ("deblur-rsblur", 710, 4),
        ("desnow-csd", 800, 4),
        ("desnow-srrs", 800, 4),
        ("desnow-snow100k", 800, 4),
        ("derain", 300, 4),
        ("defocus-single", 3000, 4),
        ("defocus-dual", 3000, 4),
        ("finetune-ihaze", 1000, 4),
        ("finetune-ohaze", 1000, 4),
        ("finetune-deraindrop", 150, 4),
    ],
)
def test_a_recipe_of_the_paper_has_the_papers_settings(name, epochs, batch):
    recipe = load_recipe(name)
    optim, data = recipe.optim, recipe.data
    assert (recipe.model.name, recipe.precision, recipe.loss.spectral_weight) == ("sfnet", "float32", 0.1)
    assert (data.source, data.crop, data.batch) == ("pairs", 256, batch)
    assert (optim.optimizer, optim.betas, optim.ema) == ("adam", (0.9, 0.999), 0)
    assert (optim.learning_rate, optim.final_learning_rate, optim.clip_norm) == (1e-4, 1e-6, 0.01)
    assert (optim.length(11), optim.warmup(11)) == (11 * epochs, 33)
    comments = shipped_recipes()[name].read_text().split("\nname = ")[0].split()
    for part in ("Data:", "Download", f"passband train {name}", f"passband evaluate runs/{name}", "Tested with"):
        assert part in " ".join(comments), part


@pytest.mark.parametrize(
    ("name", "model", "epochs", "batch", "rate", "warmup", "clip"),
    [
        ("fsnet-dehaze-indoor", "fsnet", 1000, 32, 8e-4, 3, 0.001),
        ("fsnet-dehaze-outdoor", "fsnet", 30, 8, 1e-4, 1, 0.01),
        ("fsnet-deblur-gopro", "fsnet", 3000, 4, 1e-4, 3, 0.01),
        ("fsnet-desnow-csd", "fsnet", 2000, 32, 8e-4, 3, 0.01),
        ("convir-dehaze-indoor", "convir-b", 1000, 4, 1e-4, 3, 0.001),
        ("convir-dehaze-outdoor", "convir-b", 30, 8, 1e-4, 1, 0.01),
        ("convir-deblur-gopro", "convir-l", 3000, 4, 1e-4, 3, 0.001),
        ("convir-desnow-csd", "convir-b", 2000, 8, 2e-4, 3, 0.01),
        ("convir-derain", "convir-l", 300, 4, 1e-4, 3, 0.01),
    ],
)
def test_a_recipe_of_a_later_network_has_the_settings_of_its_released_code(
    name, model, epochs, batch, rate, warmup, clip
):
    recipe = load_recipe(name)
    optim, data = recipe.optim, recipe.data
    assert (recipe.model.name, data.source, data.crop, data.batch) == (model, "pairs", 256, batch)
    assert (recipe.precision, recipe.loss.spectral_weight, optim.optimizer, optim.ema) == ("float32", 0.1, "adam", 0)
    assert (optim.learning_rate, optim.final_learning_rate, optim.clip_norm) == (rate, 1e-6, clip)
    assert (optim.length(11), optim.warmup(11)) == (11 * epochs, 11 * warmup)
    comments = " ".join(shipped_recipes()[name].read_text().split("\nname = ")[0].split())
    benchmark = find_benchmark(re.search(r"--benchmark (\S+)", comments)[1])
    assert {"fsnet": "FSNet", "convir-b": "ConvIR-B", "convir-l": "ConvIR-L"}[model] in benchmark.figures
    for part in ("Data:", "Download", f"passband train {name}", f"passband evaluate runs/{name}", "Tested with"):
        assert part in comments, part


def test_recipes_that_validate_on_the_scored_images_score_their_last_weights():
    weights = {}
    for name, path in shipped_recipes().items():
        comments = re.sub(r"\s*\\?\n#\s*", " ", path.read_text().split("\nname = ")[0])
        validated = re.search(r"--validation-data (\S+)", comments)
        scored = re.search(r"passband evaluate (\S+) --data (\S+)", comments)
        if validated and scored and validated[1] == scored[2]:  # the best weights are chosen on these images
            weights[name] = scored[1]
    assert {"dehaze-indoor", "dct-resnet50-24s", "rgb-mask-rcnn"} <= set(weights)
    assert weights == {name: f"runs/{name}/weights/last" for name in weights}


def test_the_benchmarks_that_recipes_name_exist_and_have_the_window_that_they_say():
    for name, path in shipped_recipes().items():
        text = re.sub(r"\n# ?", " ", path.read_text())
        benchmark = re.search(r"--benchmark (\S+)", text)
        window = re.search(r"Tested with (?:pool_window (\d+)|global pooling)", text)
        if benchmark and window:
            assert str(find_benchmark(benchmark[1]).pool_window) == str(window[1]), name


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({**RECIPE, "sed": 1}, r"recipe r\.toml: unknown key sed; did you mean seed\?"),
        (
            {**RECIPE, "optim": {"steps": 3, "learning_rat": 1}},
            r"unknown key optim\.learning_rat; did you mean optim\.learning_rate\?",
        ),
        ({**RECIPE, "epochs": 3}, r"unknown key epochs; did you mean optim\.epochs\?"),
        ({**RECIPE, "optim": {**RECIPE["optim"], "batch": 3}}, r"did you mean data\.batch or validation\.batch\?"),
        ({**RECIPE, "data": {"corp": 64}}, r"did you mean data\.crop\?"),
        ({**RECIPE, "data": {"degradations": {"clean": 1}}}, r"data: degradations need at least one kind besides"),
        ({"name": "mine"}, r"optim: field required"),
        ({**RECIPE, "optim": {}}, r"optim: give the length of the run either as `steps` or as `epochs`"),
        ({**RECIPE, "optim": {"steps": 1, "epochs": 2}}, r"`epochs`, not both"),
        ({**RECIPE, "optim": {"steps": 9, "warmup_steps": 1, "warmup_epochs": 2}}, r"not both"),
        ({**RECIPE, "data": {"crop": 100}}, r"data\.crop must be a multiple of 8 and at least 16 pixels; got 100"),
        ({**RECIPE, "optim": {"steps": 9, "learning_rate": -1}}, r"optim\.learning_rate: .*greater than 0, got -1"),
        ({**RECIPE, "data": {"views": 2}}, r"data: views = 2 needs source = \"pairs\""),
        (
            {**RECIPE, "data": {"views": 2, "source": "pairs"}},
            r"data\.views = 2 needs in_channels = 6 in model\.arguments, 3 for each view; got 3",
        ),
        ({**RECIPE, "model": {"arguments": {"in_channels": 6}}}, r"data\.views = 1 needs in_channels = 3 .* got 6"),
        ({**RECIPE, "precision": "float8"}, r"precision: .*'float32', 'bfloat16' or 'auto', got 'float8'"),
    ],
)
def test_a_recipe_with_a_mistake_is_one_sentence_with_the_key(content, message):
    with pytest.raises(RecipeError, match=message):
        parse_recipe(content, "r.toml")


def test_a_missing_or_broken_file_is_named(tmp_path):
    with pytest.raises(RecipeError, match=r"no recipe .generl.: .* Did you mean .general.\?"):
        load_recipe("generl")
    with pytest.raises(RecipeError, match=rf"^a recipe is a TOML file or a shipped name, and {tmp_path} is a folder\."):
        load_recipe(tmp_path)
    for content in ("name = ", "name = " + "[" * 100_000):
        (tmp_path / "a.toml").write_text(content)
        with pytest.raises(RecipeError, match=r"a\.toml cannot be read"):
            load_recipe(tmp_path / "a.toml")


def test_lengths_are_steps_or_epochs_of_the_data():
    assert OptimConfig(steps=70, warmup_steps=7).length(10) == 70
    assert OptimConfig(steps=70, warmup_steps=7).warmup(10) == 7
    assert OptimConfig(epochs=3, warmup_epochs=2).length(10) == 30
    assert OptimConfig(epochs=3, warmup_epochs=2).warmup(10) == 20


def test_a_recipe_survives_json_and_does_not_change():
    recipe = RestorationRecipe.model_validate(RECIPE)
    assert parse_recipe(recipe.model_dump(), "again") == recipe
    with pytest.raises(ValueError, match="frozen"):
        recipe.seed = 3


def test_every_setting_says_what_it_is():
    tables = {field.annotation for recipe in RECIPES.values() for field in recipe.model_fields.values()}
    sections = {section for section in tables | set(RECIPES.values()) if hasattr(section, "model_fields")}
    checked = 0
    for section in {parent for one in sections for parent in one.__mro__ if issubclass(parent, Section)}:
        inherited = {name for parent in section.__mro__[1:] for name in getattr(parent, "__annotations__", {})}
        body = ast.parse(inspect.getsource(section)).body[0].body
        for setting, after in zip(body, [*body[1:], None], strict=True):
            if not isinstance(setting, ast.AnnAssign) or setting.target.id in inherited:
                continue
            if not hasattr(section.model_fields[setting.target.id].annotation, "model_fields"):
                described = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
                assert described, f"{section.__name__}.{setting.target.id}"
                checked += 1
    assert checked > 30


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("key", ["learning_rate", "final_learning_rate", "clip_norm", "weight_decay"])
def test_numbers_that_are_not_finite_are_refused(key, value):
    with pytest.raises(RecipeError, match=rf"optim\.{key}: input should be a finite number"):
        parse_recipe({"name": "mine", "optim": {"steps": 10, key: value}}, "mine")


@pytest.mark.parametrize("seed", [-1, 1 << 32])
def test_a_seed_that_random_generators_do_not_take_is_refused_before_a_run_begins(seed):
    with pytest.raises(RecipeError, match="seed: input should be"):
        parse_recipe({**RECIPE, "seed": seed}, "mine")


def test_a_recipe_with_very_much_wrong_is_an_error_that_can_be_read(tmp_path):
    lines = [f"{'x' * 3000}{number} = 1" for number in range(50)]
    (tmp_path / "long.toml").write_text("\n".join(lines))
    with pytest.raises(RecipeError, match="46 more problems") as caught:
        load_recipe(tmp_path / "long.toml")
    assert len(str(caught.value)) < 2000 + len(str(tmp_path))
