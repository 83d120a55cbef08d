"""What is given for a path and is none: every door says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lazygrad as lg
import lazygrad_runtime

X = np.ones((2, 3), np.float32)


def doors() -> dict[str, Any]:
    """All that takes a path, each with a path alone."""
    env = lg.VariableEnvironment(seed=0)
    env.name("w").set(np.ones(3, np.float32))
    step = env.compile(lambda ctx, x: x * ctx.variable("w"))
    profile, graph = step.profile(X, runs=1), env.trace(lambda ctx: ctx.variable("w") + 1)
    return {
        "save": env.save, "load": lg.VariableEnvironment.load, "restore": env.restore, "csv": lg.CSVLog,
        "json": lg.JSONLog, "tensorboard": lg.TensorBoard, "trace": profile.chrome_trace, "render": graph.render,
        "page": lambda path: step.render(path, X), "export": lambda path: step.export(path, X),
        "import": lg.import_onnx, "runtime": lazygrad_runtime.load,
    }  # fmt: skip


@pytest.mark.parametrize("path", [5, None, b"model.bin"], ids=["number", "none", "bytes"])
def test_what_is_no_path_is_refused_at_every_door(path: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the error of files, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    pytest.importorskip("tensorboard")
    for name, door in doors().items():
        with pytest.raises((lg.SaveError, lazygrad_runtime.LoadError)) as caught:
            door(path)
        assert str(caught.value).startswith("cannot "), name
    assert not list(tmp_path.iterdir())


def test_a_model_of_onnx_may_have_a_suffix_of_capitals(tmp_path: Path) -> None:
    """As pictures may."""
    pytest.importorskip("onnx")
    step = lg.VariableEnvironment().compile(lambda ctx, x: x + 1)
    assert [tmp_path / "M.ONNX"] == step.export(tmp_path / "M.ONNX", X)
