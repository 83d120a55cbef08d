"""Programs of every kind as plans: what :mod:`benchmarks.kernels` has native code written of."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import random
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import numpy as np

import lazygrad as lg
from benchmarks.process import ROOT
from benchmarks.terms import total
from benchmarks.threads import LAYERS, program
from benchmarks.workloads import WORKLOADS

__all__ = ["plans"]

CHAINED = ("layers10", "layers100")
EXAMPLES = ("linear_regression", "sine_mlp", "xor", "hessian", "plane_of_best_fit")
LONG = ("sin", "exp", "tanh", "gammaln")  # sums of functions that are called in long kernels
TERMS = 150

Named = tuple[str, Any]


def plans(names: tuple[str, ...], seeds: int) -> Iterator[Named]:
    """The plan of every program whose name begins with one of these, with that name."""
    for group, members in _groups(seeds).items():
        for member, planned in members.items():
            name = f"{group} {member}"
            if name.startswith(names):
                with mock.patch.dict(os.environ, LAZYGRAD_NATIVE="off"), np.errstate(all="ignore"):
                    warnings.simplefilter("ignore")
                    for number, plan in enumerate(planned()):
                        yield f"{name} {number}" if number else name, plan


def _groups(seeds: int) -> dict[str, dict[str, Callable[[], list[Any]]]]:
    """Functions that return plans, by the kind of program and its name."""
    made = [*WORKLOADS, *CHAINED]
    return {
        "workload": {name: lambda name=name: _step(name, tiny=False) for name in made},
        "tiny": {name: lambda name=name: _step(name, tiny=True) for name in WORKLOADS},
        "layer": {name: lambda name=name: _step(name, tiny=False) for name in LAYERS},
        "long": {name: lambda name=name: _long(name) for name in LONG},
        "example": {name: lambda name=name: _example(name) for name in EXAMPLES},
        "exact": {str(k): lambda k=k: _random("exact", k) for k in range(seeds)},
        "smooth": {str(k): lambda k=k: _random("smooth", k) for k in range(seeds)},
        "wild": {str(k): lambda k=k: _random("wild", k) for k in range(seeds)},
    }


def _step(name: str, tiny: bool) -> list[Any]:
    env, step, batches = program(name, tiny)
    return [env.compile(step).prepare(*batches[0])]


def _long(name: str) -> list[Any]:
    """A sum of many terms, and its gradient."""
    x = np.linspace(0.5, 1.5, 1_000, dtype=np.float32)

    def step(ctx: Any, x: Any) -> Any:
        y = total(getattr(lg, name), x, TERMS)
        return y, lg.grad(lg.sum(y), x)

    return [lg.VariableEnvironment().compile(step).prepare(x)]


def of_engine(name: str) -> Any:
    """A module of the engine, also of a version in which all of them lay in one folder."""
    try:
        return importlib.import_module(f"lazygrad.engine.{name}")
    except ModuleNotFoundError:
        return importlib.import_module(f"lazygrad.codegen.{name.rpartition('.')[2]}")


def _example(name: str) -> list[Any]:
    """Every plan that a quick run of an example would have compiled; it runs on NumPy."""
    making, background = of_engine("cpu.making"), of_engine("background")
    found: list[Any] = []

    def noted(plan: Any, *_: Any) -> Any:
        found.append(plan)
        raise background.Cancelled

    sys.path[:0] = [str(ROOT / "examples")]
    with (
        mock.patch.dict(os.environ, LAZYGRAD_NATIVE="wait"),
        mock.patch.object(making, "made", noted),
        tempfile.TemporaryDirectory() as folder,
        contextlib.chdir(folder),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        importlib.import_module(name).main(["--quick", "--mode", "compile"])
    return found


def _random(family: str, seed: int) -> list[Any]:
    """A random program of the tests, in the dtypes that its family is tried in, with its gradient if it has one."""
    sys.path[:0] = [str(ROOT / "tests")]
    programs, wild_programs = importlib.import_module("programs"), importlib.import_module("wild_programs")
    maker = wild_programs.wild_program if family == "wild" else getattr(programs, f"{family}_program")
    made = maker(random.Random(seed))
    function = made.function()

    def values_of(ctx: Any, *arguments: Any) -> dict[str, Any]:
        read = [ctx.variable("abc"[k]) for k in range(len(made.variables))]
        return dict(zip(made.names, function(lg, *read, *arguments), strict=True))

    def step(ctx: Any, *arguments: Any) -> Any:
        values = values_of(ctx, *arguments)
        updates = [ctx.assign("abc"[k], values[name]) for k, name in made.updates.items()]
        return [values[name] for name in made.outputs], updates

    def smooth(ctx: Any, *arguments: Any) -> Any:
        values = values_of(ctx, *arguments)
        outputs = [values[name] for name in made.outputs]
        return outputs, lg.grad(lg.add_n([lg.sum(lg.sin(y)) for y in outputs]), list(arguments))

    found = []
    for dtype in ("float64", "float32") if family == "smooth" else ("float64",):
        env = lg.VariableEnvironment(seed=0, dtype=dtype)
        for k, value in enumerate(made.variables):
            env.name("abc"[k]).set(value)
        arguments = [a.astype(dtype) for a in made.arguments] if family == "smooth" else made.arguments
        found.append(env.compile(smooth if family == "smooth" else step).prepare(*arguments))
    return found
