"""Runs exported classifiers and segmentation networks with ONNX Runtime."""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from passband.export.network_writer import ExportError
from passband.export.onnx.logits_graph import LOGITS
from passband.export.onnx.logits_metadata import COEFFICIENTS, IMAGE
from passband.export.onnx.session import CPU_PROVIDER, start_session
from passband.io.files import file_checksum
from passband.ops.checks import check_images
from passband.weights_io import ABOUT_DATA, load_config


class ExportedNetwork(nn.Module):
    """A classifier or a segmentation network in an ONNX file, which is called as the network in torch is.

    Args:
        path: .onnx file that `passband export` wrote.
        provider: execution provider of ONNX Runtime, see `onnx.session.start_session`.

    Attributes:
        config: config of the network.
        name: name of the network, a key of `models.MODELS`.
        task: task of the network.
        arguments: arguments of the network.
        classes: number of classes, or of maps of logits.
        channels: number of input channels.
        multiple: number by which the sides of the input must be divisible; 1 for a classifier.
        file_checksum: SHA-256 of the file.

    Raises:
        CheckpointError: if the file holds no config of a network.
        ExportError: if the file does not exist, ONNX Runtime is not installed or cannot run the file.
    """

    engine = "onnxruntime"
    precision = "float32"

    def __init__(self, path: Path, provider: str = CPU_PROVIDER):
        super().__init__()
        if not path.is_file():
            raise ExportError(f"no file {path}")
        self.config = load_config(path)
        self._session = start_session(path, provider)
        description = self._session.get_inputs()[0]
        if description.name not in (COEFFICIENTS, IMAGE):
            raise ExportError(f"{path} was not written by passband export: its input is named {description.name!r}")
        self.provider, self._input = provider, description.name
        metadata = self._session.get_modelmeta().custom_metadata_map
        self.name, self.task = metadata["network"], metadata["task"]
        self.channels, self.classes = description.shape[1], self._session.get_outputs()[0].shape[1]
        self.arguments = {key: value for key, value in self.config.items() if key not in ("model", *ABOUT_DATA)}
        self.multiple = int(metadata.get("multiple", 1))
        self.file_checksum = file_checksum(path)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B ..."]:
        """Compute the logits.

        Args:
            x: normalized cubes or images, as the network in torch takes them.

        Returns:
            A logit per class, or per class and pixel, on the CPU.

        Raises:
            TypeError: if the input is not a tensor of floats.
            ValueError: if the number of channels or the size does not fit.
        """
        check_images(x, self.name, self.channels)
        height, width = x.shape[-2:]
        if height % self.multiple or width % self.multiple:
            raise ValueError(
                f"{self.name} takes sides that are multiples of {self.multiple}, got {height}x{width}; use "
                "ops.tiling.pad_to_multiple"
            )
        values = x.detach().to("cpu", torch.float32).contiguous().numpy()
        return torch.from_numpy(self._session.run([LOGITS], {self._input: values})[0])
