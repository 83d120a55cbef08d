"""Adam, and Adam with decoupled weight decay."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from lazygrad.graph.tensor import Tensor
from lazygrad.ops.arithmetic import sqrt, square
from lazygrad.optim.base import FRACTION, NOT_NEGATIVE, Numbers, Optimizer, Ranges, pair
from lazygrad.optim.decay import decayed, left
from lazygrad.optim.groups import GivenRates, GivenRule
from lazygrad.optim.schedules import Schedule

if TYPE_CHECKING:
    from lazygrad.environment import VariableEnvironment

__all__ = ["Adam", "AdamW", "moments"]


def moments(g: Tensor, state: Numbers, settings: Numbers) -> tuple[Tensor, Tensor]:
    """The running means m of the gradient and v of its square."""
    m = settings["beta1"] * state["m"] + settings["rest1"] * g
    v = settings["beta2"] * state["v"] + settings["rest2"] * square(g)
    return m, v


class Adam(Optimizer):
    """Adam (Kingma and Ba 2015, Algorithm 1).

    m ← β₁·m + (1−β₁)·g,  v ← β₂·v + (1−β₂)·g²,  p ← p − λ·m̂ / (√v̂ + ε), where m̂ = m / (1−β₁ᵗ) and
    v̂ = v / (1−β₂ᵗ) correct the bias of starting at zero.

    Args:
        env: the environment.
        learning_rate: λ.
        betas: β₁ and β₂.
        eps: ε.
        name: namespace of its state.
        rates: learning rates of parts of a network by names, see :class:`Optimizer`.
    """

    by_element = True
    slots = ("m", "v")
    ranges: ClassVar[Ranges] = {**Optimizer.ranges, "beta1": FRACTION, "beta2": FRACTION, "eps": NOT_NEGATIVE}

    def __init__(
        self,
        env: VariableEnvironment,
        learning_rate: float | Schedule = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        name: str | None = None,
        *,
        rates: GivenRates | None = None,
    ) -> None:
        beta1, beta2 = pair("betas", betas)
        super().__init__(
            env, {"learning_rate": learning_rate, "beta1": beta1, "beta2": beta2, "eps": eps}, name, rates=rates
        )

    def prepare(self, settings: Numbers) -> Numbers:
        """λ·m̂ / (√v̂ + ε) = rate · m / (√v + eps): so the correction of the bias touches only scalars."""
        beta1, beta2, t = settings["beta1"], settings["beta2"], settings["t"]
        root = sqrt(1 - beta2**t)
        return {
            "beta1": beta1,
            "beta2": beta2,
            "rest1": 1 - beta1,
            "rest2": 1 - beta2,
            "rate": settings["learning_rate"] * root / (1 - beta1**t),
            "eps": settings["eps"] * root,
        }

    def step(self, p: Tensor, g: Tensor, state: Numbers, settings: Numbers) -> tuple[Tensor, dict[str, Tensor]]:
        """The update of one parameter."""
        m, v = moments(g, state, settings)
        return p - settings["rate"] * (m / (sqrt(v) + settings["eps"])), {"m": m, "v": v}


class AdamW(Adam):
    """Adam with weight decay that does not pass through the moments (Loshchilov and Hutter 2019, Algorithm 2).

    p ← p − λ·decay·p before the step of :class:`Adam`.

    Args:
        env, learning_rate, betas, eps, name, rates: as for :class:`Adam`.
        weight_decay: decay.
        decay: which variables decay, by names or a function, see :class:`Optimizer`; all, if not given.
    """

    ranges: ClassVar[Ranges] = {**Adam.ranges, "weight_decay": NOT_NEGATIVE}

    def __init__(
        self,
        env: VariableEnvironment,
        learning_rate: float | Schedule = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        name: str | None = None,
        *,
        rates: GivenRates | None = None,
        decay: GivenRule | None = None,
    ) -> None:
        beta1, beta2 = pair("betas", betas)
        settings = {"learning_rate": learning_rate, "beta1": beta1, "beta2": beta2, "eps": eps}
        Optimizer.__init__(self, env, {**settings, "weight_decay": weight_decay}, name, rates=rates, decay=decay)

    def prepare(self, settings: Numbers) -> Numbers:
        """As Adam's, with what the decay leaves of a parameter."""
        return {**super().prepare(settings), **left(settings)}

    def step(self, p: Tensor, g: Tensor, state: Numbers, settings: Numbers) -> tuple[Tensor, dict[str, Tensor]]:
        """The update of one parameter."""
        return super().step(decayed(p, settings), g, state, settings)
