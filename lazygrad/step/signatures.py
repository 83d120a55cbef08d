"""What a compiled step is compiled for: the key of a call; the kinds of every argument, said where it matters."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from lazygrad.backends.base import Backend
from lazygrad.errors import TraceError, report
from lazygrad.graph.graph import freeze
from lazygrad.graph.registry import here, level
from lazygrad.graph.spec import Mismatch, Spec
from lazygrad.ops.source import numeric
from lazygrad.step.called import is_array
from lazygrad.trees import leaves, structure
from lazygrad.values.foreign import dtype_of, on_device
from lazygrad.values.rows import whole_rows

__all__ = ["MANY", "Signatures", "signature"]

PATHS = 256  # arguments, and leaves of arguments, of which kinds are remembered
MANY = 8  # kinds of one argument; with more, something is probably wrong


NOTHING: Mapping[str, str] = MappingProxyType({})


class Signatures:
    """The kinds of each argument that a step was compiled for."""

    def __init__(self, step: Callable[..., Any]) -> None:
        self._step = step
        self._seen: dict[str, dict[str, None]] = {}  # for every argument its kinds, in order
        self._warned = False
        self._times: list[tuple[dict[str, str], int, str]] = []  # each time it was traced: of what, and why
        self._count = 0
        self._other = ""

    def add(self, args: tuple[Any, ...], kwargs: dict[str, Any], read: Mapping[str, str] = NOTHING) -> None:
        """Note one more signature; warn once if an argument, or a value that the step reads, was of too many kinds."""
        for name, kind in self._all(args, kwargs, read).items():
            if len(self._seen) > PATHS:
                break
            seen = self._seen.setdefault(name, {})
            if len(seen) <= MANY:
                seen[kind] = None
            if len(seen) > MANY and not self._warned:
                self._warned = True
                listed = ", ".join(list(seen)[-3:])
                warnings.warn(
                    f"{getattr(self._step, '__name__', 'a step')} has been compiled for more than {MANY} kinds of "
                    f"{name.rstrip(',')}, lately {listed}. Every kind is compiled anew: pad or drop ragged batches, "
                    "pass numbers that change as arrays (np.asarray(x)), and keep what does not matter out of the "
                    "arguments.",
                    RuntimeWarning,
                    stacklevel=level(),
                )

    def _all(self, args: tuple[Any, ...], kwargs: dict[str, Any], read: Mapping[str, str]) -> dict[str, str]:
        """The kinds of all that a trace depends on, by what messages call it."""
        kinds = {f"argument {name!r}": kind for name, kind in self._kinds(args, kwargs).items()}
        return kinds | {f"{name!r}, which it reads,": kind for name, kind in read.items()}

    def other(self, names: Iterable[str]) -> None:
        """Note that the step reads other objects than it did: it is traced anew."""
        named = ", ".join(map(repr, names))
        self._other = f"another object stands where it reads {named}" if named else "it reads other things than before"

    def say(self, args: tuple[Any, ...], kwargs: dict[str, Any], read: Mapping[str, str], version: int) -> None:
        """Note why the step is traced; ``version`` is that of the store."""
        kinds, why = self._all(args, kwargs, read), self._other
        if not why and self._times:
            same = [time for time in self._times if time[0] == kinds]
            if same and same[-1][1] != version:
                why = "a variable was registered, frozen or thawed, or an optimizer got another schedule"
            elif same:
                why = "its structure is another one, or it had been forgotten"
            else:
                why = _difference(
                    min((time[0] for time in reversed(self._times)), key=lambda one: _distance(one, kinds)), kinds
                )
        self._times = [*self._times, (kinds, version, why)][-PATHS:]
        self._count, self._other = self._count + 1, ""

    def told(self, name: str) -> str:
        """Why it was traced, a line each time."""
        if not self._count:
            return f"{name} has not been compiled yet: call it once"
        first = self._count - len(self._times) + 1
        lines = [f"{name} has been compiled {'once' if self._count == 1 else f'{self._count} times'}"]
        for number, (kinds, _, why) in enumerate(self._times, first):
            given = ", ".join(f"{key} {kind}" for key, kind in kinds.items())
            lines.append(f"{number:>4}  {why or 'the first call' + (f': {given}' if given else '')}")
        return "\n".join(lines)

    def explain(self, reason: BaseException, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Add to an error which arguments are not what the step was compiled for before."""
        for name, kind in self._kinds(args, kwargs).items():
            seen = list(self._seen.get(f"argument {name!r}", ()))
            if seen and kind not in seen:
                reason.add_note(f"argument {name!r} is {kind}; the step was compiled for {', '.join(seen[-3:])}")

    def _kinds(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, str]:
        """For every array or value among the arguments what the signature has of it."""
        found = {}
        for name, argument in {**dict(zip(self._names(len(args)), args, strict=False)), **kwargs}.items():
            for path, leaf in leaves(argument, name):
                if hasattr(leaf, "shape") and hasattr(leaf, "dtype"):
                    found[path] = str(Spec(tuple(leaf.shape), dtype_of(leaf)))
                else:
                    found[path] = f"{leaf!r:.40}"
        return found

    def _names(self, count: int) -> list[str]:
        """What the step calls its first ``count`` arguments after the context."""
        try:
            parameters = list(inspect.signature(self._step).parameters.values())[1:]
        except (TypeError, ValueError):
            parameters = []
        names = []
        for k in range(count):
            several = [p for p in parameters[: k + 1] if p.kind is p.VAR_POSITIONAL]
            if several:
                names.append(f"{several[0].name}[{k - parameters.index(several[0])}]")
            else:
                names.append(parameters[k].name if k < len(parameters) else f"argument {k}")
        return names


def _distance(one: Mapping[str, str], other: Mapping[str, str]) -> int:
    """How many things are not of the same kind; of an array dtype and shape count one each."""
    pairs = [(one.get(name, "").split("["), other.get(name, "").split("[")) for name in {*one, *other}]
    return sum(sum(x != y for x, y in zip(a, b, strict=False)) + abs(len(a) - len(b)) for a, b in pairs)


def _difference(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """What is not as in the call that was most like this one."""
    found = [
        f"{name} is {kind}, where it was {before[name]}"
        for name, kind in now.items()
        if name in before and before[name] != kind
    ]
    found += [f"{name} is new, {kind}" for name, kind in now.items() if name not in before]
    found += [f"{name} is not there, where it was {kind}" for name, kind in before.items() if name not in now]
    return "; ".join(found)


def signature(
    args: tuple[Any, ...], kwargs: dict[str, Any], feeds: dict[str, Any] | None, backend: Backend
) -> tuple[list[Any], Any]:
    """The arrays among the arguments, and the key of everything that a trace depends on."""
    arrays: list[Any] = []
    parts: list[Any] = [len(args)]
    for value in args:
        if type(value) is np.ndarray:
            arrays.append(value)
            parts.append((value.shape, value.dtype))
        else:
            _tree_signature(value, "", arrays, parts, backend)
    for name, value in kwargs.items():
        parts.append(name)
        _tree_signature(value, name, arrays, parts, backend)
    for name, array in (feeds or {}).items():
        parts.append((name, _shape(array)))
    return arrays, tuple(parts)


def _shape(array: Any) -> Any:
    try:
        return np.shape(array)
    except ValueError:  # ragged lists; the feed is refused later, by name
        return None


def _tree_signature(value: Any, name: str, arrays: list[Any], parts: list[Any], backend: Backend) -> None:
    parts.append(structure(value))
    for path, leaf in leaves(value, name):
        if is_array(leaf):
            count = whole_rows(leaf)
            if count is not None:
                leaf = np.asarray(leaf)
                parts.append(("rows", count))
            if on_device(leaf):
                leaf = backend.taken(leaf)
            elif type(leaf) is not np.ndarray:
                leaf = numeric(leaf, backend=backend)
            arrays.append(leaf)
            parts.append((path, leaf.shape, leaf.dtype))
            continue
        try:
            hash(key := (path, freeze(leaf)))
        except (TypeError, ValueError, Mismatch):
            cure = "Arguments that are not arrays are part of the signature, and must be hashable."
            what = f"cannot compile for an argument of type {type(leaf).__name__}"
            raise TraceError(report(what, at=here(), cure=cure)) from None
        parts.append(key)
