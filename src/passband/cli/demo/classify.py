"""`passband demo classify`."""

from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from passband.cli.demo.options import Minutes, Seed, Steps, length_text
from passband.cli.shared.options import Device


def classify(
    output: Annotated[
        Path, typer.Option("-o", "--output", help="New folder for the images, the run and the pictures.")
    ] = Path("demo/classify"),
    minutes: Minutes = 1.0,
    steps: Steps = None,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Draw textures, train a small network on the JPEG coefficients of the files, and name new textures."""
    from passband.cli.shared.console import TrainingProgress, say
    from passband.demos.classification import demonstrate_classification

    say(f"Draws images of textures in {output / 'set'}, and trains a network for {length_text(minutes, steps)}.")
    with TrainingProgress("classify") as progress:
        answers = demonstrate_classification(
            output, seed=seed, minutes=minutes, steps=steps, device=device, report=progress.show
        )
    say(f"New images: {answers.right} of {answers.count} are classified correctly; by chance, one of six would be.")
    say(f"Right and wrong answers: {output / 'classify.png'}")
    say(f"Confusion matrix: {output / 'confusion.png'}")
    run = quote(str(output / "run"))
    say(f"Try it on other images of textures: passband classify IMAGES --weights {run}")
    say("Your own images (FOLDER/CLASS/*.jpg): passband train dct-small --data FOLDER -o runs/mine")
