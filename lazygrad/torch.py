"""Weights under PyTorch's names and in PyTorch's layouts, from and to a network of lazygrad. PyTorch is not imported.

Layers have the names that ``torch.nn`` gives them: in a ``Sequential`` or a list their places, in a dict their keys, in
a layer or another object the attributes that they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import FunctionType
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from lazygrad.errors import DefinitionError, SpecError, VariableError, nearest, report
from lazygrad.graph.registry import here
from lazygrad.nn.layers.attention import MultiHeadAttention, TransformerBlock
from lazygrad.nn.layers.base import Layer
from lazygrad.nn.layers.linear import Linear
from lazygrad.nn.layers.normalization import BatchNorm, GroupNorm, LayerNorm
from lazygrad.nn.layers.recurrent import GRU, Recurrent
from lazygrad.nn.layers.sequential import Sequential
from lazygrad.ops.source import refuse_masked
from lazygrad.store.variables import Variable
from lazygrad.values.foreign import on_device

__all__ = ["load_state_dict", "state_dict"]

Arrays: TypeAlias = dict[str, Any]

_COUNT = "num_batches_tracked"  # PyTorch counts what its BatchNorm has seen, and uses it only without a momentum


def state_dict(model: Any) -> dict[str, Any]:
    """The weights of a network as PyTorch's ``load_state_dict`` takes them: NumPy arrays, copies, by PyTorch's names.

    ``torch_model.load_state_dict({name: torch.from_numpy(array) for name, array in state_dict(model).items()})``.

    Args:
        model: a layer, a ``Sequential``, a list or a dict of these, or an object that has them as attributes.

    Returns:
        ``Linear``, ``Conv2d``, ``ConvTranspose2d``, ``Embedding``, ``BatchNorm``, ``LayerNorm``, ``GroupNorm``,
        ``RNN``, ``LSTM``, ``GRU``, ``MultiHeadAttention`` and ``TransformerBlock`` (``nn.TransformerEncoderLayer`` with
        ``norm_first=True, activation="gelu"``) as the classes of PyTorch have them; the second bias of a recurrent
        layer is zeros, but for the ``GRU``'s of the candidate. Variables of your own layers are as they are.

    Raises:
        DefinitionError: there is no layer in ``model``.
    """
    return {name: array for each in _leaves(model) for name, array in each.given().items()}


def load_state_dict(model: Any, weights: Mapping[str, Any], strict: bool = True) -> None:
    """Give a network the weights that PyTorch's ``state_dict`` has: all in one commit, or none.

    They are cast to the dtypes of the variables; where PyTorch has two biases, lazygrad has their sum.

    Args:
        model: as for :func:`state_dict`.
        weights: arrays, or tensors of PyTorch, by PyTorch's names.
        strict: whether every weight must be there, and no other. If not, what is missing on either side is left.

    Raises:
        VariableError: a name is missing, or there is one too many.
        SpecError: an array has another shape, or no real numbers; or two that are one variable here differ.
        DefinitionError: there is no layer in ``model``, or ``weights`` is no mapping.
    """
    if not isinstance(weights, Mapping):
        cure = "Give what state_dict() returns: arrays or tensors by name."
        raise DefinitionError(report(f"cannot load weights from {type(weights).__name__}", at=here(), cure=cure))
    leaves = list(_leaves(model))
    wanted = {name: array for leaf in leaves for name, array in leaf.given().items()}
    found = {name: value for name, value in weights.items() if name in wanted or not _is_count(name)}
    if strict:
        _check_names(wanted, found)
    arrays = {name: _fitting(name, found[name], wanted[name]) for name in wanted if name in found}
    news: dict[Variable, tuple[str, Any]] = {}
    for leaf in leaves:
        for variable, named in leaf.taken(arrays):
            before = news.setdefault(variable, named)
            if not np.array_equal(before[1], named[1], equal_nan=True):
                what = f"cannot load {named[0]!r}: it is variable {variable.path!r}, as {before[0]!r} is, which differs"
                raise SpecError(report(what, at=here(), cure="Layers that share a variable need the same weights."))
    _commit({variable: array for variable, (_, array) in news.items()})


class _Form(NamedTuple):
    """How the variables of a kind of layer become PyTorch's weights, and the other way round."""

    given: Callable[[Arrays], Arrays]
    taken: Callable[[Arrays], Arrays]


class _Leaf(NamedTuple):
    """A layer with variables of its own, and what stands in front of its names in PyTorch."""

    prefix: str
    form: _Form
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


def _renamed(names: Mapping[str, str], turned: frozenset[str] = frozenset()) -> _Form:
    """Other names, and transposes of those that are named in lazygrad's names."""
    back = {theirs: ours for ours, theirs in names.items()}

    def given(arrays: Arrays) -> Arrays:
        return {names.get(name, name): array.T if name in turned else array for name, array in arrays.items()}

    def taken(arrays: Arrays) -> Arrays:
        ours = {back.get(name, name): array for name, array in arrays.items()}
        return {name: array.T if name in turned else array for name, array in ours.items()}

    return _Form(given, taken)


def _recurrent(hidden: int, has_candidate: bool) -> _Form:
    """Each gate's rows below one another, in the same order; two biases, which are added in all gates but a GRU's n."""

    def given(arrays: Arrays) -> Arrays:
        found: Arrays = {}
        for ours, array in arrays.items():
            kind, theirs = _way(ours)
            if kind == "weight":
                found["weight_ih" + theirs] = array.T
            elif kind == "recurrent":
                found["weight_hh" + theirs] = array.T
            elif kind == "bias":
                found["bias_ih" + theirs], found["bias_hh" + theirs] = array, np.zeros_like(array)
            else:
                found["bias_hh" + theirs][2 * hidden :] = array
        return found

    def taken(weights: Arrays) -> Arrays:
        found: Arrays = {}
        for theirs in [name.removeprefix("weight_ih") for name in weights if name.startswith("weight_ih")]:
            ours = theirs.removeprefix("_l0") if theirs.startswith("_l0") else theirs
            bias, second = weights["bias_ih" + theirs], weights["bias_hh" + theirs]
            if has_candidate:
                found["candidate_bias" + ours] = second[2 * hidden :]
                second = np.concatenate([second[: 2 * hidden], np.zeros_like(second[2 * hidden :])])
            found["weight" + ours] = weights["weight_ih" + theirs].T
            found["recurrent" + ours] = weights["weight_hh" + theirs].T
            found["bias" + ours] = bias + second
        return found

    return _Form(given, taken)


def _way(name: str) -> tuple[str, str]:
    """What a variable of a recurrent layer is, and how the names of PyTorch's weights of the same way end."""
    for kind in ("candidate_bias", "weight", "recurrent", "bias"):
        if name.startswith(kind):
            rest = name.removeprefix(kind)
            return kind, rest if rest.startswith("_l") else "_l0" + rest
    raise AssertionError(name)


_INTO = ("query", "key", "value")  # one below the other in PyTorch's in_proj


def _attention_given(arrays: Arrays) -> Arrays:
    found: Arrays = {}
    for kind in ("weight", "bias"):
        if f"out/{kind}" in arrays:
            found[f"in_proj_{kind}"] = np.concatenate([arrays[f"{part}/{kind}"].T for part in _INTO])
            found[f"out_proj.{kind}"] = arrays[f"out/{kind}"].T
    return found


def _attention_taken(weights: Arrays) -> Arrays:
    found: Arrays = {}
    for kind in ("weight", "bias"):
        if f"out_proj.{kind}" in weights:
            parts = np.split(weights[f"in_proj_{kind}"], len(_INTO))
            found |= {f"{part}/{kind}": array.T for part, array in zip(_INTO, parts, strict=True)}
            found[f"out/{kind}"] = weights[f"out_proj.{kind}"].T
    return found


_AS_IT_IS = _renamed({})
_NORM = _renamed({"scale": "weight", "shift": "bias", "mean": "running_mean", "variance": "running_var"})
_LINEAR = _renamed({}, frozenset({"weight"}))
_ATTENTION = _Form(_attention_given, _attention_taken)
_BLOCK = {
    "attention_norm": "norm1",
    "attention": "self_attn",
    "expand_norm": "norm2",
    "expand": "linear1",
    "contract": "linear2",
}


def _form(layer: Layer) -> _Form:
    if isinstance(layer, (BatchNorm, LayerNorm, GroupNorm)):
        return _NORM
    if isinstance(layer, Recurrent):
        return _recurrent(layer.hidden, isinstance(layer, GRU))
    return _LINEAR if isinstance(layer, Linear) else _AS_IT_IS


def _leaves(model: Any) -> Iterator[_Leaf]:
    """All layers of a network that have variables of their own.

    Raises:
        DefinitionError: there is none.
    """
    found = list(_within(model, "", ()))
    if not found:
        cure = "Give a layer, a Sequential, a list or a dict of these, or an object that has them as attributes."
        raise DefinitionError(report(f"there are no layers in {model!r:.60}", at=here(), cure=cure))
    yield from found


def _within(model: Any, prefix: str, around: tuple[Any, ...]) -> Iterator[_Leaf]:
    if any(model is outer for outer in around):
        return
    if isinstance(model, Layer):
        own = _own(model)
        if isinstance(model, MultiHeadAttention):
            parts = [(name, _own(getattr(model, name))) for name in (*_INTO, "out")]
            inside = {f"{part}/{name}": variable for part, named in parts for name, variable in named.items()}
            yield _Leaf(prefix, _ATTENTION, inside)
            return
        if own:
            yield _Leaf(prefix, _form(model), own)
    for name, part in _parts(model):
        yield from _within(part, f"{prefix}{name}.", (*around, model))


def _own(layer: Layer) -> dict[str, tuple[Variable, bool]]:
    return {name: (variable, name in layer._turned) for name, variable in layer._own.items()}


def _parts(model: Any) -> Iterator[tuple[str, Any]]:
    """What a network is made of, with PyTorch's names for it."""
    if isinstance(model, Mapping):
        yield from ((str(name), part) for name, part in model.items())
    elif isinstance(model, (Sequential, list, tuple)):
        yield from ((str(place), part) for place, part in enumerate(model))
    elif isinstance(model, Layer):
        names = _attributes(model)
        known = _BLOCK if isinstance(model, TransformerBlock) else {}
        for part in model._parts:
            name = names.get(id(part)) or str(getattr(part, "name", type(part).__name__.lower()))
            yield known.get(name, name), part
    elif hasattr(model, "__dict__") and not isinstance(model, (type, FunctionType)):  # of the user's, but no layer
        kinds = (Layer, Sequential, list, tuple, dict)
        yield from ((name, part) for name, part in vars(model).items() if isinstance(part, kinds))


def _attributes(layer: Layer) -> dict[int, str]:
    """What the attributes of a layer, and what is in those that are lists, are called, by identity."""
    names: dict[int, str] = {}
    for name, value in vars(layer).items():
        if name != "_parts":
            names.setdefault(id(value), name)
            if isinstance(value, (list, tuple)):
                for place, part in enumerate(value):
                    names.setdefault(id(part), f"{name}.{place}")
    return names


def _is_count(name: Any) -> bool:
    return isinstance(name, str) and name.rpartition(".")[2] == _COUNT


def _check_names(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Raise VariableError unless both have the same names."""
    cure = "Use strict=False to take only what fits."
    for name in wanted:
        if name not in found:
            near = nearest(name, found)
            raise VariableError(report(f"cannot load: there is no {name!r}", at=here(), facts=[near], cure=cure))
    for name in found:
        if name not in wanted:
            near = nearest(str(name), wanted)
            raise VariableError(report(f"cannot load {name!r}: it is not here", at=here(), facts=[near], cure=cure))


def _fitting(name: str, value: Any, wanted: Any) -> Any:
    """A weight as an array, of the shape that it must have."""
    if hasattr(value, "detach"):  # a tensor of PyTorch, perhaps on a GPU
        value = value.detach().cpu()
        value = (value.float() if str(value.dtype) == "torch.bfloat16" else value).numpy()
    refuse_masked(value)
    try:
        array = np.asarray(value.get() if on_device(value) else value)
    except ValueError:  # a list of lists of several lengths
        array = np.array(value, dtype=object)
    if array.shape != wanted.shape or array.dtype.kind not in "biuf":
        facts = [f"here:   {wanted.dtype}{list(wanted.shape)}", f"given:  {array.dtype}{list(array.shape)}"]
        cure = "Give weights of a network with the same layers, in PyTorch's layouts: (out, in)."
        raise SpecError(report(f"cannot load {name!r}", at=here(), facts=facts, cure=cure))
    return array


def _commit(news: Mapping[Variable, Any]) -> None:
    """Give the variables their arrays, those of each environment in one commit."""
    for env in dict.fromkeys(variable._env for variable in news):
        store = env._store
        with store.lock:
            store.check_idle()
            with np.errstate(over="ignore"):
                cast = {v: array.astype(v.spec.dtype) for v, array in news.items() if v._env is env}
            arrays = [(v, store.own_array(v, store.backend.asarray(array))) for v, array in cast.items()]
            store.alone("weights are being loaded", lambda: store.put(arrays))  # noqa: B023 - it is called at once
