"""The variables while they are solved for: all or nothing."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import TracebackType
from typing import Any

import numpy as np

from lazygrad.errors import DataError, report
from lazygrad.graph.registry import here
from lazygrad.optimize.problem import Problem, Vector

__all__ = ["Solving"]


class Solving:
    """While it lasts, the variables may be moved; if it ends with an exception, they are as before.

    Args:
        problem: whose variables they are.
        keep_best: whether an interrupt leaves them at the best point so far.
    """

    def __init__(self, problem: Problem, keep_best: bool) -> None:
        self.problem, self.keep_best = problem, keep_best
        self.start = problem.start()
        self._moved = False
        self._best: Vector | None = None
        self._least = np.inf

    def note(self, value: float, x: Vector) -> None:
        """Remember a point if it is the best so far."""
        if value < self._least:
            self._least = value
            self.keep(x)

    def keep(self, x: Vector) -> None:
        """Remember a point that is the best so far."""
        self._best = np.array(x)

    def move(self, x: Vector) -> None:
        """Give the variables the numbers of a vector."""
        self._moved = True
        self.problem.put(np.asarray(x, dtype=np.float64))

    def watched(self, callback: Any) -> Callable[..., Any] | None:
        """The user's callback, which finds the variables at the point that it is called for.

        Args:
            callback: the user's function of ``intermediate_result``, or of the vector and what SciPy gives beside it.

        Raises:
            DataError: it is not a function.
        """
        if callback is None:
            return None
        if not callable(callback):
            cure = "Give a function of intermediate_result, or of the vector of all variables."
            raise DataError(report(f"cannot call {callback!r:.60}", at=here(), cure=cure))
        if set(inspect.signature(callback).parameters) == {"intermediate_result"}:

            def told(intermediate_result: Any) -> Any:
                self.move(intermediate_result.x)
                intermediate_result.variables = self.problem.named(intermediate_result.x)
                return callback(intermediate_result=intermediate_result)

            return told

        def called(x: Vector, *state: Any) -> Any:
            self.move(x)
            return callback(x, *state)

        return called

    def finished(self, result: Any, taken: bool) -> Any:
        """SciPy's result, with the variables by name; they are moved there, or put back if it is not taken."""
        x = np.asarray(result.x, dtype=np.float64)
        result.variables = self.problem.named(x)
        if taken and np.isfinite(x).all():
            self.move(x)
        elif self._moved:
            self.move(self.start)
        return result

    def __enter__(self) -> Solving:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            return
        if self.keep_best and self._best is not None and not issubclass(kind, Exception):
            self.move(self._best)
        elif self._moved:
            self.move(self.start)
