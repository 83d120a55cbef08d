"""The way through a network: its variables, layer by layer, by the names that PyTorch has for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import FunctionType, ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from lazygrad.errors import DefinitionError, report
from lazygrad.graph.registry import here
from lazygrad.nn.layers.attention import MultiHeadAttention, TransformerBlock
from lazygrad.nn.layers.base import Layer
from lazygrad.nn.layers.sequential import Sequential
from lazygrad.step.bytecode import is_library
from lazygrad.store.variables import Transposed, Variable
from lazygrad.torch.forms import AS_IT_IS, ATTENTION, INTO, Arrays, Form, form_of

__all__ = ["Leaf", "given", "leaves"]

_DEEP = 64  # objects within one another
_LISTED = {"variables", "_own", "_learned", "_parts"}  # where variables and layers stand that have names elsewhere
_BLOCK = {
    "attention_norm": "norm1",
    "attention": "self_attn",
    "expand_norm": "norm2",
    "expand": "linear1",
    "contract": "linear2",
}


class Leaf(NamedTuple):
    """A layer with variables of its own, and what stands in front of its names in PyTorch."""

    prefix: str
    form: Form
    own: dict[str, tuple[Variable, bool]]  # by the layer's names for them; whether it uses the transpose

    def given(self) -> Arrays:
        """PyTorch's weights by their whole names."""
        arrays = {}
        for name, (variable, turned) in self.own.items():
            store = variable._env._store
            array = store.backend.to_numpy(variable._env[variable.path])
            arrays[name] = array.T if turned else array
        return {self.prefix + name: np.array(array, order="C") for name, array in self.form.given(arrays).items()}

    def taken(self, weights: Arrays) -> Iterator[tuple[Variable, tuple[str, Any]]]:
        """The variables with their arrays, and the layer's name for them, from PyTorch's weights by whole names."""
        full, come = {}, {}
        for name, old in self.given().items():
            short = name.removeprefix(self.prefix)
            full[short], come[short] = weights.get(name, old), np.full(old.shape, name in weights)
        arrays = self.form.taken(full)
        for name, has_come in self.form.taken(come).items():
            if has_come.any():
                variable, turned = self.own[name]
                yield variable, (self.prefix + name, arrays[name].T if turned else arrays[name])


def given(found: list[Leaf]) -> Arrays:
    """All weights by PyTorch's names.

    Raises:
        DefinitionError: two have the same.
    """
    arrays: Arrays = {}
    for leaf in found:
        for name, array in leaf.given().items():
            if name in arrays:
                cure = "One of the two would be lost: give lists, dicts and objects other keys or attributes."
                raise DefinitionError(report(f"two weights are called {name!r}", at=here(), cure=cure))
            arrays[name] = array
    return arrays


def leaves(model: Any) -> list[Leaf]:
    """All layers of a network that have variables of their own, and all other variables.

    Raises:
        DefinitionError: there is none, or one of a layer's variables is not among them.
    """
    walk = _Walk()
    found = list(walk.within(model, "", ()))
    if not found:
        cure = "Give a layer, a Sequential, a list or a dict of these, or an object that has them as attributes."
        raise DefinitionError(report(f"there are no layers in {model!r:.60}", at=here(), cure=cure))
    named = {variable for leaf in found for variable, _ in leaf.own.values()}
    for variable, owner in walk.owners.items():
        if variable not in named:
            what = f"{variable!r} of {owner!r:.60} has no name that PyTorch could have for it"
            cure = "Let the object that holds it, or the layer that it is of, have it as an attribute."
            raise DefinitionError(report(what, at=here(), cure=cure))
    return found


class _Walk:
    """A way through a network.

    Attributes:
        owners: the variables that a layer, or an object of the user's, says it has, each with that.
    """

    def __init__(self) -> None:
        self.owners: dict[Variable, Any] = {}
        self._empty: set[int] = set()  # the identities of what there is nothing in

    def within(self, model: Any, prefix: str, around: tuple[Any, ...]) -> Iterator[Leaf]:
        """The leaves of what is named so, within some other objects."""
        if len(around) == _DEEP or id(model) in self._empty or any(model is outer for outer in around):
            return
        if isinstance(model, (Variable, Transposed)):
            head, _, last = prefix.removesuffix(".").rpartition(".")
            own = (model.variable, True) if isinstance(model, Transposed) else (model, False)
            yield Leaf(f"{head}." if head else "", AS_IT_IS, {last: own})
            return
        self._note(model)
        if isinstance(model, MultiHeadAttention):
            parts = [(name, _own(getattr(model, name))) for name in (*INTO, "out")]
            inside = {f"{part}/{name}": variable for part, named in parts for name, variable in named.items()}
            yield Leaf(prefix, ATTENTION, inside)
            return
        has_any = False
        if isinstance(model, Layer) and model._own:
            has_any = True
            yield Leaf(prefix, form_of(model), _own(model))
        for name, part in _parts(model):
            for leaf in self.within(part, f"{prefix}{name}.", (*around, model)):
                has_any = True
                yield leaf
        if not has_any:
            self._empty.add(id(model))

    def _note(self, model: Any) -> None:
        """Remember what a layer, or an object of the user's, says it has."""
        said = getattr(model, "variables", ()) if isinstance(model, (Layer, Sequential)) or _is_users(model) else ()
        for variable in said if isinstance(said, (list, tuple)) else ():
            if isinstance(variable, Variable):
                self.owners.setdefault(variable, model)


def _own(layer: Layer) -> dict[str, tuple[Variable, bool]]:
    return {name: (variable, name in layer._turned) for name, variable in layer._own.items()}


def _is_users(model: Any) -> bool:
    """Whether it is an object with attributes that a program has made, and not one of a library's."""
    if isinstance(model, (type, FunctionType, ModuleType)) or not hasattr(model, "__dict__"):
        return False
    return isinstance(model, SimpleNamespace) or not is_library(type(model).__module__, "")


def _parts(model: Any) -> Iterator[tuple[str, Any]]:
    """What a network is made of, with PyTorch's names for it."""
    if isinstance(model, Mapping):
        yield from ((str(name), part) for name, part in model.items() if _may_hold(part))
    elif isinstance(model, (Sequential, list, tuple)):
        yield from ((str(place), part) for place, part in enumerate(model) if _may_hold(part))
    elif isinstance(model, Layer):
        names = _attributes(model)
        own = not is_library(type(model).__module__, "")
        if own:  # also what its author did not count as a part
            yield from _held(model)
        known = _BLOCK if isinstance(model, TransformerBlock) else {}
        for part in [part for part in model._parts if not own or id(part) not in names]:
            name = names.get(id(part)) or str(getattr(part, "name", type(part).__name__.lower()))
            yield known.get(name, name), part
    elif _is_users(model):
        yield from _held(model)


def _held(model: Any) -> Iterator[tuple[str, Any]]:
    """The attributes of an object that there may be variables in."""
    yield from ((name, part) for name, part in vars(model).items() if name not in _LISTED and _may_hold(part))


def _may_hold(part: Any) -> bool:
    return isinstance(part, (Variable, Transposed, Layer, Sequential, list, tuple, dict)) or _is_users(part)


def _attributes(layer: Layer) -> dict[int, str]:
    """What the attributes of a layer, and what is in those that are lists, are called, by identity."""
    names: dict[int, str] = {}
    for name, value in vars(layer).items():
        if name not in _LISTED:
            names.setdefault(id(value), name)
            if isinstance(value, (list, tuple)):
                for place, part in enumerate(value):
                    names.setdefault(id(part), f"{name}.{place}")
    return names
