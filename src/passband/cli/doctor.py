"""`passband doctor`."""

import typer


def doctor() -> None:
    """Print versions, devices, file readers and engines of this machine, and how to install the missing ones."""
    from passband.cli.shared.machine import describe_machine

    rows = describe_machine()
    width = max(map(len, rows))
    for name, value in rows.items():
        typer.echo(f"{name:<{width}}  {value}")
