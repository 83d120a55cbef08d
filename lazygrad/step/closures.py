"""What a step reads beside its arguments: globals, variables of the functions around it, attributes, defaults.

A step is traced once for a signature, and what it read then stands in the graph as it was. So at each call a
compiled step compares what can be compared at next to no cost, and traces anew if it is not as it was:

- numbers, strings and the like, by value;
- small arrays, and small lists, tuples, dicts and sets, by what they hold;
- anything else, such as functions, layers and large arrays, by identity: another object is noticed, a change inside
  it is not.

Where it looks is read off the code of the step, of the functions that it is made of, and of the user's own functions
and methods that these name. What only a library reads is not looked at, nor what the step itself changes.
"""

from __future__ import annotations

import functools
import keyword
import types
from collections.abc import Callable, Hashable, Iterable, Sequence
from enum import Enum
from typing import Any, NamedTuple

import numpy as np

from lazygrad.graph.graph import freeze
from lazygrad.graph.registry import unsigned
from lazygrad.step.bytecode import Path, is_library, paths, static

__all__ = ["Closure"]

BYTES = 4096  # of an array that is compared by what it holds
LEAVES = 256  # of a container, likewise
PLACES = 256  # that are compared
FUNCTIONS = 128  # that are looked through

SIMPLE = (int, float, complex, str, bytes, type(None), np.generic, np.dtype, Enum)


class Beside(NamedTuple):
    """Where the step reads something."""

    name: str  # as messages have it
    code: str  # an expression of ``owner`` that reads it
    owner: Any  # the globals, the cell or the object that it is read from
    value: Any


class ByIdentity:
    """An object as a key that only the object itself equals."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ByIdentity) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)


# What is compared.


def content(value: Any) -> Hashable:
    """A key of what a value holds, if it is simple and small, else of the object that it is."""
    try:
        return _content(value, [LEAVES])
    except OverflowError:
        return ByIdentity(value)


def _content(value: Any, left: list[int]) -> Hashable:
    left[0] -= 1
    if left[0] < 0:
        raise OverflowError
    kind = type(value)
    if isinstance(value, SIMPLE):
        return freeze(value)
    if kind is np.ndarray and value.nbytes <= BYTES and not value.dtype.hasobject:
        return (kind, value.shape, value.dtype, value.tobytes())
    if isinstance(value, (list, tuple)):
        return (kind, *[_content(item, left) for item in list(value)])
    if isinstance(value, dict):
        return (kind, *[(key, _content(item, left)) for key, item in list(value.items())])
    if kind is set or kind is frozenset:
        return (kind, frozenset([_content(item, left) for item in list(value)]))
    return ByIdentity(value)


def _changes(value: Any) -> bool:
    """Whether it can be the same object and hold something else, which is seen."""
    if isinstance(value, tuple):
        return any(map(_changes, value))
    return isinstance(value, (list, dict, set, np.ndarray))


def _is_value(key: Any) -> bool:
    """Whether a key is of values alone, so that it may come again."""
    return not isinstance(key, ByIdentity) and (type(key) not in (tuple, frozenset) or all(map(_is_value, key)))


# Where it is read.


class _Walk:
    """Every place that a step reads, found function by function."""

    def __init__(self, step: Any, apart: frozenset[types.CodeType]) -> None:
        self.places: dict[str, Beside] = {}
        self._seen: set[Any] = set()
        self._apart = apart
        self._home = _top(step)
        self._into(step, library=True)

    def _into(self, value: Any, own: Any = None, library: bool = False) -> None:
        """Look through a function, or through what is called like one; also a library's, if that is said."""
        if isinstance(value, functools.partial):
            for part in (*value.args, *value.keywords.values()):
                self._note(f"an argument of {_called(value.func)}", "", None, part)
            self._into(value.func, None, library)
        elif isinstance(value, types.MethodType):
            self._into(value.__func__, value.__self__, library)
        elif isinstance(value, types.FunctionType):
            if library or not self._is_library(value):
                self._function(value, own)
        elif not isinstance(value, type):
            call = static(type(value), "__call__")
            if isinstance(call, types.FunctionType) and (library or not self._is_library(call)):
                self._function(call, value)

    def _function(self, function: types.FunctionType, own: Any) -> None:
        function = unsigned(function)
        key = (function, id(own))
        if key in self._seen or len(self._seen) >= FUNCTIONS or function.__code__ in self._apart:
            return
        self._seen.add(key)
        for part in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
            self._note(f"a default of {_called(function)}", "", None, part)
        cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
        for path in paths(function.__code__, own is not None, self._apart):
            self._path(path, function.__globals__, cells, own)

    def _path(self, path: Path, variables: dict[str, Any], cells: dict[str, Any], own: Any) -> None:
        """Follow a path from its root to its end, or to what a library has made."""
        name, value = path.names[0], own
        if path.root == "global":
            if name not in variables:  # a builtin, or not there yet
                return
            value = variables[name]
            self._note(name, f"{{}}[{name!r}]", variables, value)
        elif path.root == "cell":
            try:
                value = cells[name].cell_contents
            except ValueError:  # not there yet
                return
            self._note(name, "{}.cell_contents", cells[name], value)
        for attribute in path.names[1:]:
            name = f"{name}.{attribute}"
            value = self._attribute(name, value, attribute)
            if value is None:
                return

    def _attribute(self, name: str, of: Any, attribute: str) -> Any:
        """An attribute of a module or of an object; None if a library has it, or it is computed."""
        kind = of if isinstance(of, (type, types.ModuleType)) else type(of)
        found, lies = static(of, attribute), kind is not of and attribute in getattr(of, "__dict__", ())
        if isinstance(found, types.MemberDescriptorType) and kind is not of:  # of a class with slots
            found, lies = getattr(of, attribute, None), True
        if not lies and self._is_library(kind):
            return None
        if isinstance(found, (property, staticmethod, classmethod)):
            self._into(found.fget if isinstance(found, property) else found.__func__, of)
            return None
        if isinstance(found, types.FunctionType) and not lies:
            self._into(found, of)
        elif lies or not hasattr(type(found), "__get__"):
            self._note(name, f"{{}}.{attribute}", of, found)
        return found

    def _is_library(self, value: Any) -> bool:
        """Whether a module, a class or a function is a library's."""
        module = value.__name__ if isinstance(value, types.ModuleType) else value.__module__
        return is_library(module, self._home)

    def _note(self, name: str, code: str, owner: Any, value: Any) -> None:
        """Remember a place, unless a module or a library's function lies there, which nobody puts anew."""
        if isinstance(value, (types.ModuleType, types.BuiltinFunctionType, np.ufunc)):
            return
        if isinstance(value, (type, types.FunctionType)) and self._is_library(value):
            return
        if len(self.places) < PLACES and (code or _changes(value)):
            given = self.places.get(name)
            if given is not None and (given.owner is not owner or not code):  # of the same name in another function
                name = f"{name} ({len(self.places)})"
            self.places[name] = Beside(name, code, owner, value)
        self._into(value)


def _called(function: Any) -> str:
    return getattr(function, "__name__", type(function).__name__)


def _top(step: Any) -> str:
    """The package in which a step is defined."""
    while isinstance(step, functools.partial):
        step = step.func
    module = getattr(step, "__module__", None) or type(step).__module__
    return str(module).partition(".")[0]


# Comparing.


def _never() -> bool:
    return False


class Closure:
    """What a step read when it was looked at last.

    Attributes:
        same: whether all of it is as it was, in as few instructions as can be; None if there is nothing to compare.
        key: of the values among it: one that comes again may find what was traced for it before.
        kinds: for messages, each value by its name.
        others: names of the objects that were other ones when it was looked at last.
    """

    def __init__(self, step: Callable[..., Any]) -> None:
        self._step = step
        self._own: set[str] = set()  # what the step itself changes
        self._called: frozenset[types.CodeType] = frozenset()  # hooks: what they read, they read in every run
        self._objects: dict[str, Hashable] | None = None
        self._keys: dict[str, Hashable] = {}
        self.key: Hashable = ()
        self.kinds: dict[str, str] = {}
        self.others: list[str] = []
        self.same: Callable[[], bool] | None = _never

    def look(self) -> bool:
        """Look at everything anew; whether the objects that are compared by identity are as they were."""
        places = [place for place in _Walk(self._step, self._called).places.values() if place.name not in self._own]
        self._keys = {place.name: content(place.value) for place in places}
        values = {name: key for name, key in self._keys.items() if _is_value(key)}
        objects = {name: key for name, key in self._keys.items() if name not in values}
        before, self._objects = self._objects, objects
        self.key = tuple(values.items())
        self.kinds = {place.name: f"{place.value!r:.40}" for place in places if place.name in values}
        self.same = _comparison(places, self._keys, getattr(self._step, "__globals__", {}))
        kept = before or {}
        self.others = [name for name in {**kept, **objects} if kept.get(name) != objects.get(name)]
        return before is None or before == objects

    def settle(self, called: Iterable[types.CodeType]) -> None:
        """Look once more, after the step was traced: what has changed since is the step's own to change.

        Args:
            called: the code of functions that the step calls in every run, not while it is traced.
        """
        before, self._called = self._keys, self._called.union(called)
        self.look()
        changed = {name for name, key in self._keys.items() if before.get(name, key) != key}
        if changed:
            self._own |= changed
            self.look()


def _comparison(
    places: Sequence[Beside], keys: dict[str, Hashable], variables: dict[str, Any]
) -> Callable[[], bool] | None:
    """A function that says whether every place holds what it held.

    It is written out as code with the globals of the step, so that to read one of them costs what it costs there:
    next to nothing.
    """
    if not places:
        return None
    known: list[Any] = []

    def given(value: Any) -> str:
        known.append(value)
        return f"_lazygrad_{len(known) - 1}"

    are, hold = [], []
    for name, code, owner, value in places:
        if code:
            near = owner is variables and name.isidentifier() and not keyword.iskeyword(name)
            are.append(f"{name if near else code.format(given(owner))} is {given(value)}")
        if _changes(value) and not isinstance(keys[name], ByIdentity):
            hold.append(f"{given(content)}({given(value)}) == {given(keys[name])}")
    named = ", ".join([f"_lazygrad_{k}" for k in range(len(known))])
    gone = "NameError, KeyError, AttributeError, ValueError"  # what was read is not there any more
    test = f"def same({named}):\n try: return {' and '.join([*are, *hold])}\n except ({gone}): return False"
    module = compile(test, "<what a step reads>", "exec")
    body = next(part for part in module.co_consts if isinstance(part, types.CodeType))
    return types.FunctionType(body, variables, "same", tuple(known))
