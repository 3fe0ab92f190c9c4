"""`passband analyze channels`."""

from pathlib import Path
from typing import Annotated

import typer

from passband.cli.analyze.images import is_image
from passband.cli.shared.options import Device
from passband.naming import counted


def channels(
    source: Annotated[
        str, typer.Argument(help="An image. Or the folder of a run, or weights of a classifier with a gate.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the pictures and the tables.")],
    subset: Annotated[
        str,
        typer.Option(help="Of an image: channels to rebuild it from. A name such as 24S, or numbers such as 0,1,8,64."),
    ] = "24S",
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder of images on which a gate's open channels are counted. Default: the counts of the training."
        ),
    ] = None,
    keep: Annotated[int, typer.Option(min=1, help="Number of channels in the list of a gate.")] = 24,
    device: Device = "auto",
    workers: Annotated[int, typer.Option(min=0, help="Processes that read images. 0 reads in the main process.")] = 0,
) -> None:
    """Show the frequency channels of an image, or those that a gate opens.

    Of an image: draws its 192 channels, and the image that a subset of them still shows. Of a gated classifier: draws
    how often its gate opens each channel, and lists the channels to use in a recipe.
    """
    if is_image(source):
        _show_image_channels(source, output, subset)
        return
    from passband.analysis.channels import analyze_channels
    from passband.cli.shared.console import say

    use = analyze_channels(source, output, data=data, keep=keep, device=device, workers=workers)
    for reason in use.failed:
        say(f"failed: {reason}", err=True)
    summary = use.as_dict()
    counts = ", ".join(f"{count} {name}" for name, count in summary["counts"].items())
    shares = use.probability[list(use.kept)]
    typer.echo(f"{counted(use.images, 'image')}; {use.probability.sum():.1f} channels open on average")
    typer.echo(
        f"{len(use.kept)} channels kept ({counts}); each is open for {100 * shares.min():.0f} to "
        f"{100 * shares.max():.0f} % of the images"
    )
    if use.tied:
        typer.echo(f"{use.tied_words}. To let the gate choose, raise gate.weight or train longer.")
    for name, shared in summary["shared"].items():
        typer.echo(f"{shared} of the {len(use.kept)} channels are also in {name}")
    typer.echo(f"channels = {list(use.kept)}")
    typer.echo(f"Heat maps and list: {output}")
    if use.failed:
        raise typer.Exit(1)


def _show_image_channels(source: str, output: Path, subset: str) -> None:
    """Analyze the channels of an image, and print a sentence for it."""
    from passband.analysis.images.channels import analyze_image_channels, described_channels, subset_name

    numbers = [part.strip() for part in subset.split(",")]
    chosen = [int(part) for part in numbers] if len(numbers) > 1 and all(map(str.isdecimal, numbers)) else subset
    title, text = described_channels(subset_name(chosen), analyze_image_channels(source, output, subset=chosen))
    typer.echo(f"{title}.\n{text}\nPictures and tables: {output}")
