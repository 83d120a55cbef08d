"""What is done about a loss that is not finite: the training stops, and the epoch in which it came has not been."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lazygrad.environment import VariableEnvironment
from lazygrad.errors import DataError, nearest, report
from lazygrad.graph.registry import here
from lazygrad.step.looking import found
from lazygrad.store.variables import Variable
from lazygrad.training.blame import blamed
from lazygrad.training.steps import Step

__all__ = ["NotFiniteError", "Watch"]

_MOST_ROWS = 32  # that are named


class NotFiniteError(Exception):
    """A loss is not finite, and the training is to stop."""


class Watch:
    """Looks at every loss, and after every epoch at the variables.

    Args:
        env: the environment that is trained.
        step: the step.
        on_nonfinite: ``"stop"``, or ``"warn"``.
        searches: whether the variables are looked at after every batch, and the place is searched where what is not
            finite begins.

    Raises:
        DataError: it is neither.
    """

    def __init__(self, env: VariableEnvironment, step: Step, on_nonfinite: str, searches: bool = False) -> None:
        if on_nonfinite not in ("stop", "warn"):
            cure = nearest(str(on_nonfinite), ["stop", "warn"])
            raise DataError(report(f"cannot use {on_nonfinite!r:.60} as on_nonfinite", at=here(), cure=cure))
        self.env, self.step, self.initial = env, step, step.initial
        self.metric = "loss" if "loss" in step.metrics else next(iter(step.metrics), None)
        self.stops = on_nonfinite == "stop"
        self.searches = searches
        self.is_finite = True  # in this epoch, so far
        self.said = ""  # the first time that it was not, if ever
        self._watched = [v for v in env if v.trainable and v.dtype.kind == "f" and self._finite(v)]
        self._kept: dict[str, Any] = {}
        self._runs = self._epoch = 0

    def begin(self, epoch: int, rows: Callable[[int, int], Sequence[int]]) -> None:
        """Remember the variables at the beginning of an epoch, counted from 1.

        Args:
            epoch: its number.
            rows: gives the rows of a batch in an epoch, both counted from 0; none, if nobody knows them.
        """
        self.is_finite, self._epoch, self._rows = True, epoch, rows
        with self.env._store.lock:
            self._kept = self.initial | self.env._store.alone("it is being copied", self._values)
            self._runs = self.env._store.state.runs

    def _values(self) -> dict[str, Any]:
        return {v.path: v.value for v in self.env}

    def look(self, values: Mapping[str, float], number: int, batch: Sequence[Any]) -> None:
        """Look at what a step returned for a batch, with its number, counted from 0.

        Raises:
            NotFiniteError: the training is to stop.
        """
        if self.metric is None or math.isfinite(values[self.metric]):
            if self.searches:
                self._look_at_variables(number, batch)
            return
        rows = self._rows(self._epoch - 1, number)
        shown = ", ".join(str(int(row)) for row in rows[:_MOST_ROWS])
        shown += f", … ({len(rows)} in all)" if len(rows) > _MOST_ROWS else ""
        found, where = f"{self.metric} is", f"in epoch {self._epoch}, batch {number + 1}"
        facts = [f"{self.metric}:  {values[self.metric]}", *([f"rows:  {shown}"] if len(rows) else [])]
        briefly = f"{found} {values[self.metric]} {where}" + (f", rows {shown}" if len(rows) else "")
        is_start = (self._epoch, number) == (1, 0) and self.stops
        if self.searches:
            facts += self._searched(number, batch)
        elif is_start:  # the variables are known that it was computed with
            self.go_back()
            facts += blamed(self.step, self.metric, batch)
        self._found(f"{found} not finite {where}", facts, briefly, is_start)

    def _look_at_variables(self, number: int, batch: Sequence[Any]) -> None:
        """Look at the variables after a batch whose loss is finite."""
        bad = next((v for v in self._watched if not self._finite(v)), None) if self.is_finite else None
        if bad is not None:
            what = f"variable {bad.path!r} is not finite after epoch {self._epoch}, batch {number + 1}"
            self._found(what, self._searched(number, batch), what)

    def _searched(self, number: int, batch: Sequence[Any]) -> list[str]:
        """Facts about where the last run went wrong; the variables of before still lie in their other arrays."""
        args, kwargs = self.step.given(batch)
        finding = found(self.env, self.step.function, tuple(args), kwargs, None, "finite", True, self.step.precision)
        if finding is None:
            return ["NumPy, node by node, finds all of it finite: it lies at the edge of what its dtype can hold."]
        facts, rows = [f"comes from:  {finding.origin}", *finding.facts()], self._rows(self._epoch - 1, number)
        if finding.rows is not None and finding.batch == len(rows):
            shown = ", ".join(str(int(rows[r])) for r in finding.rows[:_MOST_ROWS])
            facts.append(f"in the data:  {'rows' if len(finding.rows) > 1 else 'row'} {shown}")
        return facts

    def end(self) -> None:
        """Look at the variables after an epoch: its last update may have made them infinite, and no loss tells of it.

        Raises:
            NotFiniteError: the training is to stop.
        """
        bad = next((v for v in self._watched if not self._finite(v)), None) if self.is_finite else None
        if bad is not None:
            what = f"variable {bad.path!r} is not finite after epoch {self._epoch}"
            self._found(what, [f"variable:  {bad.spec}"], what)

    def _found(self, what: str, facts: list[str], briefly: str, is_start: bool = False) -> None:
        self.is_finite = False
        cure = "Is the learning rate too large?"
        if is_start:
            cure = "No update had been made: look at the data, the first values of the variables, and the formula."
        if self.stops:
            facts.append(f"The training was stopped. The variables are those of after epoch {self._epoch - 1}.")
            cure += ' With on_nonfinite="warn" it goes on.'
        self.said = self.said or report(what, at=here(), facts=facts, cure=cure)
        if self.stops:
            raise NotFiniteError(briefly)

    def go_back(self) -> None:
        """Give the variables and the draws back that there were at the beginning of the epoch."""
        self.env._store.go_back(self._kept, self._runs)

    def _finite(self, v: Variable) -> bool:
        env = self.env
        return bool(env._store.backend.xp.isfinite(v.live(env._store.state.parity)).all())
