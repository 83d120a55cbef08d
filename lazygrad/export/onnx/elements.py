"""Functions of elements: what ONNX calls each, and those that it lacks said with those that it has."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from lazygrad.backends.special import tanh_seed
from lazygrad.export.onnx.lanes import by_lanes
from lazygrad.export.onnx.whole import WHOLE, power_of_whole, widened

__all__ = ["ELEMENTS"]


def _plain(kind: str) -> Callable[..., Any]:
    """An operator of floats, whose result has the dtype of its operands."""
    return lambda xp, *xs: xp.writer.made(kind, *xs)


def _arithmetic(kind: str, of_bools: str) -> Callable[..., Any]:
    """An operator of numbers, and that of booleans: for NumPy these are added by ``or`` and multiplied by ``and``."""
    return lambda xp, *xs: xp.writer.made(of_bools if xs[0].dtype == np.bool_ else kind, *xs)


def _compared(kind: str) -> Callable[..., Any]:
    def write(xp: Any, a: Any, b: Any) -> Any:
        if a.dtype == np.bool_ and kind != "Equal":
            a, b = xp.astype(a, np.int32), xp.astype(b, np.int32)
        return xp.writer.made(kind, a, b, dtype=np.bool_)

    return write


def _logical(kind: str) -> Callable[..., Any]:
    return lambda xp, *xs: xp.writer.made(kind, *[xp.astype(x, np.bool_) for x in xs])


def _larger(kind: str, of_bools: str) -> Callable[..., Any]:
    def write(xp: Any, a: Any, b: Any) -> Any:
        if a.dtype == np.bool_:
            return xp.writer.made(of_bools, a, b)
        wide = widened(a.dtype)
        return xp.astype(xp.writer.made(kind, xp.astype(a, wide), xp.astype(b, wide)), a.dtype)

    return write


def _same(xp: Any, x: Any) -> Any:
    return x


def _absolute(xp: Any, x: Any) -> Any:
    return x if x.dtype == np.bool_ else xp.writer.made("Abs", x)


def _negative(xp: Any, x: Any) -> Any:
    return xp.writer.made("Neg", x) if x.dtype.kind != "u" else 0 - x


def _sign(xp: Any, x: Any) -> Any:
    y = xp.writer.made("Sign", x)
    return xp.where(xp.isnan(x), x, y) if x.dtype.kind == "f" else y


def _rounded(kind: str) -> Callable[..., Any]:
    return lambda xp, x: xp.writer.made(kind, x) if x.dtype.kind == "f" else x


def _trunc(xp: Any, x: Any) -> Any:
    return x if x.dtype.kind != "f" else xp.where(x < 0, xp.ceil(x), xp.floor(x))


def _not_a_number(kind: str) -> Callable[..., Any]:
    """Whether a float is NaN or infinite; a half is looked at as float32."""

    def write(xp: Any, x: Any) -> Any:
        if x.dtype.kind != "f":
            return xp.not_equal(x, x)
        return xp.writer.made(kind, xp.astype(x, np.float32) if x.dtype == np.float16 else x, dtype=np.bool_)

    return write


def _isfinite(xp: Any, x: Any) -> Any:
    return xp.equal(x, x) if x.dtype.kind != "f" else xp.abs(x) < math.inf


def _signbit(xp: Any, x: Any) -> Any:
    """−0 is told from 0 by its reciprocal; NaN counts as positive."""
    return x < 0 if x.dtype.kind != "f" else xp.logical_or(x < 0, xp.logical_and(xp.equal(x, 0), 1 / x < 0))


def _copysign(xp: Any, a: Any, b: Any) -> Any:
    """By a product: where a choice is made, runtimes may lose the sign of a zero."""
    return xp.abs(a) * xp.where(xp.signbit(b), xp.full_like(a, -1), xp.full_like(a, 1))


def _power(xp: Any, a: Any, b: Any) -> Any:
    return xp.writer.made("Pow", a, b) if a.dtype.kind == "f" else power_of_whole(xp, a, b)


def _remainder(xp: Any, a: Any, b: Any) -> Any:
    """With the sign of b, and a zero has that too."""
    if a.dtype.kind != "f":
        return WHOLE["remainder"](xp, a, b)
    r = xp.fmod(a, b)
    return xp.where(_turned(xp, r, b), r + b, xp.where(xp.equal(r, 0), xp.copysign(0, b), r))


def _turned(xp: Any, r: Any, b: Any) -> Any:
    """Whether there is a rest with another sign than that of the divisor."""
    return xp.logical_and(xp.not_equal(r, 0), xp.not_equal(r < 0, b < 0))


def _floor_divide(xp: Any, a: Any, b: Any) -> Any:
    """(a − r) / b with the rest r towards zero, a whole number but for rounding; one less where the rest has turned."""
    if a.dtype.kind != "f":
        return WHOLE["floor_divide"](xp, a, b)
    r = xp.fmod(a, b)
    exact = (a - r) / b
    near = xp.rint(xp.where(_turned(xp, r, b), exact - 1, exact))
    y = xp.where(xp.equal(near, 0), xp.copysign(0, a / b), near)
    return xp.where(xp.equal(b, 0), a / b, y)


def _fmod(xp: Any, a: Any, b: Any) -> Any:
    return xp.writer.made("Mod", a, b, fmod=1) if a.dtype.kind == "f" else WHOLE["fmod"](xp, a, b)


def _hypot(xp: Any, a: Any, b: Any) -> Any:
    p, q = xp.abs(a), xp.abs(b)
    larger, smaller = xp.maximum(p, q), xp.minimum(p, q)
    ratio = smaller / xp.where(xp.equal(larger, 0), 1, larger)
    infinite = xp.logical_or(xp.isinf(p), xp.isinf(q))
    return xp.where(infinite, math.inf, larger * xp.sqrt(1 + ratio * ratio))


def _expm1(xp: Any, x: Any) -> Any:
    """(u − 1)·x / log u with u = eˣ: what rounding takes from u both lose alike (Higham 2002, §1.14.1)."""
    u = xp.exp(x)
    less = u - 1
    held = xp.where(xp.logical_or(xp.equal(u, 1), xp.logical_or(xp.equal(less, -1), xp.isinf(u))), 2, u)
    near = less * (x / xp.log(held))
    return xp.where(xp.equal(u, 1), x, xp.where(xp.logical_or(xp.equal(less, -1), xp.isinf(u)), less, near))


def _log1p(xp: Any, x: Any) -> Any:
    """x·log u / (u − 1) with u = 1 + x (Higham 2002, problem 1.5)."""
    u = 1 + x
    plain = xp.logical_or(xp.equal(u, 1), xp.equal(u, math.inf))
    near = xp.log(u) * (x / xp.where(plain, 1, u - 1))
    return xp.where(plain, x, near)


def _logaddexp(xp: Any, a: Any, b: Any) -> Any:
    apart = xp.where(xp.equal(a, b), 0, a - b)
    return xp.maximum(a, b) + xp.log1p(xp.exp(-xp.abs(apart)))


def _cbrt(xp: Any, x: Any) -> Any:
    """|x|^⅓ with the sign of x, after a step of Newton's, as ⅓ is rounded."""
    size = xp.abs(x)
    root = xp.power(size, 1 / 3)
    plain = xp.logical_or(xp.equal(root, 0), xp.isinf(root))
    held = xp.where(plain, 1, root)
    better = held - (held - (xp.where(plain, 1, size) / held) / held) / 3
    return xp.copysign(xp.where(plain, root, better), x)


def _scaled(name: str, factor: float) -> Callable[..., Any]:
    return lambda xp, x: getattr(xp, name)(x) * factor


def _only_narrow(name: str, kind: str) -> Callable[..., Any]:
    """An operator that runtimes have for float32 alone; in float64 it is written out."""
    return lambda xp, x: by_lanes(name, xp, x) if x.dtype == np.float64 else xp.writer.made(kind, x)


def _tan(xp: Any, x: Any) -> Any:
    return xp.sin(x) / xp.cos(x) if x.dtype == np.float64 else xp.writer.made("Tan", x)


ELEMENTS: dict[str, Callable[..., Any]] = {
    **{name: _plain(kind) for name, kind in {
        "exp": "Exp", "log": "Log", "sqrt": "Sqrt", "sin": "Sin", "cos": "Cos", "tanh": "Tanh",
        "reciprocal": "Reciprocal", "divide": "Div", "true_divide": "Div",
    }.items()},
    **{name: _arithmetic(*kinds) for name, kinds in {
        "add": ("Add", "Or"), "multiply": ("Mul", "And"), "subtract": ("Sub", "Xor"),
        "bitwise_and": ("BitwiseAnd", "And"), "bitwise_or": ("BitwiseOr", "Or"), "bitwise_xor": ("BitwiseXor", "Xor"),
        "invert": ("BitwiseNot", "Not"), "bitwise_invert": ("BitwiseNot", "Not"),
    }.items()},
    **{name: _compared(kind) for name, kind in {
        "equal": "Equal", "less": "Less", "less_equal": "LessOrEqual", "greater": "Greater",
        "greater_equal": "GreaterOrEqual",
    }.items()},
    **{name: _logical(kind) for name, kind in {
        "logical_and": "And", "logical_or": "Or", "logical_xor": "Xor", "logical_not": "Not",
    }.items()},
    **{name: _rounded(kind) for name, kind in {"floor": "Floor", "ceil": "Ceil", "rint": "Round"}.items()},
    "maximum": _larger("Max", "Or"), "minimum": _larger("Min", "And"),
    "not_equal": lambda xp, a, b: xp.logical_not(xp.equal(a, b)),
    "positive": _same, "absolute": _absolute, "negative": _negative, "sign": _sign, "trunc": _trunc,
    "square": lambda xp, x: xp.multiply(x, x),
    "isnan": _not_a_number("IsNaN"), "isinf": _not_a_number("IsInf"), "isfinite": _isfinite,
    "signbit": _signbit, "copysign": _copysign, "power": _power, "remainder": _remainder, "floor_divide": _floor_divide,
    "fmod": _fmod, "hypot": _hypot, "expm1": _expm1, "log1p": _log1p, "logaddexp": _logaddexp, "cbrt": _cbrt,
    "exp2": lambda xp, x: xp.power(xp.full_like(x, 2), x),
    "log2": _scaled("log", 1 / math.log(2)), "log10": _scaled("log", 1 / math.log(10)),
    **{name: _only_narrow(name, kind) for name, kind in {
        "sinh": "Sinh", "cosh": "Cosh", "arcsinh": "Asinh", "arccosh": "Acosh", "arctanh": "Atanh", "erf": "Erf",
        "arcsin": "Asin", "arccos": "Acos", "arctan": "Atan",
    }.items()},
    "tan": _tan, "tanh_seed": lambda xp, x: tanh_seed(xp, None, x),
    "left_shift": WHOLE["left_shift"], "right_shift": WHOLE["right_shift"],
}  # fmt: skip
