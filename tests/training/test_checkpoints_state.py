"""A checkpoint is checked whole before anything is changed: damage, arrays that do not fit, callbacks that fail."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoints import Make, refused
from files import signed
from snapshots import at, snapshot

import lazygrad as lg

# The line of a test that a message names.
RESTORED = "epochs=3, checkpoint=file, callbacks=[first"


def test_a_file_of_variables_is_not_overwritten(problem: Make, tmp_path: Path) -> None:
    """What env.save wrote is no checkpoint, and stays."""
    p = problem()
    p.env.save(tmp_path / "model.json")
    assert "is not a checkpoint but a file of variables" in refused(p, tmp_path / "model.json")


@pytest.mark.parametrize("damage", ["cut off", "another file", "no history", "text"])
def test_a_damaged_checkpoint_is_refused(damage: str, problem: Make, tmp_path: Path) -> None:
    """Nothing is overwritten, and the message names the file."""
    p, q, file = problem(), problem(), tmp_path / "c.json"
    lg.fit(p.step, (p.x, p.y), epochs=1, checkpoint=file)
    text = file.read_text()
    content = json.loads(text)
    if damage == "no history":
        content["training"] = [row for row in content["training"] if row["name"] != "seconds"]
    changed = {"cut off": text[:300], "another file": "{}", "no history": signed(content), "text": "hello"}
    file.write_text(changed[damage])
    assert "c.json" in refused(q, file)


def test_a_place_that_cannot_be_written_to_is_found_before_training(problem: Make, tmp_path: Path) -> None:
    """Not after the first epoch."""
    assert "cannot save to" in refused(problem(), tmp_path / "missing" / "c.json")


def changed(content: dict[str, Any], which: str, **members: Any) -> dict[str, Any]:
    """A checkpoint in which one row of the training is another one, or, without members, is not there."""
    rows = [{**row, **members} if row["name"] == which else row for row in content["training"]]
    return {**content, "training": [row for row in rows if members or row["name"] != which]}


AIMED: dict[str, dict[str, Any]] = {
    "callback/0/epoch": {"dtype": "float64", "data": [2.0]},
    "callback/0/epoch ": {"data": [1]},
    "callback/0/epoch  ": {"data": [-1]},
    "callback/0/epoch   ": {"shape": [1]},
    "callback/0/epoch    ": {},
    "callback/0/value": {"data": [0.25]},
    "callback/0/value ": {"dtype": "float32", "data": [0.25]},
    "callback/0/value  ": {},
    "callback/0/variables/w": {},
    "callback/0/variables/w ": {"shape": [1, 3]},
    "callback/0/variables/w  ": {"dtype": "float64"},
    "callback/0/variables/w   ": {"shape": [0], "data": []},
    "callback/0/variables/w    ": {"name": "callback/0/variables/v"},
    "callback/0/variables/adam/step": {},
    "callback/1/epoch": {"data": [0]},
    "callback/1/value": {"name": "callback/7/value"},
    "history/loss": {"shape": [1, 3]},
    "history/loss ": {"dtype": "float32", "data": [0.5, 0.25, 0.125]},
    "history/loss  ": {"name": "history/loose"},
    "history/loss   ": {},
    "seconds": {"data": [1.0, -1.0, 1.0]},
    "seconds ": {"shape": [2], "data": [1.0, 1.0]},
    "seconds  ": {},
    "stopped": {"shape": [1], "data": [255]},
    "stopped ": {"dtype": "int8"},
    "stopped  ": {"name": "stopped/here"},
    "settings/rows": {"data": [102]},
    "settings/rows ": {"dtype": "float64", "data": [103.0]},
    "settings/seed": {"data": [1]},
    "settings/shuffle": {"data": [False]},
    "settings/batch_size": {},
    "fingerprint/data/0": {},
    "fingerprint/data/1": {"shape": [1], "data": [65]},
    "fingerprint/step": {"shape": [1], "data": [1]},
    "fingerprint/step ": {},
    "fingerprint/evaluate": {"shape": [1, 1], "data": [1]},
    "fingerprint/lazygrad": {},
}


@pytest.fixture(scope="module")
def aimed(problem: Make, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A checkpoint with callbacks, an environment that would go on from it, and fit for both."""
    file = tmp_path_factory.mktemp("aimed") / "c.json"

    def fit(p: Any, callbacks: Any = None) -> Any:
        callbacks = callbacks or [lg.BestWeights("loss"), lg.EarlyStopping(patience=2)]
        held_out = (p.x[:20], p.y[:20])
        return lg.fit(p.step, (p.x, p.y), epochs=3, validation=held_out, callbacks=callbacks, checkpoint=file)

    fit(problem())
    return file, json.loads(file.read_text()), problem(), fit


@pytest.mark.parametrize("name", AIMED)
def test_a_state_that_does_not_fit_is_refused_before_anything_is_changed(name: str, aimed: Any) -> None:
    """Though the checksum is right: each array of the training in turn, by kind, dtype, shape, range and name."""
    file, content, p, fit = aimed
    text = signed(changed(content, name.strip(), **AIMED[name]))
    file.write_text(text)
    callbacks = [lg.BestWeights("loss"), lg.EarlyStopping(patience=2)]
    before = snapshot(p.env)
    with pytest.raises(lg.SaveError, match="cannot go on from"):
        fit(p, callbacks)
    assert (before, text) == (snapshot(p.env), file.read_text())
    assert [0, 0] == [callback.epoch for callback in callbacks]
    assert [file] == [f for f in file.parent.iterdir() if not f.name.startswith("c.json.")]


@pytest.mark.parametrize(
    ("name", "members"),
    [
        ("adam/w/m", {"shape": [1, 3]}),
        ("adam/w/m", {"dtype": "float64"}),
        ("adam/w/m", {"name": "adam/w/n"}),
        ("adam/step", {"dtype": "int32"}),
        ("w", {"shape": [3, 1]}),
        ("w", {"name": "v"}),
    ],
)
def test_variables_that_the_step_will_not_have_are_refused(name: str, members: dict[str, Any], aimed: Any) -> None:
    """Also the state of an optimizer, which a fresh program registers only at its first step."""
    file, content, p, fit = aimed
    rows = [{**row, **members} if row["name"] == name else row for row in content["variables"]]
    file.write_text(signed({**content, "variables": rows}))
    before = snapshot(p.env)
    with pytest.raises(lg.SaveError, match="it is a checkpoint of another model"):
        fit(p)
    assert before == snapshot(p.env)


class Counting(lg.Callback):
    """A user's callback, whose restoring can be made to fail half way."""

    def __init__(self, fails: bool = False) -> None:
        self.count, self.seen, self.fails = 0, np.zeros(0), fails

    def after_epoch(self, training: Any) -> None:
        self.count += 1
        self.seen = np.append(self.seen, training.metrics["loss"])

    def state(self) -> dict[str, Any]:
        return {"count": self.count, "seen": self.seen}

    def restore(self, state: dict[str, Any]) -> None:
        self.count = int(state["count"])
        if self.fails:
            raise KeyError("colour")
        self.seen = state["seen"]


def test_a_callback_that_grows_goes_on(problem: Make, tmp_path: Path) -> None:
    """Its first state has no elements, the one in the file has one an epoch."""
    p, q, mine = problem(), problem(), Counting()
    history = lg.fit(p.step, (p.x, p.y), epochs=3, checkpoint=tmp_path / "c.json", callbacks=[Counting()])
    lg.fit(q.step, (q.x, q.y), epochs=3, checkpoint=tmp_path / "c.json", callbacks=[mine])
    assert (3, history["loss"]) == (mine.count, mine.seen.tolist())


def test_a_callback_that_cannot_be_restored_is_told_and_nothing_has_changed(problem: Make, tmp_path: Path) -> None:
    """Neither the environment, nor it, nor the one before it."""
    p, q, file = problem(), problem(), tmp_path / "c.json"
    lg.fit(p.step, (p.x, p.y), epochs=2, checkpoint=file, callbacks=[Counting(), Counting()])
    first, second = Counting(), Counting(fails=True)
    before = snapshot(q.env), file.read_bytes()
    with pytest.raises(lg.SaveError) as caught:
        lg.fit(q.step, (q.x, q.y), epochs=3, checkpoint=file, callbacks=[first, second])
    assert str(caught.value) == (
        f"cannot go on from {str(file)!r}: callback 1, a Counting, cannot take up its state\n\n"
        f"{at(test_a_callback_that_cannot_be_restored_is_told_and_nothing_has_changed, RESTORED)}\n\n"
        "    KeyError: 'colour'.\n"
        "    Train with the callbacks of the checkpoint, in the same order; "
        "or the file was damaged: use another copy."
    )
    assert before == (snapshot(q.env), file.read_bytes())
    assert [(0, 0), (0, 0)] == [(callback.count, callback.seen.size) for callback in (first, second)]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"dtype": "bool", "data": [True]}, "Its 'count' is bool[], where int64[] is wanted."),
        ({"shape": [1]}, "Its 'count' is int64[1], where int64[] is wanted."),
        ({"name": "callback/0/counts"}, "It has no 'count'."),
    ],
)
def test_a_state_is_compared_with_the_one_that_the_callback_has(
    row: dict[str, Any], said: str, problem: Make, tmp_path: Path
) -> None:
    """Where it does not check more itself."""
    p, q, file = problem(), problem(), tmp_path / "c.json"
    lg.fit(p.step, (p.x, p.y), epochs=1, checkpoint=file, callbacks=[Counting()])
    file.write_text(signed(changed(json.loads(file.read_text()), "callback/0/count", **row)))
    assert said in refused(q, file, callbacks=[Counting()])


@pytest.mark.parametrize(("state", "said"), [({"a b ": 1}, "cannot be the name"), ({"a": None}, "of object")])
def test_a_state_that_no_file_can_hold_is_told_before_training(
    state: dict[str, Any], said: str, problem: Make, tmp_path: Path
) -> None:
    """And not when the file is to be read."""

    class Odd(lg.Callback):
        def state(self) -> dict[str, Any]:
            return state

    p = problem()
    assert said in refused(p, tmp_path / "c.json", callbacks=[Odd()])
    assert [] == list(tmp_path.iterdir())


def test_a_callback_that_builds_on_ours_goes_on(problem: Make, tmp_path: Path) -> None:
    """With a state of its own beside, and its own mind of which epochs count."""

    class Later(lg.EarlyStopping):
        seen = 0

        def after_epoch(self, training: Any) -> None:
            self.seen += 1
            if training.epoch > 1:
                super().after_epoch(training)

        def state(self) -> dict[str, Any]:
            return {**super().state(), "seen": self.seen}

        def restore(self, state: dict[str, Any]) -> None:
            super().restore(state)
            self.seen = int(state["seen"])

    p, q, mine, file = problem(), problem(), Later(metric="loss", mode="max"), tmp_path / "c.json"
    lg.fit(p.step, (p.x, p.y), epochs=3, checkpoint=file, callbacks=[Later(metric="loss", mode="max")])
    lg.fit(q.step, (q.x, q.y), epochs=3, checkpoint=file, callbacks=[mine])
    assert (3, 2) == (mine.seen, mine.epoch)
    file.write_text(signed(changed(json.loads(file.read_text()), "callback/0/epoch", data=[4])))
    assert "Its 'epoch' is 4, of 3." in refused(q, file, callbacks=[Later(metric="loss")])
