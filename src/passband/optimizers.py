"""Muon: steps of convolutions made orthogonal, so that weak directions of the gradient move as far as strong ones."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Muon(torch.optim.Optimizer):
    """Momentum made orthogonal for the matrices inside a network, Adam for all the rest.

    torch has the first half, `torch.optim.Muon`, for parameters of two axes alone; here the kernels of a convolution
    count as a matrix of output channels x (input channels and positions).

    Args:
        parameters: of the network. Those of two axes or more are matrices where both sides are above
            `smallest`; biases, norms and the layers to and from pixels get Adam.
        lr: the step's root mean square is 0.2 of it for a matrix, as it is for Adam: one rate serves both.
        betas: decay of Adam's running mean and square.
        momentum: decay of the running mean of a matrix's gradient.
        smallest: input and output channels up to this are left to Adam; 3 are those of a picture.

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
        known = list(parameters)
        inner = [p for p in known if p.ndim >= 2 and min(p.shape[:2]) > smallest]
        matrices = {id(p) for p in inner}
        groups = [
            {"params": inner, "orthogonal": True},
            {"params": [p for p in known if id(p) not in matrices], "orthogonal": False},
        ]
        super().__init__(
            [group for group in groups if group["params"]], {"lr": lr, "betas": betas, "momentum": momentum}
        )

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Move the parameters that have a gradient."""
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
        """One step of a matrix: Nesterov momentum, all its singular values made about 1."""
        assert parameter.grad is not None
        average = state.setdefault("average", torch.zeros_like(parameter))
        average.lerp_(parameter.grad, 1 - group["momentum"])
        update = parameter.grad.lerp(average, group["momentum"]).flatten(1)
        step = 0.2 * group["lr"] * max(update.shape) ** 0.5
        parameter.add_(orthogonalize(update).view_as(parameter), alpha=-step)

    @staticmethod
    def _adam(parameter: nn.Parameter, state: dict[str, Any], group: dict[str, Any]) -> None:
        """One step of Adam, with epsilon 1e-8."""
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
    """Bring all singular values of a matrix near 1, its singular vectors kept.

    Args:
        matrix: any but zero; its scale does not matter.
        steps: of a Newton-Schulz iteration; 5 bring singular values above a hundredth of the norm to between 0.6 and
            1.3.

    Returns:
        The matrix, in the dtype it came in; zero for zero.

    Source: the quintic iteration of Jordan et al., 2024, who run it in bfloat16; where a processor has no bfloat16,
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
