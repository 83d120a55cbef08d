"""RMSprop."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from lazygrad.graph.tensor import Tensor
from lazygrad.ops.arithmetic import sqrt, square
from lazygrad.optim.base import FRACTION, NOT_NEGATIVE, Numbers, Optimizer, Ranges
from lazygrad.optim.groups import GivenRates
from lazygrad.optim.schedules import Schedule

if TYPE_CHECKING:
    from lazygrad.environment import VariableEnvironment

__all__ = ["RMSprop"]


class RMSprop(Optimizer):
    """v ← ρ·v + (1−ρ)·g²,  p ← p − λ·g / (√v + ε) (Tieleman and Hinton 2012, lecture 6.5), as PyTorch's.

    With ``momentum`` the quotient passes through a velocity, u ← μ·u + g / (√v + ε), and p ← p − λ·u.

    Args:
        env: the environment.
        learning_rate: λ.
        rho: ρ.
        eps: ε.
        momentum: μ; 0 needs no velocity.
        name: namespace of its state.
        rates: learning rates of parts of a network by names, see :class:`Optimizer`.
    """

    by_element = True
    ranges: ClassVar[Ranges] = {**Optimizer.ranges, "rho": FRACTION, "eps": NOT_NEGATIVE, "momentum": NOT_NEGATIVE}

    def __init__(
        self,
        env: VariableEnvironment,
        learning_rate: float | Schedule = 0.01,
        rho: float = 0.99,
        eps: float = 1e-8,
        momentum: float = 0.0,
        name: str | None = None,
        *,
        rates: GivenRates | None = None,
    ) -> None:
        settings = {"learning_rate": learning_rate, "rho": rho, "eps": eps}
        self._checked("momentum", momentum)
        if momentum:
            settings["momentum"] = momentum
        self.slots = ("v", "velocity") if momentum else ("v",)
        super().__init__(env, settings, name, rates=rates)

    def prepare(self, settings: Numbers) -> Numbers:
        """With 1 − ρ, which float32 would round."""
        return {**settings, "rest": 1 - settings["rho"]}

    def step(self, p: Tensor, g: Tensor, state: Numbers, settings: Numbers) -> tuple[Tensor, dict[str, Tensor]]:
        """The update of one parameter."""
        rate, eps = settings["learning_rate"], settings["eps"]
        v = settings["rho"] * state["v"] + settings["rest"] * square(g)
        scaled = g / (sqrt(v) + eps)
        if "momentum" not in settings:
            return p - rate * scaled, {"v": v}
        u = settings["momentum"] * state["velocity"] + scaled
        return p - rate * u, {"v": v, "velocity": u}
