"""Options that the demonstrations with a training share."""

from typing import Annotated

import typer

Minutes = Annotated[float, typer.Option(min=0.1, help="Time of the training in minutes, on this machine.")]
Steps = Annotated[int | None, typer.Option(min=2, help="Length of the training in steps, instead of a time.")]
Seed = Annotated[int, typer.Option(min=0, help="Random seed of the images and of the training.")]


def length_text(minutes: float, steps: int | None) -> str:
    """Return the length of a training in words.

    Args:
        minutes: time of the training in minutes.
        steps: number of steps instead of the time, or None.
    """
    if steps is not None:
        return f"{steps} steps"
    return "a minute" if minutes == 1 else f"{minutes:g} minutes"
