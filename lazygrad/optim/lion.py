"""Lion."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from lazygrad.graph.tensor import Tensor
from lazygrad.ops.arithmetic import sign
from lazygrad.optim.base import FRACTION, NOT_NEGATIVE, Numbers, Optimizer, Ranges, pair
from lazygrad.optim.groups import GivenRates, GivenRule
from lazygrad.optim.schedules import Schedule

if TYPE_CHECKING:
    from lazygrad.environment import VariableEnvironment

__all__ = ["Lion"]


class Lion(Optimizer):
    """p ← p − λ·(sign(β₁·m + (1−β₁)·g) + decay·p),  m ← β₂·m + (1−β₂)·g (Chen et al. 2023, Algorithm 2).

    Args:
        env: the environment.
        learning_rate: λ; about a tenth of Adam's.
        betas: β₁ and β₂.
        weight_decay: decay.
        name: namespace of its state.
        rates: learning rates of parts of a network by names, see :class:`Optimizer`.
        decay: which variables decay, by names or a function, see :class:`Optimizer`; all, if not given.
    """

    by_element = True
    slots = ("m",)
    ranges: ClassVar[Ranges] = {**Optimizer.ranges, "beta1": FRACTION, "beta2": FRACTION, "weight_decay": NOT_NEGATIVE}

    def __init__(
        self,
        env: VariableEnvironment,
        learning_rate: float | Schedule = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        name: str | None = None,
        *,
        rates: GivenRates | None = None,
        decay: GivenRule | None = None,
    ) -> None:
        beta1, beta2 = pair("betas", betas)
        settings = {"learning_rate": learning_rate, "beta1": beta1, "beta2": beta2}
        super().__init__(env, {**settings, "weight_decay": weight_decay}, name, rates=rates, decay=decay)

    def prepare(self, settings: Numbers) -> Numbers:
        """With 1 − β₁ and 1 − β₂, which float32 would round."""
        return {**settings, "rest1": 1 - settings["beta1"], "rest2": 1 - settings["beta2"]}

    def step(self, p: Tensor, g: Tensor, state: Numbers, settings: Numbers) -> tuple[Tensor, dict[str, Tensor]]:
        """The update of one parameter."""
        m = state["m"]
        direction = sign(settings["beta1"] * m + settings["rest1"] * g)
        if "weight_decay" in settings:
            direction = direction + settings["weight_decay"] * p
        return p - settings["learning_rate"] * direction, {"m": settings["beta2"] * m + settings["rest2"] * g}
