"""How an op of ONNX is declared here, and the table of those that are."""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias, TypeVar

from lazygrad.errors import ExportError, report
from lazygrad.graph.registry import here
from lazygrad.onnx.described import Body, Node, Value

__all__ = ["MICROSOFT", "TABLES", "At", "Fixed", "Form", "Kept", "Known", "Weight", "op", "ops"]

LONGEST = 2**24  # of an axis of which something is worked out while a step is written

F = TypeVar("F", bound=Callable[..., Any])

# An operand that must be known while a step is written, as shapes and axes are: an array of NumPy, never a tensor.
Known: TypeAlias = Any
# One that is a constant where the file has it, as a scale of bytes; and one that is a variable which is not trained.
Fixed: TypeAlias = Any
Kept: TypeAlias = Any
# One that is learned wherever it is given by the file: where it is a Constant there, so are the model's other weights.
Weight: TypeAlias = Any

MICROSOFT = "com.microsoft"  # of onnxruntime's own ops, of which the package has no schemas: defaults stand here
TABLES = "ai.onnx.ml"  # of trees, linear models and encoders

_ops: dict[tuple[str, str], Form] = {}


class At(NamedTuple):
    """Where an op is applied: what it may ask beside operands and settings."""

    node: Node
    outputs: int  # how many are wanted, up to the last one that is named
    context: Any  # of the step
    walk: Callable[..., tuple[Value, ...]]  # what a body gives for given inputs

    @property
    def since(self) -> int:
        """The version of ONNX in which the op came to mean what it means in the model."""
        return self.node.since

    def wants(self, output: int) -> bool:
        """Whether the output of that number has a name."""
        return output < len(self.node.outputs) and bool(self.node.outputs[output])

    def check_length(self, axis: int) -> None:
        """Raise ExportError for an axis that is too long to be worked out while the step is written."""
        if axis > LONGEST:
            raise ExportError(report(f"cannot import {self.node}: an axis of {axis:,} is too long", at=here()))

    def body(self, body: Body, *given: Value) -> tuple[Value, ...]:
        """What a loop or a branch gives."""
        return self.walk(body, given)


class Form(NamedTuple):
    """An op as it is here.

    Attributes:
        function: of an :class:`At`, the operands, and settings by name.
        operands: their names, in order; the last one stands for any number if ``variadic``.
        known: the numbers of those that must be known.
        fixed: of those that are constants where the file has them.
        kept: of those that are variables then, but not trained.
        weights: of those that are learned.
        settings: the names of those that it has.
        defaults: those that are not what ONNX says: of ops that it does not have.
        every: whether it takes all settings of the node, also those that it does not name.
        grows: of known operands the number of elements of what it gives, where that may be far more than they have.
        draws: whether it gives other numbers at every run.
        mixed: whether it takes arrays as they are, in place of tensors.
    """

    function: Callable[..., Any]
    operands: tuple[str, ...]
    variadic: bool
    known: frozenset[int]
    fixed: frozenset[int]
    kept: frozenset[int]
    weights: frozenset[int]
    settings: frozenset[str]
    defaults: Mapping[str, Any]
    every: bool
    grows: Callable[..., float] | None
    draws: bool
    mixed: bool

    def is_known(self, place: int) -> bool:
        """Whether the operand at a place must be known."""
        return place in self.known

    def named(self, place: int) -> str:
        """What the operand at a place is called."""
        return self.operands[min(place, len(self.operands) - 1)] if self.operands else ""


def op(
    *names: str,
    domain: str = "",
    grows: Callable[..., float] | None = None,
    draws: bool = False,
    mixed: bool = False,
) -> Callable[[F], F]:
    """Declare a function as what an op of ONNX computes: operands are positional, settings keywords by ONNX's names."""

    def declared(function: F) -> F:
        parameters = list(inspect.signature(function).parameters.values())[1:]
        operands = [p for p in parameters if p.kind is not p.KEYWORD_ONLY and p.kind is not p.VAR_KEYWORD]

        def marked(alias: str) -> frozenset[int]:
            return frozenset(i for i, p in enumerate(operands) if p.annotation == alias)

        form = Form(
            function,
            tuple(p.name for p in operands),
            any(p.kind is p.VAR_POSITIONAL for p in operands),
            marked("Known"),
            marked("Fixed"),
            marked("Kept"),
            marked("Weight"),
            frozenset(p.name for p in parameters if p.kind is p.KEYWORD_ONLY),
            {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is not p.empty},
            any(p.kind is p.VAR_KEYWORD for p in parameters),
            grows,
            draws,
            mixed,
        )
        for name in names:
            _ops[domain, name] = form
        return function

    return declared


@functools.cache
def ops() -> Mapping[tuple[str, str], Form]:
    """All ops by domain and name; the files beside this one declare them."""
    room = importlib.import_module(__package__)
    for found in pkgutil.iter_modules(room.__path__):
        importlib.import_module(f"{__package__}.{found.name}")
    return _ops
