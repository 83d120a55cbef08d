"""What is measured, written down: CSV, lines of JSON, TensorBoard, and the rate in the history."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lazygrad as lg

X = np.random.default_rng(0).normal(size=(40, 3)).astype("f4")
Y = (X @ np.array([[1.0], [2.0], [3.0]])).astype("f4")


def training(callbacks: Any, epochs: int = 3, schedule: bool = False, **settings: Any) -> lg.History:
    """A short one, with a validation set."""
    env = lg.VariableEnvironment(seed=0)
    line = lg.nn.Linear(env, 3, 1)
    rate = lg.optim.schedules.Exponential(0.1, 0.5, 10) if schedule else 0.1
    sgd = lg.optim.SGD(env, learning_rate=rate)

    def step(ctx: Any, x: Any, y: Any, train: bool) -> Any:
        loss = lg.mean(lg.square(line(x) - y))
        return (loss, sgd.minimize(loss)) if train else loss

    return lg.fit(
        step, (X, Y), epochs=epochs, batch_size=10, validation=(X, Y), callbacks=callbacks, env=env, **settings
    )


def test_a_csv_file_has_a_line_an_epoch(tmp_path: Path) -> None:
    """With metrics, seconds and the rate, as the history has them."""
    history = training(lg.CSVLog(tmp_path / "log.csv"))
    with open(tmp_path / "log.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert ["epoch", "seconds", "loss", "validation_loss", "rate"] == list(rows[0])
    assert ["1", "2", "3"] == [row["epoch"] for row in rows]
    assert history["validation_loss"] == [float(row["validation_loss"]) for row in rows]
    assert [0.1] * 3 == [float(row["rate"]) for row in rows]


def test_lines_of_json_have_an_object_an_epoch(tmp_path: Path) -> None:
    """With the rate of a schedule, which falls."""
    history = training(lg.JSONLog(tmp_path / "log.jsonl"), schedule=True)
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    assert history["loss"] == [row["loss"] for row in rows]
    rates = [row["rate"] for row in rows]
    assert rates == history.rates["sgd"] == sorted(rates, reverse=True)
    assert rates[0] == pytest.approx(0.1 * 0.5 ** (4 / 10))


@pytest.mark.parametrize("kind", [lg.CSVLog, lg.JSONLog])
def test_there_may_be_a_line_a_batch(kind: Any, tmp_path: Path) -> None:
    """With the number of the epoch and of the batch."""
    training(kind(tmp_path / "log", every="batch"), epochs=2)
    lines = (tmp_path / "log").read_text(encoding="utf-8").splitlines()
    assert 8 == len(lines) - (kind is lg.CSVLog)
    if kind is lg.CSVLog:
        assert ("epoch,batch,loss", "2,4,") == (lines[0], lines[-1][:4])
    else:
        assert {"epoch": 2, "batch": 4} == {k: v for k, v in json.loads(lines[-1]).items() if k != "loss"}


@pytest.mark.parametrize("kind", [lg.CSVLog, lg.JSONLog])
def test_a_log_goes_on_where_the_checkpoint_does(kind: Any, tmp_path: Path) -> None:
    """What an interrupted epoch had written is there once, and a new training begins a new file."""
    log, saved = tmp_path / "log", tmp_path / "c.json"
    training(kind(log), epochs=2, checkpoint=saved)
    head = log.read_text(encoding="utf-8").splitlines()
    torn = head[-1].replace("2", "3", 1)
    log.write_text("\n".join([*head, torn, torn[:7]]), encoding="utf-8")
    history = training(kind(log), epochs=4, checkpoint=saved)
    lines = log.read_text(encoding="utf-8").splitlines()
    assert head == lines[: len(head)]
    assert len(head) + 2 == len(lines)
    assert [0.1] * 4 == history.rates["sgd"]
    training(kind(log), epochs=1)
    assert 1 == len(log.read_text(encoding="utf-8").splitlines()) - (kind is lg.CSVLog)


def test_what_is_not_finite_is_null_in_json(tmp_path: Path) -> None:
    """As the format has no such numbers."""

    class Odd(lg.Callback):
        """Puts a NaN among the metrics."""

        def after_epoch(self, training: Any) -> None:
            training.metrics = {**training.metrics, "odd": float("nan")}

    training([Odd(), lg.JSONLog(tmp_path / "log")], epochs=1)
    assert json.loads((tmp_path / "log").read_text(encoding="utf-8"))["odd"] is None


@pytest.mark.parametrize("kind", [lg.CSVLog, lg.JSONLog])
def test_a_file_of_something_else_is_left_alone(kind: Any, tmp_path: Path) -> None:
    """Before anything is trained."""
    (tmp_path / "notes").write_text("dear diary\n", encoding="utf-8")
    with pytest.raises(lg.SaveError, match="it is a file of something else"):
        training(kind(tmp_path / "notes"))
    assert "dear diary\n" == (tmp_path / "notes").read_text(encoding="utf-8")
    with pytest.raises(lg.SaveError, match="cannot write"):
        training(kind(tmp_path / "no" / "log"))
    for path in (tmp_path, tmp_path / "notes" / "log", tmp_path / "\0"):
        with pytest.raises(lg.SaveError, match="cannot write"):
            training(kind(path))
    assert ["notes"] == [path.name for path in tmp_path.iterdir()]
    with pytest.raises(lg.DataError, match='It is "epoch" or "batch"'):
        kind(tmp_path / "log", every="step")


class Late(lg.Callback):
    """Measures something from the second epoch on, and in the third no more."""

    def after_epoch(self, training: lg.Training) -> None:
        """Add it."""
        if training.epoch == 2:
            training.metrics["late"] = 7.0


def test_what_is_measured_later_on_gets_a_column(tmp_path: Path) -> None:
    """Which is empty where it was not measured; so every line has as many cells as there are names."""
    training([Late(), lg.CSVLog(tmp_path / "log.csv")])
    with open(tmp_path / "log.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert ["late", "", "7.0", ""] == [row[5] for row in rows]
    assert {6} == {len(row) for row in rows}


def test_a_log_of_batches_that_goes_on_with_epochs_has_both_columns(tmp_path: Path) -> None:
    """The checkpoint goes on, the log is of another kind now."""
    log, saved = tmp_path / "log", tmp_path / "c.json"
    training(lg.CSVLog(log, every="batch"), epochs=1, checkpoint=saved)
    training(lg.CSVLog(log), epochs=2, checkpoint=saved)
    with open(log, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [("1", "4"), ("2", "")] == [(row["epoch"], row["batch"]) for row in rows[-2:]]
    assert float(rows[-1]["seconds"]) > 0


def test_two_logs_in_one_file_are_refused(tmp_path: Path) -> None:
    """Also by way of a link; before anything is written."""
    (tmp_path / "link").symlink_to(tmp_path / "log")
    for other in (lg.JSONLog(tmp_path / "log"), lg.CSVLog(tmp_path / "link", every="batch")):
        with pytest.raises(lg.DataError, match=r"two callbacks write to .*(\n.*)*CSVLog and"):
            training([lg.CSVLog(tmp_path / "log"), other])
    assert not (tmp_path / "log").exists()


def test_what_is_no_text_is_a_file_of_something_else(tmp_path: Path) -> None:
    """It is left as it is."""
    (tmp_path / "log").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(lg.SaveError, match="it is a file of something else"):
        training(lg.CSVLog(tmp_path / "log"))
    assert b"\xff\xfe\x00" == (tmp_path / "log").read_bytes()


def events(folder: Path) -> list[tuple[str, int, float]]:
    """Tag, step and value of what TensorBoard finds in a folder."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    found = []
    for path in sorted(folder.iterdir()):
        for event in EventFileLoader(str(path)).Load():
            found += [(v.tag, event.step, v.tensor.float_val[0]) for v in event.summary.value]
    return found


def test_tensorboard_reads_what_is_written_for_it(tmp_path: Path) -> None:
    """Training and validation under one name in two folders, with the rate."""
    pytest.importorskip("tensorboard", reason="it writes and reads the files")
    history = training(lg.TensorBoard(tmp_path / "run"))
    train, validation = events(tmp_path / "run" / "train"), events(tmp_path / "run" / "validation")
    losses = [(step, value) for tag, step, value in train if tag == "loss"]
    assert [(k + 1, np.float32(v)) for k, v in enumerate(history["loss"])] == losses
    assert [(1, np.float32(0.1)), (2, np.float32(0.1))] == [(s, v) for tag, s, v in train if tag == "rate"][:2]
    assert [np.float32(v) for v in history["validation_loss"]] == [v for tag, _, v in validation if tag == "loss"]


def test_tensorboard_may_have_every_batch(tmp_path: Path) -> None:
    """Counted through all epochs."""
    pytest.importorskip("tensorboard", reason="it writes and reads the files")
    training(lg.TensorBoard(tmp_path, every="batch"), epochs=2)
    assert list(range(1, 9)) == [step for tag, step, _ in events(tmp_path / "train") if tag == "batch/loss"]


def test_tensorboard_that_is_missing_or_has_no_folder_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is trained."""
    pytest.importorskip("tensorboard", reason="it writes and reads the files")
    (tmp_path / "file").write_text("x", encoding="utf-8")
    for path in (tmp_path / "file" / "run", tmp_path / "\0"):
        with pytest.raises(lg.SaveError, match="cannot write to"):
            training(lg.TensorBoard(path))
    with pytest.raises(lg.DataError, match='It is "epoch" or "batch"'):
        lg.TensorBoard(tmp_path, every="step")
    monkeypatch.setitem(sys.modules, "tensorboard.summary.writer.event_file_writer", None)
    with pytest.raises(lg.BackendError, match=r"pip install 'lazygrad\[tensorboard\]'"):
        lg.TensorBoard(tmp_path)


class Remover(lg.Callback):
    """Removes a folder after the first epoch."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def after_epoch(self, training: lg.Training) -> None:
        """Do it."""
        if training.epoch == 1:
            shutil.rmtree(self.folder)


@pytest.mark.parametrize("kind", ["CSVLog", "JSONLog", "TensorBoard"])
def test_a_folder_that_vanishes_while_training_is_an_error(kind: str, tmp_path: Path) -> None:
    """In words, of all three, and without a failure in a thread of the writer's."""
    folder = tmp_path / "logs"
    folder.mkdir()
    if kind == "TensorBoard":
        pytest.importorskip("tensorboard", reason="it writes the files")
    log = getattr(lg, kind)(folder if kind == "TensorBoard" else folder / "log")
    with pytest.raises(lg.SaveError, match="cannot write"):
        training([log, Remover(folder)])


def test_the_history_plots_the_rate() -> None:
    """In a panel of its own, after the metrics; of several optimizers by their names."""
    pytest.importorskip("matplotlib", reason="it draws")
    history = training([], schedule=True)
    figure = history.plot()
    assert ["loss", "rate"] == [axes.get_ylabel() for axes in figure.axes]
    assert history.rates["sgd"] == list(figure.axes[1].lines[0].get_ydata())
    (only,) = history.plot(metrics=["rate"]).axes
    assert ["learning rate"] == [line.get_label() for line in only.lines]
    history.rates["adam"] = [1.0] * 3
    (both,) = history.plot(metrics=["rate"]).axes
    assert ["sgd", "adam"] == [line.get_label() for line in both.lines]


def test_an_epoch_whose_rate_nobody_knows_is_nan() -> None:
    """So curves stay in place."""
    history = lg.History()
    history.add({"loss": 1.0}, 0.1)
    history.add({"loss": 1.0}, 0.1, {"sgd": 0.5})
    assert (2, 0.5) == (len(history.rates["sgd"]), history.rates["sgd"][1])
    assert np.isnan(history.rates["sgd"][0])
