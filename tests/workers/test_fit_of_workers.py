"""lg.fit on several workers: one writes and prints, all train with the same, and bad input is an error on all."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.workers import side_by_side

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 3))
Y = np.tanh(X @ RNG.normal(size=(3, 1)))


def train(c: Any, x: Any = X, y: Any = Y, **settings: Any) -> Any:
    """A small regression; the environment and the history."""
    env = lg.VariableEnvironment(seed=3, dtype="float64", workers=c)
    layer, sgd = lg.nn.Linear(env, 3, 1), lg.optim.SGD(env, 0.1)

    @env.compile
    def step(ctx, x, y, train):
        loss = lg.mean(lg.square(layer(x) - y))
        return (loss, sgd.minimize(loss)) if train else loss

    asked = {"epochs": 3, "batch_size": 10, "progress": False, **settings}
    return env, lg.fit(step, (x, y), **asked)


def told(size: int, work: Any, kind: type[Exception]) -> list[str]:
    """What each of so many workers raises."""

    def raising(c: Any) -> str:
        with pytest.raises(kind) as caught:
            work(c)
        return str(caught.value)

    return side_by_side(size, raising)


@pytest.mark.parametrize("size", [2, 3])
def test_the_last_checkpoint_goes_on_with_another_number_of_workers(size: int, tmp_path: Path) -> None:
    """With K workers, then with one, then with K again: the numbers of one alone, to rounding."""
    alone, history = train(None, epochs=9)
    file = tmp_path / "c.json"
    for count, epochs in ((size, 3), (1, 6), (size, 9)):
        found = side_by_side(count, lambda c, epochs=epochs: train(c, epochs=epochs, checkpoint=file))
    for env, own in found:
        np.testing.assert_allclose(own["loss"], history["loss"], rtol=1e-12)
        for v in alone:
            np.testing.assert_allclose(env[v.path], alone[v.path], rtol=1e-12)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.json", "c.json.1", "c.json.2"]


def test_one_worker_prints(capfd: pytest.CaptureFixture[str]) -> None:
    """A line an epoch, however many workers there are."""
    side_by_side(3, lambda c: train(c, verbose=True))
    lines = capfd.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == ["1/3", "2/3", "3/3"]


@pytest.mark.parametrize("what", ["lengths", "numbers", "epochs", "batch_size", "seed"])
def test_data_and_settings_that_differ_are_named_on_all_workers(what: str) -> None:
    """Before anything is trained."""

    def work(c: Any) -> None:
        rows = 30 - 10 * c.rank if what == "lengths" else 30
        x = X + c.rank if what == "numbers" else X
        settings = {
            "epochs": {"epochs": 3 + c.rank},
            "batch_size": {"batch_size": 10 - 5 * c.rank},
            "seed": {"seed": c.rank},
        }
        train(c, x[:rows], Y[:rows], **settings.get(what, {}))

    wanted = {
        "lengths": ("data, rows: 30", "data, rows: 20"),
        "numbers": ("data: x: float64[30, 3], ", "data: x: float64[30, 3], "),
        "epochs": ("epochs: 3", "epochs: 4"),
        "batch_size": ("data, batch_size: 10", "data, batch_size: 5"),
        "seed": ("data, seed: [0]", "data, seed: [1]"),
    }
    for text in told(2, work, lg.WorkerError):
        assert text.startswith("workers differ where they begin to train"), text
        for rank in (0, 1):
            assert f"worker {rank}:  {wanted[what][rank]}" in text, text


@pytest.mark.parametrize(("rows", "size"), [(30, 2), (31, 10)])
def test_a_batch_of_fewer_rows_than_workers_is_an_error_on_all(rows: int, size: int) -> None:
    """Also where only the last one of an epoch is."""
    x = np.zeros((rows, 3))
    for text in told(3, lambda c: train(c, x, x[:, :1], batch_size=size), lg.DataError):
        assert text.startswith("a batch has fewer rows than there are workers")
        assert "3" in text


def test_a_callback_that_raises_on_one_worker_makes_all_raise() -> None:
    """The others hear of it at their next exchange."""

    def work(c: Any) -> None:
        def callback(training: Any) -> None:
            if c.rank == 1:
                raise ArithmeticError("bad day")

        train(c, callbacks=callback)

    first, second = told(2, work, Exception)
    assert second == "bad day"
    assert "worker 1 has" in first


def test_a_checkpoint_that_only_one_worker_finds_is_an_error_on_all(tmp_path: Path) -> None:
    """As on machines without a common disk."""
    train(None, checkpoint=tmp_path / "0.json")
    texts = told(2, lambda c: train(c, checkpoint=tmp_path / f"{c.rank}.json"), lg.WorkerError)
    for text in texts:
        assert "is there" in text
        assert "Let it lie on a disk that they share" in text or "let it lie on a disk that they share" in text


def test_a_worker_that_is_interrupted_tells_the_others() -> None:
    """Ctrl-C on one ends all."""

    def work(c: Any) -> str:
        def callback(training: Any) -> None:
            if c.rank == 0 and training.epoch == 2:
                raise KeyboardInterrupt

        try:
            train(c, callbacks=callback, epochs=50)
        except (KeyboardInterrupt, lg.WorkerError) as reason:
            return type(reason).__name__
        return sys.version

    assert side_by_side(2, work) == ["KeyboardInterrupt", "WorkerError"]


def test_one_worker_writes_the_log(tmp_path: Path) -> None:
    """A line an epoch, however many workers there are, and as one alone would write it."""
    log = tmp_path / "log.csv"
    side_by_side(2, lambda c: train(c, callbacks=lg.CSVLog(log)))
    lines = log.read_text(encoding="utf-8").splitlines()
    assert ["epoch", "1", "2", "3"] == [line.split(",")[0] for line in lines]


def test_a_step_of_several_workers_is_looked_at_by_none() -> None:
    """All are told so, and nothing waits for another."""
    env, _ = side_by_side(2, lambda c: (lg.VariableEnvironment(workers=c), 0))[0]

    def step(ctx: Any, x: Any) -> Any:
        return lg.sum(x)

    cure = "cannot look into a step that 2 workers run together"
    assert all(cure in text for text in told(2, lambda c: train(c, check="finite"), lg.GraphError))
    for look in (
        lambda: env.compile(step).profile(X),
        lambda: env.compile(step).find("nan", X),
        lambda: env.run(step, X, check="finite"),
    ):
        with pytest.raises(lg.GraphError, match=cure):
            look()
