"""Checkpoints: a training that was interrupted ends as if it had not been, and the last ones are kept."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoints import Make
from files import VERSION_1
from snapshots import at, snapshot

import lazygrad as lg
from lazygrad.files import replacing, serialize

# The lines of tests that messages name.
DAMAGED = "(q.x, q.y), epochs=6, checkpoint=file)"
IN_THE_WAY = "(p.x, p.y), epochs=4, checkpoint=file)"

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
