"""What is exported to ONNX and imported again computes what it computed: two writings, of which none made the other."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx_open
import onnx_run
import pytest
from cases import CASES
from onnx_rows import REFUSED
from test_onnx_layers import FIXED, ROWS, prepared

import lazygrad as lg


def again(file: Path, *arrays: Any) -> list[Any]:
    """What the model in a file gives as a layer."""
    model = lg.import_onnx(file)
    found = model.env.run(lambda ctx, *xs: model(*xs), *arrays)
    return list(found) if isinstance(found, tuple) else [found]


@pytest.mark.parametrize("name", [name for name in ROWS if name not in REFUSED and name not in FIXED])
def test_layers_and_losses_come_back(name: str, tmp_path: Path) -> None:
    """For any number of examples; float32 within 1e-5 of the largest."""
    env, step = prepared(ROWS[name])
    rng = np.random.default_rng(0)
    onnx_open.written(env.compile(step), tmp_path, *ROWS[name].arrays(rng, 4))
    (file,) = tmp_path.glob("*.onnx")
    for n in (1, 3):
        arrays = ROWS[name].arrays(rng, n)
        assert [] == onnx_run.apart(onnx_run.listed(env.run(step, *arrays)), again(file, *arrays))


@pytest.mark.thinned(8)
@pytest.mark.parametrize("case", [case for case in CASES if case.domains], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_ops_come_back(case: Any, dtype: str, tmp_path: Path) -> None:
    """Every row of the table of ops that is exported, for arrays of these sizes."""
    arrays = [np.asarray(a) for a in case.sample(dtype)]
    step = lg.VariableEnvironment(seed=0).compile(lambda ctx, *xs: case.call(*xs))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            expected = onnx_run.listed(step(*arrays))
            (file,) = step.export(tmp_path / "model.onnx", *arrays, batch=None)
        except (lg.SpecError, lg.ExportError):  # it takes no such dtype, or has no form in ONNX
            return
        assert [] == onnx_run.apart(expected, again(file, *arrays))
