"""One step as each framework's own users would write it: a folder a framework, in it a file a family of workloads.

Every peer says in ``NAME`` what tables call it, and in ``PACKAGES`` what must be installed. The file of a family has
``training(workload)``, which returns a function of the number of a step: it makes the step on batch ``number``
modulo their number, and returns what it computed: a number or an array, or several as a tuple, ``None`` in it left
out. A training step returns the loss from before the step. That function may have two attributes:

- ``wait()`` returns when everything is in place that makes later calls fast;
- ``many(steps)`` makes several steps in one call, where a framework's loop is its own.

A peer that runs the programs of another in its own way is a file with ``load(family)``, which returns ``training``.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

__all__ = ["NoProgram", "load"]


class NoProgram(Exception):
    """A peer has no program for a family of workloads."""


def load(peer: str, family: str) -> tuple[ModuleType, Callable[[Any], Callable[[int], Any]]]:
    """The peer, and its ``training``; with it all is imported that the program needs.

    Raises:
        NoProgram: it has no file for this family.
        ModuleNotFoundError: the framework is not installed.
    """
    module = importlib.import_module(f"{__name__}.{peer}")
    if hasattr(module, "load"):
        return module, module.load(family)
    return module, program(peer, family).training


def program(peer: str, family: str) -> ModuleType:
    """The file of a peer for a family."""
    name = f"{__name__}.{peer}.{family}"
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as reason:
        if reason.name != name:
            raise
        raise NoProgram(f"{peer} has no program for {family}") from None
