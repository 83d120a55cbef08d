"""The function that a user gives as a step: what messages call it and its arguments, and which of these are arrays."""

from __future__ import annotations

import inspect
import pickle
import sys
import weakref
from collections.abc import Callable
from types import FunctionType
from typing import Any

import numpy as np

from lazygrad.define.carried import is_by_name_alone
from lazygrad.errors import GraphError, Origin, report
from lazygrad.graph.registry import here, unsigned
from lazygrad.values.foreign import has_dlpack, on_device

__all__ = ["argument_names", "check_step", "defined", "find_again", "is_array", "step_name", "takes_nothing"]


def is_array(x: Any) -> bool:
    """Whether an argument of a step is an array, and so arrives as a placeholder."""
    if isinstance(x, np.ndarray):
        return True
    return on_device(x) or hasattr(x, "__array_interface__") or hasattr(x, "__array__") or has_dlpack(x)


def check_step(step: Any) -> None:
    """Raise GraphError unless ``step`` can be called."""
    if not callable(step):
        cure = "Give a function that takes a context: def step(ctx, ...): ..."
        raise GraphError(report(f"cannot run {step!r:.60}: it is not a function", at=here(), cure=cure))


def step_name(step: Any) -> str:
    """What messages call a step."""
    return getattr(step, "__name__", type(step).__name__)


def takes_nothing(step: Callable[..., Any]) -> bool:
    """Whether a step can be called with a context alone."""
    try:
        inspect.signature(step).bind(None)
    except (TypeError, ValueError):
        return False
    return True


def defined(step: Any) -> Origin | None:
    """Where a step is defined."""
    code = getattr(unsigned(step), "__code__", None)
    return None if code is None else Origin(code, -1)


_NAMES: weakref.WeakKeyDictionary[Any, list[str]] = weakref.WeakKeyDictionary()  # by code, for as long as it lives


def argument_names(step: Callable[..., Any], count: int) -> list[str]:
    """What the step calls its positional arguments after the context."""
    code = getattr(unsigned(step), "__code__", None)
    names = _NAMES.get(code) if code is not None else None
    if names is None:
        try:
            parameters = list(inspect.signature(step).parameters.values())[1:]
        except (TypeError, ValueError):
            parameters = []
        names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        if code is not None:
            _NAMES[code] = names
    return names[:count] + [f"argument{i}" for i in range(len(names), count)]


def find_again(step: Any, kind: type) -> None:
    """Let pickle find a step that was decorated, as its name is that of the ``kind`` it became: it is within that.

    Raises:
        PicklingError: it has no name by which another process would find it, and nothing here sends functions whole.
    """
    if isinstance(step, FunctionType):
        found: Any = sys.modules.get(step.__module__)
        for part in step.__qualname__.split("."):
            found = getattr(found, part, None)
        if isinstance(found, kind) and vars(found)["__wrapped__"] is step:
            step.__qualname__ += ".__wrapped__"
        elif found is not step and is_by_name_alone():
            cure = "Define it at the top of a module, or import cloudpickle, by which joblib sends functions whole."
            what = f"cannot pickle step {step.__qualname__}: no other process finds it by that name"
            raise pickle.PicklingError(report(what, at=defined(step), cure=cure))
