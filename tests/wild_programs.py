"""Random programs on wild numbers: whole ones that wrap, NaN, infinities, both zeros, the tiny and the huge.

They are *wild* in every dtype, with arrays that may be empty, and all that they compute with is exact: arithmetic of
whole numbers modulo 2ᵏ, and of floats what IEEE 754 rounds once. Two things would differ without being wrong, so what
follows from them is kept from where they would show. A product and a sum may be rounded once together, in native
code: a *loose* value, one made of products, is not added. And which zero is the largest of 0 and −0 is nobody's
promise: a value made of extremes is loose too, and its sign is not asked for. Functions that round otherwise in
NumPy and in native code (exponentials and the like) end a program; nothing is computed from them.
"""

from __future__ import annotations

import re

import numpy as np
from programs import (
    SHAPES,
    TWIN,
    Draw,
    NoLineError,
    Program,
    grow,
    indexed,
    joined,
    moved,
    permuted,
    reshaped,
    taken,
    written,
)

WHOLE = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"]
FLOATS = ["float16", "float32", "float64"]
DTYPES = [*WHOLE, "bool", *FLOATS]


def wild(rng, shape, dtype):
    """Numbers of a dtype, about half of them special."""
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return np.asarray(rng.integers(0, 2, shape)).astype(dtype)
    if dtype.kind == "f":
        floats = np.finfo(dtype)
        tiny = floats.smallest_subnormal
        special = [np.nan, np.inf, -np.inf, 0.0, -0.0, tiny, -3 * tiny, floats.tiny, floats.max, floats.min, 2.5, 300.0]
        usual = rng.uniform(-4, 4, shape)
    else:
        info = np.iinfo(dtype)
        special = [info.min, info.min + 1, info.max, info.max - 1, info.max // 2, info.max // 2 + 1, 0, 1]
        usual = np.asarray(rng.integers(0 if dtype.kind == "u" else -4, 9, shape))
    choice = rng.integers(0, len(special), shape)
    return np.where(rng.integers(0, 2, shape), np.array(special, dtype)[choice], usual.astype(dtype)).astype(dtype)


class WildProgram(Program):
    """A program any of whose numbers may be what they like; it knows which values are loose and which round."""

    def __init__(self, variables, arguments):
        super().__init__(variables, arguments)
        self.loose, self.rough = set(), set()

    def fits(self, value):
        return True

    def add(self, text, loose=False, rough=False):
        """As of any program; what is computed from loose values is loose."""
        used = set(re.findall(r"v\d+", text))
        if not super().add(text):
            return False
        if np.asarray(self.values[self.names[-1]]).dtype.kind == "f":
            if loose or used & self.loose:
                self.loose.add(self.names[-1])
            if rough:
                self.rough.add(self.names[-1])
        return True

    def part(self, outputs, updates):
        part = super().part(outputs, updates)
        copy = WildProgram(self.variables, self.arguments)
        copy.names, copy.lines, copy.outputs, copy.updates = part.names, part.lines, part.outputs, part.updates
        copy.loose, copy.rough = self.loose, self.rough
        return copy


class WildDraw(Draw):
    """Choices among values that are not rough."""

    def names(self):
        return [n for n in self.program.names if n not in self.program.rough]

    def firm(self, x=None):
        """A value that is not loose; if ``x`` is given, one that broadcasts with it."""
        names = [n for n in self.names() if n not in self.program.loose]
        return self.chosen(names if x is None else self.broadcasting(names, x))


# Lines, as in ``programs.py``; but a maker may say with its text that the value is loose or rough.


KEPT = ["negative", "abs", "sign", "floor", "ceil", "trunc", "round", "square"]
ASKED = ["logical_not", "bitwise_invert", "isnan", "isfinite", "isinf"]
COMPARED = ["equal", "not_equal", "less", "less_equal", "greater", "greater_equal", "logical_and", "logical_or"]
BITS = ["logical_xor", "bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_left_shift", "bitwise_right_shift"]
ROUNDED = [
    "exp",
    "log",
    "log1p",
    "expm1",
    "tanh",
    "sin",
    "cos",
    "atan",
    "asinh",
    "log2",
    "exp2",
    "cbrt",
    "sinh",
    "cosh",
]


def exact_unary(d):
    """A function of each element that rounds once, or not at all."""
    f = d.of([*KEPT, *ASKED])
    return (f"lg.{f}({d.name()})", {"loose": f == "square"})


def firm_unary(d):
    """A function of each element that tells zeros apart, or rounds a root."""
    return f"lg.{d.of(['sqrt', 'reciprocal'])}({d.firm()})"


def comparison(d):
    """Whether one is so to another, or both are so."""
    f = d.of([*COMPARED, *BITS])
    x = d.name()
    return f"lg.{f}({x}, {d.partner(x)})"


def sums(d):
    """Sums and quotients: what is added is not made of products, and a divisor's zero has its sign."""
    x = d.firm()
    f = d.of(["add", "subtract", "add", "subtract", "divide", "remainder", "floor_divide"])
    return f"lg.{f}({x}, {d.firm(x)})"


def products(d):
    """Products and extremes."""
    x = d.name()
    return (f"lg.{d.of(['multiply', 'multiply', 'maximum', 'minimum'])}({x}, {d.partner(x)})", {"loose": True})


def with_numbers(d):
    """A Python number beside a value."""
    x, n = d.firm(), d.of(["2", "1", "0", "-1", "3.0", "-0.0", "0.5", "100", "True"])
    f = d.of([f"{x} + {n}", f"{n} - {x}", f"{x} - {n}", f"{x} // {n}", f"{x} % {n}", f"{n} // {x}", f"{x} / {n}"])
    g = d.of([f"{x} * {n}", f"{n} * {x}", f"lg.maximum({x}, {n})", f"-{x}", f"lg.minimum({n}, {x})"])
    return d.of([(f, {}), (g, {"loose": True}), (f"{x} {d.of(['>', '<', '>=', '<='])} {n}", {})])


def any_cast(d):
    """Another dtype."""
    return f"lg.astype({d.name()}, {d.of(DTYPES)!r})"


def choice(d):
    """One or the other."""
    x = d.name()
    return f"lg.where({d.partner(x)}, {x}, {d.partner(x)})"


def held(d):
    """Held between bounds."""
    return (f"lg.clip({d.name()}, {d.whole(0, 1)}, {d.whole(1, 100)})", {"loose": True})


def over_axes(d):
    """Extremes and counts over axes; sums and products of whole numbers."""
    x = d.name()
    names = ["max", "min", "any", "all", "count_nonzero"]
    names += ["sum", "prod"] * (d.value(x).dtype.kind != "f")
    axis = d.axis(d.value(x))
    return (f"lg.{d.of(names)}({x}, axis={d.of([None, axis])}, keepdims={d.of([True, False])})", {"loose": True})


def order(d):
    """Places, sorted and running values."""
    x = d.name()
    axis = d.axis(d.value(x))
    names = ["argmax", "argmin", "argsort", "sort", "cumulative_max"]
    names += ["cumulative_sum", "cumulative_prod"] * (d.value(x).dtype.kind != "f")
    return (f"lg.{d.of(names)}({x}, axis={axis})", {"loose": True})


def whole_products(d):
    """Products of matrices of whole numbers, which wrap."""
    x, y = d.name(), d.name()
    if "f" in (d.value(x).dtype.kind, d.value(y).dtype.kind):
        raise NoLineError
    return d.of([f"{x} @ {y}", f"{x} @ {x}.T", f"lg.outer({x}, {y})"])


def rounded(d):
    """A function that rounds in its own way: NumPy's says where it is NaN, infinite and negative."""
    x = d.firm()
    f = d.of(ROUNDED)
    return (f"lg.{f}({x})", {"rough": True})


def changed(d):
    """A part changed; numbers added to one place are whole, as the order would show otherwise."""
    text = written(d)
    name = re.match(r"lg\.at\((v\d+)\)", text)[1]
    if ".add(" in text and d.value(name).dtype.kind == "f":
        raise NoLineError
    return text


WILD = [
    *[exact_unary, sums, products, comparison] * 3,
    *[firm_unary, with_numbers, any_cast, choice, over_axes] * 2,
    *[held, order, whole_products, rounded, indexed, moved, reshaped, permuted, joined, taken, changed],
]


def wild_program(random):
    """A program in all dtypes, with variables that are assigned each other's values."""
    rng = np.random.default_rng(random.getrandbits(32))
    shape = random.choice([(3, 3), (4,), (), (0, 3)])
    kinds = [random.choice(DTYPES) for _ in range(3)]  # few, so that values of one dtype meet
    variables = [wild(rng, shape, random.choice(kinds)) for _ in range(random.randint(0, 2))]
    arguments = [wild(rng, random.choice(SHAPES), random.choice(kinds)) for _ in range(random.randint(1, 3))]
    program = WildProgram(variables, arguments)
    d = WildDraw(random, program)
    grow(d, WILD, random.randint(1, 16))
    for k in range(len(variables)):
        fits = [n for n in d.names() if np.shape(program.values[n]) == shape and n not in program.loose]
        if random.randint(0, 2):
            program.updates[k] = random.choice(fits[-4:])
    program.outputs = [random.choice(program.names[-6:]) for _ in range(random.randint(1, 4))]
    return program


def updated(value, like):
    """What a variable becomes that a value is assigned to."""
    return TWIN.astype(np.asarray(value), like.dtype)
