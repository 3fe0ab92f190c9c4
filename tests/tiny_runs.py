"""Makes the recipe of a tiny run, stops it, and reads its logs."""

import csv

from passband.config import parse_recipe


def recipe(**changes):
    """Return the recipe of a restoration run of eight short steps, with some settings changed."""
    content = {
        "name": "tiny",
        "seed": 3,
        "checkpoint_every": 2,
        "model": {"name": "sfnet", "arguments": {"width": 16, "depth": 1}},
        "data": {"crop": 32, "batch": 2, "workers": 0},
        "optim": {"steps": 8, "warmup_steps": 2, "learning_rate": 1e-3, "clip_norm": 0.1},
        "validation": {"every": 4, "count": 2, "crop": 32},
    }
    for name, value in changes.items():
        content[name] = {**content.get(name, {}), **value} if isinstance(value, dict) else value
    return parse_recipe(content, "test")


def rows(path):
    """Return the rows of a CSV file, such as the log of a run."""
    with path.open(newline="") as file:
        return list(csv.reader(file))


def stop_after(step):
    """Return a report that ends the run as Ctrl-C would."""

    def report(done):
        if done.step == step:
            raise KeyboardInterrupt

    return report
