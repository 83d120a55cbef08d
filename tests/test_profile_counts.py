"""Bytes and floating operations of a profile, beside what is counted by hand, natively and on NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lazygrad as lg

X = np.ones((128, 64), "f4")
BYTES = X.nbytes


@pytest.fixture(params=["native", "NumPy"])
def profiled(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """A function that profiles a step, by native code or on NumPy."""
    if request.param == "native":
        pytest.importorskip("llvmlite", reason="native code needs llvmlite")
    else:
        monkeypatch.setenv("LAZYGRAD_NATIVE", "off")
    env = lg.VariableEnvironment(seed=0)
    env.name("w").set(np.ones((64, 32), "f4"))

    def profiled(step: Any, *args: Any) -> Any:
        found = env.compile(step).profile(*args, runs=1)
        assert request.param == found.how
        for by in ("kernel", "layer", "line"):
            assert math.isclose(1.0, sum(row.share for row in found.rows(by)), rel_tol=1e-9)
        return found

    return profiled


def summed(profile: Any) -> tuple[int, int, int]:
    """Bytes that are read and written, and operations, of all kernels."""
    costs = [k.cost for k in profile.kernels]
    return sum(c.read for c in costs), sum(c.written for c in costs), sum(c.flops for c in costs)


def test_a_product_reads_both_and_writes_one(profiled: Any) -> None:
    """Two operations for each element of the result and each that is summed."""
    found = profiled(lambda ctx, x: x @ ctx.variable("w"), X)
    assert (BYTES + 4 * 64 * 32, 4 * 128 * 32, 2 * 128 * 64 * 32) == summed(found)


def test_a_reduction_combines_every_element_once(profiled: Any) -> None:
    """And writes one number, or one for each column."""
    assert (BYTES, 4, 128 * 64) == summed(profiled(lambda ctx, x: lg.sum(x), X))
    assert (BYTES, 4 * 64, 128 * 64) == summed(profiled(lambda ctx, x: lg.sum(x, axis=0), X))


def test_a_chain_of_elementwise_ops_has_one_operation_an_element_each(profiled: Any) -> None:
    """Natively it reads and writes once; whole numbers have no floating operations."""
    found = profiled(lambda ctx, x: lg.sqrt(x * x + x), X)
    assert 3 * 128 * 64 == summed(found)[2]
    if found.how == "native":
        assert (BYTES, BYTES) == summed(found)[:2]
    assert 0 == summed(profiled(lambda ctx, x: x * x + x, X.astype("i4")))[2]


def test_what_is_taken_from_a_table_is_read_and_not_the_table(profiled: Any) -> None:
    """Three rows and their numbers; a slice, which NumPy only looks at."""
    found = profiled(lambda ctx, x, i: x[i], X, np.array([3, 4, 5]))
    assert (3 * 64 * 4 + 3 * 8, 3 * 64 * 4, 0) == summed(found)
    rows = 3 * 64 * 4 if found.how == "native" else 0
    assert (rows, rows, 0) == summed(profiled(lambda ctx, x: x[2:5], X))


def test_parts_of_one_array_are_written_once(profiled: Any) -> None:
    """Two halves of what is put together, natively; on NumPy there are arrays between."""
    found = profiled(lambda ctx, x: lg.concat([x[:64] * 2.0, x[64:] * 3.0]), X)
    assert 128 * 64 == summed(found)[2]
    if found.how == "native":
        assert (BYTES, BYTES) == summed(found)[:2]


def test_a_choice_costs_what_one_branch_does(profiled: Any) -> None:
    """The longer one, and the sum that chooses; not both."""
    found = profiled(lambda ctx, x: lg.cond(lg.sum(x) > 0, lambda: x @ x.T, lambda: lg.exp(x @ x.T)), X)
    (choice,) = [k.cost.flops for k in found.kernels if "cond" in k.cost.what]
    assert 2 * 128 * 64 * 128 <= choice < 2 * 2 * 128 * 64 * 128


def test_a_loop_whose_turns_nobody_knows_has_no_limit(profiled: Any) -> None:
    """As its bytes and operations are those of one turn; one with a number of turns has."""
    found = profiled(lambda ctx, x: lg.while_loop(lambda c: lg.sum(c) < 1e6, lambda c: c * 1.5 + 1.0, x), X)
    (loop,) = [row for row in found.rows() if "while_loop" in row.name]
    assert 0 == loop.limit
    assert math.isnan(loop.times_limit)
    counted = profiled(lambda ctx, x: lg.scan(lambda c, row: (lg.tanh(c + row), None), x[0], x)[0], X)
    (loop,) = [row for row in counted.rows() if "scan" in row.name]
    assert loop.limit > 0


def test_linear_algebra_grows_with_the_third_power(profiled: Any) -> None:
    """About: not as many operations as the matrix has elements."""
    found = profiled(lambda ctx, x: lg.linalg.inv(x), np.eye(64, dtype="f4"))
    assert 64**3 == summed(found)[2]


def test_results_are_counted_once(profiled: Any) -> None:
    """With variables and arguments; what lies beside these at the peak is nothing of theirs."""
    found = profiled(lambda ctx, x: (lg.exp(x), lg.while_loop(lambda c: lg.sum(c) < 1e6, lambda c: c * 2.0, x)), X)
    assert 3 * BYTES == found.held
    assert not any("exp" in what for what, _ in found.alive)
    assert not any("Spec(" in what for what, _ in found.alive)


@pytest.mark.parametrize("step", [lambda ctx, x: x, lambda ctx, x: lg.sum(lg.exp(x[:0]), axis=0)])
def test_steps_that_compute_next_to_nothing_have_tables(step: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """No kernel at all, and arrays of no elements."""
    for said in ("auto", "off"):
        monkeypatch.setenv("LAZYGRAD_NATIVE", said)
        found = lg.VariableEnvironment().compile(step).profile(X, runs=1)
        assert "one run" in str(found)
        assert all(row.seconds >= 0 for by in ("kernel", "layer", "line") for row in found.rows(by))


@pytest.mark.parametrize("native", ["auto", "off"])
def test_a_step_that_fails_says_how_and_where(native: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a run of it does, whatever runs it."""
    monkeypatch.setenv("LAZYGRAD_NATIVE", native)
    env = lg.VariableEnvironment()
    taken = env.compile(lambda ctx, x, i: x[i])
    taken.profile(X, np.array([3]), runs=1)
    with pytest.raises(IndexError, match="index 900 is out of bounds for axis 0 with size 128") as raised:
        taken.profile(X, np.array([900]), runs=1)
    assert "taken = env.compile(lambda ctx, x, i: x[i])" in raised.value.__notes__[0]
    with pytest.raises(np.linalg.LinAlgError):
        env.compile(lambda ctx, x: lg.linalg.cholesky(x)).profile(-np.eye(3), runs=1)
