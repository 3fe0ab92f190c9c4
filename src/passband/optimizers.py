"""The optimizer Muon for networks of convolutions."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn


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
            move = self._orthogonal if group["orthogonal"] else self._adam
            for parameter in group["params"]:
                if parameter.grad is not None:
                    move(parameter, self.state[parameter], group)
        return loss

    @staticmethod
    def _orthogonal(parameter: nn.Parameter, state: dict[str, Any], group: dict[str, Any]) -> None:
        """Update a matrix with its Nesterov momentum, orthogonalized to singular values near 1."""
        assert parameter.grad is not None
        average = state.setdefault("average", torch.zeros_like(parameter))
        average.lerp_(parameter.grad, 1 - group["momentum"])
        update = parameter.grad.lerp(average, group["momentum"]).flatten(1)
        step = 0.2 * group["lr"] * max(update.shape) ** 0.5
        parameter.add_(orthogonalize(update).view_as(parameter), alpha=-step)

    @staticmethod
    def _adam(parameter: nn.Parameter, state: dict[str, Any], group: dict[str, Any]) -> None:
        """Update a parameter with Adam, with an epsilon of 1e-8."""
        assert parameter.grad is not None
        average = state.setdefault("average", torch.zeros_like(parameter))
        square = state.setdefault("square", torch.zeros_like(parameter))
        state["step"] = steps = state.get("step", 0) + 1
        first, second = group["betas"]
        average.lerp_(parameter.grad, 1 - first)
        square.lerp_(parameter.grad.square(), 1 - second)
        spread = (square / (1 - second**steps)).sqrt_().add_(1e-8)
        parameter.addcdiv_(average, spread, value=-group["lr"] / (1 - first**steps))


def orthogonalize(matrix: Float[Tensor, "M N"], steps: int = 5) -> Float[Tensor, "M N"]:
    """Return a matrix with the same singular vectors, and singular values near 1.

    Args:
        matrix: matrix of any scale.
        steps: number of Newton-Schulz iterations. 5 iterations bring singular values above 1 % of the norm to between
            0.6 and 1.3.

    Returns:
        The matrix in the same dtype. A matrix of zeros stays zero.

    Source: the quintic iteration of Jordan et al., 2024. They compute it in bfloat16. On a CPU without bfloat16,
    float32 is four times as fast.
    """
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        gram = x @ x.T
        polynomial = torch.addmm(gram, gram, gram, beta=-4.7750, alpha=2.0315)
        x = torch.addmm(x, polynomial, x, beta=3.4445)
    return x.T if tall else x
