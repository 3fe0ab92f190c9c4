"""Measures the gain of every shipped network on the images that an inspector learns from.

The script writes gains.npz into the folder of the data, where `passband train inspector` reads it. The same command
resumes a stopped run.
"""

import argparse
from pathlib import Path

import torch

from passband.config import InspectionRecipe, load_recipe
from passband.inference import Restorer
from passband.studies.gain_table import measure_gains
from passband.weights_finding import shipped_weights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", default="inspector", help="recipe of the task inspection")
    parser.add_argument("--data", type=Path, required=True, help="folder that holds the sources of the recipe")
    parser.add_argument("--count", type=int, default=1500, help="number of images")
    parser.add_argument("--most", type=int, help="number of networks per image, drawn at random; default: all")
    parser.add_argument(
        "--part", type=int, help="side in pixels of the restored middle of each image; default: the whole image"
    )
    parser.add_argument(
        "--weights", nargs="+", default=[], help="networks instead of the shipped ones, NAME or LABEL=PATH"
    )
    parser.add_argument("--threads", type=int)
    parser.add_argument("--device", default="auto")
    parser.add_argument(
        "-o", "--output", type=Path, help="file of the table; default: gains.npz in the folder of the data"
    )
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    recipe = load_recipe(options.recipe)
    if not isinstance(recipe, InspectionRecipe):
        parser.error(f"{options.recipe} is a recipe of the task {recipe.task}; give one of the task inspection")
    sources = {name: name for name in ([] if options.weights else shipped_weights())}
    for text in options.weights:
        label, found, path = text.partition("=")
        sources[label if found else Path(text).name] = path if found else text
    restorers = {
        name: Restorer(source, options.device, precision="float32").restore for name, source in sources.items()
    }

    def report(done: int) -> None:
        if done % 50 == 0 or done == options.count:
            print(f"{done} of {options.count} pictures", flush=True)

    output = options.output or options.data / "gains.npz"
    table = measure_gains(
        recipe,
        options.data,
        output,
        restorers,
        count=options.count,
        most=options.most,
        part=options.part,
        report=report,
    )
    print(f"{len(table.rows)} pictures, {len(table.networks)} networks: {output}")


if __name__ == "__main__":
    main()
