"""Errors where the current folder has been removed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from snapshots import snapshot

import lazygrad as lg


@pytest.fixture
def removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, which is no more."""
    folder = tmp_path / "removed"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    return folder


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not remove a folder that is in use")
def test_an_error_in_a_removed_folder_is_that_error(env: lg.VariableEnvironment, removed: Path) -> None:
    """The places in it are whole paths; whatever is said, it is not that the folder is missing."""
    with pytest.raises(lg.SpecError) as caught:
        env.run(lambda ctx: ctx.variable("w") + ctx.variable("encoder/weights") + np.ones(7))
    text = str(caught.value)
    assert text.startswith("cannot add float64[2, 3] and float64[7]\n\n    ")
    assert f"  {__file__}:" in text
    with pytest.raises(lg.VariableError, match="there is no variable 'v'"):
        env["v"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not remove a folder that is in use")
def test_what_needs_the_removed_folder_says_so_and_all_else_works(
    env: lg.VariableEnvironment, removed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Relative paths are refused with the system's reason; absolute ones, runs and compiling need no folder."""
    monkeypatch.setenv("LAZYGRAD_CACHE", "relative")
    before = snapshot(env)
    for use in (env.save, lg.VariableEnvironment.load, env.restore):
        with pytest.raises(lg.SaveError, match="FileNotFoundError: No such file or directory"):
            use("c.json")
    sgd = lg.optim.SGD(env, 0.1, name="other")

    def step(ctx: Any, x: Any) -> Any:
        loss = lg.mean(lg.square(ctx.variable("w") - x.astype("float32")))
        return loss, sgd.minimize(loss, ["w"])

    compiled = env.compile(step, wait=True)
    with pytest.raises(lg.SaveError, match=r"cannot use 'c\.json' as a checkpoint"):
        lg.fit(compiled, np.ones((4, 3)), epochs=1, batch_size=2, checkpoint="c.json")
    assert before[0] == [row for row in snapshot(env)[0] if not row[0].startswith("other/")]
    assert f"{__file__}:" in str(env.trace(step, np.ones((2, 3))))
    assert 1 == lg.fit(compiled, np.ones((4, 3)), epochs=1, batch_size=2, checkpoint=tmp_path / "c.json").epochs
    env.save(tmp_path / "env.json")
    assert snapshot(env)[0] == snapshot(lg.VariableEnvironment.load(tmp_path / "env.json"))[0]
