"""`passband export`."""

from pathlib import Path
from typing import Annotated

import typer


def export(
    weights: Annotated[str, typer.Argument(help="Shipped name, folder, published pickle or hub id.")],
    to: Annotated[str, typer.Option("--to", help="onnx or openvino.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The file: .onnx, or .xml for openvino.")],
    precision: Annotated[str, typer.Option(help="float32, float16, or int8 (openvino).")] = "float32",
    calibration: Annotated[
        Path | None,
        typer.Option(help="Folder of degraded pictures to measure int8 on. Default: some of scikit-image's."),
    ] = None,
) -> None:
    """Write weights for ONNX Runtime or OpenVINO, and compare the file to torch."""
    from passband.export import export_model

    exported = export_model(weights, output, to, precision, calibration)
    for parity in exported.parities:
        typer.echo(
            f"{parity.width}x{parity.height}: {parity.psnr:.1f} dB against torch, "
            f"largest difference {parity.largest_difference:.1e}"
        )
    if exported.psnr_torch is not None and exported.psnr_exported is not None:
        typer.echo(
            f"against a clean photograph: {exported.psnr_torch:.2f} dB in torch, {exported.psnr_exported:.2f} dB "
            f"in int8, cost {exported.psnr_torch - exported.psnr_exported:.2f} dB"
        )
    typer.echo(exported.path)
