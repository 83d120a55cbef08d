"""What the code of a function reads from outside, by name: read off its instructions, without running it."""

from __future__ import annotations

import dis
import functools
import inspect
import sys
import types
from collections.abc import Iterator
from typing import Any, NamedTuple

__all__ = ["Path", "is_library", "paths", "static"]


class Path(NamedTuple):
    """A name, and the attributes that are read of it one after another: ``cfg.model.rate``."""

    root: str  # "global", "cell", or "own" for the object that a method belongs to
    names: tuple[str, ...]


@functools.lru_cache(maxsize=4096)
def paths(code: types.CodeType, is_method: bool, apart: frozenset[types.CodeType] = frozenset()) -> tuple[Path, ...]:
    """The paths that a function reads, each once, with those of functions that are written inside it.

    Args:
        code: of the function.
        is_method: whether its first parameter stands for an object that is known.
        apart: functions inside it that are not looked at.
    """
    own = code.co_varnames[0] if is_method and code.co_argcount else ""
    return tuple(dict.fromkeys(_paths(code, own, frozenset(code.co_freevars), apart)))


def _paths(code: types.CodeType, own: str, free: frozenset[str], apart: frozenset[types.CodeType]) -> Iterator[Path]:
    path: Path | None = None
    for instruction in dis.get_instructions(code):
        if path is not None and instruction.opname in ("LOAD_ATTR", "LOAD_METHOD"):
            path = Path(path.root, (*path.names, instruction.argval))
            continue
        if path is not None:
            yield path
        path = _root(instruction, own, free)
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType) and inner not in apart:
            kept = own if own in inner.co_freevars else ""
            yield from _paths(inner, kept, free & frozenset(inner.co_freevars), apart)


def _root(instruction: dis.Instruction, own: str, free: frozenset[str]) -> Path | None:
    """Where a path begins with an instruction, if one does."""
    name = instruction.argval
    if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
        return Path("global", (name,))
    if isinstance(name, tuple) and name:  # two loads in one instruction: the last one lies on top
        name = name[-1]
    if own and name == own and instruction.opname.startswith(("LOAD_FAST", "LOAD_DEREF")):
        return Path("own", (name,))
    if name in free and instruction.opname in ("LOAD_DEREF", "LOAD_CLASSDEREF"):
        return Path("cell", (name,))
    return None


@functools.lru_cache(maxsize=1024)
def is_library(module: str | None, home: str) -> bool:
    """Whether a module belongs to Python, to lazygrad or to an installed package, and not to package ``home``."""
    top = (module or "builtins").partition(".")[0]
    if top in ("lazygrad", "builtins") or top in sys.stdlib_module_names:
        return True
    file = getattr(sys.modules.get(top), "__file__", None) or ""
    return top != home and any(part in file for part in ("site-packages", "dist-packages"))


def static(of: Any, name: str) -> Any:
    """What an attribute is, without running anything; None if there is none."""
    return inspect.getattr_static(of, name, None)
