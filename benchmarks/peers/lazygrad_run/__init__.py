"""lazygrad with ``env.run``: a fresh graph at every step.

The file of a family has ``program(workload)``: the environment with its parameters, the step as users write it, and
the arguments of each batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lazygrad as lg
from benchmarks.peers import program

NAME = "lazygrad run"
PACKAGES = ("lazygrad",)

Program = tuple[lg.VariableEnvironment, Callable[..., Any], list[Any]]


def load(family: str) -> Callable[[Any], Callable[[int], Any]]:
    """The step, written anew at every call."""
    written = program("lazygrad_run", family).program

    def training(workload: Any) -> Callable[[int], Any]:
        env, step, batches = written(workload)
        count = len(batches)
        return lambda number: env.run(step, *batches[number % count])

    return training
