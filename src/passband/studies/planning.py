"""Begins a study or opens it again: checks its settings, and plans its trials."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from passband.config import Recipe, changed_recipe, load_recipe, recipe_on, recipe_scored_on
from passband.config.common import check_warmup
from passband.io.files import copy_whole
from passband.io.shards import data_folder, location
from passband.models import build_from, pick_device
from passband.models.base import without_initial_weights
from passband.naming import listed, shortened, suggestion
from passband.provenance import environment
from passband.studies.database import Identity, opened
from passband.studies.folders import study_lock
from passband.studies.plan import PLAN_FILE, Plan, read_plan, write_plan
from passband.studies.points import check_values, study_points
from passband.studies.settings import StudyError, StudySettings, load_study, study_path
from passband.tasks import TASKS
from passband.tasks.task import Direction

MAY_GROW = ("trials", "seeds", "retrain")
"""Settings that may be larger than in the study's folder. The additional trials are then trained as well."""
MAY_CHANGE = ("question", "keep_weights")
"""Settings that may differ from those in the study's folder, because they have no effect on the trials."""


def plan_study(
    source: str | Path | StudySettings,
    folder: Path,
    *,
    data: str | Path | None,
    validation_data: str | Path | None = None,
    device: str = "auto",
) -> Plan:
    """Check the settings of a study, and write its plan and its waiting trials into its folder.

    If the folder holds the study already, only trials that are missing are added.

    Args:
        source: name of a shipped study, path of a TOML file, or settings.
        folder: folder of the study.
        data: folder to train on. None uses the folder of a study that was begun.
        validation_data: folder to score on, or None.
        device: device to train on, see `models.pick_device`.

    Raises:
        StudyError: if the settings do not fit each other, the recipe or the data, if the folder holds another study, or
            if another process plans trials in it for longer than two minutes.
        RecipeError: if the recipe does not exist or cannot be used.
        OSError: if the data cannot be read, or the folder cannot be written to.
        ValueError: if the device does not exist.
    """
    settings = source if isinstance(source, StudySettings) else load_study(source)
    recipe = recipe_on(load_recipe(settings.recipe), pick_device(device).type)
    begun = read_plan(folder) if (folder / PLAN_FILE).exists() else None
    if begun is not None:
        # figures are resolved in the folder
        known = {name: getattr(begun.settings, name) for name in ("figure", "direction")}
        settings = settings.model_copy(update={name: getattr(settings, name) or value for name, value in known.items()})
        _check_same(begun, settings, recipe, folder, data, validation_data)
        data, validation_data = begun.data, begun.validation_data
    if data is None:
        raise StudyError(f"--data is needed: a folder of {recipe.data.content} to train on.")

    points = study_points(settings, recipe)
    if begun is not None:  # another version of scipy may draw other points
        points = (*begun.points, *points[len(begun.points) :])
    plan = Plan(
        settings,
        recipe,
        points,
        begun.directions if begun else {},
        location(data),
        None if validation_data is None else location(validation_data),
        begun.environment if begun else environment(),
    )
    check_values(settings, recipe, plan.cells, points)
    if begun is None:
        plan = _with_figure(plan, _rehearse(plan))
    folder.mkdir(parents=True, exist_ok=True)
    with study_lock(folder):
        write_plan(folder, plan)
        if not isinstance(source, StudySettings):
            copy_whole(study_path(source), folder / "study.toml")
        with opened(folder, plan) as database:
            database.add("trials", grid(plan))
            database.study("retrained")  # processes would disturb each other if they created it at the same time
    return plan


def grid(plan: Plan) -> Iterator[Identity]:
    """Yield the cell, the point and the seed of all trials, in an order that keeps an unfinished study paired.

    Args:
        plan: plan of the study.
    """
    for point in range(len(plan.points)):
        for seed in plan.settings.seeds:
            for cell in plan.cells:
                yield cell.index, point, seed


def trial_recipe(plan: Plan, cell: int, point: int, seed: int) -> Recipe:
    """Return the recipe of a trial.

    Args:
        plan: plan of the study.
        cell: index of the cell.
        point: index of the nuisance point.
        seed: seed of the training.
    """
    return recipe_scored_on(changed_recipe(plan.recipe, plan.changes(cell, point, seed)), plan.validation_data)


def _rehearse(plan: Plan) -> dict[str, Direction]:
    """Prepare the training of the first point of each cell without a step, so that unusable data and networks show.

    Returns:
        The figures that the validations of all cells report, with the direction of each.

    Raises:
        StudyError: if a cell cannot be trained.
    """
    directions: dict[str, Direction] | None = None
    prepared: list[tuple[Any, ...]] = []
    for cell in plan.cells:
        recipe = trial_recipe(plan, cell.index, 0, plan.settings.seeds[0])
        parts = (recipe.model, recipe.data, recipe.validation, getattr(recipe, "curriculum", None))
        try:
            task = TASKS[recipe.task](recipe)
            if parts in prepared:  # cells often differ in the loss or the optimizer only
                continue
            is_new = all((recipe.data, recipe.validation) != (other[1], other[2]) for other in prepared)
            reported = _prepare(recipe, plan, task, with_validation=is_new)
        except Exception as error:
            raise StudyError(f"the cell {cell.label} cannot be trained: {error}") from error
        prepared.append(parts)
        directions = {name: way for name, way in reported.items() if directions is None or name in directions}
    return directions or {}


def _prepare(recipe: Recipe, plan: Plan, task: Any, *, with_validation: bool) -> dict[str, Direction]:
    """Prepare a training as `training.train` does, without a step, and return the figures that it would report."""
    data, validation_data = data_folder(plan.data), plan.validation_data
    network = task.network_config(data, None)
    model = build_from(without_initial_weights(network))
    task.check(model, recipe.model.name)
    dataset = task.training_data(data, network)
    task.lesson(data, network)
    if with_validation:  # segmentation looks for images that are also in the training data, which takes a while
        task.validation_data(data, None if validation_data is None else data_folder(validation_data), network)
    steps_per_epoch = max(1, len(dataset) // recipe.data.batch)
    check_warmup(recipe.optim.warmup(steps_per_epoch), recipe.optim.length(steps_per_epoch), "steps")
    return task.directions(network)


def _with_figure(plan: Plan, directions: dict[str, Direction]) -> Plan:
    """Return the plan with the figure that is compared, and its direction.

    Raises:
        StudyError: if the task does not report the figure.
    """
    settings = plan.settings
    name = settings.figure or next(iter(directions))
    if name not in directions:
        raise StudyError(
            f"the task {plan.recipe.task} does not report the figure {name!r}.{suggestion(name, directions)} "
            f"It reports {listed(directions)}."
        )
    resolved = settings.model_copy(update={"figure": name, "direction": settings.direction or directions[name]})
    return Plan(**{**vars(plan), "settings": resolved, "directions": directions})


def _check_same(
    begun: Plan,
    settings: StudySettings,
    recipe: Recipe,
    folder: Path,
    data: str | Path | None,
    validation_data: str | Path | None,
) -> None:
    """Refuse other settings, another recipe or other data than those of the study in a folder.

    Raises:
        StudyError: if something differs. The message names what it is.
    """
    differences = [
        *_differences(_tables(begun.settings), _tables(settings)),
        *(f"recipe: {text}" for text in _differences(_tables(begun.recipe), _tables(recipe))),
    ]
    for name, before, now in (
        ("--data", begun.data, data),
        ("--validation-data", begun.validation_data, validation_data),
    ):
        if now is not None and location(now) != before:
            differences.append(f"{name} was {before} and is {now}")
    if differences:
        raise StudyError(
            f"{folder} holds a study with other settings: {listed(differences, 6, '; ')}. Choose another folder with "
            f"-o, or the settings of that study. Only {listed(MAY_GROW)} may grow"
        )


def _differences(before: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    """Yield a text for each setting that differs and may not differ."""
    for name in dict.fromkeys([*before, *now]):
        old, new = before.get(name), now.get(name)
        if (old == new and type(old) is type(new)) or name in MAY_CHANGE or (name in MAY_GROW and _has_grown(old, new)):
            continue
        yield f"{name} was {shortened(repr(old), 80)} and is {shortened(repr(new), 80)}"


def _has_grown(old: Any, new: Any) -> bool:
    """Return whether a number is larger, or a list holds more entries besides the old ones."""
    return set(old) <= set(new) if isinstance(old, list) else (new or 0) >= (old or 0)


def _tables(section: Any) -> dict[str, Any]:
    """Return the settings by full name, such as `nuisance.optim.learning_rate.log`."""
    flat: dict[str, Any] = {}

    def add(name: str, value: Any) -> None:
        if isinstance(value, dict) and value:
            for key, inner in value.items():
                add(f"{name}.{key}" if name else key, inner)
        elif value is not None:
            flat[name] = value

    content = section.model_dump(mode="json")
    if isinstance(section, StudySettings):
        content["trials"] = section.points
        content.pop("recipe")  # the content of the recipe is compared instead of its path
    add("", content)
    return flat
