"""Functions of single numbers: arithmetic, elementary functions, comparisons, activations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import lazygrad as lg
from lazygrad.errors import ExportError, report
from lazygrad.graph.registry import here
from lazygrad.onnx.ops.table import At, Known, op
from lazygrad.onnx.package import dtype_of, kind_of, package

# Those that are the same here, of one operand and of two.
ONE: dict[str, Callable[..., Any]] = {
    "Abs": lg.abs,
    "Acos": lg.acos,
    "Acosh": lg.acosh,
    "Asin": lg.asin,
    "Asinh": lg.asinh,
    "Atan": lg.atan,
    "Atanh": lg.atanh,
    "BitwiseNot": lg.bitwise_invert,
    "Ceil": lg.ceil,
    "Cos": lg.cos,
    "Cosh": lg.cosh,
    "Erf": lg.erf,
    "Exp": lg.exp,
    "Floor": lg.floor,
    "HardSwish": lg.nn.hard_swish,
    "IsNaN": lg.isnan,
    "Log": lg.log,
    "Mish": lg.nn.mish,
    "Neg": lg.negative,
    "Not": lg.logical_not,
    "Reciprocal": lg.reciprocal,
    "Relu": lg.nn.relu,
    "Round": lg.round,
    "Sigmoid": lg.nn.sigmoid,
    "Sign": lg.sign,
    "Sin": lg.sin,
    "Sinh": lg.sinh,
    "Softplus": lg.nn.softplus,
    "Softsign": lg.nn.softsign,
    "Sqrt": lg.sqrt,
    "Tan": lg.tan,
    "Tanh": lg.tanh,
}
TWO: dict[str, Callable[..., Any]] = {
    "Add": lg.add,
    "And": lg.logical_and,
    "BitwiseAnd": lg.bitwise_and,
    "BitwiseOr": lg.bitwise_or,
    "BitwiseXor": lg.bitwise_xor,
    "Equal": lg.equal,
    "Greater": lg.greater,
    "GreaterOrEqual": lg.greater_equal,
    "Less": lg.less,
    "LessOrEqual": lg.less_equal,
    "Mul": lg.multiply,
    "Or": lg.logical_or,
    "Sub": lg.subtract,
    "Xor": lg.logical_xor,
}


def _one(name: str, function: Callable[..., Any]) -> None:
    @op(name)
    def applied(at: At, x: Any) -> Any:
        return function(x)


def _two(name: str, function: Callable[..., Any]) -> None:
    @op(name)
    def applied(at: At, a: Any, b: Any) -> Any:
        return function(a, b)


for _name, _function in ONE.items():
    _one(_name, _function)
for _name, _function in TWO.items():
    _two(_name, _function)


@op("Div")
def div(at: At, a: Any, b: Any) -> Any:
    """a / b; of whole numbers without the rest, towards 0."""
    if a.dtype.kind == "f":
        return lg.divide(a, b)
    whole = lg.floor_divide(a, b)
    if a.dtype.kind == "u":
        return whole
    return lg.where((a < 0) != (b < 0), -lg.floor_divide(lg.abs(a), lg.abs(b)), lg.floor_divide(lg.abs(a), lg.abs(b)))


@op("Mod")
def mod(at: At, a: Any, b: Any, *, fmod: int) -> Any:
    """The rest of a division: of the sign of b, or of that of a."""
    return lg.fmod(a, b) if fmod else lg.remainder(a, b)


@op("Pow")
def pow_(at: At, a: Any, b: Any) -> Any:
    """aᵇ, in the dtype of a."""
    if a.dtype.kind == "f":
        return lg.astype(lg.power(a, lg.astype(b, a.dtype)), a.dtype)
    whole = b.dtype.kind in "iu"
    return lg.astype(
        lg.power(lg.astype(a, np.float64), b) if not whole else lg.power(a, lg.astype(b, a.dtype)), a.dtype
    )


@op("BitShift")
def bit_shift(at: At, a: Any, b: Any, *, direction: str) -> Any:
    """The bits of a, moved."""
    return lg.bitwise_left_shift(a, b) if direction == "LEFT" else lg.bitwise_right_shift(a, b)


@op("IsInf")
def is_inf(at: At, x: Any, *, detect_negative: int, detect_positive: int) -> Any:
    """Whether a number is one of the infinities that are looked for."""
    low = lg.isneginf(x) if detect_negative else lg.zeros_like(x, dtype=bool)
    return lg.logical_or(low, lg.isposinf(x)) if detect_positive else low


def _folded(name: str, function: Callable[..., Any]) -> None:
    @op(name)
    def applied(at: At, first: Any, *others: Any) -> Any:
        for other in others:
            first = function(first, other)
        return first


for _name, _function in {"Max": lg.maximum, "Min": lg.minimum, "Sum": lg.add}.items():
    _folded(_name, _function)


@op("Mean")
def mean(at: At, *xs: Any) -> Any:
    """The mean of tensors, element by element."""
    total = xs[0]
    for x in xs[1:]:
        total = total + x
    return total / len(xs)


@op("Where")
def where(at: At, condition: Any, a: Any, b: Any) -> Any:
    """a where the condition holds, else b."""
    return lg.where(condition, a, b)


@op("Clip")
def clip(at: At, x: Any, low: Any = None, high: Any = None, *, min: Any, max: Any) -> Any:
    """x held between two numbers, which are settings up to version 6 and operands from 11 on; the upper one wins."""
    low, high = (min, max) if at.since < 11 else (low, high)
    x = x if low is None else lg.maximum(x, low)
    return x if high is None else lg.minimum(x, high)


@op("Cast")
def cast(at: At, x: Any, *, to: int, saturate: Any, round_mode: Any) -> Any:
    """x in another dtype."""
    return _cast(at, x, _dtype(at, to))


@op("CastLike")
def cast_like(at: At, x: Any, like: Any, *, saturate: Any, round_mode: Any) -> Any:
    """x in the dtype of another tensor."""
    return _cast(at, x, like.dtype)


def _cast(at: At, x: Any, dtype: Any) -> Any:
    if x.dtype.kind == "f" and dtype == np.bool_:
        return x != 0
    return lg.astype(x, dtype)


def _dtype(at: At, number: int) -> Any:
    onnx = package()
    found = dtype_of(number, onnx)
    if found is None:
        what = f"cannot import {at.node}: tensors are not of {kind_of(number, onnx)}"
        raise ExportError(report(what, at=here()))
    return found


@op("Identity", mixed=True)
def identity(at: At, x: Any) -> Any:
    """x itself."""
    return x


@op("Dropout", draws=True)
def dropout(at: At, x: Any, share: Known = None, training: Known = None, *, ratio: Any, seed: Any) -> Any:
    """x, unless the model says that it is trained: then the share of its numbers is dropped, others at every run."""
    dropped = 0.5 if share is None else float(np.asarray(share).reshape(-1)[0])
    if training is None or not np.asarray(training).reshape(-1)[0] or not dropped:
        return (x, lg.ones_like(x, dtype=bool)) if at.outputs > 1 else x
    kept = at.context.random.bernoulli(x.shape, 1 - dropped)
    y = lg.where(kept, x / (1 - dropped), lg.zeros_like(x))
    return (y, lg.astype(kept, bool)) if at.outputs > 1 else y
