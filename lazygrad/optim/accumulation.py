"""Gradients of several batches gathered into one update."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from lazygrad.graph.tensor import Tensor
from lazygrad.ops.comparison import greater_equal, where
from lazygrad.ops.reduction import sum
from lazygrad.optim.mover import Change, Mover, path_of
from lazygrad.optim.wrapper import Wrapper, whole
from lazygrad.step.context import Context

__all__ = ["Accumulated", "accumulate"]


class Accumulated(Wrapper):
    """An optimizer that moves once in so many batches, along the mean of their gradients.

    :func:`accumulate` makes it. It has the optimizer's methods and settings. How many batches have been gathered, and
    the sum of their gradients, are variables of the environment.
    """

    word = "accumulated"

    def __init__(self, optimizer: Mover, batches: int) -> None:
        self._batches = whole("batches", batches, 1)
        super().__init__(optimizer)

    def _register(self) -> None:
        self._state_variable("batches", np.int64(self._batches))
        self._state_variable("count", np.int64(0))
        if self.wants_loss:
            self._state_variable("loss", np.float64(0))

    @property
    def batches(self) -> int:
        """How many batches make one update; settable at any time, without compiling again."""
        return int(self.env[f"{self.name}/batches"])

    @batches.setter
    def batches(self, value: int) -> None:
        self.env[f"{self.name}/batches"] = whole("batches", value, 1)

    def _changes(
        self, context: Context, targets: Sequence[Tensor], gradients: Sequence[Tensor], loss: Tensor | None
    ) -> Iterator[Change]:
        gathered = self._state(context, "count")
        count = gathered + 1
        ready = greater_equal(count, self._state(context, "batches"))
        sums: list[Change] = []
        for p, g in zip(targets, gradients, strict=True):
            v = self._state_variable(f"{path_of(p)}/sum", np.zeros(g.shape, g.dtype))
            sums.append((v, context.variable(v) + g))
        means = [total / count.astype(total.dtype) for _, total in sums]
        if loss is not None:
            before = self._state(context, "loss")
            sums.append((before, before + sum(loss).astype(np.float64)))
            loss = sums[-1][1] / count.astype(np.float64)
        yield gathered, where(ready, 0, count)
        yield from ((place, where(ready, 0, total)) for place, total in sums)
        for target, new in self.optimizer._changes(context, targets, means, loss):
            old = target if isinstance(target, Tensor) else context.variable(target)
            yield target, where(ready, new, old)


def accumulate(optimizer: Mover, batches: int) -> Accumulated:
    """``optimizer`` so that it moves at every ``batches``-th update, along the mean of the gradients since the last.

    For batches that are too large for the memory: the sum of their gradients, divided by their number, is what the
    optimizer gets. It is used as the optimizer is, with ``run``, ``compile`` and ``lg.fit``; the updates between
    gather only. What has been gathered is saved with the variables, so it goes on in the middle.

    Args:
        optimizer: any optimizer of ``lg.optim``.
        batches: how many batches make one update, 1 or more; a variable, so that ``.batches`` can be set later.

    Returns:
        An object with the methods and settings of the optimizer.

    Raises:
        SpecError: ``batches`` is not a whole number from 1 up.
        DefinitionError: ``optimizer`` is none, or gathers already.
    """
    return Accumulated(optimizer, batches)
