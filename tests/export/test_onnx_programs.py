"""Random programs and random loops give in onnxruntime what they give here.

As many as one likes are tried by ``LAZYGRAD_PROGRAMS=2000 python -m pytest tests/export/test_onnx_programs.py``.
"""

from __future__ import annotations

import os
import random
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx_open
import onnx_run
import pytest
from hypothesis import HealthCheck, given, settings
from programs import exact_program, smooth_program

import lazygrad as lg

sys.path.insert(0, str(Path(__file__).parents[1] / "codegen"))
from random_loops import bodies, looping

pytest.importorskip("onnxruntime", reason="models are run by onnxruntime")
PROGRAMS = int(os.environ.get("LAZYGRAD_PROGRAMS", 24))


@pytest.mark.parametrize("family", [exact_program, smooth_program], ids=lambda family: family.__name__)
def test_random_programs_give_the_same_numbers(family: Any, tmp_path: Path) -> None:
    """With variables, views, casts, indices, reductions and products; those with a hook are refused."""
    done, refused = 0, []
    for number in range(PROGRAMS):
        program = family(random.Random(number))
        function = program.function()

        def step(ctx: Any, *arguments: Any, program: Any = program, function: Any = function) -> Any:
            read = [ctx.variable("abc"[k]) for k in range(len(program.variables))]
            values = dict(zip(program.names, function(lg, *read, *arguments), strict=True))
            return [values[name] for name in program.outputs]

        if not program.outputs:
            continue
        env = lg.VariableEnvironment(seed=0, dtype="float64")
        for k, value in enumerate(program.variables):
            env.name("abc"[k]).set(value)
        arguments = [np.asarray(a) for a in program.arguments]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of sizes that are not open, and of float64 beside float32
            expected = onnx_run.listed(env.run(step, *arguments))
            try:
                model = onnx_open.written(env.compile(step), tmp_path, *arguments)
            except lg.ExportError as reason:
                refused.append(str(reason).splitlines()[0])
                continue
        assert not onnx_run.apart(expected, onnx_run.run_model(model, *arguments)), number
        done += 1
    assert set(refused) <= {"cannot export hook to ONNX"}
    assert done > PROGRAMS // 2


@settings(max_examples=PROGRAMS, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=bodies())
def test_random_loops_give_the_same_numbers(tmp_path: Path, drawn: Any) -> None:
    """Carries and slices of several shapes, in both orders, with loops in them."""
    carries, xs, _, turns, _ = drawn
    rng = np.random.default_rng(0)
    shapes = [(2, 3), *carries, *[(turns, *shape) for shape in xs]]
    arrays = [rng.integers(-4, 5, shape).astype(np.float64) for shape in shapes]
    env = lg.VariableEnvironment(seed=0, dtype="float64")
    model = onnx_open.written(env.compile(looping(drawn)), tmp_path, *arrays, batch=None)
    assert not onnx_run.apart(onnx_run.listed(env.run(looping(drawn), *arrays)), onnx_run.run_model(model, *arrays))
