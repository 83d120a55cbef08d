"""lazygrad with ``env.compile``: traced at the first call, and compiled in the background."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.peers import program

NAME = "lazygrad compile"
PACKAGES = ("lazygrad",)


def load(family: str) -> Callable[[Any], Callable[[int], Any]]:
    """The compiled step of the program that ``lazygrad_run`` runs."""
    written = program("lazygrad_run", family).program

    def training(workload: Any) -> Callable[[int], Any]:
        env, step, batches = written(workload)
        compiled = env.compile(step)
        count = len(batches)

        def call(number: int) -> Any:
            return compiled(*batches[number % count])

        call.wait = compiled.wait  # type: ignore[attr-defined]
        return call

    return training
