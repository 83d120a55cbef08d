"""Averages of the variables that an optimizer moves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from lazygrad.errors import GraphError, report
from lazygrad.graph.casting import working
from lazygrad.graph.registry import here
from lazygrad.graph.tensor import Tensor
from lazygrad.ops.arithmetic import remainder
from lazygrad.ops.comparison import equal, greater, where
from lazygrad.optim.base import FRACTION, checked_number
from lazygrad.optim.mover import Change, Mover, path_of
from lazygrad.optim.wrapper import Wrapper, whole
from lazygrad.step.context import Context

__all__ = ["Averaged", "average"]


class Averaged(Wrapper):
    """An optimizer that keeps averages of what it moves.

    :func:`average` makes it. It has the optimizer's methods and settings.
    """

    word = "averaged"

    def __init__(self, optimizer: Mover, decay: float | None, start: int, every: int) -> None:
        if decay is not None:
            checked_number("decay", decay, FRACTION)
        self._decay, self._start, self._every = decay, whole("start", start, 0), whole("every", every, 1)
        super().__init__(optimizer)

    def _register(self) -> None:
        for key, value in (("start", self._start), ("every", self._every), ("seen", 0), ("count", 0)):
            self._state_variable(key, np.int64(value))
        if self._decay is not None:
            self._state_variable("decay", np.float64(self._decay))

    def _key(self) -> Any:
        return (*super()._key(), self._decay is None)

    def _changes(
        self, context: Context, targets: Sequence[Tensor], gradients: Sequence[Tensor], loss: Tensor | None
    ) -> Iterator[Change]:
        seen, count = self._state(context, "seen"), self._state(context, "count")
        late = seen + 1 - self._state(context, "start")
        due = greater(late, 0) & equal(remainder(late, self._state(context, "every")), 0)
        weight = self._weight(context, (count + 1).astype(np.float64))
        yield seen, seen + 1
        yield count, where(due, count + 1, count)
        moved = {p.index for p in targets}
        for p, new in self.optimizer._changes(context, targets, gradients, loss):
            yield p, new
            if isinstance(p, Tensor) and p.index in moved:
                dtype = working(p.dtype)
                v = self._state_variable(f"{path_of(p)}/average", np.zeros(p.shape, dtype))
                mean, value = context.variable(v), new.astype(p.dtype).astype(dtype)
                # With a weight of 1 it is the value itself, whatever stood there before.
                yield v, where(due, mean + weight.astype(dtype) * (value - mean), mean)

    def _weight(self, context: Context, t: Tensor) -> Tensor:
        """Of the newest of ``t`` values in their mean."""
        if self._decay is None:
            return 1 / t
        decay = self._state(context, "decay")
        return (1 - decay) / (1 - decay**t)

    # What the averages are for.

    @property
    def count(self) -> int:
        """How many values each average is of."""
        return int(self.env[f"{self.name}/count"])

    def values(self) -> dict[str, Any]:
        """The averages, by the path of the variable, in its dtype.

        Raises:
            GraphError: nothing has been averaged yet.
        """
        if not self.count:
            facts = [f"updates:  {int(self.env[f'{self.name}/seen'])}"]
            cure = f"The first value is taken after update {self._first()}: train that long, or give a smaller start=."
            raise GraphError(report("there is no average yet", at=here(), facts=facts, cure=cure))
        before, after = f"{self.name}/", "/average"
        found = [v.path for v in self.env if v.path.startswith(before) and v.path.endswith(after)]
        paths = {path: path.removeprefix(before).removesuffix(after) for path in found}
        return {own: self.env[path].astype(self.env._store.find(own).dtype) for path, own in paths.items()}

    def _first(self) -> int:
        return int(self.env[f"{self.name}/start"] + self.env[f"{self.name}/every"])

    def swapped(self) -> AbstractContextManager[None]:
        """While it lasts, the variables have their averages: to measure with, to predict, to save.

        Compiled steps are not traced anew. Afterwards the variables are as before, also if an error ends it.

        Raises:
            GraphError: nothing has been averaged yet, or a step is being written; or, at the end, it was trained
                meanwhile, which is lost.
        """
        self.values()  # there must be some
        if self.env._is_writing():
            cure = "Swap outside of the step: what a step reads is read when it is evaluated."
            raise GraphError(report("cannot swap averages while a step is being written", at=here(), cure=cure))
        return _Swapped(self)

    def adopt(self) -> None:
        """Give the variables their averages for good.

        Raises:
            GraphError: nothing has been averaged yet.
        """
        self.env._store.go_back(self.values(), self.env._store.state.runs)


class _Swapped(AbstractContextManager[None]):
    """The averages in the place of the variables, for as long as it lasts."""

    def __init__(self, averaged: Averaged) -> None:
        self._averaged = averaged
        self._before: list[tuple[dict[str, Any], int]] = []  # the variables, and the updates seen; one each time

    def _put(self, arrays: dict[str, Any]) -> None:
        env = self._averaged.env
        env._store.go_back(arrays, env._store.state.runs)

    def _seen(self) -> int:
        return int(self._averaged.env[f"{self._averaged.name}/seen"])

    def __enter__(self) -> None:
        values = self._averaged.values()
        self._before.append(({path: self._averaged.env[path] for path in values}, self._seen()))
        self._put(values)

    def __exit__(self, kind: Any, *_: object) -> None:
        kept, seen = self._before.pop()
        trained = self._seen() != seen
        self._put(kept)
        if trained and kind is None:
            cure = "Train outside of `with averaged.swapped():`. What was trained within it has been taken back."
            what = "the variables were trained while their averages stood in their place"
            raise GraphError(report(what, at=here(), cure=cure))


def average(optimizer: Mover, decay: float | None = None, *, start: int = 0, every: int = 1) -> Averaged:
    """``optimizer``, with averages of the variables that it moves, which often predict better than their last values.

    With ``decay`` d they are exponential moving averages (EMA): the mean with weights dᵏ of the values k updates ago,
    whose weights add up to 1 from the first value on (Kingma and Ba 2015, §3). Without one every value counts the same
    (stochastic weight averaging, SWA: Izmailov et al. 2018, Algorithm 1), usually from a late ``start`` on.

    The averages are variables of the environment, and saved with it::

        averaged = lg.optim.average(lg.optim.Adam(env), decay=0.999)
        ...                                    # averaged.minimize(loss) in the step
        with averaged.swapped():
            env.run(predict, x)                # with the averages

    Args:
        optimizer: any optimizer of ``lg.optim``. Gather outside of it: ``accumulate(average(adam, 0.99), 4)``.
        decay: d, from 0 up to but not including 1.
        start: how many updates are made before the first that may count.
        every: one value is taken in so many updates, the last of them.

    Returns:
        An object with the methods and settings of the optimizer, and those of :class:`Averaged`.

    Raises:
        SpecError: a setting is out of range.
        DefinitionError: ``optimizer`` is none, or has averages already.
    """
    return Averaged(optimizer, decay, start, every)
