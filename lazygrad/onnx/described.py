"""A model as it is kept: nodes with their settings, arrays, and the names that connect them."""

from __future__ import annotations

import re
from typing import Any, NamedTuple, TypeAlias

import numpy as np

__all__ = ["Body", "Input", "Model", "Node", "Value", "cleaned"]

# What a name stands for while a step is written: a tensor, an array that is known then, a list of these, or nothing.
Value: TypeAlias = Any


class Node(NamedTuple):
    """An op applied to named values."""

    op: str
    name: str  # as the file has it, or one made of the op and the output
    inputs: tuple[str, ...]  # "" for one that is left out
    outputs: tuple[str, ...]
    settings: dict[str, Any]  # with the defaults of the op
    domain: str
    opset: int
    since: int  # the version in which the op came to mean what it means here
    proto: bytes
    scope: str = ""  # the part of the model that it is in, such as "encoder/layer.0"

    @property
    def bodies(self) -> list[Body]:
        """The graphs in it."""
        return [value for value in self.settings.values() if isinstance(value, Body)]

    def __str__(self) -> str:
        return f"{self.op} {self.name!r}"


class Input(NamedTuple):
    """An input of a model; a size that is open is a name, or None."""

    name: str
    dtype: np.dtype[Any] | None  # None: of no tensor
    shape: tuple[int | str | None, ...] | None
    kind: str = ""  # the type in the file's words

    def __str__(self) -> str:
        if self.dtype is None:
            return f"{self.name} {self.kind}".strip()
        sizes = "…" if self.shape is None else ", ".join("?" if n is None else str(n) for n in self.shape)
        return f"{self.name} {self.dtype}[{sizes}]"


class Body(NamedTuple):
    """The nodes of a model, or of a loop or a branch in it, in an order in which they can be computed."""

    nodes: tuple[Node, ...]
    inputs: tuple[Input, ...]
    outputs: tuple[Input, ...]
    arrays: dict[str, Any]  # the initializers
    buffers: frozenset[str] = frozenset()  # those of which the exporter says that they are not learned


class Model(NamedTuple):
    """What a file holds."""

    body: Body
    opset: int
    producer: str
    file: str


def cleaned(word: str) -> str:
    """A word of a name that a variable, or a layer, can have."""
    return re.sub(r"\s+", "_", "".join(c if c.isprintable() else "_" for c in word).strip())
