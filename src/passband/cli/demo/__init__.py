"""`passband demo`: tries a job on data that the command finds or makes. One file per command of this group."""

from typing import Any

import typer
from typer.core import TyperGroup

from passband.cli.demo.classify import classify
from passband.cli.demo.curriculum import curriculum
from passband.cli.demo.detect import detect
from passband.cli.demo.restore import restore
from passband.cli.demo.segment import segment
from passband.cli.shared.options import Command


class DemoGroup(TyperGroup):
    """A group of commands that runs one of them if none is named, with the same options."""

    default = "restore"
    """Name of the command that runs if none is named."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the name of the command in front of options, unless they ask for help."""
        if not args or (args[0].startswith("-") and args[0] != "--help"):
            args = [self.default, *args]
        return super().parse_args(ctx, args)


demo = typer.Typer(cls=DemoGroup)
for command in (restore, classify, segment, detect, curriculum):
    demo.command(cls=Command)(command)


@demo.callback()
def demo_command() -> None:
    """Try a job at once, on data that the command finds or makes.

    `passband demo` alone, also with options, is `passband demo restore`.
    """
