"""`passband doctor`."""

import typer


def doctor() -> None:
    """Say what passband finds here: versions, devices, readers and engines, and how to get what is missing."""
    from passband.inference.machine import describe_machine

    found = describe_machine()
    width = max(map(len, found))
    for name, value in found.items():
        typer.echo(f"{name:<{width}}  {value}")
