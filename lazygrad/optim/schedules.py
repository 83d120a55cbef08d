"""Learning-rate schedules: functions of the number of updates made so far.

A schedule is part of the graph. The step count is a variable, so the rate changes without anything
being compiled again. Rates are computed in float64.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from lazygrad.errors import SpecError, report
from lazygrad.graph.registry import here
from lazygrad.graph.tensor import Tensor
from lazygrad.names import publish as _publish
from lazygrad.ops.arithmetic import floor, minimum, power
from lazygrad.ops.comparison import clip, less, where
from lazygrad.ops.elementary import cos
from lazygrad.ops.source import full_like

__all__ = ["Constant", "Cosine", "Exponential", "InverseTime", "Piecewise", "Schedule", "WarmUp"]


class Schedule:
    """A learning rate as a function of ``step``, the number of updates made before, a float64 scalar.

    A subclass is a frozen dataclass of numbers, so that equal schedules are equal.
    """

    def __call__(self, step: Tensor) -> Tensor:
        """The rate at ``step``."""
        raise NotImplementedError


def _require_numbers(schedule: Any) -> None:
    """Every field is a finite number, a switch, or a tuple of finite numbers."""
    for field in fields(schedule):
        value = getattr(schedule, field.name)
        for number in value if isinstance(value, tuple) else (value,):
            real = isinstance(number, (int, float, np.integer, np.floating)) and isinstance(number, bool) <= (
                field.type == "bool"
            )
            what = "finite numbers" if isinstance(value, tuple) else "a finite number"
            _require(real and bool(np.isfinite(number)), schedule, f"{field.name} must be {what}.")


def _require(condition: bool, schedule: Schedule, what: str) -> None:
    if not condition:
        raise SpecError(report(f"cannot make {schedule}", at=here(), cure=what))


@dataclass(frozen=True)
class Constant(Schedule):
    """The same rate at every step."""

    rate: float

    def __post_init__(self) -> None:
        _require_numbers(self)

    def __call__(self, step: Tensor) -> Tensor:
        """The rate at ``step``."""
        return full_like(step, self.rate)


@dataclass(frozen=True)
class InverseTime(Schedule):
    """rate / (1 + decay · step / steps); with ``staircase`` the quotient step / steps is rounded down."""

    rate: float
    decay: float
    steps: float = 1.0
    staircase: bool = False

    def __post_init__(self) -> None:
        _require_numbers(self)
        _require(self.steps > 0, self, "steps must be positive.")

    def __call__(self, step: Tensor) -> Tensor:
        """The rate at ``step``."""
        t = step / self.steps
        return self.rate / (1 + self.decay * (floor(t) if self.staircase else t))


@dataclass(frozen=True)
class Exponential(Schedule):
    """rate · factor ^ (step / steps); with ``staircase`` the quotient is rounded down."""

    rate: float
    factor: float
    steps: float = 1.0
    staircase: bool = False

    def __post_init__(self) -> None:
        _require_numbers(self)
        _require(self.steps > 0 and self.factor > 0, self, "steps and factor must be positive.")

    def __call__(self, step: Tensor) -> Tensor:
        """The rate at ``step``."""
        t = step / self.steps
        return self.rate * power(self.factor, floor(t) if self.staircase else t)


@dataclass(frozen=True)
class Piecewise(Schedule):
    """``rates[i]`` until step ``boundaries[i]``, the last rate after the last boundary."""

    boundaries: tuple[int, ...]
    rates: tuple[float, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "boundaries", tuple(self.boundaries))
        object.__setattr__(self, "rates", tuple(self.rates))
        _require_numbers(self)
        _require(len(self.rates) == len(self.boundaries) + 1, self, "There must be one rate more than boundaries.")
        _require(list(self.boundaries) == sorted(self.boundaries), self, "The boundaries must increase.")

    def __call__(self, step: Tensor) -> Tensor:
        """The rate at ``step``."""
        rate = full_like(step, self.rates[-1])
        for boundary, before in reversed(list(zip(self.boundaries, self.rates, strict=False))):
            rate = where(less(step, boundary), before, rate)
        return rate


@dataclass(frozen=True)
class Cosine(Schedule):
    """From ``rate`` to ``final`` along half a cosine in ``steps`` steps (Loshchilov and Hutter 2017, §3)."""

    rate: float
    steps: float
    final: float = 0.0

    def __post_init__(self) -> None:
        _require_numbers(self)
        _require(self.steps > 0, self, "steps must be positive.")

    def __call__(self, step: Tensor) -> Tensor:
        """The rate at ``step``."""
        done = minimum(step / self.steps, 1.0)
        return self.final + (self.rate - self.final) * 0.5 * (1 + cos(math.pi * done))


@dataclass(frozen=True)
class WarmUp(Schedule):
    """Grows in equal parts to the rate of ``after`` in ``steps`` steps, then follows ``after`` from its start."""

    steps: int
    after: Schedule | float

    def __post_init__(self) -> None:
        number = isinstance(self.steps, (int, float, np.integer, np.floating)) and not isinstance(self.steps, bool)
        _require(number and 0 < self.steps < math.inf, self, "steps must be positive.")
        if not isinstance(self.after, Schedule):
            object.__setattr__(self, "after", Constant(self.after))

    def __call__(self, step: Tensor) -> Tensor:
        """The rate at ``step``."""
        assert isinstance(self.after, Schedule)
        factor = minimum((step + 1) / self.steps, 1.0)
        return factor * self.after(clip(step - self.steps, 0.0, None))


_publish(__name__, "lg.optim.schedules")
