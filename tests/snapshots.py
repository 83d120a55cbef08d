"""What tests compare to see that an environment is as before, and where a line of a test stands."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from typing import Any

from lazygrad import VariableEnvironment


def snapshot(env: VariableEnvironment) -> Any:
    """All that a step may change: every variable to the bit, the random state, the names of optimizers."""
    variables = [(v.path, v.trainable, str(v.dtype), v.shape, v.value.tobytes()) for v in env]
    return variables, env._store.draws.seed, env._store.state[1], sorted(env._store.names)


def _line(function: Callable[..., Any], needle: str) -> tuple[str, str]:
    """The one line of ``function`` with ``needle`` in it, and ``file:line``."""
    lines, first = inspect.getsourcelines(function)
    (found,) = [i for i, line in enumerate(lines) if needle in line]
    path = inspect.getsourcefile(function) or ""
    relative = os.path.relpath(path)
    shown = path if relative.startswith("..") else relative
    return lines[found].strip(), f"{shown}:{first + found}"


def place(function: Callable[..., Any], needle: str) -> str:
    """``file:line`` of that line, as messages name it."""
    return _line(function, needle)[1]


def at(function: Callable[..., Any], needle: str) -> str:
    """The second part of a message that names that line."""
    text, where = _line(function, needle)
    return f"    {text:<46}  {where}, in {function.__name__}"
