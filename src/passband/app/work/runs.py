"""The facts and curves of a run, in a worker process: a long log takes a while to read and to draw."""

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from passband.app.files.run_folders import changed
from passband.app.work.requests import Predictors, Request
from passband.naming import printable
from passband.runs import RunError, draw_curves, read_tables
from passband.weights_finding import RUN_FILE


@dataclass(frozen=True)
class RunFacts:
    """The facts of a run that the page shows.

    Attributes:
        title: name of the run and of its recipe.
        rows: name and value of each fact.
        curves: path of the picture of its curves; None if it has no steps yet.
        sample: path of the samples of its last validation; None if there are none.
    """

    title: str
    rows: tuple[tuple[str, str], ...]
    curves: Path | None
    sample: Path | None


@dataclass(frozen=True)
class RunRequest(Request):
    """The facts of a run, whose folder is the source.

    Attributes:
        folder: folder for pictures of curves.
    """

    folder: Path

    def do(self, predictors: Predictors) -> RunFacts:
        """Read the facts, and draw the curves if they have changed."""
        run = self.source
        record: dict = {}
        with suppress(OSError, ValueError):
            record = json.loads((run / RUN_FILE).read_text("utf-8"))
        recipe = record.get("recipe", {}) if isinstance(record, dict) else {}
        trained, validated = read_tables(run)
        rows = [("recipe", str(recipe.get("name", "unknown")) if isinstance(recipe, dict) else "unknown")]
        steps = max((steps[-1] for steps, _ in trained.values() if steps), default=0)
        rows.append(("steps", str(steps)))
        rows += [(f"{name}, last", f"{values[-1]:.4g}") for name, (_, values) in trained.items() if name == "loss"]
        rows += [(f"{name}, last validation", f"{values[-1]:.4g}") for name, (_, values) in validated.items()]
        name = hashlib.sha256(str(run).encode()).hexdigest()[:16]
        drawn: Path | None = self.folder / f"{name}-{changed(run):.0f}.png"
        if not drawn.exists():
            try:
                draw_curves(run, drawn)
            except (RunError, OSError, ValueError):  # the run has no steps yet, or writes its files just now
                drawn = None
        samples = sorted((run / "validation").glob("*.png"))
        title = printable(run.name)
        return RunFacts(title, tuple(rows), drawn, samples[-1] if samples else None)
