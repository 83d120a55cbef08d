"""Adam with Nesterov's momentum."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from lazygrad.graph.tensor import Tensor
from lazygrad.ops.arithmetic import sqrt
from lazygrad.optim.adam import AdamW, moments
from lazygrad.optim.base import NOT_NEGATIVE, Numbers, Optimizer, Ranges, pair
from lazygrad.optim.decay import decayed, left
from lazygrad.optim.groups import GivenRates, GivenRule
from lazygrad.optim.schedules import Schedule

if TYPE_CHECKING:
    from lazygrad.environment import VariableEnvironment

__all__ = ["NAdam"]


class NAdam(Optimizer):
    """Adam that looks ahead along its momentum (Dozat 2016, Algorithm 2, with the schedule of Sutskever et al. 2013).

    m and v as in :class:`Adam`; μₜ = β₁·(1 − ½·0.96^(ψt)), and Πₜ is the product of μ₁ to μₜ. Then
    p ← p − λ·(μₜ₊₁·m / (1−Πₜ₊₁) + (1−μₜ)·g / (1−Πₜ)) / (√v̂ + ε).

    Args:
        env: the environment.
        learning_rate: λ.
        betas: β₁ and β₂.
        eps: ε.
        weight_decay: p ← p − λ·decay·p before the step, as in :class:`AdamW`.
        momentum_decay: ψ, by which the momentum grows to β₁.
        name: namespace of its state.
        rates: learning rates of parts of a network by names, see :class:`Optimizer`.
        decay: which variables decay, by names or a function, see :class:`Optimizer`; all, if not given.
    """

    by_element = True
    slots = ("m", "v")
    totals: ClassVar = {"product": 1.0}
    ranges: ClassVar[Ranges] = {**AdamW.ranges, "momentum_decay": NOT_NEGATIVE}

    def __init__(
        self,
        env: VariableEnvironment,
        learning_rate: float | Schedule = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 4e-3,
        name: str | None = None,
        *,
        rates: GivenRates | None = None,
        decay: GivenRule | None = None,
    ) -> None:
        beta1, beta2 = pair("betas", betas)
        settings = {"learning_rate": learning_rate, "beta1": beta1, "beta2": beta2, "eps": eps}
        settings |= {"weight_decay": weight_decay, "momentum_decay": momentum_decay}
        super().__init__(env, settings, name, rates=rates, decay=decay)

    @staticmethod
    def _momentum(settings: Numbers, ahead: int) -> Tensor:
        """μ of this step, or of the one ahead."""
        return settings["beta1"] * (1 - 0.5 * 0.96 ** ((settings["t"] + ahead) * settings["momentum_decay"]))

    def carry(self, settings: Numbers) -> Numbers:
        """Πₜ."""
        return {"product": settings["product"] * self._momentum(settings, 0)}

    def prepare(self, settings: Numbers) -> Numbers:
        """The step is p − (of_m·m + of_g·g) / (√v + eps): so the correction of the bias touches only scalars."""
        now, ahead = self._momentum(settings, 0), self._momentum(settings, 1)
        product = settings["product"] * now
        root = sqrt(1 - settings["beta2"] ** settings["t"])
        rate = settings["learning_rate"] * root
        prepared = {
            "beta1": settings["beta1"],
            "beta2": settings["beta2"],
            "rest1": 1 - settings["beta1"],
            "rest2": 1 - settings["beta2"],
            "of_m": rate * ahead / (1 - product * ahead),
            "of_g": rate * (1 - now) / (1 - product),
            "eps": settings["eps"] * root,
        }
        return {**prepared, **left(settings)}

    def step(self, p: Tensor, g: Tensor, state: Numbers, settings: Numbers) -> tuple[Tensor, dict[str, Tensor]]:
        """The update of one parameter."""
        m, v = moments(g, state, settings)
        p = decayed(p, settings)
        ahead = settings["of_m"] * m + settings["of_g"] * g
        return p - ahead / (sqrt(v) + settings["eps"]), {"m": m, "v": v}
