"""`passband demo segment`."""

from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from passband.cli.demo.options import Minutes, Seed, Steps, length_text
from passband.cli.shared.options import Device


def segment(
    output: Annotated[
        Path, typer.Option("-o", "--output", help="New folder for the images, the run and the picture.")
    ] = Path("demo/segment"),
    minutes: Minutes = 1.0,
    steps: Steps = None,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Draw images of shapes, train a small network on their masks, and draw the masks of new images."""
    from passband.cli.shared.console import TrainingProgress, say
    from passband.demos.segmentation import demonstrate_segmentation

    say(f"Draws images of shapes in {output / 'set'}, and trains a network for {length_text(minutes, steps)}.")
    with TrainingProgress("segment") as progress:
        scores = demonstrate_segmentation(
            output, seed=seed, minutes=minutes, steps=steps, device=device, report=progress.show
        )
    say(f"New images: F1 {scores['f1']:.2f}, IoU {scores['iou']:.2f}")
    say(f"Image, true mask and found mask: {output / 'segment.png'}")
    run = quote(str(output / "run"))
    say(f"Try it on other images of shapes: passband segment IMAGES --weights {run} --overlay -o masks")
    say("Your own images and masks (images/ and masks/): passband train segment-small --data FOLDER -o runs/mine")
