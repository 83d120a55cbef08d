"""Adafactor."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from lazygrad.graph.spec import Shape
from lazygrad.graph.tensor import Tensor
from lazygrad.ops.arithmetic import maximum, minimum, sqrt, square
from lazygrad.ops.movement import expand_dims
from lazygrad.ops.reduction import sum
from lazygrad.optim.base import NOT_NEGATIVE, Numbers, Optimizer, Ranges, pair
from lazygrad.optim.decay import decayed, left
from lazygrad.optim.groups import GivenRates, GivenRule
from lazygrad.optim.schedules import Schedule

if TYPE_CHECKING:
    from lazygrad.environment import VariableEnvironment

__all__ = ["Adafactor"]


class Adafactor(Optimizer):
    """Scaling by the mean squares of rows and columns, which need little memory (Shazeer and Stern 2018, Algorithm 4).

    For a matrix R ← β·R + (1−β)·mean of g² + ε₁ over columns, C likewise over rows, and V = R·C / mean(R); for
    vectors V ← β·V + (1−β)·(g² + ε₁); β = 1 − t^decay_rate. With u = g / √V, clipped to u / max(1, rms(u) / d),
    p ← p − min(λ, 1/√t)·max(ε₂, rms(p))·u. Of a parameter with more axes the last two are rows and columns.

    Args:
        env: the environment.
        learning_rate: λ, the longest step relative to the parameter.
        decay_rate: of how fast β tends to 1, a negative number.
        eps: ε₁ and ε₂.
        clip: d.
        weight_decay: p ← p − λ·decay·p before the step, as in :class:`AdamW`.
        name: namespace of its state.
        rates: learning rates of parts of a network by names, see :class:`Optimizer`.
        decay: which variables decay, by names or a function, see :class:`Optimizer`; all, if not given.
    """

    ranges: ClassVar[Ranges] = {
        **Optimizer.ranges,
        "decay_rate": (-10.0, 0.0),
        "eps1": NOT_NEGATIVE,
        "eps2": NOT_NEGATIVE,
        "clip": NOT_NEGATIVE,
        "weight_decay": NOT_NEGATIVE,
    }

    def __init__(
        self,
        env: VariableEnvironment,
        learning_rate: float | Schedule = 1e-2,
        decay_rate: float = -0.8,
        eps: tuple[float, float] = (1e-30, 1e-3),
        clip: float = 1.0,
        weight_decay: float = 0.0,
        name: str | None = None,
        *,
        rates: GivenRates | None = None,
        decay: GivenRule | None = None,
    ) -> None:
        eps1, eps2 = pair("eps", eps)
        settings = {"learning_rate": learning_rate, "decay_rate": decay_rate, "eps1": eps1, "eps2": eps2}
        settings |= {"clip": clip, "weight_decay": weight_decay}
        super().__init__(env, settings, name, rates=rates, decay=decay)

    def prepare(self, settings: Numbers) -> Numbers:
        """The numbers of this step."""
        t = settings["t"]
        forget = t ** settings["decay_rate"]
        prepared = {
            "beta": 1 - forget,
            "rest": forget,
            "rate": minimum(settings["learning_rate"], 1 / sqrt(t)),
            "eps1": settings["eps1"],
            "eps2": settings["eps2"],
            "clip": settings["clip"],
        }
        return {**prepared, **left(settings)}

    def state_shapes(self, shape: Shape) -> dict[str, Shape]:
        """A number a row and a number a column; for what has neither, one an element."""
        if len(shape) < 2:
            return {"v": shape}
        return {"rows": shape[:-1], "columns": (*shape[:-2], shape[-1])}

    def step(self, p: Tensor, g: Tensor, state: Numbers, settings: Numbers) -> tuple[Tensor, dict[str, Tensor]]:
        """The update of one parameter."""
        beta, rest, squares = settings["beta"], settings["rest"], square(g) + settings["eps1"]
        if "v" in state:
            new = {"v": beta * state["v"] + rest * squares}
            u = g / sqrt(new["v"])
        else:
            rows = beta * state["rows"] + rest * _mean(squares, -1)
            columns = beta * state["columns"] + rest * _mean(squares, -2)
            new = {"rows": rows, "columns": columns}
            # Divided by the mean first, as the product of a row and a column may be out of range.
            share = rows / expand_dims(_mean(rows, -1), -1)
            u = g / (expand_dims(sqrt(share), -1) * expand_dims(sqrt(columns), -2))
        length = settings["rate"] * maximum(settings["eps2"], _rms(p))
        p = decayed(p, settings)
        return p - length * (u / maximum(1, _rms(u) / settings["clip"])), new


def _mean(x: Tensor, axis: int | None) -> Tensor:
    """The mean, 0 of nothing."""
    count = x.size if axis is None else x.shape[axis]
    return sum(x, axis=axis) / max(count, 1)


def _rms(x: Tensor) -> Tensor:
    """The root of the mean square."""
    return sqrt(_mean(square(x), None))
