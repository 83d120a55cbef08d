"""Checkpoints: a training that was interrupted ends as if it had not been."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from files import VERSION_1, signed
from snapshots import at, snapshot

import lazygrad as lg
from lazygrad.files import replacing, serialize
from lazygrad.training.data import Table, tables
from lazygrad.training.fingerprint import of_data, of_graph
from lazygrad.training.steps import Step

Make = Callable[..., Any]

# The lines of tests that messages name.
OTHER_DATA = "(p.x, p.y + 1), epochs=2"
DAMAGED = "(q.x, q.y), epochs=6, checkpoint=file)"
IN_THE_WAY = "(p.x, p.y), epochs=4, checkpoint=file)"
RESTORED = "epochs=3, checkpoint=file, callbacks=[first"

# Dropout, running statistics, Adam, shuffling, a ragged batch, early stopping: all state there can be.
PROGRAM = """
import sys, time
import numpy as np
import lazygrad as lg
from lazygrad import nn

final, checkpoint, pause = sys.argv[1], sys.argv[2] or None, float(sys.argv[3])
rng = np.random.default_rng(0)
x = rng.normal(size=(90, 4)).astype("float32")
y = np.tanh(x @ rng.normal(size=(4, 1))).astype("float32")
env = lg.VariableEnvironment(seed=5)
first, norm, out = nn.Linear(env, 4, 8), nn.BatchNorm(env, 8), nn.Linear(env, 8, 1)
adam = lg.optim.Adam(env, 0.01)

@env.compile
def step(ctx, x, y, train):
    hidden = nn.dropout(nn.relu(norm(first(x), train)), 0.2, train)
    loss = lg.mean(lg.square(out(hidden) - y))
    return (loss, adam.minimize(loss), ctx.updates()) if train else loss

def slowly(training):
    print(training.epoch, flush=True)
    time.sleep(pause)

history = lg.fit(step, (x, y), epochs=12, batch_size=16, validation=(x[:20], y[:20]), checkpoint=checkpoint,
                 callbacks=[lg.BestWeights(), slowly])
env.save(final)
print("done", *history["loss"])
"""


def trained(folder: Path, final: str, checkpoint: str = "") -> str:
    """Train to the end in a process of its own; what it printed last."""
    command = [sys.executable, "-c", PROGRAM, str(folder / final), checkpoint, "0"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1]


@pytest.mark.parametrize("epoch", [1, 5])
def test_a_killed_training_that_goes_on_ends_with_the_same_bits(epoch: int, tmp_path: Path) -> None:
    """Killed without warning in the middle of an epoch: variables, optimizer, draws and history are the same."""
    whole = trained(tmp_path, "whole.json")
    checkpoint = str(tmp_path / "checkpoint.json")
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "never.json"), checkpoint, "0.02"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while process.stdout.readline().strip() != str(epoch):
            pass
        time.sleep(0.03)
        process.kill()
    assert not (tmp_path / "never.json").exists()
    assert whole == trained(tmp_path, "resumed.json", checkpoint)
    assert (tmp_path / "whole.json").read_bytes() == (tmp_path / "resumed.json").read_bytes()


def test_a_training_that_is_done_is_not_done_again(problem: Make, tmp_path: Path) -> None:
    """The history and the variables are those of the file; more epochs go on from there."""
    file = tmp_path / "c.json"
    p, q = problem(), problem()
    history = lg.fit(p.step, (p.x, p.y), epochs=3, checkpoint=file)
    again = lg.fit(q.step, (q.x, q.y), epochs=3, checkpoint=file)
    assert (dict(history), history.seconds) == (dict(again), again.seconds)
    np.testing.assert_array_equal(p.env["w"], q.env["w"])
    assert 5 == lg.fit(q.step, (q.x, q.y), epochs=5, checkpoint=file).epochs


def test_a_checkpoint_is_a_file_of_variables_too(problem: Make, tmp_path: Path) -> None:
    """It can be loaded without the training."""
    p = problem()
    lg.fit(p.step, (p.x, p.y), epochs=2, checkpoint=tmp_path / "c.json")
    np.testing.assert_array_equal(p.env["w"], lg.VariableEnvironment.load(tmp_path / "c.json")["w"])


def test_numbers_that_are_not_finite_come_back(problem: Make, tmp_path: Path) -> None:
    """In the history and in what the callbacks keep: JSON has no NaN, the file has."""

    class Odd(lg.Callback):
        value = np.inf

        def state(self) -> dict[str, Any]:
            return {"value": self.value}

        def restore(self, state: dict[str, Any]) -> None:
            self.value = float(state["value"])

    p, q, odd = problem(), problem(), Odd()
    lg.fit(p.step, (p.x, p.y), epochs=1, checkpoint=tmp_path / "c.json", callbacks=[odd])
    odd.value = 3.0
    lg.fit(q.step, (q.x, q.y), epochs=1, checkpoint=tmp_path / "c.json", callbacks=[odd])
    assert np.inf == odd.value


def refused(p: Any, file: Path, **changed: Any) -> str:
    """What fit says of a checkpoint; neither the file nor the environment is changed."""
    before = file.read_bytes() if file.exists() else None, [v.value.tobytes() for v in p.env]
    with pytest.raises(lg.SaveError) as raised:
        lg.fit(p.step, (p.x, p.y), checkpoint=file, **{"epochs": 4, **changed})
    assert before == (file.read_bytes() if file.exists() else None, [v.value.tobytes() for v in p.env])
    return str(raised.value)


def test_a_checkpoint_of_another_model_is_refused(problem: Make, tmp_path: Path) -> None:
    """By the first variable that does not fit."""
    p, q = problem(), problem(columns=5)
    lg.fit(p.step, (p.x, p.y), epochs=1, checkpoint=tmp_path / "c.json")
    said = refused(q, tmp_path / "c.json")
    assert "it is a checkpoint of another model" in said
    assert "variable 'w' is another" in said
    assert "c.json" in said


@pytest.mark.parametrize(
    ("changed", "named"), [({"batch_size": 20}, "batch_size"), ({"shuffle": False}, "shuffle"), ({"seed": 3}, "seed")]
)
def test_a_checkpoint_of_other_settings_is_refused(
    changed: dict[str, Any], named: str, problem: Make, tmp_path: Path
) -> None:
    """With them it would not end as the training that was interrupted."""
    p, q = problem(), problem()
    lg.fit(p.step, (p.x, p.y), epochs=1, checkpoint=tmp_path / "c.json")
    said = refused(q, tmp_path / "c.json", **changed)
    assert "it is a checkpoint of another training" in said
    assert f"{named}, now:" in said


def test_a_checkpoint_of_other_callbacks_is_refused(problem: Make, tmp_path: Path) -> None:
    """Early stopping could not go on from a file that does not know what was best."""
    p, q = problem(), problem()
    lg.fit(p.step, (p.x, p.y), epochs=1, checkpoint=tmp_path / "c.json")
    said = refused(q, tmp_path / "c.json", callbacks=[lg.EarlyStopping()])
    assert "it has no state for callback 0, a EarlyStopping" in said
    file = tmp_path / "d.json"
    lg.fit(q.step, (q.x, q.y), epochs=1, checkpoint=file, callbacks=[lg.BestWeights()])
    assert "it has a state for callback 0, which there is not" in refused(q, file)


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


# What a checkpoint is of.


def other_data(p: Any, which: str) -> dict[str, Any]:
    """Arguments of fit whose data differ a little."""
    x, y = p.x.copy(), p.y.copy()
    if which == "one bit":
        x.view(np.uint32)[50, 1] ^= 1
    elif which == "labels":
        y[7] = 0
    elif which == "validation":
        return {"data": (x, y), "validation": (x[:21], y[:21])}
    elif which == "dtype":
        y = y.astype("int32")
    return {"data": (x, y), "validation": (x[:20], y[:20])}


@pytest.mark.parametrize(
    ("which", "named"),
    [("one bit", "data/0"), ("labels", "data/1"), ("validation", "validation/0"), ("dtype", "data/1")],
)
def test_a_checkpoint_of_other_data_is_refused(which: str, named: str, problem: Make, tmp_path: Path) -> None:
    """By shape, dtype and numbers; the message names the array."""
    p, file = problem(), tmp_path / "c.json"
    lg.fit(p.step, epochs=1, checkpoint=file, **other_data(p, "none"))
    before = snapshot(p.env), file.read_bytes()
    with pytest.raises(lg.SaveError) as caught:
        lg.fit(p.step, epochs=2, checkpoint=file, **other_data(p, which))
    assert f"{named}, now:          {'xy'[int(named[-1])]}: " in str(caught.value)
    assert f"{named}, in the file:  {'xy'[int(named[-1])]}: float32[" in str(caught.value)
    assert before == (snapshot(p.env), file.read_bytes())


def test_a_checkpoint_of_other_data_is_told_in_full(problem: Make, tmp_path: Path) -> None:
    """What failed, where, both data sets, what to do."""
    p, file = problem(), tmp_path / "c.json"
    lg.fit(p.step, (p.x, p.y), epochs=1, checkpoint=file)
    with pytest.raises(lg.SaveError) as caught:
        lg.fit(p.step, (p.x, p.y + 1), epochs=2, checkpoint=file)
    mine, theirs = (of_data(Table("y", array, (), array.dtype)) for array in (p.y + 1, p.y))
    assert str(caught.value) == (
        f"cannot go on from {str(file)!r}: it is a checkpoint of another training\n\n"
        f"{at(test_a_checkpoint_of_other_data_is_told_in_full, OTHER_DATA)}\n\n"
        f"    data/1, now:          {mine}\n    data/1, in the file:  {theirs}\n"
        "    Train with the data of the checkpoint, or choose another file; env.restore takes the variables alone."
    )


def step_of(p: Any, kind: str) -> Any:
    """A compiled step like that of the problem, or nearly so."""
    adam = lg.optim.Adam(p.env, 0.05, name="adam_of_step")

    def step(ctx: Any, x: Any, y: Any, train: bool) -> Any:
        error = x @ ctx.variable("w") - y
        loss = lg.mean(lg.abs(error) if kind == "abs" else lg.square(error))
        loss = loss * (1.5 if kind == "number" else 1.25)
        return {"loss": loss, "update": adam.minimize(loss)} if train else {"loss": loss}

    return p.env.compile(step)


@pytest.mark.parametrize(("kind", "line"), [("abs", "lg.abs(error)"), ("number", "loss = loss * (1.5")])
def test_a_checkpoint_of_another_step_is_refused(kind: str, line: str, problem: Make, tmp_path: Path) -> None:
    """By the graph that it writes; the message names the line of the first node that differs."""
    file = tmp_path / "c.json"
    p, q, r = problem(), problem(), problem()
    lg.fit(step_of(p, "square"), (p.x, p.y), epochs=1, checkpoint=file)
    lg.fit(step_of(q, "square"), (q.x, q.y), epochs=2, checkpoint=file)
    with pytest.raises(lg.SaveError) as caught:
        lg.fit(step_of(r, kind), (r.x, r.y), epochs=3, checkpoint=file)
    assert f"cannot go on from {str(file)!r}: it is a checkpoint of another step\n" in str(caught.value)
    (first,) = [text for text in str(caught.value).split("\n") if "first that differs:" in text]
    assert line in first


def test_a_step_of_another_lazygrad_is_taken_with_a_warning(
    problem: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same step may be written in other ops there."""
    file = tmp_path / "c.json"
    p, q = problem(), problem()
    with monkeypatch.context() as patch:
        patch.setattr(lg, "__version__", "0.0.9")
        lg.fit(step_of(p, "abs"), (p.x, p.y), epochs=1, checkpoint=file)
    with pytest.warns(RuntimeWarning, match="cannot tell whether .* is of the same step"):
        assert 2 == lg.fit(step_of(q, "square"), (q.x, q.y), epochs=2, checkpoint=file).epochs


FINGERPRINT = """
import numpy as np
import lazygrad as lg
from lazygrad.training.data import tables
from lazygrad.training.fingerprint import of_graph
from lazygrad.training.steps import Step

env = lg.VariableEnvironment(seed=0)
net = lg.nn.Sequential(lg.nn.Linear(env, 4, 4), lg.nn.gelu)
out = lg.nn.Linear(env, 4, 2)
adam = lg.optim.AdamW(env, 0.1)

def step(ctx, x, y):
    kept = lg.nn.dropout(x, 0.5, True) + ctx.random.normal((6, 4)) + np.float32(1.5) + np.ones(4, "float32")
    loss = lg.mean(lg.nn.cross_entropy(out(net(kept)), y)) + lg.sum(x[::2, 1:]) + lg.sum(lg.sort(x, axis=1))
    return {"loss": loss, "update": adam.minimize(loss)}

checked = Step(env.compile(step), env, True)
batch = np.zeros((6, 4), "float32"), np.zeros(6, "int64")
checked.check(tables(batch), batch)
print(of_graph(checked.graph, checked.constants).tobytes().hex())
"""


def test_a_fingerprint_is_the_same_in_every_process() -> None:
    """It depends on no address and on no hash of Python."""
    found = set()
    for seed in ("1", "2"):
        command = [sys.executable, "-c", FINGERPRINT]
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        found.add(subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout)
    assert 1 == len(found)
    assert len(found.pop()) > 100


def test_a_fingerprint_says_apart_what_python_finds_equal() -> None:
    """Zero and minus zero, 1 and True, an array and another one of the same shape."""
    env = lg.VariableEnvironment(seed=0)
    env.name("w").set(np.ones(2))
    steps = [
        lambda ctx: ctx.variable("w") * 0.0,
        lambda ctx: ctx.variable("w") * -0.0,
        lambda ctx: ctx.variable("w") * np.zeros(2),
        lambda ctx: ctx.variable("w") * np.ones(2),
        lambda ctx: ctx.variable("w")[0:1],
        lambda ctx: ctx.variable("w")[1:2],
        lambda ctx: (ctx.variable("w"), ctx.variable("w") * 0.0),
    ]
    found = set()
    for function in steps:
        step = Step(lambda ctx, x, f=function: (f(ctx), ctx.assign("w", ctx.variable("w"))), env, True)
        with suppress(lg.GraphError):  # it returns no number
            step.check(tables(np.ones(3)), [np.ones(3)])
        found.add(of_graph(step.graph, step.constants).tobytes())
    assert len(steps) == len(found)


def test_a_training_without_a_seed_goes_on(tmp_path: Path) -> None:
    """With the seed that was drawn, which is in the checkpoint: every continuation ends with the same bits."""

    def fit(epochs: int, file: Path, env: lg.VariableEnvironment | None = None, **settings: Any) -> Any:
        env = lg.VariableEnvironment() if env is None else env
        rng = np.random.default_rng(0)
        x = rng.normal(size=(50, 3)).astype("float32")
        layer, adam = lg.nn.Linear(env, 3, 1, name=f"l{len(env._store.layers)}"), lg.optim.Adam(env)

        @env.compile
        def step(ctx: Any, x: Any) -> Any:
            loss = lg.mean(lg.square(layer(lg.nn.dropout(x, 0.3, True)) - 1))
            return loss, adam.minimize(loss)

        return dict(lg.fit(step, x, epochs=epochs, batch_size=16, checkpoint=file, **settings)), snapshot(env)[:3]

    file, copy = tmp_path / "c.json", tmp_path / "copy.json"
    fit(2, file)
    shutil.copy(file, copy)
    fit(3, copy)
    assert fit(5, file) == fit(5, copy)
    with pytest.raises(lg.SaveError, match="seed, now:          \\[3\\]"):
        fit(6, file, seed=3)
    with pytest.raises(lg.SaveError, match="seed, now:          \\[4\\]"):
        fit(6, file, lg.VariableEnvironment(seed=4))


# Several generations.


@pytest.mark.parametrize("kind", ["text", "variables", "folder", "version 1"])
def test_a_file_of_the_users_is_not_replaced_by_an_older_checkpoint(kind: str, problem: Make, tmp_path: Path) -> None:
    """Though it has the name that the older one would get: it is told before training, and all stays as it is."""
    p, file, other = problem(), tmp_path / "c.json", tmp_path / "c.json.2"
    if kind == "variables":
        p.env.save(other)
    elif kind == "folder":
        other.mkdir()
    else:
        other.write_text("notes" if kind == "text" else (VERSION_1 / "variables.json").read_text())
    with pytest.raises(lg.SaveError) as caught:
        lg.fit(p.step, (p.x, p.y), epochs=4, checkpoint=file)
    assert str(caught.value) == (
        f"cannot keep older checkpoints beside {str(file)!r}: {str(other)!r} is in the way\n\n"
        f"{at(test_a_file_of_the_users_is_not_replaced_by_an_older_checkpoint, IN_THE_WAY)}\n\n"
        "    It is no checkpoint, and would be replaced by one.\n"
        "    Move it elsewhere, choose another name for the checkpoint, or say keep=1."
    )
    assert [other] == list(tmp_path.iterdir())
    assert 4 == lg.fit(p.step, (p.x, p.y), epochs=4, checkpoint=file, keep=2).epochs
    assert {other, file, tmp_path / "c.json.1"} == set(tmp_path.iterdir())


def epochs_in(file: Path) -> int:
    """How many epochs a checkpoint knows of."""
    rows = {row["name"]: row for row in json.loads(file.read_text())["training"]}
    return rows["seconds"]["shape"][0]


@pytest.mark.parametrize("keep", [1, 2, 3, 5])
def test_the_last_checkpoints_are_kept(keep: int, problem: Make, tmp_path: Path) -> None:
    """Under numbers, the younger the lower; the one from before the first epoch counts too."""
    p, file = problem(), tmp_path / "c.json"
    lg.fit(p.step, (p.x, p.y), epochs=3, checkpoint=file, keep=keep)
    files = ["c.json", "c.json.1", "c.json.2", "c.json.3"][:keep]
    assert files == sorted(f.name for f in tmp_path.iterdir())
    assert [3, 2, 1, 0][:keep] == [epochs_in(tmp_path / name) for name in files]


def test_three_checkpoints_are_kept_unless_it_is_said_otherwise(problem: Make, tmp_path: Path) -> None:
    """And a number that is none is refused."""
    p = problem()
    lg.fit(p.step, (p.x, p.y), epochs=4, checkpoint=tmp_path / "c.json")
    assert {"c.json", "c.json.1", "c.json.2"} == {f.name for f in tmp_path.iterdir()}
    with pytest.raises(lg.DataError, match="cannot use 0 as keep"):
        lg.fit(p.step, (p.x, p.y), epochs=4, checkpoint=tmp_path / "c.json", keep=0)


def test_a_process_killed_between_two_names_costs_no_generation(problem: Make, tmp_path: Path) -> None:
    """The old checkpoint has its number already when the new one gets its name; the next one does not push twice."""
    p, q, file = problem(), problem(), tmp_path / "c.json"
    lg.fit(p.step, (p.x, p.y), epochs=3, checkpoint=file)
    replacing._shift(file, 3)
    assert [3, 3, 2] == [epochs_in(f) for f in sorted(tmp_path.iterdir())]
    lg.fit(q.step, (q.x, q.y), epochs=4, checkpoint=file)
    assert [4, 3, 2] == [epochs_in(f) for f in sorted(tmp_path.iterdir())]


def test_generations_are_copies_where_there_are_no_links(
    problem: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some file systems have none."""

    def no_links(*_: Any, **__: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    p, file = problem(), tmp_path / "c.json"
    lg.fit(p.step, (p.x, p.y), epochs=3, checkpoint=file)
    assert [3, 2, 1] == [epochs_in(f) for f in sorted(tmp_path.iterdir())]


def test_of_a_damaged_checkpoint_the_one_before_is_named(problem: Make, tmp_path: Path) -> None:
    """If that one is whole; nothing is changed or taken unasked."""
    p, q, file = problem(), problem(), tmp_path / "c.json"
    lg.fit(p.step, (p.x, p.y), epochs=3, checkpoint=file)
    expected = lg.fit(p.step, (p.x, p.y), epochs=6, checkpoint=file)
    for damaged in ("c.json", "c.json.1"):
        text = (tmp_path / damaged).read_text()
        (tmp_path / damaged).write_text(text.replace("0.", "1.", 1))
    before = snapshot(q.env), file.read_bytes()
    with pytest.raises(lg.SaveError) as caught:
        lg.fit(q.step, (q.x, q.y), epochs=6, checkpoint=file)
    assert str(caught.value) == (
        f"cannot go on from {str(file)!r}\n\n"
        f"{at(test_of_a_damaged_checkpoint_the_one_before_is_named, DAMAGED)}\n\n"
        "    It does not fit its checksum: it was damaged or edited.\n"
        f"    {str(file) + '.2'!r} is whole, of after epoch 4.\n"
        "    To go on from that one, rename it to 'c.json'. Nothing has been changed."
    )
    assert before == (snapshot(q.env), file.read_bytes())
    (tmp_path / "c.json.2").rename(file)
    assert dict(expected) == dict(lg.fit(q.step, (q.x, q.y), checkpoint=file, epochs=6))


@pytest.mark.parametrize("path", [5, b"c.json", ["c.json"], "nul\0l", "", "no/such/c.json"])
def test_a_path_that_is_none_is_told_before_training(
    path: Any, problem: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By what is wrong with it."""
    monkeypatch.chdir(tmp_path)
    p = problem()
    before = snapshot(p.env)
    with pytest.raises(lg.SaveError):
        lg.fit(p.step, (p.x, p.y), epochs=2, checkpoint=path)
    assert (before, []) == (snapshot(p.env), list(tmp_path.iterdir()))


def test_a_link_to_a_checkpoint_stays(problem: Make, tmp_path: Path) -> None:
    """The older ones lie beside the file that it points to."""
    p, file, link = problem(), tmp_path / "there" / "c.json", tmp_path / "link.json"
    file.parent.mkdir()
    link.symlink_to(file)
    lg.fit(p.step, (p.x, p.y), epochs=2, checkpoint=link)
    assert link.is_symlink()
    assert {"c.json", "c.json.1", "c.json.2"} == {f.name for f in file.parent.iterdir()}
    assert {link, file.parent} == set(tmp_path.iterdir())


def test_a_relative_path_is_of_the_folder_in_which_training_began(
    problem: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A callback that goes elsewhere does not take the checkpoint with it."""
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    monkeypatch.chdir(first)
    p = problem()
    lg.fit(p.step, (p.x, p.y), epochs=2, checkpoint="c.json", callbacks=[lambda _: os.chdir(second)])
    assert [] == list(second.iterdir())
    assert 2 == epochs_in(first / "c.json")


# A state is checked whole before anything is changed.


def test_a_checkpoint_of_version_1_goes_on(problem: Make, tmp_path: Path) -> None:
    """It has no fingerprint to compare, and other numbers were drawn then; it comes to the same end but for those."""
    p, q, file = problem(), problem(), tmp_path / "c.json"
    shutil.copy(VERSION_1 / "checkpoint.json", file)

    def fit(p: Any, checkpoint: Path | None) -> Any:
        callbacks = [lg.BestWeights(), lg.EarlyStopping(patience=2, metric="loss")]
        held_out = (p.x[:20], p.y[:20])
        return lg.fit(p.step, (p.x, p.y), epochs=5, validation=held_out, callbacks=callbacks, checkpoint=checkpoint)

    before = {row["name"]: row["data"] for row in json.loads(file.read_text())["training"]}
    begun = {name: before[f"history/{name}"] for name in ("loss", "validation_loss")}
    history = fit(p, file)
    expected = fit(q, None)
    assert history.keys() == expected.keys()
    assert begun == {name: history[name][: len(values)] for name, values in begun.items()}
    assert [5, 5] == [len(history[name]) for name in begun]
    np.testing.assert_allclose(p.env["w"], q.env["w"], atol=0.2)  # a tenth of the inputs is dropped, and not the same
    assert 2 == json.loads(file.read_text())["version"]


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


def test_processes_that_keep_several_do_not_disturb_each_other(tmp_path: Path) -> None:
    """Whoever renames first; threads stand for them here, each with an environment of its own."""
    file = tmp_path / "c.json"

    def saves(number: int) -> None:
        env = lg.VariableEnvironment(seed=number)
        env.name("w").set(np.full(500, number))
        for _ in range(25):
            serialize.write(file, env._document(), keep=3)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(saves, range(4)))
    assert {"c.json", "c.json.1", "c.json.2"} >= {f.name for f in tmp_path.iterdir()}
    for kept in tmp_path.iterdir():
        loaded = lg.VariableEnvironment.load(kept)
        assert {loaded._store.draws.seed} == set(loaded["w"].tolist())
