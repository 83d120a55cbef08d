"""Every op of the table, given a worker's rows: it must compute what one process computes of the whole batch."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from cases import CASES

import lazygrad as lg
from lazygrad.trees import leaves
from lazygrad.workers import side_by_side

WORKERS = 3


def _operands(case: Any) -> list[Any]:
    return case.sample("float64" if case.order and "float64" in case.dtypes else case.dtypes[0])


def _shared(operands: list[Any]) -> list[list[int]]:
    """Which operands are shared out: all that have rows enough, and each alone."""
    enough = [i for i, x in enumerate(operands) if np.ndim(x) and x.shape[0] >= WORKERS]
    return [enough] + ([[i] for i in enough] if len(enough) > 1 else [])


def _values(case: Any, communicator: Any, shared: list[int]) -> list[Any]:
    """What an op gives, and the derivatives of a number made of it."""
    env = lg.VariableEnvironment(seed=3, dtype="float64", workers=communicator)

    def step(ctx: Any, *xs: Any) -> Any:
        ys = [t for _, t in leaves(case.call(*xs)) if isinstance(t, lg.Tensor)]
        floats = [t for t in ys if t.dtype.kind == "f"]
        if not case.order or not floats:
            return ys
        weights = [lg.cos(lg.reshape(lg.arange(t.size, dtype="float64"), t.shape)) for t in floats]
        loss = lg.add_n([lg.sum(lg.square(t) * w) for t, w in zip(floats, weights, strict=True)])
        return ys + lg.grad(loss, [x for x in xs if isinstance(x, lg.Tensor) and x.dtype.kind == "f"])

    operands = [env.rows(x) if i in shared else x for i, x in enumerate(_operands(case))]
    return [np.asarray(y) for y in env.run(step, *operands)]


@pytest.mark.parametrize("case", [case for case in CASES if _shared(_operands(case))[0]], ids=str)
def test_an_op_of_rows_is_that_of_the_whole_batch(case: Any) -> None:
    """Values and first derivatives, with three workers; rows that have to be brought together are said to be."""
    for shared in _shared(_operands(case)):
        whole = _values(case, None, shared)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*rows of all workers are brought together.*")
            for found in side_by_side(WORKERS, lambda one: _values(case, one, shared)):  # noqa: B023
                assert [(y.shape, y.dtype) for y in found] == [(y.shape, y.dtype) for y in whole]
                for y, expected in zip(found, whole, strict=True):
                    # Sums are of other parts, in another order.
                    np.testing.assert_allclose(y, expected, rtol=1e-9, atol=1e-11)
