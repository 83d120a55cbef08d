"""Optimizers that share their state out among the workers: each has a part, and all have the numbers of one alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from launched import mpiexec, needs_mpi

import lazygrad as lg
from lazygrad.workers import side_by_side

RNG = np.random.default_rng(0)
X = RNG.normal(size=(24, 5))
Y = np.tanh(X @ RNG.normal(size=(5, 1)))

SHARED = {
    "SGD": lambda env: lg.optim.SGD(env, 0.05, momentum=0.9),
    "Adam": lambda env: lg.optim.Adam(env, 0.01),
    "AdamW": lambda env: lg.optim.AdamW(env, 0.01),
    "AdaGrad": lambda env: lg.optim.AdaGrad(env, 0.05),
    "RMSprop": lambda env: lg.optim.RMSprop(env, 0.01, momentum=0.5),
    "Lion": lambda env: lg.optim.Lion(env, 0.001),
    "NAdam": lambda env: lg.optim.NAdam(env, 0.01),
    "RAdam": lambda env: lg.optim.RAdam(env, 0.01),
}
WHOLE = {"Lamb": lambda env: lg.optim.Lamb(env, 0.01), "Muon": lambda env: lg.optim.Muon(env, 0.01)}


class Training:
    """A network of 5-7-1, and a step of it."""

    def __init__(self, c: Any, made: Callable[[Any], Any], mode: str = "compile", sharded: bool = True) -> None:
        self.env = lg.VariableEnvironment(seed=1, dtype="float64", workers=c, sharded=sharded)
        first, last = lg.nn.Linear(self.env, 5, 7), lg.nn.Linear(self.env, 7, 1)
        self.method = made(self.env)

        def step(ctx, x, y):
            loss = lg.mean(lg.square(last(lg.tanh(first(x))) - y))
            return loss, self.method.minimize(loss)

        self.step = self.env.compile(step) if mode == "compile" else lambda *given: self.env.run(step, *given)

    def train(self, steps: int) -> list[float]:
        """The losses."""
        return [float(self.step(*self.env.rows(X, Y))[0]) for _ in range(steps)]

    def weights(self) -> dict[str, Any]:
        """What is trained."""
        return {v.path: v.value for v in self.env if v.trainable}


def assert_alike(expected: dict[str, Any], actual: dict[str, Any]) -> None:
    """The same variables, to rounding."""
    assert expected.keys() == actual.keys()
    for path, array in expected.items():
        np.testing.assert_allclose(actual[path], array, rtol=1e-11, atol=1e-12, err_msg=path)


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("name", [*SHARED, *WHOLE])
def test_a_training_with_shared_state_is_that_of_one_worker(name: str, size: int) -> None:
    """Losses and weights; each worker has its part of the state, of optimizers that work element by element."""
    made = (SHARED | WHOLE)[name]
    alone = Training(None, made)
    expected = alone.train(20)

    def work(c: Any) -> Any:
        training = Training(c, made)
        losses = training.train(20)
        state = sum(v.value.size for v in training.env if not v.trainable and v.value.size > 1)
        return losses, training.weights(), state

    whole = sum(v.value.size for v in alone.env if not v.trainable and v.value.size > 1)
    for losses, weights, state in side_by_side(size, work):
        np.testing.assert_allclose(losses, expected, rtol=1e-11)
        assert_alike(alone.weights(), weights)
        if name in SHARED:
            assert whole / size <= state < 0.75 * whole
        else:
            assert state == whole


def test_without_native_code_it_is_the_same() -> None:
    """By env.run."""
    alone = Training(None, SHARED["Adam"], "run")
    alone.train(5)

    def work(c: Any) -> Any:
        training = Training(c, SHARED["Adam"], "run")
        training.train(5)
        return training.weights()

    for weights in side_by_side(3, work):
        assert_alike(alone.weights(), weights)


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("is_late", [False, True])
def test_a_file_has_the_whole_state_and_goes_on_with_any_number_of_workers(
    size: int, is_late: bool, tmp_path: Path
) -> None:
    """Written by two workers; taken up before the first step, or after some."""
    path = tmp_path / "env.json"
    alone = Training(None, SHARED["Adam"])
    alone.train(6)

    def write(c: Any) -> Any:
        training = Training(c, SHARED["Adam"])
        training.train(6)
        training.env.save(path)
        return training.env.to_dict()

    def go_on(c: Any) -> Any:
        training = Training(c, SHARED["Adam"])
        if is_late:
            training.train(2)
        training.env.restore(path)
        losses = training.train(6)
        training.env.save(tmp_path / "again.json")
        return losses, training.weights()

    for arrays in side_by_side(2, write):
        assert_alike({v.path: v.value for v in alone.env}, arrays)
    loaded = lg.VariableEnvironment.load(path)
    assert_alike({v.path: v.value for v in alone.env}, {v.path: v.value for v in loaded})
    found = side_by_side(size, go_on) if size > 1 else [go_on(None)]
    expected = alone.train(6)
    for losses, weights in found:
        np.testing.assert_allclose(losses, expected, rtol=1e-11)
        assert_alike(alone.weights(), weights)
    again = lg.VariableEnvironment.load(tmp_path / "again.json")
    assert_alike({v.path: v.value for v in alone.env}, {v.path: v.value for v in again})


def test_one_worker_alone_shares_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """sharded=True then changes nothing, to the last bit."""
    monkeypatch.setenv("LAZYGRAD_NATIVE", "wait")  # the bits are those of one tier
    training, other = Training(None, SHARED["Adam"]), Training(None, SHARED["Adam"], sharded=False)
    assert training.train(3) == other.train(3)


def test_checkpoints_of_shared_state_are_refused(tmp_path: Path) -> None:
    """With what to do instead; nothing is written."""

    def work(c: Any) -> str:
        training = Training(c, SHARED["Adam"])
        with pytest.raises(
            lg.DataError, match="cannot keep checkpoints of a training whose optimizers share"
        ) as caught:
            lg.fit(training.step, (X, Y), epochs=1, batch_size=8, checkpoint=tmp_path / "c.json")
        return str(caught.value)

    for text in side_by_side(2, work):
        assert "env.save(path)" in text
    assert not list(tmp_path.iterdir())


@needs_mpi
def test_processes_share_state_out() -> None:
    """Under mpiexec, against a training of one process in each of them."""
    text = f"""
    import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
    from test_sharded import SHARED, Training, assert_alike
    one, many = Training(None, SHARED["Adam"]), Training("mpi", SHARED["Adam"])
    one.train(10); many.train(10)
    assert_alike(one.weights(), many.weights())
    print("same\\n", end="")
    """
    ended = mpiexec(3, text)
    assert (0, ["same"] * 3) == (ended.code, ended.lines()), ended.said
