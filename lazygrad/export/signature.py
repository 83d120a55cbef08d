"""What an exported function takes and returns, in the words of C."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lazygrad.export.words import is_function, is_word
from lazygrad.graph.spec import Spec

__all__ = ["Parameter", "Signature", "c_names", "c_type", "is_c_name"]

_TYPES = {
    **{f"int{8 * size}": f"int{8 * size}_t" for size in (1, 2, 4, 8)},
    **{f"uint{8 * size}": f"uint{8 * size}_t" for size in (1, 2, 4, 8)},
    **{"float32": "float", "float64": "double", "bool": "uint8_t"},
}


@dataclass(frozen=True)
class Parameter:
    """An array that a function takes or fills.

    Attributes:
        name: in C.
        said: as the step calls it.
    """

    name: str
    said: str
    spec: Spec

    def facts(self) -> dict[str, Any]:
        """What is said of it in the text that goes with the code."""
        return {"name": self.name, "said": self.said, "dtype": str(self.spec.dtype), "shape": list(self.spec.shape)}


@dataclass(frozen=True)
class Signature:
    """The parameters of an exported function.

    Attributes:
        inputs, outputs: arrays, in order.
        draws: whether it is told what random numbers are made of.
        weights: bytes of the weights that it is given; None if they are part of the code.
        workspace: bytes that it works in.
    """

    name: str
    inputs: tuple[Parameter, ...]
    outputs: tuple[Parameter, ...]
    draws: bool
    weights: int | None
    workspace: int

    @property
    def parameters(self) -> list[str]:
        """The names of all parameters, in order."""
        more = [*(["stream"] if self.draws else []), *(["weights"] if self.weights is not None else [])]
        return [*(one.name for one in (*self.inputs, *self.outputs)), *more, "workspace"]

    @property
    def pointers(self) -> list[str]:
        """What LLVM's text calls them: an array may have the name of something else there."""
        count = len(self.inputs) + len(self.outputs)
        return [f"%_{name}" if k < count else f"%{name}" for k, name in enumerate(self.parameters)]

    def spec(self, **more: Any) -> str:
        """All of it as JSON."""
        facts = {
            "format": 1,
            "name": self.name,
            "inputs": [one.facts() for one in self.inputs],
            "outputs": [one.facts() for one in self.outputs],
            "draws": self.draws,
            "weights": self.weights,
            "workspace": self.workspace,
        }
        return json.dumps(facts | more)


def c_type(dtype: np.dtype[Any]) -> str | None:
    """What C calls a dtype; None if it has no word for it."""
    return _TYPES.get(dtype.name)


def is_c_name(name: str) -> bool:
    """Whether a function may have this name in C."""
    plain = re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name, re.ASCII) is not None
    return plain and not is_word(name) and not is_function(name)


def c_names(said: Sequence[str], taken: Iterable[str] = ()) -> list[str]:
    """Names for C of what the step calls so: ``batch['x'][0]`` becomes ``batch_x_0``.

    No two are the same, nor would be in capitals, as they are parts of the names of macros.
    """
    used = {name.upper() for name in taken}
    found = []
    for one in said:
        plain = re.sub(r"[^A-Za-z0-9]+", "_", one).strip("_") or "value"
        plain = plain if plain[0].isalpha() and not is_word(plain) else f"a_{plain}"
        name, number = plain, 1
        while name.upper() in used:
            number += 1
            name = f"{plain}_{number}"
        used.add(name.upper())
        found.append(name)
    return found
