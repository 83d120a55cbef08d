"""Every row of the table of ops is exported to ONNX and gives our results in onnxruntime, or is refused by name."""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np
import onnx_run
import pytest
from cases import CASES

import lazygrad as lg

ROWS = list(CASES)

# The ops that have no form in ONNX, of some 260. One that gets a form must go, and none may come.
REFUSED = {
    "bits of floats": {"nextafter"},
    "a basis that LAPACK completes as it likes": {"svd_full"},
    "what does something beside": {"hook", "show"},
}
NAMED = {name for names in REFUSED.values() for name in names}


def tried(case: Any, dtype: str) -> str | None:
    """Why a row is refused, or nothing where it is exported; then onnxruntime must give our results."""
    arrays = [np.asarray(a) for a in case.sample(dtype)]
    env = lg.VariableEnvironment(seed=0)
    step = env.compile(lambda ctx, *xs: case.call(*xs))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            expected = onnx_run.listed(step(*arrays))
        except lg.SpecError:  # it takes no such dtype
            return None
        try:
            found = onnx_run.run(step, *arrays)
        except lg.ExportError as reason:
            return str(reason)
    assert onnx_run.apart(expected, found) == []
    return None


def named(why: str) -> str:
    """The op that a message is about."""
    said = re.match(r"cannot export (\w+) to ONNX\n", why)
    return why if said is None else said[1]


@pytest.mark.thinned(8)
@pytest.mark.parametrize("case", ROWS, ids=str)
def test_an_op_gives_our_results_in_onnxruntime_or_is_refused_by_name(case: Any) -> None:
    """In all dtypes of the row. What is refused names the op and the line, and is one of those that are kept."""
    refused = [why for dtype in case.dtypes if (why := tried(case, dtype)) is not None]
    assert {named(why) for why in refused} <= NAMED
    assert all(".py:" in why.splitlines()[2] for why in refused)


@pytest.mark.slow
def test_the_ops_that_are_refused_are_those_that_are_kept() -> None:
    """So that one that can be exported is noticed too. Of 648 rows 644 are."""
    refused = [tried(case, case.dtypes[0]) for case in ROWS]
    assert {named(why) for why in refused if why is not None} == NAMED
    assert sum(why is None for why in refused) >= 644


@pytest.mark.thinned(20)
@pytest.mark.parametrize("case", ROWS, ids=str)
def test_the_reference_of_onnx_says_the_same(case: Any) -> None:
    """So a model means by the standard what it does in one runtime. Of Scan it has what goes forward along axis 0."""
    from onnx.reference import ReferenceEvaluator

    arrays = [np.asarray(a) for a in case.sample(case.dtypes[0])]
    step = lg.VariableEnvironment(seed=0).compile(lambda ctx, *xs: case.call(*xs))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = onnx_run.listed(step(*arrays))
        try:
            model = onnx_run.model_of(step._source(arrays))
        except lg.ExportError:
            return
        given = {one.name: a for one, a in zip(model.graph.input, arrays, strict=True)}
        try:
            found = ReferenceEvaluator(model).run(None, given)
        except RuntimeError as reason:
            if not str(reason).startswith("Scan is not implemented for other"):
                raise
            return
    assert onnx_run.apart(expected, [np.asarray(one) for one in found]) == []
