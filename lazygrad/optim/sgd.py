"""Stochastic gradient descent, with momentum."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from lazygrad.errors import SpecError, report
from lazygrad.graph.registry import here
from lazygrad.graph.tensor import Tensor
from lazygrad.optim.base import NOT_NEGATIVE, Numbers, Optimizer, Ranges
from lazygrad.optim.groups import GivenRates, GivenRule
from lazygrad.optim.schedules import Schedule

if TYPE_CHECKING:
    from lazygrad.environment import VariableEnvironment

__all__ = ["SGD"]


class SGD(Optimizer):
    """p ← p − λ·v with v ← μ·v + g, as PyTorch's ``SGD``.

    With ``nesterov`` the step is along g + μ·v (Sutskever et al. 2013). Weight decay is added to the
    gradient: g + decay·p.

    Args:
        env: the environment.
        learning_rate: λ.
        momentum: μ; 0 needs no state.
        nesterov: whether to look ahead.
        weight_decay: decay.
        name: namespace of its state.
        rates: learning rates of parts of a network by names, see :class:`Optimizer`.
        decay: which variables decay, by names or a function, see :class:`Optimizer`; all, if not given.

    Raises:
        SpecError: a setting is out of range, or ``nesterov`` is asked for without momentum.
    """

    by_element = True
    ranges: ClassVar[Ranges] = {**Optimizer.ranges, "momentum": NOT_NEGATIVE, "weight_decay": NOT_NEGATIVE}

    def __init__(
        self,
        env: VariableEnvironment,
        learning_rate: float | Schedule = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        name: str | None = None,
        *,
        rates: GivenRates | None = None,
        decay: GivenRule | None = None,
    ) -> None:
        settings = {"learning_rate": learning_rate, "momentum": momentum, "weight_decay": weight_decay}
        for key, value in settings.items():
            self._checked(key, value)
        if nesterov and not momentum:
            cure = "Nesterov's method looks ahead along the velocity: give a momentum, such as 0.9."
            raise SpecError(report("cannot use nesterov=True without momentum", at=here(), cure=cure))
        self.nesterov = bool(nesterov)
        self.slots = ("velocity",) if momentum else ()
        # What is zero needs no variable and no arithmetic.
        super().__init__(
            env, {k: v for k, v in settings.items() if v != 0 or k == "learning_rate"}, name, rates=rates, decay=decay
        )

    def _key(self) -> Any:
        return (*super()._key(), self.nesterov)

    def step(self, p: Tensor, g: Tensor, state: Numbers, settings: Numbers) -> tuple[Tensor, dict[str, Tensor]]:
        """The update of one parameter."""
        rate = settings["learning_rate"]
        if "weight_decay" in settings:
            g = g + settings["weight_decay"] * p
        if "momentum" not in settings:
            return p - rate * g, {}
        momentum = settings["momentum"]
        v = momentum * state["velocity"] + g
        return p - rate * (g + momentum * v if self.nesterov else v), {"velocity": v}
