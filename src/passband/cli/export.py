"""`passband export`."""

from pathlib import Path
from typing import Annotated

import typer


def export(
    weights: Annotated[str, typer.Argument(help="Shipped name, folder, published pickle or hub id.")],
    to: Annotated[str, typer.Option("--to", help="Format: onnx, openvino or ncnn.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="File to write: .onnx, .xml for openvino, or .ncnn.param.")
    ],
    precision: Annotated[
        str, typer.Option(help="Precision of the file: float32, float16, or int8 (openvino only).")
    ] = "float32",
    calibration: Annotated[
        Path | None,
        typer.Option(help="Folder of degraded images that calibrate int8. Default: images of scikit-image."),
    ] = None,
) -> None:
    """Export a restoration network to ONNX Runtime, OpenVINO or ncnn, and compare its output with that of torch."""
    from passband.export import export_model

    exported = export_model(weights, output, to, precision, calibration)
    for parity in exported.parities:
        typer.echo(
            f"{parity.width}x{parity.height}: {parity.psnr:.1f} dB against torch, "
            f"largest difference {parity.largest_difference:.1e}"
        )
    if exported.psnr_torch is not None and exported.psnr_exported is not None:
        typer.echo(
            f"PSNR against a clean photo: {exported.psnr_torch:.2f} dB in torch, {exported.psnr_exported:.2f} dB in "
            f"int8; int8 costs {exported.psnr_torch - exported.psnr_exported:.2f} dB"
        )
    typer.echo(exported.path)
