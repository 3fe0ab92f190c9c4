"""Exports classifiers and segmentation networks to ONNX files, and compares their logits with those of torch."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from passband.export.exported_network import ExportedNetwork
from passband.export.network_writer import ExportError
from passband.export.onnx.logits_graph import logits_graph
from passband.export.onnx.logits_metadata import input_name, logits_metadata
from passband.export.onnx.session import CPU_PROVIDER
from passband.io.files import write_whole
from passband.models.base import ClassifierNetwork, SegmentationNetwork
from passband.models.classification.gated import logits_of

LARGEST_DIFFERENCE = 1e-4
"""Largest accepted difference between the logits of the file and of torch. Above 1, it is relative to the largest
logit."""
BATCH = 2
"""Number of images in each comparison."""
SMALLEST_SIDE = 64
"""Smallest side in pixels of the images for the comparison of a segmentation network whose weights name no size."""
LogitsNetwork = ClassifierNetwork | SegmentationNetwork


@dataclass(frozen=True)
class LogitsParity:
    """Differences between the logits of an exported file and of torch on one batch."""

    shape: tuple[int, ...]
    """Shape of the batch: images, channels, height and width."""
    largest_difference: float
    """Largest absolute difference between the logits."""
    largest_logit: float
    """Largest absolute logit of torch."""

    @property
    def line(self) -> str:
        """The comparison in one line."""
        shape = " x ".join(map(str, self.shape))
        return f"{shape}: largest difference {self.largest_difference:.1e} of logits up to {self.largest_logit:.1f}"

    @property
    def agrees(self) -> bool:
        """Whether the difference is small enough; NaN is not."""
        return self.largest_difference <= LARGEST_DIFFERENCE * max(1.0, self.largest_logit)


def check_logits_export(model: nn.Module, to: str, precision: str) -> LogitsNetwork:
    """Refuse networks, formats and precisions for which there is no export of logits.

    Args:
        model: network that is no restoration network.
        to: format of the file.
        precision: precision of the file.

    Returns:
        The network.

    Raises:
        ExportError: if it cannot be exported so; the message says what can.
    """
    name = getattr(model, "name", type(model).__name__)
    if not isinstance(model, ClassifierNetwork | SegmentationNetwork):
        reasons = {
            "detection": "it cuts a varying number of boxes out of its maps and sorts them, which its graph would have "
            "to repeat box by box. Use passband segment, which runs it in torch",
            "inspection": "it looks at several views of an image. Use passband inspect, which runs it in torch",
        }
        reason = reasons.get(getattr(model, "task", ""), "it is of no task that export knows")
        raise ExportError(
            f"export writes restoration networks, classifiers and segmentation networks. It cannot write {name}: "
            f"{reason}."
        )
    if to != "onnx":
        also = " OpenVINO reads this file itself." if to == "openvino" else ""
        raise ExportError(f"{name} can be exported to ONNX only, got {to}; use --to onnx.{also}")
    if precision != "float32":
        raise ExportError(f"{name} can be exported in float32 only, got {precision}; leave out --precision")
    return model


def export_logits(
    model: LogitsNetwork, config: dict[str, Any], weights: str, path: Path, provider: str | None = None
) -> list[LogitsParity]:
    """Write a network to an ONNX file, and compare its logits with those of torch at two sizes.

    Args:
        model: the network, in evaluation mode.
        config: its config.
        weights: name of the weights for errors.
        path: file to write.
        provider: execution provider of ONNX Runtime that runs the file for the comparison; None for the CPU.

    Returns:
        The comparisons: at the size that the network was trained on, and at another size.

    Raises:
        CheckpointError: if the config does not fit the network.
        ExportError: if the network has a layer that cannot be written, ONNX Runtime cannot run the file, or the logits
            differ too much.
        OSError: if the file cannot be written.
    """
    proto = logits_graph(model, input_name(model), logits_metadata(model, config, weights))
    with write_whole(path) as temporary:
        temporary.write_bytes(proto.SerializeToString())
    exported = ExportedNetwork(path, provider or CPU_PROVIDER)
    parities = [_compare(model, exported, height, width) for height, width in _sizes(model, config)]
    for parity in parities:
        if not parity.agrees:
            raise ExportError(
                f"the exported logits of {weights} must differ from those of torch by at most {LARGEST_DIFFERENCE:.0e} "
                f"(relative to the largest logit above 1), but {parity.line}. Nothing was written."
            )
    return parities


def _sizes(model: LogitsNetwork, config: dict[str, Any]) -> list[tuple[int, int]]:
    """Return heights and widths of the batches: the one of training, and another."""
    preprocessing = config.get("preprocessing") or {}
    if isinstance(model, SegmentationNetwork):
        unit = model.multiple
        side = preprocessing.get("size") or -(-SMALLEST_SIDE // unit) * unit
        return [(side, side), (side + unit, side + 2 * unit)]
    _, height, width = model.input_shape
    if "size" in preprocessing:
        height = width = preprocessing["size"] // preprocessing.get("stride", 1)
    return [(height, width), (height + 3, width + 6)]


@torch.inference_mode()
def _compare(model: LogitsNetwork, exported: ExportedNetwork, height: int, width: int) -> LogitsParity:
    """Compare both logits of random inputs, which are the same in each run."""
    generator = torch.Generator().manual_seed(0)
    shape = (BATCH, exported.channels, height, width)
    draw = torch.randn if isinstance(model, ClassifierNetwork) else torch.rand  # normalized channels, or images
    batch = draw(shape, generator=generator)
    expected = logits_of(model(batch))
    difference = (exported(batch) - expected).abs().max().item()
    return LogitsParity(shape, difference, expected.abs().max().item())
