"""Random programs given rows of their arguments: two workers compute what one computes of the whole."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from programs import Program, exact_program, smooth_program
from test_random_programs import reference, step_of

import lazygrad as lg
from lazygrad.workers import side_by_side

COUNT = 60  # of each kind; thousands have been tried with other seeds


def _run(program: Program, one: Any, smooth: bool, compiled: bool) -> list[Any]:
    """What a program returns, its gradients if it is smooth, and what its variables are after two runs."""
    env = lg.VariableEnvironment(seed=0, dtype="float64", workers=one)
    for k, value in enumerate(program.variables):
        env.name("abc"[k]).set(value)
    function = program.function()

    def differentiated(ctx: Any, *xs: Any) -> Any:
        values = dict(zip(program.names, function(lg, *xs), strict=True))
        ys = [values[name] for name in program.outputs]
        return ys + lg.grad(lg.add_n([lg.sum(lg.sin(y)) for y in ys]), list(xs)), []

    step = differentiated if smooth else step_of(program, function)
    arguments = [env.rows(x) if x.ndim and len(x) > 1 else x for x in program.arguments]
    call = env.compile(step, wait=True) if compiled else lambda *xs: env.run(step, *xs)
    found = [np.asarray(y) for _ in range(2) for y in call(*arguments)[0]]
    return found + [np.asarray(env["abc"[k]]) for k in range(len(program.variables))]


def _programs(smooth: bool, count: int) -> list[Program]:
    """Programs of which some argument has rows to share out, and of which NumPy is no surprise."""
    found: list[Program] = []
    number = 0
    while len(found) < count:
        number += 1
        program = (smooth_program if smooth else exact_program)(random.Random(number))
        if any(x.ndim and len(x) > 1 for x in program.arguments) and (
            smooth or reference(program, program.function(), program.variables, program.arguments) is not None
        ):
            found.append(program)
    return found


def _check(program: Program, smooth: bool, compiled: bool) -> None:
    expected = _run(program, None, smooth, compiled)
    for found in side_by_side(2, lambda one: _run(program, one, smooth, compiled)):
        for value, wanted in zip(found, expected, strict=True):
            assert (value.shape, value.dtype) == (wanted.shape, wanted.dtype), program
            if smooth:
                np.testing.assert_allclose(value, wanted, rtol=1e-9, atol=1e-9, err_msg=str(program))
            else:
                np.testing.assert_array_equal(value, wanted, err_msg=str(program))


@pytest.mark.filterwarnings("ignore:the rows of all workers are brought together")
@pytest.mark.parametrize("smooth", [False, True])
def test_a_random_program_of_rows_is_that_of_the_whole(smooth: bool) -> None:
    """Whole numbers bit for bit; real numbers, and their gradients, to rounding."""
    for program in _programs(smooth, COUNT):
        _check(program, smooth, compiled=False)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:the rows of all workers are brought together")
@pytest.mark.parametrize("smooth", [False, True])
def test_a_random_program_of_rows_is_that_of_the_whole_in_native_code(smooth: bool) -> None:
    """Some of them."""
    for program in _programs(smooth, COUNT // 4):
        _check(program, smooth, compiled=True)
