"""Layers in notebooks: a tree of the layers within, with their numbers counted."""

from __future__ import annotations

from typing import Any

from lazygrad.markup import Branch, block, tree
from lazygrad.store.variables import Variable

__all__ = ["shown"]


def shown(layer: Any) -> str:
    """A layer, the variables of its own, and the layers within it, each with how many numbers it has."""
    name, note, inner = _branch(layer, "")
    return block(name, tree(inner), note=note)


def _branch(layer: Any, around: str) -> Branch:
    """A layer, or whatever else is among layers, within the path of the one around it."""
    parts = [*getattr(layer, "_parts", ()), *(layer if isinstance(getattr(layer, "layers", None), tuple) else ())]
    own = [_leaf(name, v) for name, v in getattr(layer, "_own", {}).items()]
    path = str(getattr(layer, "path", ""))
    short = path.removeprefix(f"{around}/") if around else path
    settings = layer._settings() if hasattr(layer, "_settings") else ""
    variables: list[Variable] = list(getattr(layer, "variables", ()))
    counted = f"{sum(v.spec.size for v in variables):,} numbers" if variables else ""
    kind = type(layer).__name__ if short or parts else getattr(layer, "__name__", type(layer).__name__)
    name = f"{short}: {kind}" if short else kind
    note = ", ".join(word for word in (settings, counted) if word)
    return name, note, [*own, *(_branch(part, path or around) for part in parts)]


def _leaf(name: str, v: Variable) -> Branch:
    return name, f"{v.spec}, {v.spec.size:,} numbers" + ("" if v.trainable else ", not trainable"), []
