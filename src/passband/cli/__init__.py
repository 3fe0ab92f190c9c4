"""The command line: one thin file per command, each parsing, calling the library and printing."""

import os
import sys
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperGroup

from passband.cli.analyze import analyze
from passband.cli.app import app as page
from passband.cli.classify import classify
from passband.cli.compare import compare
from passband.cli.convert import convert
from passband.cli.degrade import degrade
from passband.cli.demo import demo
from passband.cli.doctor import doctor
from passband.cli.evaluate import evaluate
from passband.cli.export import export
from passband.cli.finetune import finetune
from passband.cli.info import info
from passband.cli.inspect import inspect
from passband.cli.paste import paste
from passband.cli.recipe import recipe
from passband.cli.restore import restore
from passband.cli.segment import segment
from passband.cli.shards import shards
from passband.cli.shared.options import Command
from passband.cli.study import study
from passband.cli.train import train
from passband.cli.weights import weights


class Commands(TyperGroup):
    """The commands, which tell that a signal has ended them. typer alone would end them without a word."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        from passband.cli.shared.interruption import ended_by_signals

        with ended_by_signals():
            return super().invoke(ctx)


app = typer.Typer(
    cls=Commands,
    name="passband",
    help="Vision models that choose which frequencies to let through.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    epilog="Add --debug to any command to see the traceback of an error.",
)
for command in (
    *(restore, inspect, degrade, paste, evaluate, compare),
    *(train, study, recipe, finetune, convert, export, info, shards),
    *(classify, segment, page, doctor),
):
    app.command(cls=Command)(command)
app.add_typer(demo, name="demo")
app.add_typer(weights, name="weights")
app.add_typer(analyze, name="analyze")


@app.callback(invoke_without_command=True)
def version(version: bool = typer.Option(False, "--version", help="Print the version and stop.")) -> None:
    """Vision models that choose which frequencies to let through."""
    if version:
        from passband import __version__

        typer.echo(__version__)
        raise typer.Exit


def _refuse_empty(arguments: Sequence[str]) -> None:
    """Refuse empty arguments, which would stand for the current folder where a path is needed.

    Raises:
        ValueError: if there is one.
    """
    for place, argument in enumerate(arguments):
        before = arguments[place - 1] if place else "passband"
        name, is_assigned, value = argument.partition("=")
        if not argument or (is_assigned and not value and name.startswith("--")):
            where = f"{name} has no value" if argument else f"the argument after {before} is empty"
            raise ValueError(f"{where}: give one, or check the shell variable in its place")


def _from_home(argument: str) -> str:
    """Put the home folder in place of a leading `~` of a value, as shells do for `~/a` but not for `--output=~/a`."""
    start = argument.find("=") + 1 if argument.startswith("--") else 0
    return argument[:start] + os.path.expanduser(argument[start:])  # noqa: PTH111, a path would lose its last slash


def main() -> None:
    """Run a command. An error prints one line on standard error and ends with a nonzero exit status."""
    from passband.cli.shared.console import accept_any_name, say
    from passband.cli.shared.parallel import left_to_launcher

    accept_any_name()
    debug = "--debug" in sys.argv[1:]
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    try:
        _refuse_empty(arguments)
        app([_from_home(argument) for argument in arguments])
    except Exception as error:
        if debug:
            raise
        if left_to_launcher(error):
            sys.exit(1)
        say(f"Error: {' '.join(str(error).split()) or type(error).__name__}", err=True)
        sys.exit(1)
