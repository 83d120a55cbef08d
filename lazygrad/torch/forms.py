"""How the variables of a kind of layer become PyTorch's weights, and the other way round."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from lazygrad.nn.layers.base import Layer
from lazygrad.nn.layers.linear import Linear
from lazygrad.nn.layers.normalization import BatchNorm, GroupNorm, LayerNorm
from lazygrad.nn.layers.recurrent import GRU, Recurrent

__all__ = ["AS_IT_IS", "ATTENTION", "INTO", "Arrays", "Form", "form_of"]

Arrays: TypeAlias = dict[str, Any]


class Form(NamedTuple):
    """The functions of one kind of layer, there and back."""

    given: Callable[[Arrays], Arrays]
    taken: Callable[[Arrays], Arrays]


def _renamed(names: Mapping[str, str], turned: frozenset[str] = frozenset()) -> Form:
    """Other names, and transposes of those that are named in lazygrad's names."""
    back = {theirs: ours for ours, theirs in names.items()}

    def given(arrays: Arrays) -> Arrays:
        return {names.get(name, name): array.T if name in turned else array for name, array in arrays.items()}

    def taken(arrays: Arrays) -> Arrays:
        ours = {back.get(name, name): array for name, array in arrays.items()}
        return {name: array.T if name in turned else array for name, array in ours.items()}

    return Form(given, taken)


def _recurrent(hidden: int, has_candidate: bool) -> Form:
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

    return Form(given, taken)


def _way(name: str) -> tuple[str, str]:
    """What a variable of a recurrent layer is, and how the names of PyTorch's weights of the same way end."""
    for kind in ("candidate_bias", "weight", "recurrent", "bias"):
        if name.startswith(kind):
            rest = name.removeprefix(kind)
            return kind, rest if rest.startswith("_l") else "_l0" + rest
    raise AssertionError(name)


INTO = ("query", "key", "value")  # one below the other in PyTorch's in_proj


def _attention_given(arrays: Arrays) -> Arrays:
    found: Arrays = {}
    for kind in ("weight", "bias"):
        if f"out/{kind}" in arrays:
            found[f"in_proj_{kind}"] = np.concatenate([arrays[f"{part}/{kind}"].T for part in INTO])
            found[f"out_proj.{kind}"] = arrays[f"out/{kind}"].T
    return found


def _attention_taken(weights: Arrays) -> Arrays:
    found: Arrays = {}
    for kind in ("weight", "bias"):
        if f"out_proj.{kind}" in weights:
            parts = np.split(weights[f"in_proj_{kind}"], len(INTO))
            found |= {f"{part}/{kind}": array.T for part, array in zip(INTO, parts, strict=True)}
            found[f"out/{kind}"] = weights[f"out_proj.{kind}"].T
    return found


AS_IT_IS = _renamed({})
_NORM = _renamed({"scale": "weight", "shift": "bias", "mean": "running_mean", "variance": "running_var"})
_LINEAR = _renamed({}, frozenset({"weight"}))
ATTENTION = Form(_attention_given, _attention_taken)


def form_of(layer: Layer) -> Form:
    """That of a layer, but for one of attention."""
    if isinstance(layer, (BatchNorm, LayerNorm, GroupNorm)):
        return _NORM
    if isinstance(layer, Recurrent):
        return _recurrent(layer.hidden, isinstance(layer, GRU))
    return _LINEAR if isinstance(layer, Linear) else AS_IT_IS
