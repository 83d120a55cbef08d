"""Adam with a rectified start."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from lazygrad.graph.tensor import Tensor
from lazygrad.ops.arithmetic import sqrt
from lazygrad.ops.comparison import greater, where
from lazygrad.optim.adam import AdamW, moments
from lazygrad.optim.base import Numbers, Optimizer, Ranges, pair
from lazygrad.optim.decay import decayed, left
from lazygrad.optim.groups import GivenRates, GivenRule
from lazygrad.optim.schedules import Schedule

if TYPE_CHECKING:
    from lazygrad.environment import VariableEnvironment

__all__ = ["RAdam"]


class RAdam(Optimizer):
    """Adam whose first steps are those of momentum, as its v is not yet known (Liu et al. 2020, Algorithm 2).

    With ρ∞ = 2/(1−β₂) − 1 and ρ = ρ∞ − 2t·β₂ᵗ/(1−β₂ᵗ), p ← p − λ·m̂ while ρ ≤ 5, and then p ← p − λ·r·m̂ / √v̂, where
    r² = (ρ−4)(ρ−2)ρ∞ / ((ρ∞−4)(ρ∞−2)ρ), and √v̂ = (√v + ε) / √(1−β₂ᵗ). The paper has 4 for 5, which is PyTorch's.

    Args:
        env: the environment.
        learning_rate: λ.
        betas: β₁ and β₂.
        eps: ε.
        weight_decay: p ← p − λ·decay·p before the step, as in :class:`AdamW`.
        name: namespace of its state.
        rates: learning rates of parts of a network by names, see :class:`Optimizer`.
        decay: which variables decay, by names or a function, see :class:`Optimizer`; all, if not given.
    """

    by_element = True
    slots = ("m", "v")
    ranges: ClassVar[Ranges] = AdamW.ranges

    def __init__(
        self,
        env: VariableEnvironment,
        learning_rate: float | Schedule = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        name: str | None = None,
        *,
        rates: GivenRates | None = None,
        decay: GivenRule | None = None,
    ) -> None:
        beta1, beta2 = pair("betas", betas)
        settings = {"learning_rate": learning_rate, "beta1": beta1, "beta2": beta2, "eps": eps}
        super().__init__(env, {**settings, "weight_decay": weight_decay}, name, rates=rates, decay=decay)

    def prepare(self, settings: Numbers) -> Numbers:
        """The step is p − rate·m / divisor; the divisor is 1 at first, and √v + ε from then on."""
        beta1, beta2, t = settings["beta1"], settings["beta2"], settings["t"]
        power = beta2**t
        most = 2 / (1 - beta2) - 1
        rho = most - 2 * t * power / (1 - power)
        rectified = greater(rho, 5.0)
        part = where(rectified, (rho - 4) * (rho - 2) * most / ((most - 4) * (most - 2) * rho), 1.0)
        plain = settings["learning_rate"] / (1 - beta1**t)
        prepared = {
            "beta1": beta1,
            "beta2": beta2,
            "rest1": 1 - beta1,
            "rest2": 1 - beta2,
            "rate": plain * where(rectified, sqrt(part * (1 - power)), 1.0),
            "rectified": rectified,
            "eps": settings["eps"],
        }
        return {**prepared, **left(settings)}

    def step(self, p: Tensor, g: Tensor, state: Numbers, settings: Numbers) -> tuple[Tensor, dict[str, Tensor]]:
        """The update of one parameter."""
        m, v = moments(g, state, settings)
        divisor = where(greater(settings["rectified"], 0), sqrt(v) + settings["eps"], 1)
        p = decayed(p, settings)
        return p - settings["rate"] * (m / divisor), {"m": m, "v": v}
