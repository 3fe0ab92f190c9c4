"""Steps of a training: its learning rate, its optimizer, the average of its weights, and the optimizer Muon."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim.adam import adam
from torch.optim.swa_utils import get_ema_multi_avg_fn

from passband.config import OptimConfig


def learning_rate(step: int, steps: int, warmup: int, optim: OptimConfig) -> float:
    """Return the learning rate of a step.

    The rate rises linearly to its peak during the warm-up. It then falls along a cosine to the final rate or, if the
    recipe has milestones, is divided by 10 at each of them.

    Args:
        step: number of steps done before, from 0.
        steps: number of steps of the whole run.
        warmup: number of steps of the warm-up.
        optim: settings with the peak rate, the final rate and the milestones.
    """
    if step < warmup:
        return optim.learning_rate * (step + 1) / warmup
    if optim.milestones:
        return optim.learning_rate * 0.1 ** sum(step >= part * steps for part in optim.milestones)
    part = min(1.0, (step - warmup) / max(1, steps - warmup))
    swing = optim.learning_rate - optim.final_learning_rate
    return optim.final_learning_rate + swing * (1 + math.cos(math.pi * part)) / 2


def build_optimizer(optim: OptimConfig, model: nn.Module) -> torch.optim.Optimizer:
    """Return the optimizer of a recipe. The loop sets its learning rate at every step.

    Args:
        optim: settings with the name of the optimizer.
        model: network whose parameters it updates.
    """
    if optim.optimizer == "adamw":
        return torch.optim.AdamW(model.parameters(), optim.learning_rate, optim.betas, weight_decay=optim.weight_decay)
    if optim.optimizer == "sgd":
        return torch.optim.SGD(
            model.parameters(),
            optim.learning_rate,
            optim.momentum,
            weight_decay=optim.weight_decay,
            nesterov=optim.momentum > 0,
        )
    if optim.optimizer == "muon":
        return Muon(model.parameters(), optim.learning_rate, optim.betas)
    return torch.optim.Adam(model.parameters(), optim.learning_rate, optim.betas)


def moving_average(decay: float) -> Callable[[Any, Any, Any], None]:
    """Return an exponential moving average whose decay grows during the first steps.

    The first steps, when weights change fastest, then have little influence on the average of a short run.

    Args:
        decay: decay after the first steps, 0 to 1. 0 turns the averaging off.

    Returns:
        A function for the argument `multi_avg_fn` of `torch.optim.swa_utils.AveragedModel`.
    """

    @torch.no_grad()
    def update(averaged: list[Tensor], current: list[Tensor], count: Any) -> None:
        if not averaged[0].is_floating_point():  # numbers of channels and the like, which have no average
            for old, new in zip(averaged, current, strict=True):
                old.copy_(new)
            return
        number = int(count)
        current_decay = min(decay, (1 + number) / (10 + number)) if decay else 0.0
        get_ema_multi_avg_fn(current_decay)(averaged, current, count)

    return update


class Muon(torch.optim.Optimizer):
    """Updates matrices with orthogonalized momentum (Muon), and all other parameters with Adam.

    An orthogonalized step moves weak directions of the gradient as far as strong ones. `torch.optim.Muon` accepts
    parameters with two axes only. This optimizer also treats the kernels of a convolution as a matrix, with a row per
    output channel and a column per input channel and kernel position.

    Args:
        parameters: parameters of the network. A parameter is a matrix if it has two axes or more, and more than
            `smallest` input and output channels. Biases, normalization layers and the layers next to pixels use Adam.
        lr: learning rate of both kinds of parameters. The root mean square of a step of a matrix is 0.2 times this
            rate, which is typical for Adam.
        betas: decays of the running mean and of the running square of Adam.
        momentum: decay of the running mean of the gradient of a matrix.
        smallest: largest number of input or output channels for which a parameter is left to Adam. The default is 3,
            the channels of an image.

    Source: Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024; the factor 0.2 sqrt(longer
    side) from Liu et al., "Muon is Scalable for LLM Training", 2025.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        momentum: float = 0.95,
        smallest: int = 3,
    ):
        all_parameters = list(parameters)
        matrices = [p for p in all_parameters if p.ndim >= 2 and min(p.shape[:2]) > smallest]
        matrix_ids = {id(p) for p in matrices}
        groups = [
            {"params": matrices, "orthogonal": True},
            {"params": [p for p in all_parameters if id(p) not in matrix_ids], "orthogonal": False},
        ]
        super().__init__(
            [group for group in groups if group["params"]], {"lr": lr, "betas": betas, "momentum": momentum}
        )

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update all parameters that have a gradient.

        Args:
            closure: function that computes the loss again, or None.

        Returns:
            The loss that `closure` returned, or None.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            if not parameters:
                continue
            if not group["orthogonal"]:
                self._adam(parameters, group)
                continue
            for alike in _of_one_shape(parameters):
                self._orthogonal(alike, group)
        return loss

    def _orthogonal(self, parameters: list[nn.Parameter], group: dict[str, Any]) -> None:
        """Update matrices of one shape with their Nesterov momentum, orthogonalized to singular values near 1.

        They are computed together: on a GPU, starting many small computations would take longer than the computations.
        """
        gradients = _gradients(parameters)
        states = [self.state[parameter] for parameter in parameters]
        averages = [state.setdefault("average", torch.zeros_like(parameters[0])) for state in states]
        torch._foreach_lerp_(averages, gradients, 1 - group["momentum"])  # type: ignore
        update = torch.lerp(torch.stack(gradients), torch.stack(averages), group["momentum"]).flatten(2)
        step = 0.2 * group["lr"] * max(update.shape[1:]) ** 0.5
        moves = [*orthogonalize(update).view(-1, *parameters[0].shape)]
        torch._foreach_add_(list[Tensor](parameters), moves, alpha=-step)  # type: ignore

    def _adam(self, parameters: list[nn.Parameter], group: dict[str, Any]) -> None:
        """Update parameters with Adam, with an epsilon of 1e-8."""
        states = [self.state[parameter] for parameter in parameters]
        for parameter, state in zip(parameters, states, strict=True):
            if not state:
                state |= {
                    "average": torch.zeros_like(parameter),
                    "square": torch.zeros_like(parameter),
                    "step": torch.zeros(()),
                }
        first, second = group["betas"]
        adam(
            list[Tensor](parameters),
            _gradients(parameters),
            [state["average"] for state in states],
            [state["square"] for state in states],
            [],
            [state["step"] for state in states],
            amsgrad=False,
            beta1=first,
            beta2=second,
            lr=group["lr"],
            weight_decay=0.0,
            eps=1e-8,
            maximize=False,
        )


def _gradients(parameters: list[nn.Parameter]) -> list[Tensor]:
    """Return the gradients of parameters that have one."""
    return [parameter.grad for parameter in parameters if parameter.grad is not None]


def _of_one_shape(parameters: list[nn.Parameter]) -> list[list[nn.Parameter]]:
    """Return the parameters, grouped by their shape."""
    groups: dict[torch.Size, list[nn.Parameter]] = {}
    for parameter in parameters:
        groups.setdefault(parameter.shape, []).append(parameter)
    return [*groups.values()]


def orthogonalize(matrices: Float[Tensor, "*batch M N"], steps: int = 5) -> Float[Tensor, "*batch M N"]:
    """Return matrices with the same singular vectors, and singular values near 1.

    Args:
        matrices: matrices of any scale, each treated by itself.
        steps: number of Newton-Schulz iterations. 5 iterations bring singular values above 1 % of the norm to between
            0.6 and 1.3.

    Returns:
        The matrices in the same dtype. A matrix of zeros stays zero.

    Source: the quintic iteration of Jordan et al., 2024. They compute it in bfloat16. On a CPU without bfloat16,
    float32 is four times as fast.
    """
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    x = x.reshape(-1, *x.shape[-2:])
    x = x / (torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        polynomial = torch.baddbmm(gram, gram, gram, beta=-4.7750, alpha=2.0315)
        x = torch.baddbmm(x, polynomial, x, beta=3.4445)
    return (x.mT if tall else x).reshape(matrices.shape)
