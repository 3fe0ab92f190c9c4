"""Teaches an inspector to judge trials of the shipped networks.

The script tries all networks on the middle of images that the inspector did not learn from, and writes features and
gains into trials.npz in the folder of the data. Then it trains the judge, and writes the inspector with it into the
output folder. The same command resumes a stopped run.
"""

import argparse
from pathlib import Path

import torch

from passband.config import InspectionRecipe, load_recipe
from passband.inference.inspection.trials import Trials
from passband.models import load_model
from passband.models.inspection.inspector import InspectorNetwork
from passband.studies.gain_table import SPECIALISTS
from passband.studies.trial_judge import train_judge
from passband.studies.trial_table import measure_trials


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--recipe", default="inspector", help="recipe of the task inspection")
    parser.add_argument("--data", type=Path, required=True, help="folder that holds the sources of the recipe")
    parser.add_argument("--inspector", default="inspector", help="weights of the inspector to teach")
    parser.add_argument("--count", type=int, default=1500, help="number of images; one in ten is held out")
    parser.add_argument("--width", type=int, default=48, help="number of hidden values of the judge")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--table", type=Path, help="file of the table; default: trials.npz in the folder of the data")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the taught inspector")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    recipe = load_recipe(options.recipe)
    if not isinstance(recipe, InspectionRecipe):
        parser.error(f"{options.recipe} is a recipe of the task {recipe.task}; give one of the task inspection")
    model = load_model(options.inspector, task="inspection")
    assert isinstance(model, InspectorNetwork)

    def report(done: int) -> None:
        if done % 50 == 0 or done == options.count:
            print(f"{done} of {options.count} images", flush=True)

    trials = Trials(model.networks, options.device)
    table = measure_trials(
        recipe.model_copy(update={"seed": recipe.seed + 1}),  # not the images that the inspector learned from
        options.data,
        options.table or options.data / "trials.npz",
        model,
        trials,
        count=options.count,
        report=report,
    )
    taught = model.with_judge(options.width, {name: kind for kind, name in SPECIALISTS.items()})
    train_judge(taught, table)
    taught.save_pretrained(options.output)
    print(f"{len(table.rows)} images, {len(model.networks)} networks: {options.output}")
    print(f"The checksum of the networks, for the model card: {trials.checksum()[:16]}")


if __name__ == "__main__":
    main()
