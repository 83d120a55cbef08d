"""Every row of the table of ops is exported to ONNX and gives our results in onnxruntime, or is refused by name."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import onnx_run
import pytest
from cases import CASES

import lazygrad as lg

ROWS = [case for case in CASES if case.domains]


def tried(case: Any, dtype: str) -> str:
    """What refuses a row, or nothing where it is exported; then onnxruntime must give our results."""
    arrays = [np.asarray(a) for a in case.sample(dtype)]
    env = lg.VariableEnvironment(seed=0)
    step = env.compile(lambda ctx, *xs: case.call(*xs))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            expected = onnx_run.listed(step(*arrays))
        except lg.SpecError:
            return "takes no such dtype"
        try:
            found = onnx_run.run(step, *arrays)
        except lg.ExportError as reason:
            return str(reason)
    assert not onnx_run.apart(expected, found)
    return ""


@pytest.mark.thinned(12)
@pytest.mark.parametrize("case", ROWS, ids=str)
def test_an_op_gives_our_results_in_onnxruntime_or_is_refused_by_name(case: Any) -> None:
    """In all dtypes of the row; what is refused names the op, the line and the reason."""
    for dtype in case.dtypes:
        why = tried(case, dtype)
        if why and why != "takes no such dtype":
            assert why.startswith("cannot export "), why
            assert "rows" in why or ".py:" in why
            assert "It has no form there: " in why
