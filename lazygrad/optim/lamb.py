"""Adam whose steps are as long as the weights want."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from lazygrad.graph.tensor import Tensor
from lazygrad.ops.arithmetic import sqrt
from lazygrad.ops.comparison import greater, where
from lazygrad.ops.corners import length_of_all
from lazygrad.optim.adam import AdamW, moments
from lazygrad.optim.base import Numbers, Optimizer, Ranges, pair
from lazygrad.optim.groups import GivenRates, GivenRule
from lazygrad.optim.schedules import Schedule

if TYPE_CHECKING:
    from lazygrad.environment import VariableEnvironment

__all__ = ["Lamb"]


class Lamb(Optimizer):
    """Adam with a step in proportion to the length of each parameter, for large batches (You et al. 2020, Algorithm 2).

    u = m̂ / (√v̂ + ε) + decay·p, with m̂ and v̂ as in :class:`Adam`, and p ← p − λ·(‖p‖ / ‖u‖)·u; a quotient with a
    length of 0 counts as 1.

    Args:
        env: the environment.
        learning_rate: λ, the length of a step relative to that of the parameter.
        betas: β₁ and β₂.
        eps: ε.
        weight_decay: decay.
        name: namespace of its state.
        rates: learning rates of parts of a network by names, see :class:`Optimizer`.
        decay: which variables decay, by names or a function, see :class:`Optimizer`; all, if not given.
    """

    slots = ("m", "v")
    ranges: ClassVar[Ranges] = AdamW.ranges

    def __init__(
        self,
        env: VariableEnvironment,
        learning_rate: float | Schedule = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
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
        """m̂ / (√v̂ + ε) = scale·m / (√v + eps): so the correction of the bias touches only scalars."""
        beta1, beta2, t = settings["beta1"], settings["beta2"], settings["t"]
        root = sqrt(1 - beta2**t)
        return {
            **settings,
            "rest1": 1 - beta1,
            "rest2": 1 - beta2,
            "scale": root / (1 - beta1**t),
            "eps": settings["eps"] * root,
        }

    def step(self, p: Tensor, g: Tensor, state: Numbers, settings: Numbers) -> tuple[Tensor, dict[str, Tensor]]:
        """The update of one parameter."""
        m, v = moments(g, state, settings)
        u = settings["scale"] * (m / (sqrt(v) + settings["eps"]))
        if "weight_decay" in settings:
            u = u + settings["weight_decay"] * p
        of_p, of_u = length_of_all([p]), length_of_all([u])
        trust = where(greater(of_p, 0) & greater(of_u, 0), of_p / of_u, 1)
        return p - settings["learning_rate"] * trust * u, {"m": m, "v": v}
