"""Random programs and random loops give the same bits exported as compiled; those that cannot be exported are named.

As many as one likes are tried by ``LAZYGRAD_PROGRAMS=2000 python -m pytest tests/export/test_export_programs.py``.
"""

from __future__ import annotations

import os
import random
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exported import bits, called, listed
from hypothesis import given, settings
from programs import exact_program, smooth_program

import lazygrad as lg

sys.path.insert(0, str(Path(__file__).parents[1] / "codegen"))
from random_loops import bodies, looping

pytest.importorskip("llvmlite", reason="native code is made by llvmlite")
PROGRAMS = int(os.environ.get("LAZYGRAD_PROGRAMS", 24))


def refused(step: Any, variables: Any, arguments: Any) -> str:
    """Why the step cannot be exported; where it can be, its bits must be the same."""
    env = lg.VariableEnvironment(seed=0, dtype="float64")
    for k, value in enumerate(variables):
        env.name("abc"[k]).set(value)
    compiled = env.compile(step, wait=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compiled(*arguments)
        expected = listed(compiled(*arguments))
        try:
            exported = called(compiled, *arguments)
        except lg.ExportError as reason:
            return str(reason)
    assert bits(expected) == bits(exported(*arguments))
    return ""


@pytest.mark.parametrize("family", [exact_program, smooth_program], ids=lambda family: family.__name__)
def test_random_programs_give_the_same_bits(family: Any) -> None:
    """With variables, views, casts, reductions and products, in all memory layouts."""
    done = 0
    for number in range(PROGRAMS):
        program = family(random.Random(number))
        function = program.function()

        def step(ctx: Any, *arguments: Any, program: Any = program, function: Any = function) -> Any:
            read = [ctx.variable("abc"[k]) for k in range(len(program.variables))]
            values = dict(zip(program.names, function(lg, *read, *arguments), strict=True))
            return [values[name] for name in program.outputs]

        if program.outputs:
            why = refused(step, program.variables, [np.asarray(a) for a in program.arguments])
            assert not why or "has no native form for these operands" in why
            done += not why
    assert done > PROGRAMS // 3


@settings(max_examples=PROGRAMS)
@given(drawn=bodies())
def test_random_loops_give_the_same_bits(drawn: Any) -> None:
    """As repeats, whose tables are made anew in every workspace, and as single kernels; loops in loops too."""
    carries, xs, _, turns, _ = drawn
    rng = np.random.default_rng(0)
    shapes = [(2, 3), *carries, *[(turns, *shape) for shape in xs]]
    arrays = [rng.integers(-4, 5, shape).astype(np.float64) for shape in shapes]
    assert refused(looping(drawn), (), arrays) == ""
