"""`passband analyze`: shows the frequencies of images, those that a network uses or gets wrong, and a run's curves."""

from pathlib import Path
from typing import Annotated

import typer

from passband.cli.shared.options import Command, Device
from passband.naming import counted

analyze = typer.Typer(
    help="Show the frequencies of an image, those that a network uses or gets wrong, and the curves of a run.",
    no_args_is_help=True,
)


@analyze.callback()
def analyze_command() -> None:
    """Show the frequencies of an image, those that a network uses or gets wrong, and the curves of a run."""


@analyze.command(cls=Command)
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
    if _is_image(source):
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


@analyze.command(cls=Command)
def ratio(
    source: Annotated[
        str, typer.Argument(help="An image. Or the folder of a run, or weights of a network that takes pixels.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the pictures and the tables.")],
    data: Annotated[
        Path | None, typer.Option(help="Folder of images, or of images and masks, on which weights are analyzed.")
    ] = None,
    ratio: Annotated[
        float, typer.Option(min=0, max=1, help="Of an image: share of the spectrum to keep in its low part.")
    ] = 0.5,
    definition: Annotated[
        str, typer.Option(help="Quantity that a ratio is a share of: magnitude, energy, radius or area.")
    ] = "magnitude",
    term: Annotated[
        str,
        typer.Option(
            help="Second term of the objective: noise, total-variation, cost, or variance, which has no effect."
        ),
    ] = "noise",
    alpha: Annotated[float, typer.Option(min=0, help="Weight of the saliency.")] = 1.0,
    beta: Annotated[float, typer.Option(min=0, help="Weight of the second term.")] = 1.0,
    radii: Annotated[int, typer.Option(min=3, help="Number of radii in the sweep.")] = 32,
    images: Annotated[int, typer.Option(min=1, help="Largest number of images, taken evenly from the folder.")] = 16,
    size: Annotated[
        int | None, typer.Option(min=1, help="Side of the images in pixels. Default: as in the training.")
    ] = None,
    method: Annotated[
        str, typer.Option(help="Refinement of the best radius: sweep (golden section) or gradient (descent).")
    ] = "sweep",
    per_image: Annotated[bool, typer.Option("--per-image", help="Also find the best ratio of each image.")] = False,
    batch: Annotated[int | None, typer.Option(min=1, help="Images computed at once. Default: all.")] = None,
    device: Device = "auto",
) -> None:
    """Show the low and high parts of an image, or find how much of the spectrum a network responds to most.

    Of an image: draws its low and high parts for one frequency ratio by each of the four definitions. Of weights: finds
    the frequency ratio to which the network responds most, on the images of --data.
    """
    if _is_image(source):
        _show_image_parts(source, output, ratio)
        return
    if data is None:
        raise typer.BadParameter(
            f"{source} is not an image, so it is taken as weights, which are analyzed on images: name their folder "
            "with --data"
        )
    from passband.analysis.ratio import analyze_ratio
    from passband.cli.shared.console import say
    from passband.curriculum import RatioSearch

    search = RatioSearch(definition, term, alpha, beta, radii, method, batch=batch)
    analysis = analyze_ratio(
        source, output, data=data, search=search, count=images, size=size, per_image=per_image, device=device
    )
    for reason in analysis.failed:
        say(f"failed: {reason}", err=True)
    best = analysis.optimum
    typer.echo(f"{best.images} images of {best.size[0]}x{best.size[1]} pixels, {len(best.radii)} radii. {best.words}")
    if len(best.minima) > 1:
        typer.echo(f"Local minima, the lowest first: {', '.join(f'{ratio:.3f}' for ratio in best.minima)}")
    for remark in best.remarks:
        typer.echo(remark)
    for path, optimum in analysis.each:
        typer.echo(f"{path}: {optimum.words}")
    typer.echo(f"Curve and figures: {output}")
    if analysis.failed:
        raise typer.Exit(1)


@analyze.command(cls=Command)
def spectrum(
    restored: Annotated[Path, typer.Argument(help="An image. Or a restored image, or a folder of restored images.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the pictures and the tables.")],
    clean: Annotated[
        Path | None,
        typer.Argument(
            help="Clean image, or folder of clean images with the same names. Default: show the spectrum of one image."
        ),
    ] = None,
    degraded: Annotated[
        Path | None,
        typer.Option(
            help="Degraded image or folder, to split the change of the error into restored, lost and invented."
        ),
    ] = None,
    block: Annotated[
        int, typer.Option(min=2, max=32, help="Side of the DCT blocks in pixels; 32 gives finer curves than 8.")
    ] = 8,
) -> None:
    """Show the spectrum of one image, or which frequencies of restored images are wrong.

    Of one image: draws its amplitudes and their mean over the radial frequency. Of restored and clean images: draws
    which frequencies were restored, lost and invented, and writes a report.
    """
    if clean is None:
        _show_image_spectrum(restored, output, degraded)
        return
    from passband.analysis.spectrum import analyze_spectrum
    from passband.cli.shared.console import progress_bar, say
    from passband.reports.spectrum import findings, spectrum_table

    with progress_bar("{task.completed}/{task.total}") as progress:
        bar = progress.add_task("measuring")
        analysis = analyze_spectrum(
            restored,
            clean,
            output,
            degraded=degraded,
            block=block,
            report=lambda name, total: progress.update(bar, advance=1, total=total),
        )
    for one in analysis.failed:
        say(f"failed: {one['reason']}", err=True)
    title, *sentences = findings(analysis.errors)
    typer.echo("\n".join([f"{title}.", *sentences, "", *spectrum_table(analysis.errors), ""]))
    typer.echo(f"Report: {output / 'report.html'}")
    if analysis.failed:
        raise typer.Exit(1)


@analyze.command(cls=Command)
def curves(
    run: Annotated[Path, typer.Argument(help="Folder of a run, which may be finished, stopped or still training.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="PNG file to write. Default: curves.png in the folder of the run."),
    ] = None,
) -> None:
    """Draw the loss, the learning rate and the scores of a run over its steps, as PNG and SVG."""
    from passband.runs import draw_curves

    typer.echo(f"Curves: {draw_curves(run, output)}")


@analyze.command(cls=Command)
def filters(
    image: Annotated[Path, typer.Argument(help="Image for which the network chooses its filters.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the picture and the tables.")],
    weights: Annotated[
        str, typer.Option(help="Weights of an SFNet or FSNet: a shipped name, the folder of a run, or a file.")
    ] = "general",
    side: Annotated[
        int, typer.Option(min=16, help="Longest side of the analyzed part in pixels: the middle of a larger image.")
    ] = 768,
    device: Device = "auto",
) -> None:
    """Show the low-pass filters that SFNet or FSNet chooses for an image, and its weights of low and high parts."""
    from passband.analysis.filters import analyze_filters, described_filters

    analysis = analyze_filters(image, output, weights=weights, side=side, device=device)
    title, text = described_filters(analysis)
    typer.echo(f"{title}.\n{text}\n")
    typer.echo("| block | filter | response is 1/2 at | weight of low | weight of high |\n|---|---|---|---|---|")
    for choice in analysis.choices:
        low, high = choice.shares
        size = f"{choice.kernel_size}x{choice.kernel_size}"
        typer.echo(
            f"| {choice.block} | {size} | {choice.cutoff():.2f} Nyquist | {100 * low:.0f} % | {100 * high:.0f} % |"
        )
    typer.echo(f"\nPicture and tables: {output}")


@analyze.command(cls=Command)
def seams(
    image: Annotated[Path, typer.Argument(help="Image that is larger than a tile.")],
    weights: Annotated[
        str, typer.Option(help="Weights of a restoration network, also of another project.")
    ] = "general",
    tile: Annotated[int, typer.Option(min=64, help="Side of the tiles in pixels, a multiple of 64.")] = 512,
    overlap: Annotated[
        int | None,
        typer.Option(
            min=0, help="Smallest overlap of the tiles in pixels. Default: as in a restoration, by the reach."
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder for a picture of the differences and the figures.")
    ] = None,
    device: Device = "auto",
) -> None:
    """Measure how far a network sees, and the seams of an image that it restores in tiles against the whole image."""
    from passband.analysis.seams import analyze_seams

    analysis = analyze_seams(image, weights, side=tile, overlap=overlap, output=output, device=device)
    typer.echo(analysis.words)
    if output is not None:
        typer.echo(f"Picture and figures: {output}")


def _is_image(source: str) -> bool:
    """Tell whether an argument is an image file, and not weights."""
    from passband.io.image import SUFFIXES, kind_of_file

    path = Path(source)
    return not path.is_dir() and (path.suffix.lower() in SUFFIXES or kind_of_file(path) is not None)


def _show_image_channels(source: str, output: Path, subset: str) -> None:
    """Analyze the channels of an image, and print a sentence for it."""
    from passband.analysis.images.channels import analyze_image_channels, described_channels, subset_name

    numbers = [part.strip() for part in subset.split(",")]
    chosen = [int(part) for part in numbers] if len(numbers) > 1 and all(map(str.isdecimal, numbers)) else subset
    title, text = described_channels(subset_name(chosen), analyze_image_channels(source, output, subset=chosen))
    typer.echo(f"{title}.\n{text}\nPictures and tables: {output}")


def _show_image_parts(source: str, output: Path, ratio: float) -> None:
    """Analyze the parts of an image, and print a table."""
    from passband.analysis.images.parts import analyze_image_parts

    typer.echo("| definition | radius, cycles | share of Nyquist | frequencies kept | energy kept | low part, PSNR |")
    typer.echo("|---|---|---|---|---|---|")
    for parts in analyze_image_parts(source, output, ratio=ratio):
        row = parts.as_dict()
        typer.echo(
            f"| {row['definition']} | {row['radius']:g} | {row['share_of_nyquist']:.3f} | "
            f"{100 * row['coefficients']:.3g} % | {100 * row['energy']:.3g} % | {row['low_psnr']:.1f} dB |"
        )
    typer.echo(f"\nPictures and table: {output}")


def _show_image_spectrum(source: Path, output: Path, degraded: Path | None) -> None:
    """Analyze the spectrum of one image, and print a sentence for it."""
    from passband.analysis.images.spectrum import analyze_image_spectrum, described_spectrum

    if degraded is not None:
        raise typer.BadParameter("--degraded needs a restored and a clean image; got only one image: add the clean one")
    if source.is_dir():
        raise typer.BadParameter(
            f"{source} is a folder: name one image, or a folder of restored and a folder of clean images"
        )
    title, text = described_spectrum(analyze_image_spectrum(source, output))
    typer.echo(f"{title}.\n{text}\nPictures and table: {output}")
