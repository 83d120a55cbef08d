"""A checkpoint goes on only in the training that it is of: model, settings, callbacks, data and steps are compared."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoints import Make, refused
from snapshots import at, snapshot

import lazygrad as lg
from lazygrad.training.data import Table, tables
from lazygrad.training.fingerprint import of_data, of_graph
from lazygrad.training.steps import Step

# The line of a test that a message names.
OTHER_DATA = "(p.x, p.y + 1), epochs=2"


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
