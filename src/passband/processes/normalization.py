"""Batch normalization over the batch of all processes.

torch's `SyncBatchNorm` works on GPUs only, so other devices use the class of this module.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from passband.processes.agreement import count

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


class SynchronizedBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Normalize by the mean and the variance of the batch of all processes.

    Parameters and buffers have the names of `torch.nn.BatchNorm2d`. In evaluation, the running statistics are used, and
    the processes do not communicate. The processes may have batches of different sizes.
    """

    def _check_input_dim(self, input: Tensor) -> None:
        """Accept inputs of any number of axes."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalize a batch.

        Args:
            input: tensor with channels as its second axis.

        Raises:
            ValueError: if the batch of all processes has one value per channel.
        """
        if not self.training or count() == 1:
            return super().forward(input)
        axes = [axis for axis in range(input.ndim) if axis != 1]
        shape = [1, -1] + [1] * (input.ndim - 2)
        x = input if input.dtype == torch.float64 else input.float()
        number = _Sum.apply(x.new_tensor(float(input.numel() // input.shape[1])))
        if number < 2:
            raise ValueError(f"batch normalization needs more than one value per channel, got {tuple(input.shape)}")
        mean = _Sum.apply(x.sum(axes)) / number
        centered = x - mean.view(shape)
        variance = _Sum.apply(centered.square().sum(axes)) / number
        self._update(mean.detach(), (variance.detach() * number / (number - 1)))
        scale = (variance + self.eps).rsqrt()
        if self.affine:
            return (centered * (scale * self.weight).view(shape) + self.bias.view(shape)).to(input.dtype)
        return (centered * scale.view(shape)).to(input.dtype)

    @torch.no_grad()
    def _update(self, mean: Tensor, variance: Tensor) -> None:
        """Update the running statistics as `torch.nn.BatchNorm2d` does."""
        if not self.track_running_stats or self.running_mean is None or self.running_var is None:
            return
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        share = 1 / self.num_batches_tracked.item() if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
        self.running_var.lerp_(variance.to(self.running_var.dtype), share)


class _Sum(torch.autograd.Function):
    """The sum over all processes, whose gradient is the sum of the gradients of all processes."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        summed = values.clone()
        dist.all_reduce(summed)
        return summed

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Tensor:
        summed = grad_outputs[0].clone()
        dist.all_reduce(summed)
        return summed


def synchronize(model: nn.Module, device: torch.device) -> nn.Module:
    """Make a network compute the statistics of its batches over all processes.

    This concerns batch normalization, and layers of passband with the attribute `is_synchronized`, such as the counts
    of a gate.

    Args:
        model: network, which is changed. Its parameters and buffers stay the same objects.
        device: device of the training.

    Returns:
        The network.
    """
    for layer in list(model.modules()):
        if hasattr(layer, "is_synchronized"):
            layer.is_synchronized = True  # type: ignore[assignment]
        for name, child in layer.named_children():
            if type(child) in BATCH_NORMS:
                setattr(layer, name, _synchronized(child, device))
    return model


def _synchronized(layer: nn.Module, device: torch.device) -> nn.Module:
    """Return a synchronized layer with the parameters and buffers of a layer of batch normalization."""
    if device.type == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(layer)
    assert isinstance(layer, BATCH_NORMS)
    new = SynchronizedBatchNorm(layer.num_features, layer.eps, layer.momentum, layer.affine, layer.track_running_stats)
    new.weight, new.bias = layer.weight, layer.bias
    new.running_mean, new.running_var = layer.running_mean, layer.running_var
    new.num_batches_tracked = layer.num_batches_tracked
    return new.train(layer.training)
