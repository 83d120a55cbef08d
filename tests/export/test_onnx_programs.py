"""Random programs give our results in onnxruntime; those that cannot be exported are named.

As many as one likes are tried by ``LAZYGRAD_PROGRAMS=2000 python -m pytest tests/export/test_onnx_programs.py``.
"""

from __future__ import annotations

import os
import random
import warnings
from typing import Any

import numpy as np
import onnx_run
import pytest
from programs import exact_program, smooth_program

import lazygrad as lg

PROGRAMS = int(os.environ.get("LAZYGRAD_PROGRAMS", 16))


def refused(program: Any) -> str:
    """Why a program cannot be exported; where it can be, its results must be the same."""
    env = lg.VariableEnvironment(seed=0, dtype="float64")
    for k, value in enumerate(program.variables):
        env.name("abc"[k]).set(value)
    function = program.function()

    def step(ctx: Any, *arguments: Any) -> Any:
        read = [ctx.variable("abc"[k]) for k in range(len(program.variables))]
        values = dict(zip(program.names, function(lg, *read, *arguments), strict=True))
        return [values[name] for name in program.outputs]

    arguments = [np.asarray(a) for a in program.arguments]
    compiled = env.compile(step)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = onnx_run.listed(compiled(*arguments))
        try:
            found = onnx_run.run(compiled, *arguments)
        except lg.ExportError as reason:
            return str(reason)
    assert onnx_run.apart(expected, found) == [], program
    return ""


@pytest.mark.parametrize("family", [exact_program, smooth_program], ids=lambda family: family.__name__)
def test_random_programs_give_our_results(family: Any) -> None:
    """With variables, views, casts, reductions and products, in all memory layouts."""
    done = 0
    for number in range(PROGRAMS):
        program = family(random.Random(number))
        if program.outputs:
            why = refused(program)
            assert not why or "It has no form there" in why
            done += not why
    assert done > 0.9 * PROGRAMS
