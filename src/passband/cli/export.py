"""`passband export`."""

from pathlib import Path
from typing import Annotated

import typer

from passband.cli.shared.options import Provider


def export(
    weights: Annotated[str, typer.Argument(help="Shipped name, run, folder, published pickle or hub id.")],
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="File to write: .onnx, .xml for openvino, .ncnn.param or .mlpackage."),
    ],
    to: Annotated[
        str | None,
        typer.Option("--to", help="Format: onnx, openvino, ncnn or coreml. Default: by the suffix of the output."),
    ] = None,
    precision: Annotated[
        str, typer.Option(help="Precision of the file: float32, float16, or int8 (openvino only).")
    ] = "float32",
    calibration: Annotated[
        Path | None,
        typer.Option(help="Folder of degraded images that calibrate int8. Default: images of scikit-image."),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            help="Width x height of the images in pixels, as 640x480; a file for one size is faster. For onnx, "
            "openvino and coreml. Default: any size; for coreml 512x512."
        ),
    ] = None,
    provider: Provider = None,
) -> None:
    """Export a network to ONNX, OpenVINO, ncnn or Core ML, and compare its output with that of torch.

    Restoration networks can be exported to all formats, classifiers and segmentation networks to ONNX.
    """
    from passband.export import export_model

    sides = None if size is None else _sides(size)
    exported = export_model(weights, output, to, precision, calibration, sides, provider=provider)
    for parity in exported.parities:
        typer.echo(parity.line)
    if exported.psnr_torch is not None and exported.psnr_exported is not None:
        typer.echo(
            f"PSNR against a clean photo: {exported.psnr_torch:.2f} dB in torch, {exported.psnr_exported:.2f} dB in "
            f"int8; int8 costs {exported.psnr_torch - exported.psnr_exported:.2f} dB"
        )
    typer.echo(exported.path)


def _sides(size: str) -> tuple[int, int]:
    """Return the height and the width of a size such as 640x480."""
    width, _, height = size.partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise typer.BadParameter(f"--size is width x height in pixels, such as 640x480; got {size!r}")
    return int(height), int(width)
