"""Checkpoints: a training that was interrupted ends as if it had not been."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lazygrad as lg

Make = Callable[..., Any]

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


@pytest.mark.filterwarnings("ignore:loss is not finite")
def test_numbers_that_are_not_finite_come_back(problem: Make, tmp_path: Path) -> None:
    """In the history and in the variables: JSON has no NaN, the file has."""
    p, q = problem(), problem()
    p.env["w"] = np.full(3, np.nan)
    q.env["w"] = np.full(3, np.nan)
    lg.fit(p.step, (p.x, p.y), epochs=1, checkpoint=tmp_path / "c.json")
    assert np.isnan(lg.fit(q.step, (q.x, q.y), epochs=1, checkpoint=tmp_path / "c.json")["loss"]).all()


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
    changed = {"cut off": text[:300], "another file": "{}", "no history": json.dumps(content), "text": "hello"}
    file.write_text(changed[damage])
    assert "c.json" in refused(q, file)


def test_a_place_that_cannot_be_written_to_is_found_before_training(problem: Make, tmp_path: Path) -> None:
    """Not after the first epoch."""
    assert "cannot save to" in refused(problem(), tmp_path / "missing" / "c.json")
