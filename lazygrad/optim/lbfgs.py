"""L-BFGS, one evaluation of the loss a step."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from lazygrad.errors import GraphError, VariableError, report
from lazygrad.graph.casting import working
from lazygrad.graph.registry import here
from lazygrad.graph.tensor import Tensor
from lazygrad.ops.arithmetic import abs, minimum
from lazygrad.ops.comparison import equal, greater, greater_equal, isfinite, isinf, less, less_equal, where
from lazygrad.ops.movement import concat, expand_dims, reshape
from lazygrad.ops.reduction import sum
from lazygrad.optim.base import Optimizer
from lazygrad.optim.mover import Change, path_of
from lazygrad.optim.wrapper import whole
from lazygrad.step.context import Context

if TYPE_CHECKING:
    from lazygrad.environment import VariableEnvironment

__all__ = ["LBFGS"]

ENOUGH, LEVEL = 1e-4, 0.9  # c₁ and c₂ of Wolfe's conditions
MOST = 30  # trials along one line, before it starts afresh


class _Line(NamedTuple):
    """The line that is being searched: where it starts and leads, as one vector each, and how far it has been tried."""

    start: Tensor
    gradient: Tensor
    direction: Tensor
    loss: Tensor
    slope: Tensor
    low: Tensor
    high: Tensor
    length: Tensor
    trials: Tensor


class LBFGS(Optimizer):
    """The quasi-Newton method of limited memory, for a loss that is the same function at every call: all of the data.

    The direction is −H·g, where H comes from the last ``memory`` steps s and changes y of the gradient (Nocedal and
    Wright 2006, Algorithm 7.4). Along it a step is found that fulfils Wolfe's weak conditions, f ≤ f₀ + c₁·t·f₀′ and
    f′ ≥ c₂·f₀′ with c₁ = 10⁻⁴ and c₂ = 0.9, by doubling and halving (Lewis and Overton 2013, Algorithm 2.6); near the
    rounding of the loss f ≤ f₀ and f′ ≤ (2c₁−1)·f₀′ is enough (Hager and Zhang 2005, §4).

    Every call evaluates the loss once: it judges the point at which the variables stand, and moves them to the next
    one to be tried, which may be worse. At the end :meth:`settle` takes the last point that was accepted. It needs the
    loss, so it is used with :meth:`minimize`. With ``lg.fit`` a batch is all of the data, and a trial without a finite
    loss ends the training, unless ``on_nonfinite="warn"``. What it remembers is variables of the environment, two
    arrays of ``memory`` times the size of the variables.

    Args:
        env: the environment.
        learning_rate: how long the first trial along a direction is; 1 is Newton's step.
        memory: how many steps H is made of, 1 or more.
        name: namespace of its state.

    Raises:
        SpecError: a setting is out of range.
        GraphError: when it is called without the loss.
        VariableError: when it is called with other variables than before.
    """

    wants_loss = True
    totals: ClassVar = {
        "begun": 0.0,
        "loss": 0.0,
        "slope": 0.0,
        "low": 0.0,
        "high": math.inf,
        "length": 1.0,
        "trials": 0.0,
    }

    def __init__(
        self, env: VariableEnvironment, learning_rate: float = 1.0, memory: int = 10, name: str | None = None
    ) -> None:
        self.memory = whole("memory", memory, 1)
        super().__init__(env, {"learning_rate": learning_rate}, name)

    def _key(self) -> Any:
        return (*super()._key(), self.memory)

    def settle(self) -> None:
        """Give the variables the last point that was accepted, at which the loss was lowest up to rounding.

        Raises:
            GraphError: there is none yet.
        """
        before, after = f"{self.name}/", "/point"
        found = {v.path: v.value for v in self.env if v.path.startswith(before) and v.path.endswith(after)}
        if not found or not self.env[f"{self.name}/begun"]:
            cure = "Make a step first, at a point with a finite loss."
            raise GraphError(report(f"{self.name!r} has accepted no point yet", at=here(), cure=cure))
        points = {path.removeprefix(before).removesuffix(after): array for path, array in found.items()}
        self.env._store.go_back(points, self.env._store.state.runs)

    def _changes(
        self, context: Context, targets: Sequence[Tensor], gradients: Sequence[Tensor], loss: Tensor | None
    ) -> Iterator[Change]:
        if loss is None:
            cure = f"Write {self.name}.minimize(loss, variables)."
            raise GraphError(report(f"{self.name} needs the loss, not only gradients", at=here(), cure=cure))
        # In one order, whichever they are given in: what it remembers is of all of them together.
        moved = sorted(zip(targets, gradients, strict=True), key=lambda pair: path_of(pair[0]))
        targets, gradients = [p for p, _ in moved], [g for _, g in moved]
        dtype = np.result_type(*[working(p.dtype) for p in targets])
        x, g = (_joined(parts, dtype) for parts in (targets, gradients))
        held = self._held(targets, x.size, dtype)
        count = self._state(context, "step")
        numbers = self._settings_at(context, count.astype(np.float64), (count + 1).astype(np.float64))
        line = _Line(
            _joined([context.variable(v) for v in held["start"]], dtype),
            *(context.variable(held[key][0]) for key in ("gradient", "direction")),
            **{key: numbers[key] for key in ("loss", "slope", "low", "high", "length", "trials")},
        )
        pairs = context.variable(held["steps"][0]), context.variable(held["turns"][0])
        first = equal(numbers["begun"], 0)
        new, pairs, at, begun = _searched(x, g, sum(loss), line, pairs, first, numbers["learning_rate"])
        changes: list[Change] = [(count, count + 1), (self._state(context, "begun"), begun)]
        changes += [(self._state(context, key), getattr(new, key)) for key in _Line._fields[3:]]
        changes += zip(targets, _parted(at, targets), strict=True)
        changes += zip(held["start"], _parted(new.start, targets), strict=True)
        changes += [(held["gradient"][0], new.gradient), (held["direction"][0], new.direction)]
        changes += [(held["steps"][0], pairs[0]), (held["turns"][0], pairs[1])]
        yield from changes

    def _held(self, targets: Sequence[Tensor], size: int, dtype: np.dtype[Any]) -> dict[str, list[Any]]:
        """The variables of what it remembers; the start is kept a parameter, so that it can be given back."""
        known = f"{self.name}/gradient"
        points = [f"{path_of(p)}/point" for p in targets]
        new = [point for point in points if f"{self.name}/{point}" not in self.env]
        if known in self.env and (self.env._store.find(known).shape != (size,) or new):
            facts = [f"before:  {self.env._store.find(known).shape[0]} numbers", f"now:     {size} numbers"]
            facts += [f"new:     {point.removesuffix('/point')!r}" for point in new[:3]]
            cure = "Its memory is of all its variables together: make another LBFGS for others, or after freezing some."
            what = f"{self.name} was begun with other variables"
            raise VariableError(report(what, at=here(), facts=facts, cure=cure))
        shapes = {"gradient": (size,), "direction": (size,), "steps": (self.memory, size), "turns": (self.memory, size)}
        held = {key: [self._state_variable(key, np.zeros(shape, dtype))] for key, shape in shapes.items()}
        held["start"] = [
            self._state_variable(k, np.zeros(p.shape, dtype)) for k, p in zip(points, targets, strict=True)
        ]
        return held


def _joined(parts: Sequence[Tensor], dtype: np.dtype[Any]) -> Tensor:
    """All numbers as one vector."""
    return concat([reshape(p.astype(dtype), (p.size,)) for p in parts])


def _parted(vector: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    """The parts of a vector, in the shapes of ``like``."""
    ends = np.cumsum([p.size for p in like]).tolist()
    return [reshape(vector[end - p.size : end], p.shape) for p, end in zip(like, ends, strict=True)]


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return sum(a * b).astype(np.float64)


def _direction(g: Tensor, steps: Tensor, turns: Tensor) -> Tensor:
    """−H·g by the two loops of Nocedal and Wright 2006, Algorithm 7.4; pairs of zeros count for nothing."""
    pairs = [(steps[i], turns[i]) for i in range(steps.shape[0])]
    products = [_dot(s, y) for s, y in pairs]
    inverses = [where(greater(sy, 0), 1 / sy, 0).astype(g.dtype) for sy in products]
    q, weights = g, []
    for (s, y), rho in zip(reversed(pairs), reversed(inverses), strict=True):
        weights.append(rho * sum(s * q))
        q = q - weights[-1] * y
    newest = pairs[-1][1]
    scale = where(greater(products[-1], 0), products[-1] / _dot(newest, newest), 1)
    r = scale.astype(g.dtype) * q
    for (s, y), rho, weight in zip(pairs, inverses, reversed(weights), strict=True):
        r = r + s * (weight - rho * sum(y * r))
    return -r


def _pushed(kept: Tensor, new: Tensor, condition: Tensor) -> Tensor:
    """The rows with a new one in the place of the oldest, if the condition holds."""
    return where(condition, concat([kept[1:], expand_dims(new, 0)]), kept)


def _searched(
    x: Tensor, g: Tensor, loss: Tensor, line: _Line, pairs: tuple[Tensor, Tensor], first: Tensor, rate: Tensor
) -> tuple[_Line, tuple[Tensor, Tensor], Tensor, Tensor]:
    """The line to be searched next, the pairs to remember, where the variables go, and whether a point is accepted."""
    noise = 4 * float(np.finfo(loss.dtype).eps)
    f, slope = loss.astype(np.float64), _dot(g, line.direction)
    level = less_equal(f, line.loss + noise * abs(line.loss)) & less_equal(slope, (2 * ENOUGH - 1) * line.slope)
    lower = less_equal(f, line.loss + ENOUGH * line.length * line.slope) | level
    known = isfinite(f) & isfinite(_dot(g, g))
    accepted = known & (first | (lower & greater_equal(slope, LEVEL * line.slope)))

    # A point that is accepted starts another line, along a direction that knows the last step.
    s, y = x - line.start, g - line.gradient
    learned = accepted & ~first & greater(_dot(s, y), 1e-10 * _dot(y, y))
    pairs = _pushed(pairs[0], s, learned), _pushed(pairs[1], y, learned)
    direction = _direction(g, *pairs)
    down = less(_dot(g, direction), 0)
    direction = where(down, direction, -g)
    plain = equal(_dot(pairs[1][-1], pairs[1][-1]), 0) | ~down
    unit = where(plain, minimum(1, 1 / sum(abs(g)).astype(np.float64)), 1)
    begun = _Line(x, g, direction, f, _dot(g, direction), 0 * f, 0 * f + math.inf, rate * unit, 0 * f)

    # Another one halves the interval in which a good point lies, or doubles the length while there is no end to it.
    trials = line.trials + 1
    low, high = where(lower, line.length, line.low), where(lower & known, line.high, line.length)
    length = where(isinf(high), 2 * line.length, (low + high) / 2)
    longer = line._replace(low=low, high=high, length=length, trials=trials)
    stays = ~accepted & (first | greater_equal(trials, MOST))
    new = _Line(*(where(accepted, a, b) for a, b in zip(begun, longer, strict=True)))
    tried = new.start + new.length.astype(x.dtype) * new.direction
    at = where(stays, where(first, x, line.start), tried)
    pairs = (where(stays, 0, pairs[0]), where(stays, 0, pairs[1]))
    return new, pairs, at, where(stays, 0.0, 1.0)
