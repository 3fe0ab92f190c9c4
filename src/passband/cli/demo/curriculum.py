"""`passband demo curriculum`."""

from pathlib import Path
from typing import Annotated

import typer

from passband.cli.demo.options import Seed, Steps, length_text
from passband.cli.shared.options import Device


def curriculum(
    output: Annotated[
        Path, typer.Option("-o", "--output", help="New folder for the images, the runs and the chart.")
    ] = Path("demo/curriculum"),
    minutes: Annotated[
        float, typer.Option(min=0.2, help="Time of both trainings together in minutes, on this machine.")
    ] = 1.0,
    steps: Steps = None,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Train a small network on drawn shapes twice, on whole images and from coarse to fine, and draw both curves."""
    from passband.cli.shared.console import TrainingProgress, say
    from passband.demos.curriculum import SIDE, STAGES, demonstrate_curriculum

    sizes = ", ".join(map(str, STAGES))
    length = f"for {length_text(minutes, None)} together" if steps is None else f"for {steps} steps each"
    say(
        f"Draws images of shapes in {output / 'set'}, and trains a network twice, {length}: on images of {SIDE} pixels,"
    )
    say(f"and with a curriculum, whose images have {sizes} and {SIDE} pixels for a third of the steps each.")
    with TrainingProgress("curriculum") as progress:
        results = demonstrate_curriculum(
            output, seed=seed, minutes=minutes, steps=steps, device=device, report=progress.show
        )
    for name, one in results.items():
        say(f"{name:<13} {one.steps} steps in {one.seconds:5.1f} s   Dice of new images {one.dice:.3f}")
    whole, fast = results.values()
    say(f"With the curriculum, the same steps took {fast.seconds / whole.seconds:.2f} of the time.")
    say(f"Loss and Dice over time: {output / 'curriculum.png'}")
    say("Your own images and masks (images/ and masks/): passband train segment-small --data FOLDER -o runs/mine")
    say("It has such a curriculum; --set curriculum.mode=none leaves it out.")
    say("Your own training loop: from passband.curriculum import Curriculum, RatioSchedule, curriculum_batch")
