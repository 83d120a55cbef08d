"""Batches that come one by one: loaders, functions of the epoch, generators; and threads that prepare them."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from snapshots import at

import lazygrad as lg

Make = Callable[..., Any]


def fit(p: Any, data: Any, **settings: Any) -> lg.History:
    """``lg.fit`` of a problem whose step is not compiled."""
    return lg.fit(p.step, data, env=p.env, **settings)


def preparing() -> list[threading.Thread]:
    """The threads that prepare batches."""
    return [thread for thread in threading.enumerate() if thread.name.startswith("lazygrad-batches")]


def batches_of(p: Any, size: int = 25) -> list[tuple[Any, Any]]:
    """The rows of a problem as they stand, in batches."""
    return [(p.x[k : k + size], p.y[k : k + size]) for k in range(0, len(p.x), size)]


class Loader:
    """What can be gone through again and again, as PyTorch's DataLoader, and has a length."""

    def __init__(self, batches: list[Any]) -> None:
        self.batches = batches

    def __iter__(self) -> Iterator[Any]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


class Places:
    """What gives a batch by its number, as Keras' Sequence."""

    def __init__(self, batches: list[Any]) -> None:
        self.batches, self.asked = batches, []

    def __getitem__(self, place: int) -> Any:
        self.asked.append((place, threading.current_thread()))
        time.sleep(0.002 * (place % 3))  # the later ones are ready before the earlier
        return self.batches[place]

    def __len__(self) -> int:
        return len(self.batches)


def endless(batches: list[Any]) -> Iterator[Any]:
    """Batches over and over, in one iterator."""
    while True:
        yield from batches


FORMS: dict[str, Callable[[list[Any]], Any]] = {
    "a loader": Loader,
    "by number": Places,
    "a function": lambda batches: lambda: iter(batches),
    "a function of the epoch": lambda batches: lambda epoch: iter(batches),
    "a function that returns a list": lambda batches: lambda: batches,
    "dicts": lambda batches: Loader([{"y": y, "x": x} for x, y in batches]),
    "lists": lambda batches: Loader([[x.astype("float64"), y] for x, y in batches]),
}


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("form", FORMS)
def test_batches_that_come_one_by_one_train_as_the_arrays_do(problem: Make, form: str, workers: int) -> None:
    """The same bits as with the arrays in their order, with and without threads, none of which stays."""
    p, q = problem(compiled=False), problem(compiled=False)
    expected = fit(p, (p.x, p.y), epochs=2, batch_size=25, shuffle=False, validation=(p.x, p.y))
    data = FORMS[form](batches_of(q))
    found = fit(q, data, epochs=2, validation=Loader(batches_of(q)), workers=workers)
    assert not preparing()
    assert {name: list(values) for name, values in expected.items()} == dict(found)
    np.testing.assert_array_equal(p.env["w"], q.env["w"])


@pytest.mark.parametrize("workers", [0, 3])
def test_a_generator_goes_on_where_the_last_epoch_ended(problem: Make, workers: int) -> None:
    """No batch is lost between two epochs, however many are prepared ahead."""
    p, q = problem(100, compiled=False), problem(100, compiled=False)
    expected = fit(p, lambda epoch: batches_of(p)[2 * epoch : 2 * epoch + 2], epochs=2)
    found = fit(q, endless(batches_of(q)), epochs=2, batches_per_epoch=2, workers=workers, prefetch=5)
    assert expected["loss"] == found["loss"]
    np.testing.assert_array_equal(p.env["w"], q.env["w"])


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_arrays_are_cut_by_threads_to_the_same_bits(problem: Make, workers: int) -> None:
    """In the same order of the examples; ``lg.batches`` too."""
    p, q = problem(compiled=False), problem(compiled=False)
    expected = fit(p, (p.x, p.y), epochs=2, batch_size=10)
    found = fit(q, (q.x, q.y), epochs=2, batch_size=10, workers=workers)
    assert expected["loss"] == found["loss"]
    one, other = (list(lg.batches((p.x, p.y), 10, workers=n)) for n in (0, workers))
    assert all((a == b).all() for pair, same in zip(one, other, strict=True) for a, b in zip(pair, same, strict=True))


def test_several_threads_ask_for_batches_by_number(problem: Make) -> None:
    """All of them once an epoch, beside the first one, by which the step is checked."""
    p = problem(compiled=False)
    data = Places(batches_of(p, 10))
    fit(p, data, epochs=1, workers=3)
    assert [0, *range(11)] == sorted(place for place, _ in data.asked)
    assert 2 <= len({thread for _, thread in data.asked[1:]} - {threading.main_thread()})
    assert not preparing()


def test_what_a_thread_raises_comes_with_its_traceback(problem: Make) -> None:
    """After the batches before it, and the variables are those of before the epoch; no thread stays."""
    p = problem(compiled=False)
    seen: list[int] = []

    def read(number: int) -> Any:
        if number == 3:
            raise OSError("the disk is gone")
        return p.x[:25], p.y[:25]

    def data(epoch: int) -> Iterator[Any]:
        for number in range(3 if epoch == 0 else 5):
            yield read(number)

    class Count(lg.Callback):
        def after_batch(self, training: Any) -> None:
            seen.append(training.batch)

    kept: list[Any] = []
    callbacks = [Count(), lambda training: kept.append(training.env["w"])]
    for workers in (0, 1):
        with pytest.raises(OSError, match="the disk is gone") as caught:
            fit(p, data, epochs=2, callbacks=callbacks, workers=workers)
        assert not preparing()
        assert "read" in [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
        np.testing.assert_array_equal(kept[-1], p.env["w"])
    assert [1, 2, 3, 1, 2, 3] * 2 == seen


@pytest.mark.parametrize("workers", [0, 1])
def test_a_generator_that_ends_early_is_told_with_epoch_and_batch(problem: Make, workers: int) -> None:
    """The variables are those of before the epoch."""
    p = problem(compiled=False)
    kept: list[Any] = []
    data = iter(batches_of(p) + batches_of(p)[:2])
    with pytest.raises(lg.DataError) as caught:
        fit(p, data, epochs=9, batches_per_epoch=5, workers=workers, callbacks=[lambda t: kept.append(t.env["w"])])
    assert str(caught.value) == (
        "the data ended early, in epoch 2 after batch 2\n\n"
        f"{at(fit, 'return lg.fit')}\n\n"
        "    batches:  2, of 5\n"
        "    Give as many batches in every epoch, or another batches_per_epoch=."
    )
    assert 1 == len(kept)
    np.testing.assert_array_equal(kept[0], p.env["w"])


def test_a_loader_that_is_shorter_than_it_says_is_told(problem: Make) -> None:
    """So is a function whose iterable is empty in a later epoch, and one that has no batches at all."""
    p = problem(compiled=False)

    class Liar(Loader):
        def __len__(self) -> int:
            return 7

    with pytest.raises(lg.DataError, match=r"(?s)ended early, in epoch 1 after batch 5.*batches:  5, of 7"):
        fit(p, Liar(batches_of(p)), epochs=1)
    with pytest.raises(lg.DataError, match="ended early, in epoch 2 after batch 0"):
        fit(p, lambda epoch: [] if epoch else batches_of(p), epochs=2)
    with pytest.raises(lg.DataError, match="the data have no batches"):
        fit(p, iter([]), epochs=1)
    with pytest.raises(lg.DataError, match="the validation data ended early, in epoch 1"):
        fit(p, (p.x, p.y), epochs=1, validation=Liar(batches_of(p)))


def test_a_generator_for_several_epochs_is_refused_before_training(problem: Make) -> None:
    """It can be gone through once: the function is wanted."""
    p = problem(compiled=False)
    for settings in ({"data": iter(batches_of(p))}, {"data": (p.x, p.y), "validation": iter(batches_of(p))}):
        with pytest.raises(lg.DataError, match="data can be gone through only once") as caught:
            fit(p, epochs=2, **settings)
        assert "Give the function that makes it, as fit(step, batches) and not fit(step, batches())" in str(
            caught.value
        )
    assert not p.env["w"].any()
    assert 1 == fit(p, iter(batches_of(p)), epochs=1, validation=iter(batches_of(p))).epochs


BROKEN = {
    "a number that is not finite": (
        lambda x, y: (np.where(np.arange(25)[:, None] == 3, np.nan, x), y),
        "x (epoch 2, batch 4) has a number that is not finite, in row 3, column 0",
    ),
    "another array": (lambda x, y: (x, y, y), "batch 4 of epoch 2 is unlike the first one"),
    "another number of axes": (lambda x, y: (x, y[:, None]), "batch 4 of epoch 2 is unlike the first one"),
    "other rows": (lambda x, y: (x, y[1:]), "the arrays have different numbers of rows"),
    "no rows": (lambda x, y: (x[:0], y[:0]), "x (epoch 2, batch 4) has no rows"),
    "text": (lambda x, y: (np.array(["a"] * 25), y), "cannot train with x (epoch 2, batch 4): it is not an array"),
}


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("name", BROKEN)
def test_a_batch_that_cannot_be_trained_with_is_told(problem: Make, name: str, workers: int) -> None:
    """With its epoch and number, at the user's line also where a thread has found it; the epoch has then not been."""
    p = problem(compiled=False)
    change, said = BROKEN[name]
    kept: list[Any] = []

    def data(epoch: int) -> Iterator[Any]:
        for number, (x, y) in enumerate(batches_of(p)):
            yield change(x, y) if (epoch, number) == (1, 3) else (x, y)

    with pytest.raises(lg.DataError) as caught:
        fit(p, data, epochs=3, workers=workers, callbacks=[lambda t: kept.append(t.env["w"])])
    assert said in str(caught.value)
    assert "test_streams.py" in str(caught.value)
    np.testing.assert_array_equal(kept[-1], p.env["w"])


def test_a_label_out_of_range_in_a_later_batch_is_told() -> None:
    """As it is of arrays before training."""
    env = lg.VariableEnvironment(seed=0)
    line, x = lg.nn.Linear(env, 2, 3), np.ones((4, 2), "float32")
    sgd = lg.optim.SGD(env, 0.1)

    @env.compile
    def step(ctx: Any, x: Any, y: Any) -> Any:
        loss = lg.mean(lg.nn.cross_entropy(line(x), y))
        return loss, sgd.minimize(loss)

    before = line.weight.value
    with pytest.raises(lg.DataError, match=r"y \(epoch 1, batch 2\) has a label that is out of range"):
        lg.fit(step, Loader([(x, np.array([0, 1, 2, 2])), (x, np.array([0, 1, 2, 3]))]), epochs=1)
    np.testing.assert_array_equal(before, line.weight.value)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_generator_may_fill_the_same_arrays_again_and_again(problem: Make, workers: int) -> None:
    """What waits for its turn is not overwritten."""
    p, q = problem(100, compiled=False), problem(100, compiled=False)
    x, y = np.empty_like(q.x[:25]), np.empty_like(q.y[:25])

    def data() -> Iterator[Any]:
        for k in range(0, 100, 25):
            x[:], y[:] = q.x[k : k + 25], q.y[k : k + 25]
            yield x, y

    expected = fit(p, Loader(batches_of(p)), epochs=2)
    assert expected["loss"] == fit(q, data, epochs=2, workers=workers, prefetch=4)["loss"]
    q.x[30] = np.nan  # in the second batch, which is overwritten before it is its turn
    with pytest.raises(lg.DataError, match=r"x \(epoch 1, batch 2\) has a number that is not finite"):
        fit(q, data, epochs=2, workers=workers, prefetch=4)


def test_an_interrupt_leaves_no_thread(problem: Make) -> None:
    """However many batches are being prepared; the variables stay as they are."""
    p = problem(compiled=False)

    class Interrupts(lg.Callback):
        def after_batch(self, training: Any) -> None:
            assert preparing()
            raise KeyboardInterrupt

    for data in (Places(batches_of(p)), lambda: iter(batches_of(p)), (p.x, p.y)):
        with pytest.raises(KeyboardInterrupt):
            fit(p, data, epochs=2, workers=3, prefetch=9, callbacks=[Interrupts()])
        assert not preparing()
    assert p.env["w"].all()


def test_batches_may_be_of_any_length(problem: Make) -> None:
    """Of other rows, and, as padded sequences are, of other sizes in other axes."""
    env = lg.VariableEnvironment(seed=0)
    env.name("w").set(np.float32(0))
    sgd = lg.optim.SGD(env, 0.1)

    def step(ctx: Any, x: Any) -> Any:
        loss = lg.mean(lg.square(x - ctx.variable("w")))
        return loss, sgd.minimize(loss)

    data = [np.full((2, 3), 1.0), np.full((1, 5), 2.0), np.full((3, 2), 3.0)]
    history = lg.fit(env.compile(step), Loader(data), epochs=1)
    assert (2 * 1.0 + 1 * (2 - 0.2) ** 2 + 3 * (3 - 0.56) ** 2) / 6 == pytest.approx(history["loss"][0])


def test_what_is_no_batch_is_told(problem: Make) -> None:
    """A function that wants other arguments, or returns no iterable; a number of batches where there are arrays."""
    p = problem(compiled=False)
    for data, said in [
        (lambda size: [], "the data cannot be asked for"),
        (lambda: 3, "the data are no batches"),
        (3, "cannot train with x: it is a single number"),
        ({"x": iter(p.x), "y": p.y}, r"(?s)cannot train with x: .*a function that yields"),
        (dict, "cannot train with x: it is not an array of numbers"),
        (batches_of(p), r"(?s)cannot train with x: .*If these are batches, give a function"),
        ([{"x": p.x, "y": p.y}], r"(?s)cannot train with x: .*If these are batches, give a function"),
        (Places([(p.x[0], p.y[0])]), r"cannot train with y \(epoch 1, batch 1\): it is a single number"),
    ]:
        with pytest.raises(lg.DataError, match=said):
            fit(p, data, epochs=1)
    with pytest.raises(lg.DataError, match="batches_per_epoch is for data that come batch by batch"):
        fit(p, (p.x, p.y), epochs=1, batches_per_epoch=3)
    for settings in ({"workers": -1}, {"prefetch": 0}, {"batches_per_epoch": 0}, {"workers": 1.5}):
        with pytest.raises(lg.DataError, match=f"as {next(iter(settings))}"):
            fit(p, Loader(batches_of(p)), epochs=1, **settings)


def test_a_training_with_a_function_of_the_epoch_goes_on_from_a_checkpoint(problem: Make, tmp_path: Path) -> None:
    """With the epochs that are left, to the same bits."""
    p, q, r = (problem(compiled=False) for _ in range(3))
    asked: list[int] = []

    def data(epoch: int) -> Any:
        asked.append(epoch)
        return lg.batches((p.x, p.y), 25, epoch=epoch)

    fit(p, data, epochs=3)
    fit(q, data, epochs=2, checkpoint=tmp_path / "c.json")
    asked.clear()
    history = fit(r, data, epochs=3, checkpoint=tmp_path / "c.json")
    assert (3, [0, 2]) == (history.epochs, asked)  # the first one is looked at
    np.testing.assert_array_equal(p.env["w"], r.env["w"])
    with pytest.raises(lg.SaveError, match="is a checkpoint of another training"):
        fit(r, (p.x, p.y), epochs=3, checkpoint=tmp_path / "c.json")


# Arrays that lie in a file.


def test_a_mapped_array_is_read_batch_by_batch(tmp_path: Path) -> None:
    """Never whole: 32 MB of float64 on disk, for which less than 13 MB are allocated; the same bits as from memory."""
    import tracemalloc

    rows, columns = 4_000, 1_000
    mapped = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.float64, (rows, columns))
    for start in range(0, rows, 1000):
        mapped[start : start + 1000] = np.random.default_rng(start).normal(size=(1000, columns))
    mapped.flush()
    y = np.arange(rows, dtype="float32") / rows

    def trained(x: Any, **settings: Any) -> Any:
        env = lg.VariableEnvironment(seed=0)
        env.name("w").set(np.zeros(columns, "float32"))
        sgd = lg.optim.SGD(env, 0.01)

        def step(ctx: Any, x: Any, y: Any) -> Any:
            loss = lg.mean(lg.square(x @ ctx.variable("w") - y))
            return loss, sgd.minimize(loss)

        def evaluate(ctx: Any, x: Any, y: Any) -> Any:
            return lg.mean(lg.square(x @ ctx.variable("w") - y))

        held_out = x[:500], y[:500]
        history = lg.fit(
            env.compile(step),
            (x, y),
            epochs=1,
            batch_size=500,
            validation=held_out,
            evaluate=evaluate,
            env=env,
            **settings,
        )
        return dict(history), env["w"].tobytes()

    opened = np.load(tmp_path / "x.npy", mmap_mode="r")
    tracemalloc.start()
    try:
        found = trained(opened, checkpoint=tmp_path / "c.json")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 13 * 2**20
    assert found == trained(np.array(opened))


def test_what_is_wrong_in_a_mapped_array_is_told_before_training(tmp_path: Path, problem: Make) -> None:
    """A number that is not finite, in float32 too, with its row; a label out of range, wherever it is."""
    p = problem(compiled=False)
    for number in (np.nan, 1e300):
        x = np.memmap(tmp_path / "x", np.float64, "w+", shape=(300_000, 3))
        x[:] = 1
        x[250_000, 2] = number
        with pytest.raises(lg.DataError, match="x has a number that is not finite, in row 250000, column 2"):
            fit(p, (x, np.zeros(300_000, "float32")), epochs=1)
    labels = np.memmap(tmp_path / "y", ">i4", "w+", shape=(2_000_000,))
    labels[1_999_999] = 3
    env = lg.VariableEnvironment(seed=0)
    table = lg.nn.Embedding(env, 3, 1)
    sgd = lg.optim.SGD(env, 0.1)

    def step(ctx: Any, y: Any) -> Any:
        loss = lg.mean(table(y))
        return loss, sgd.minimize(loss)

    with pytest.raises(lg.DataError, match=r"(?s)y has a label that is out of range.*in row 1999999"):
        lg.fit(step, labels, epochs=1, batch_size=1000, env=env)
    assert 1 == lg.fit(step, labels[:10_000], epochs=1, batch_size=1000, env=env).epochs
