"""`passband demo detect`."""

from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from passband.cli.demo.options import Minutes, Seed, Steps, length_text
from passband.cli.shared.options import Device


def detect(
    output: Annotated[
        Path, typer.Option("-o", "--output", help="New folder for the images, the run and the picture.")
    ] = Path("demo/detect"),
    minutes: Minutes = 1.0,
    steps: Steps = None,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    r"""Draw images of shapes, train a small detector on them, and draw the shapes that it finds in new images.

    Masks and scores need one more package: pip install 'passband\[detection]'
    """
    from passband.cli.shared.console import TrainingProgress, say
    from passband.demos.detection import demonstrate_detection

    say(f"Draws images of shapes in {output / 'set'}, and trains a detector for {length_text(minutes, steps)}.")
    with TrainingProgress("detect") as progress:
        scores = demonstrate_detection(
            output, seed=seed, minutes=minutes, steps=steps, device=device, report=progress.show
        )
    say(f"New images: box AP50 {100 * scores['box_AP50']:.0f} %, mask AP50 {100 * scores['mask_AP50']:.0f} %")
    say(f"True instances beside those that are found: {output / 'detect.png'}")
    run = quote(str(output / "run"))
    say(f"Try it on other images of shapes: passband segment IMAGES --weights {run} --overlay -o found")
    say("Your own images with annotations in COCO's format: passband train detection-small --data FOLDER -o runs/mine")
    say("Your own cut-outs, pasted on your photos: passband paste SET --objects CUTOUTS --photos PHOTOS")
