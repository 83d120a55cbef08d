"""What a compiled step is compiled for: the key of a call; the kinds of every argument, said where it matters."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

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
SHOWN = 8  # of what is told of one trace
MANY = 8  # kinds of one argument; with more, something is probably wrong


NOTHING: Mapping[str, str] = MappingProxyType({})


class _Time(NamedTuple):
    """A trace: of which kinds of what, given in which forms, at which version of the store, and why."""

    kinds: dict[str, str]
    forms: dict[str, str]
    version: int
    why: str


class Signatures:
    """The kinds of each argument that a step was compiled for."""

    def __init__(self, step: Callable[..., Any]) -> None:
        self._step = step
        self._seen: dict[str, dict[str, None]] = {}  # for every argument its kinds, in order
        self._warned = False
        self._times: list[_Time] = []  # each time that it was traced
        self._count = 0
        self._other = ""

    def add(
        self,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        feeds: Mapping[str, Any] | None = None,
        read: Mapping[str, str] = NOTHING,
    ) -> None:
        """Note one more signature; warn once if an argument, or a value that the step reads, was of too many kinds."""
        for name, kind in self._all(args, kwargs, feeds, read).items():
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

    def _all(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], feeds: Mapping[str, Any] | None, read: Mapping[str, str]
    ) -> dict[str, str]:
        """The kinds of all that a trace depends on, by what messages call it."""
        kinds = {f"argument {name!r}": kind for name, kind in self._kinds(args, kwargs).items()}
        fed = {f"feed {name!r}": f"of shape {_shape(array)}" for name, array in (feeds or {}).items()}
        return kinds | fed | {f"{name!r}, which it reads,": kind for name, kind in read.items()}

    def _forms(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, str]:
        """In which form the arguments are given: what is nested how, and what is given by its name."""
        places = self._names(len(args))
        forms = {f"argument {name!r}": "given by position" for name in places}
        forms |= {f"argument {name!r}": "given by name" for name in kwargs}
        for name, argument in [*zip(places, args, strict=True), *kwargs.items()]:
            forms |= {f"argument {path!r} as a whole": form for path, form in _nestings(argument, name)}
        return forms | ({"the order of names": ", ".join(kwargs)} if len(kwargs) > 1 else {})

    def other(self, names: Iterable[str]) -> None:
        """Note that the step reads other objects than it did: it is traced anew."""
        named = ", ".join(map(repr, names))
        self._other = f"another object stands where it reads {named}" if named else "it reads other things than before"

    def say(
        self,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        feeds: Mapping[str, Any] | None,
        read: Mapping[str, str],
        version: int,
    ) -> None:
        """Note why the step is traced; ``version`` is that of the store."""
        kinds, forms, why = self._all(args, kwargs, feeds, read), self._forms(args, kwargs), self._other
        if not why and self._times:
            same = [time for time in self._times if time.kinds == kinds]
            if same and same[-1].version != version:
                why = "a variable was registered, frozen or thawed, or an optimizer got another schedule"
            elif same:
                why = _difference(_nearest([time.forms for time in same], forms), forms) or "it had been forgotten"
            else:
                why = _difference(_nearest([time.kinds for time in self._times], kinds), kinds)
        self._times = [*self._times, _Time(kinds, forms, version, why)][-PATHS:]
        self._count, self._other = self._count + 1, ""

    def told(self, name: str) -> str:
        """Why it was traced, a line each time."""
        if not self._count:
            return f"{name} has not been compiled yet: call it once"
        first = self._count - len(self._times) + 1
        lines = [f"{name} has been compiled {'once' if self._count == 1 else f'{self._count} times'}"]
        for number, time in enumerate(self._times, first):
            given = _listed([f"{key} {kind}" for key, kind in time.kinds.items()], ", ")
            lines.append(f"{number:>4}  {time.why or 'the first call' + (f': {given}' if given else '')}")
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


def _nestings(tree: Any, path: str) -> Iterator[tuple[str, str]]:
    """The lists, tuples and dicts in an argument, with what they are."""
    if isinstance(tree, dict):
        yield path, f"a {type(tree).__name__} with {', '.join(map(repr, tree)) or 'nothing'}"
        for key, part in tree.items():
            yield from _nestings(part, f"{path}[{key!r}]")
    elif isinstance(tree, (tuple, list)):
        yield path, f"a {type(tree).__name__} of {len(tree)}"
        for number, part in enumerate(tree):
            yield from _nestings(part, f"{path}[{number}]")


def _nearest(times: Sequence[Mapping[str, str]], now: Mapping[str, str]) -> Mapping[str, str]:
    """The one that is most like it, and of several such the last."""
    return min(reversed(times), key=lambda one: _distance(one, now))


def _distance(one: Mapping[str, str], other: Mapping[str, str]) -> tuple[int, int]:
    """How many things are of another kind, where dtype and shape of an array count one each; and by how many axes."""
    pairs = [(one.get(name, "").split("["), other.get(name, "").split("[")) for name in {*one, *other}]
    axes = sum(abs(one.get(name, "").count(",") - other.get(name, "").count(",")) for name in {*one, *other})
    return sum(sum(x != y for x, y in zip(a, b, strict=False)) + abs(len(a) - len(b)) for a, b in pairs), axes


def _difference(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """What is not as in the call that was most like this one; empty if all is."""
    found = [
        f"{name} is {kind}, where it was {before[name]}"
        for name, kind in now.items()
        if name in before and before[name] != kind
    ]
    found += [f"{name} is new, {kind}" for name, kind in now.items() if name not in before]
    found += [f"{name} is not there, where it was {kind}" for name, kind in before.items() if name not in now]
    return _listed(found, "; ")


def _listed(parts: Sequence[str], between: str) -> str:
    """The first of them, and how many there are more."""
    more = [f"and {len(parts) - SHOWN} more"] if len(parts) > SHOWN else []
    return between.join([*parts[:SHOWN], *more])


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
