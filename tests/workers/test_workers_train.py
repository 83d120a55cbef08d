"""Training by several workers, here threads: it gives what one process gives with the whole batches."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from launched import mpiexec, needs_mpi
from networks import Trained, compare, train

import lazygrad as lg
from lazygrad.errors import DataError
from lazygrad.workers import side_by_side

# Sums are taken of other parts: in float64 200 steps differ by some 1e-15, in float32 by some 1e-7.
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}
OPTIMIZERS = ["SGD", "Adam", "AdamW", "AdaGrad", "Adafactor", "RMSprop", "Lion", "Lamb", "Muon", "NAdam", "RAdam"]


@functools.cache
def alone(*settings: Any) -> Trained:
    """What one process trains."""
    return train(None, *settings)


QUICK = (
    [("mlp", "float64", k) for k in (1, 2, 3, 4)] + [("cnn", "float32", k) for k in (2, 4)] + [("lstm", "float64", 3)]
)


@pytest.mark.parametrize(("network", "dtype", "workers"), QUICK)
def test_a_training_is_that_of_one_process(network: str, dtype: str, workers: int) -> None:
    """Losses, metrics and variables of 200 steps: with dropout, statistics of the batch, and a loop."""
    found = side_by_side(workers, lambda one: train(one, network, dtype))
    compare(found[0], alone(network, dtype), TOLERANCE[dtype])
    _assert_alike(found)


def _assert_alike(found: list[Trained]) -> None:
    """All workers have the same, bit for bit, although their rows are not as many."""
    for other in found[1:]:
        assert (other.losses, other.metrics) == (found[0].losses, found[0].metrics)
        for path, value in found[0].variables.items():
            np.testing.assert_array_equal(other.variables[path], value)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("network", ["mlp", "cnn", "lstm"])
def test_a_compiled_training_is_that_of_one_process(network: str, dtype: str, workers: int) -> None:
    """The same in native code."""
    expected = train(None, network, dtype, compiled=True)
    found = side_by_side(workers, lambda one: train(one, network, dtype, compiled=True))
    compare(found[0], expected, TOLERANCE[dtype])
    _assert_alike(found)


@pytest.mark.parametrize("optimizer", [*OPTIMIZERS, "LBFGS"])
def test_a_training_with_any_optimizer_is_that_of_one_process(optimizer: str) -> None:
    """With gradients clipped by their norm, which is that of all of them, by three workers."""
    settings = "mlp", "float64", optimizer, optimizer != "LBFGS", False, 3
    for found in side_by_side(3, lambda one: train(one, *settings)):
        compare(found, alone(*settings), TOLERANCE["float64"])


@pytest.mark.slow
@pytest.mark.parametrize("workers", [2, 3, 4])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_two_hundred_steps_of_any_optimizer_are_those_of_one_process(optimizer: str, workers: int) -> None:
    """As above, for as long as the networks are trained."""
    settings = "mlp", "float64", optimizer, True
    for found in side_by_side(workers, lambda one: train(one, *settings)):
        compare(found, alone(*settings), TOLERANCE["float64"])


def test_batches_give_each_worker_its_rows() -> None:
    """All together they are the batches that one process is given, the last one too."""
    x, y = np.arange(22.0).reshape(11, 2), np.arange(11)

    def rows(one: Any) -> Any:
        env = lg.VariableEnvironment(seed=0, workers=one)
        return [(np.asarray(a), np.asarray(b)) for a, b in lg.batches((x, y), 4, seed=3, env=env)]

    expected = list(lg.batches((x, y), 4, seed=3))
    found = side_by_side(3, rows)
    assert [[1, 1, 2], [1, 1, 2], [1, 1, 1]] == [[len(worker[k][0]) for worker in found] for k in range(3)]
    for number, batch in enumerate(expected):
        for k in (0, 1):
            np.testing.assert_array_equal(np.concatenate([worker[number][k] for worker in found]), batch[k])


def test_a_batch_of_fewer_rows_than_workers_is_refused() -> None:
    """Before anything is trained; the last batch counts."""

    def batches(one: Any) -> None:
        env = lg.VariableEnvironment(seed=0, workers=one)
        lg.batches(np.zeros((9, 2)), 4, env=env)

    with pytest.raises(DataError, match="fewer rows than there are workers"):
        side_by_side(2, batches)


@needs_mpi
@pytest.mark.parametrize(("workers", "network", "dtype"), [(2, "cnn", "float32"), (3, "lstm", "float64")])
def test_a_training_under_mpiexec_is_that_of_one_process(workers: int, network: str, dtype: str) -> None:
    """In native code, with gradients clipped: every process compares what it has with what it trains alone."""
    text = """
        import sys
        sys.path.insert(0, sys.argv[1])
        from networks import compare, train
        settings = sys.argv[2], sys.argv[3], "Adam", True, True, 5
        compare(train("mpi", *settings), train(None, *settings), float(sys.argv[4]))
        print("same\\n", end="")
    """
    here = str(Path(__file__).parent)
    ended = mpiexec(workers, text, here, network, dtype, str(TOLERANCE[dtype]))
    assert (0, ["same"] * workers) == (ended.code, ended.lines()), ended.said


def test_explain_shows_what_is_exchanged() -> None:
    """Gradients of one step in pieces, in the order in which they are there; each is begun before it is waited for."""

    def explained(one: Any) -> str:
        env = lg.VariableEnvironment(seed=0, workers=one)
        layers = [lg.nn.Linear(env, a, b, name=f"layer{a}") for a, b in ((600, 500), (500, 10))]
        sgd = lg.optim.SGD(env)

        def step(ctx: Any, x: Any, y: Any) -> Any:
            loss = lg.mean(lg.square(layers[1](lg.tanh(layers[0](x))) - y))
            return loss, sgd.minimize(loss)

        compiled = env.compile(step)
        return compiled.prepare(*env.rows(np.zeros((7, 600), np.float32), np.zeros((7, 10), np.float32))).explain()

    told = side_by_side(2, explained)[0].split("exchanges of 2 workers\n")[1].splitlines()
    words = [line.split() for line in told if "is waited for at node" in line]
    assert 4 * (600 * 500 + 500 + 500 * 10 + 10 + 1) == sum(int(w[3].replace(",", "")) for w in words)
    assert [2, 3] == [int(w[1]) for w in words]  # the first piece is full with the larger matrix
    assert all(int(w[w.index("node") + 1].rstrip(",")) < int(w[-1]) for w in words)
    assert int(words[0][-1]) < int(words[1][-1])  # what is needed of the first is computed while the second travels


def test_batches_that_come_one_by_one_are_shared_out() -> None:
    """A generator gives the whole batch on every worker, which takes its rows; threads may prepare them."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(23, 3)), rng.normal(size=23)

    def fit(one: Any, threads: int) -> Any:
        env = lg.VariableEnvironment(seed=0, dtype="float64", workers=one)
        layer, sgd = lg.nn.Linear(env, 3, 1, name="layer"), lg.optim.SGD(env)

        def step(ctx: Any, x: Any, y: Any) -> Any:
            loss = lg.mean(lg.square(lg.squeeze(layer(x), 1) - y))
            return loss, sgd.minimize(loss)

        def batches() -> Any:
            for start in range(0, 23, 5):
                yield {"x": x[start : start + 5], "y": y[start : start + 5]}

        history = lg.fit(step, batches, env=env, epochs=4, workers=threads, progress=False)
        return list(history["loss"]), env["layer/weight"]

    expected = fit(None, 0)
    for threads in (0, 1):
        for losses, weight in side_by_side(3, lambda one: fit(one, threads)):  # noqa: B023
            np.testing.assert_allclose(losses, expected[0], rtol=1e-12)
            np.testing.assert_allclose(weight, expected[1], rtol=1e-12)


def test_metrics_of_the_validation_set_are_of_all_its_rows() -> None:
    """Whichever worker has them: predictions and labels come together on all."""
    x, y = np.arange(14.0).reshape(7, 2), np.array([0, 1, 1, 0, 1, 0, 0])

    def fit(one: Any) -> Any:
        env = lg.VariableEnvironment(seed=0, dtype="float64", workers=one)
        layer, sgd = lg.nn.Linear(env, 2, 2, name="layer"), lg.optim.SGD(env, 1e-3)

        def step(ctx: Any, x: Any, y: Any, train: bool) -> Any:
            logits = layer(x)
            loss = lg.mean(lg.nn.cross_entropy(logits, y))
            found = {"loss": loss, "predictions": lg.argmax(logits, axis=1)}
            return found | ({"update": sgd.minimize(loss)} if train else {})

        def weighted(targets: Any, predictions: Any) -> float:
            return float(np.sum(np.arange(7) * (targets == predictions)))  # says which rows are which

        settings = {"epochs": 2, "batch_size": 4, "validation": (x, y), "metrics": {"weighted": weighted}}
        history = lg.fit(step, (x, y), env=env, progress=False, **settings)
        return list(history["validation_weighted"])

    assert [fit(None)] * 3 == side_by_side(3, fit)


def test_arrays_of_several_lengths_are_shared_out_each() -> None:
    """Labelled and unlabelled examples in one step."""

    def run(one: Any) -> Any:
        env = lg.VariableEnvironment(seed=0, dtype="float64", workers=one)
        few, many = np.arange(4.0), np.arange(10.0).reshape(5, 2)

        def step(ctx: Any, a: Any, b: Any) -> Any:
            return lg.mean(a) * lg.sum(b, axis=0), lg.grad(lg.sum(lg.square(a)) * lg.max(b), [a, b])

        value, (of_few, of_many) = env.run(step, *env.rows(few, many))
        return [value, of_few, of_many]

    expected = run(None)
    for found in side_by_side(3, run):
        for value, wanted in zip(found, expected, strict=True):
            np.testing.assert_allclose(value, wanted, rtol=1e-14)
