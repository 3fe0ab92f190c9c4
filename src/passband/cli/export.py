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
            help="Width x height of the images in pixels, such as 1280x720, or one side; a file for one size is "
            "faster. For onnx, openvino and coreml. Default: any size; for coreml 512x512."
        ),
    ] = None,
    provider: Provider = None,
) -> None:
    """Export a network to ONNX, OpenVINO, ncnn or Core ML, and compare its output with that of torch.

    Restoration networks can be exported to all formats, classifiers and segmentation networks to ONNX.
    """
    from passband.cli.shared.sizes import parse_size
    from passband.export import export_model

    sides = None if size is None else parse_size(size)
    exported = export_model(weights, output, to, precision, calibration, sides, provider=provider)
    for parity in exported.parities:
        typer.echo(parity.line)
    if exported.psnr_torch is not None and exported.psnr_exported is not None:
        typer.echo(
            f"PSNR against a clean photo: {exported.psnr_torch:.2f} dB in torch, {exported.psnr_exported:.2f} dB in "
            f"int8; int8 costs {exported.psnr_torch - exported.psnr_exported:.2f} dB"
        )
    typer.echo(exported.path)
