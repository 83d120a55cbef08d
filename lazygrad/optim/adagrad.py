"""AdaGrad."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from lazygrad.graph.tensor import Tensor
from lazygrad.ops.arithmetic import sqrt, square
from lazygrad.optim.base import NOT_NEGATIVE, Numbers, Optimizer, Ranges
from lazygrad.optim.groups import GivenRates
from lazygrad.optim.schedules import Schedule

if TYPE_CHECKING:
    from lazygrad.environment import VariableEnvironment

__all__ = ["AdaGrad"]


class AdaGrad(Optimizer):
    """h ← h + g²,  p ← p − λ·g / (√h + ε) (Duchi, Hazan and Singer 2011, §1).

    Args:
        env: the environment.
        learning_rate: λ.
        eps: ε.
        name: namespace of its state.
        rates: learning rates of parts of a network by names, see :class:`Optimizer`.
    """

    by_element = True
    slots = ("h",)
    ranges: ClassVar[Ranges] = {**Optimizer.ranges, "eps": NOT_NEGATIVE}

    def __init__(
        self,
        env: VariableEnvironment,
        learning_rate: float | Schedule = 0.01,
        eps: float = 1e-7,
        name: str | None = None,
        *,
        rates: GivenRates | None = None,
    ) -> None:
        super().__init__(env, {"learning_rate": learning_rate, "eps": eps}, name, rates=rates)

    def step(self, p: Tensor, g: Tensor, state: Numbers, settings: Numbers) -> tuple[Tensor, dict[str, Tensor]]:
        """The update of one parameter."""
        h = state["h"] + square(g)
        rate, eps = settings["learning_rate"], settings["eps"]
        return p - rate * (g / (sqrt(h) + eps)), {"h": h}
