"""`passband analyze spectrum`."""

from pathlib import Path
from typing import Annotated

import typer


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
