"""`passband inspect`."""

import json
from itertools import chain
from typing import Annotated

import typer


def inspect(
    sources: Annotated[list[str], typer.Argument(metavar="PHOTO", help="Images, folders or glob patterns.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print a line of JSON for each image.")] = False,
    weights: Annotated[str, typer.Option(help="Weights of an inspector: shipped name, run or folder.")] = "inspector",
    quick: Annotated[
        bool, typer.Option("--quick", help="Do not try the networks on the image: faster, less certain.")
    ] = False,
) -> None:
    """Find how images are degraded and how strongly, and name the network that would restore them best."""
    from passband.cli.shared.console import say
    from passband.cli.shared.files import FileRun
    from passband.data.finding import IMAGES, PassedOver, find_sources
    from passband.inference.inspection.inspector import Inspected, Inspector
    from passband.io.image import SUFFIXES
    from passband.naming import printable

    passed: list[PassedOver] = []
    found = find_sources(sources, SUFFIXES, IMAGES, once=True, passed=passed.append)
    inspector = Inspector(weights, trial=not quick)
    bad = [Inspected(source.path, error=source.problem) for source in found if source.problem]
    good = [source.path for source in found if not source.problem]
    run = FileRun("inspecting", "inspected", [path.name for path in (*(one.source for one in bad), *good)])
    width = min(40, max((len(printable(str(path))) for path in good), default=0))
    with run.shown("Run the command again to inspect the other images."):
        for result in chain(bad, inspector.inspect(good)):
            if as_json:
                say(json.dumps(result.as_dict()))
            if result.diagnosis is None:
                run.failed(result.error or "")
                continue
            run.finished("" if as_json else f"{printable(str(result.source)):<{width}}  {result.diagnosis.line}")
    run.end(passed)
