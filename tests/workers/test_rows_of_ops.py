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


def _positive(x: Any) -> Any:
    """Matrices that are positive definite, of any."""
    return x @ x.mT + 3 * np.eye(3)


@lg.custom_gradient
def _clipped(x: Any) -> Any:
    return x * x, lambda g: lg.clip(g, -1, 1)


APART = {
    "inv": lambda x: lg.linalg.inv(_positive(x)),
    "det": lambda x: lg.linalg.det(_positive(x)),
    "slogdet": lambda x: lg.linalg.slogdet(_positive(x))[1],
    "cholesky": lambda x: lg.linalg.cholesky(_positive(x)),
    "solve": lambda x: lg.linalg.solve(_positive(x), x),
    "eigvalsh": lambda x: lg.linalg.eigvalsh(
        _positive(x) * np.array([1.0, 2.0, 3.0]) * np.array([[1.0], [2.0], [3.0]])
    ),
    "svd": lambda x: lg.linalg.svdvals(_positive(x)),
    "qr": lambda x: lg.linalg.qr(_positive(x))[1],
    "expm": lambda x: lg.linalg.expm(x),
    "product with a shared matrix": lambda x: x @ np.arange(9.0).reshape(3, 3),
    "product of each": lambda x: x @ lg.tanh(x),
    "sort of each": lambda x: lg.sort(x, axis=1),
    "running sums": lambda x: lg.cumulative_sum(x, axis=2),
    "labels": lambda x: lg.nn.cross_entropy(x[:, 0], lg.argmax(x[:, 1], axis=1)),
    "one of each": lambda x: lg.take_along_axis(x[:, 0], lg.argmax(x[:, 1], axis=1, keepdims=True), axis=1),
    "rows of a table": lambda x: (
        lg.take(lg.sin(lg.arange(12.0).reshape(4, 3)), lg.argmin(x[:, 0], axis=1), axis=0) * x[:, 2]
    ),
    "one hot": lambda x: lg.nn.one_hot(lg.argmax(x[:, 1], axis=1), 3) * x[:, 0],
    "statistics of all": lambda x: (x - lg.mean(x, axis=0)) / lg.sqrt(lg.var(x, axis=0) + 1),
    "extremes of all": lambda x: x / lg.max(x, axis=0) + lg.min(x),
    "softmax over all": lambda x: lg.nn.softmax(x, axis=0),
    "a transpose": lambda x: lg.transpose(x) * 2,
    "rows and columns as one": lambda x: lg.reshape(x, (-1, 3)) @ np.ones((3, 2)),
    "in the middle": lambda x: lg.reshape(lg.moveaxis(x, 0, 1), (3, -1)) ** 2,
    "stacked": lambda x: lg.concat([x, lg.exp(x)], axis=1),
    "custom_gradient": lambda x: _clipped(x),
    "attention": lambda x: lg.nn.scaled_dot_product_attention(x, x, x),
    "softmax of each": lambda x: lg.nn.softmax(x - lg.mean(x, axis=2, keepdims=True)),
    "ctc": lambda x: lg.nn.ctc(x, lg.where(lg.less(lg.argmax(x[:, :2], axis=2), 1), 1, 2)),
    "scan over columns": lambda x: lg.scan(lambda c, t: (lg.tanh(c + t), c * t), x[:, 0], lg.moveaxis(x, 1, 0))[0],
    "scan that adds rows up": lambda x: lg.scan(lambda c, t: (c + lg.sum(t * t), t), 0.0, lg.moveaxis(x, 1, 0))[0],
    "checkpoint": lambda x: lg.checkpoint(lambda x: lg.sum(lg.sin(x) * x, axis=2))(x),
    "cond": lambda x: lg.cond(lg.sum(x) > 0, lambda x: lg.sin(x), lambda x: x * x, x),
    "while": lambda x: lg.while_loop(lambda c: c[1] < 4, lambda c: (lg.tanh(c[0]), c[1] + 1), (x, 0), max_steps=6)[0],
}


@pytest.mark.parametrize("name", APART)
def test_rows_stay_apart(name: str) -> None:
    """Nothing but sums is exchanged: no rows are brought together, neither for values nor for derivatives."""
    batch = np.random.default_rng(2).normal(size=(7, 3, 3)) + 2 * np.eye(3)

    def found(one: Any) -> list[Any]:
        env = lg.VariableEnvironment(seed=0, dtype="float64", workers=one)

        def step(ctx: Any, x: Any) -> Any:
            y = APART[name](x)
            loss = lg.sum(lg.square(y) * lg.cos(lg.reshape(lg.arange(y.size, dtype="float64"), y.shape)))
            return loss, lg.grad(loss, x)

        return [np.asarray(y) for y in env.run(step, env.rows(batch))]  # warnings are errors

    whole = found(None)
    for values in side_by_side(WORKERS, found):
        for value, expected in zip(values, whole, strict=True):
            np.testing.assert_allclose(value, expected, rtol=1e-9, atol=1e-11)
