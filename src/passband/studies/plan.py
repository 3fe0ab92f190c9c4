"""The plan of a study: everything that is decided before the first trial, and the file settings.json that keeps it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from passband.config import Recipe, parse_recipe
from passband.io.json_files import write_json
from passband.studies.points import study_cells
from passband.studies.settings import StudyError, StudySettings, parse_study
from passband.studies.trials import Cell
from passband.tasks.task import Direction

PLAN_FILE = "settings.json"
"""Name of the file in the folder of a study that holds its plan."""


@dataclass(frozen=True)
class Plan:
    """Everything that is decided before the first trial."""

    settings: StudySettings
    """Settings of the study; `figure` and `direction` are never None here."""
    recipe: Recipe
    """Recipe of the study on the device that it trains on."""
    points: tuple[dict[str, Any], ...]
    """Nuisance values of each point."""
    directions: dict[str, Direction]
    """Whether higher or lower is better, for each figure that the task reports."""
    data: str
    """Folder to train on."""
    validation_data: str | None
    """Folder to score on, or None."""
    environment: dict[str, Any]
    """Versions and machine, see `provenance.environment`."""

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Combinations of the scientific values."""
        return study_cells(self.settings)

    def changes(self, cell: int, point: int, seed: int) -> dict[str, Any]:
        """Return the new values of all recipe keys that a trial sets.

        Args:
            cell: index of the cell.
            point: index of the nuisance point.
            seed: seed of the training.
        """
        return {**self.settings.fixed, **self.cells[cell].changes, **self.points[point], "seed": seed}


def write_plan(folder: Path, plan: Plan) -> None:
    """Write the plan of a study into its folder.

    Args:
        folder: folder of the study.
        plan: the plan.
    """
    content = {
        "settings": plan.settings.model_dump(mode="json"),
        "recipe": plan.recipe.model_dump(mode="json"),
        "points": plan.points,
        "directions": plan.directions,
        "data": plan.data,
        "validation_data": plan.validation_data,
        "environment": plan.environment,
    }
    write_json(folder / PLAN_FILE, content)


def read_plan(folder: Path) -> Plan:
    """Read the plan of a study.

    Args:
        folder: folder of the study.

    Raises:
        StudyError: if the folder holds no study, or its plan is damaged.
        RecipeError: if this version cannot use the recipe.
    """
    path = folder / PLAN_FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        settings = {name: value for name, value in content["settings"].items() if name != "nuisance"}
        nuisance = {
            key: {kind: values for kind, values in spread.items() if values is not None}
            for key, spread in content["settings"]["nuisance"].items()
        }
        return Plan(
            parse_study({**settings, "nuisance": nuisance}, path),
            parse_recipe(content["recipe"], path),
            tuple(content["points"]),
            content["directions"],
            content["data"],
            content["validation_data"],
            content["environment"],
        )
    except (FileNotFoundError, NotADirectoryError) as error:
        raise StudyError(f"{folder} holds no study: there is no {PLAN_FILE} in it") from error
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as error:
        raise StudyError(f"{path} is damaged: {error}") from error
