"""`passband analyze`: shows the frequencies of images, those that a network uses or gets wrong, and a run's curves.

One file per command of this group.
"""

import typer

from passband.cli.analyze.channels import channels
from passband.cli.analyze.curves import curves
from passband.cli.analyze.filters import filters
from passband.cli.analyze.ratio import ratio
from passband.cli.analyze.seams import seams
from passband.cli.analyze.spectrum import spectrum
from passband.cli.shared.options import Command

analyze = typer.Typer(
    help="Show the frequencies of an image, those that a network uses or gets wrong, and the curves of a run.",
    no_args_is_help=True,
)
for command in (channels, ratio, spectrum, curves, filters, seams):
    analyze.command(cls=Command)(command)


@analyze.callback()
def analyze_command() -> None:
    """Show the frequencies of an image, those that a network uses or gets wrong, and the curves of a run."""
