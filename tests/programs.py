"""Random programs, as text that lazygrad and NumPy both can read.

A program is the text of a function of ``lg`` and arrays, ``v3 = lg.add(v0, v1)`` and so on. Called with lazygrad it
writes a graph; called with :class:`Twin`, which has NumPy's functions under lazygrad's names, it computes at
once. So both read the same text, and a failing example prints as a program that can be run.
"""

from __future__ import annotations

import math
import re
import warnings

import numpy as np

import lazygrad as lg

LIMIT = 2**16  # sums of 64 such numbers are whole in float32
SIZE = 64


class Twin:
    """NumPy's functions under lazygrad's names."""

    permute_dims = staticmethod(np.transpose)
    concat = staticmethod(np.concatenate)
    stop_gradient = staticmethod(lambda x: x)
    hook = staticmethod(lambda x, f: x)
    depends_on = staticmethod(lambda x, others: x)
    round = staticmethod(lambda x: np.rint(x) if np.asarray(x).dtype.kind == "f" else x)
    cumulative_sum = staticmethod(lambda x, axis: np.cumsum(x, axis=axis))
    cumulative_max = staticmethod(lambda x, axis: np.maximum.accumulate(x, axis=axis))
    cumulative_prod = staticmethod(lambda x, axis: np.cumprod(x, axis=axis))
    argsort = staticmethod(lambda x, axis: np.argsort(x, axis=axis, kind="stable"))
    take_along_axis = staticmethod(lambda x, i, axis: np.take_along_axis(x, i, axis))
    diagonal = staticmethod(lambda x, offset: np.diagonal(x, offset, -2, -1))
    matrix_transpose = staticmethod(lambda x: np.swapaxes(x, -1, -2))
    reciprocal = staticmethod(lambda x: np.reciprocal(x if np.asarray(x).dtype.kind == "f" else np.float64(x)))
    logsumexp = staticmethod(lambda x, **a: np.log(np.sum(np.exp(x), **a)))
    at = staticmethod(lambda x: TwinAt(x))

    @staticmethod
    def astype(x, dtype):
        """From floats to whole numbers lazygrad saturates, and NaN becomes the least; NumPy leaves it to the CPU."""
        x, dtype = np.asarray(x), np.dtype(dtype)
        if x.dtype.kind != "f" or dtype.kind not in "iu":
            return x.astype(dtype)
        info = np.iinfo(dtype)
        wide = np.trunc(x.astype("float64"))
        inside = (wide > float(info.min) - 1) & (wide < float(info.max))
        ends = np.where(wide >= float(info.max), np.array(info.max, dtype), np.array(info.min, dtype))
        return np.where(inside, np.where(inside, wide, 0).astype(dtype), ends)

    @staticmethod
    def tril(x, k):
        """NumPy makes a matrix of a vector first; lazygrad does not."""
        if np.ndim(x) < 2:
            raise NoLineError
        return np.tril(x, k)

    def __getattr__(self, name):
        return getattr(np, name)


class TwinAt:
    """``x.at[index].set(value)`` on an array."""

    def __init__(self, x, index=None):
        self.x, self.index = x, index

    def __getitem__(self, index):
        return TwinAt(self.x, index)

    def set(self, value):
        out = np.array(self.x)
        out[self.index] = self.fitted(value, out)
        return out

    def fitted(self, value, out):
        """NumPy lets a value have more axes than its place, if they have size 1; lazygrad does not."""
        return np.broadcast_to(TWIN.astype(value, out.dtype), out[self.index].shape)

    def add(self, value):
        out = np.array(self.x)
        np.add.at(out, self.index, self.fitted(value, out))
        return out


TWIN = Twin()


class Program:
    """Inputs, lines, what is returned, and which variable gets which value."""

    def __init__(self, variables, arguments):
        self.variables = variables
        self.arguments = arguments
        self.inputs = [*variables, *arguments]
        self.names = [f"v{k}" for k in range(len(self.inputs))]
        self.values = dict(zip(self.names, self.inputs, strict=True))
        self.lines = []
        self.outputs = []
        self.updates = {}  # number of a variable -> name of its new value

    def add(self, text):
        """Append a line if NumPy can compute it and the result is usable; say whether."""
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")  # of means of nothing
                value = eval(text, {"lg": TWIN, "np": np, **self.values})
        except (ValueError, TypeError, IndexError, ZeroDivisionError, OverflowError):
            return False
        if np.size(value) > SIZE or np.ndim(value) > 4 or not self.fits(value):
            return False
        name = f"v{len(self.names)}"
        self.names.append(name)
        self.values[name] = value
        self.lines.append(f"{name} = {text}")
        return True

    def fits(self, value):
        """Whether a program of this family may compute with such a value."""
        return usable(value)

    @property
    def source(self):
        """The program as a function of ``lg`` and the inputs that returns a list of all values it names."""
        head = ", ".join(["lg", *self.names[: len(self.inputs)]])
        return "\n    ".join([f"def program({head}):", *self.lines, f"return [{', '.join(self.names)}]"])

    def function(self):
        """The function that the source defines."""
        names = {"np": np}
        exec(self.source, names)
        return names["program"]

    def step(self):
        """The program as a step of variables a, b and c, which returns what the program does and updates them."""
        function = self.function()

        def step(ctx, *arguments):
            read = [ctx.variable("abc"[k]) for k in range(len(self.variables))]
            values = dict(zip(self.names, function(lg, *read, *arguments), strict=True))
            updates = [ctx.assign("abc"[k], values[name]) for k, name in self.updates.items()]
            return [values[name] for name in self.outputs], updates

        return step

    def parts(self):
        """Smaller programs: up to each line with its value alone returned, then with one update alone."""
        for name in self.names:
            yield self.part([name], {})
        for k, name in self.updates.items():
            yield self.part([], {k: name})

    def part(self, outputs, updates):
        """The lines that these need."""
        part = Program(self.variables, self.arguments)
        needed = {*outputs, *updates.values(), *part.names}
        for line in reversed(self.lines):
            name, _, text = line.partition(" = ")
            if name in needed:
                needed.update(re.findall(r"v\d+", text))
                part.lines.insert(0, line)
        part.names += [line.partition(" = ")[0] for line in part.lines]
        part.outputs, part.updates = outputs, updates
        return part

    def __repr__(self):
        inputs = "\n".join(f"# {n}: {v!r}" for n, v in zip(self.names, self.inputs, strict=False))
        return f"\n{inputs}\n{self.source}\n# returned {self.outputs}, updates {self.updates}"


def usable(value):
    """Whether sums of it are exact."""
    array = np.asarray(value)
    return array.dtype.kind == "b" or bool(np.all(np.isfinite(array)) and np.all(np.abs(array) < LIMIT))


# Lines. Each maker is given a drawer and the program so far, and returns the text of a line.


class NoLineError(Exception):
    """There is no line of this kind for the operand that was drawn."""


class Draw:
    """Choices, all equally likely: hypothesis gives the seed. Its own choices prefer the simple too much."""

    def __init__(self, random, program):
        self.random, self.program = random, program

    def whole(self, low, high):
        return self.random.randint(low, high)

    def of(self, choices):
        return self.random.choice(choices)

    def names(self):
        """The values there are to compute with."""
        return self.program.names

    def chosen(self, names):
        """One of them, more often a late one."""
        if not names:
            raise NoLineError
        return self.of(names[-4:]) if self.whole(0, 2) else self.of(names)

    def name(self):
        """An earlier value."""
        return self.chosen(self.names())

    def broadcasting(self, names, x):
        """Those that broadcast with ``x``."""
        return [n for n in names if broadcasts(np.shape(self.value(n)), np.shape(self.value(x)))]

    def partner(self, x):
        """A value that broadcasts with ``x``."""
        return self.chosen(self.broadcasting(self.names(), x))

    def value(self, name):
        return np.asarray(self.program.values[name])

    def fitting(self, shape):
        """A value that has just this shape."""
        return self.chosen([n for n in self.names() if np.shape(self.program.values[n]) == shape])

    def axis(self, x):
        if not np.ndim(x):  # NumPy lets some functions of a number have an axis; lazygrad does not
            raise NoLineError
        return self.whole(-np.ndim(x), np.ndim(x) - 1)


def broadcasts(left, right):
    """Whether two shapes broadcast together."""
    return all(a == b or 1 in (a, b) for a, b in zip(left[::-1], right[::-1], strict=False))


def unary(d):
    """A function of each element."""
    f = d.of(["negative", "abs", "square", "sign", "floor", "logical_not", "bitwise_invert", "stop_gradient", "isnan"])
    return f"lg.{f}({d.name()})"


def binary(d):
    """A function of pairs."""
    names = (
        "add subtract multiply maximum minimum equal less greater_equal logical_and logical_xor bitwise_and bitwise_or"
    )
    f = d.of([*names.split(), "floor_divide", "remainder", "add", "subtract", "multiply"])
    x = d.name()
    y = d.partner(x)
    return f"lg.{f}({x}, {y})"


def with_number(d):
    """An operator with a Python number."""
    x, n = d.name(), d.of(["2", "-1", "3.0", "True"])
    return d.of([f"{x} * {n}", f"{n} - {x}", f"{x} + {n}", f"lg.maximum({x}, {n})", f"{x} > {n}", f"{x} % 3", f"-{x}"])


def cast(d):
    """Another dtype."""
    return f"lg.astype({d.name()}, {d.of(['float32', 'float64', 'int64', 'bool'])!r})"


def chosen(d):
    """A choice by a condition."""
    x = d.name()
    return f"lg.where({d.partner(x)} > {d.whole(-1, 1)}, {x}, {d.of([d.partner(x), '0', '1.0'])})"


def clipped(d):
    """Held between bounds."""
    return f"lg.clip({d.name()}, {d.whole(-2, 0)}, {d.whole(1, 2)})"


def reduced(d):
    """A reduction over one, several or all axes."""
    x = d.name()
    f = d.of(["sum", "sum", "prod", "max", "min", "any", "all", "count_nonzero"])
    axis = d.axis(d.value(x))
    some = tuple(sorted({d.whole(0, np.ndim(d.value(x)) - 1) for _ in range(2)}))
    return f"lg.{f}({x}, axis={d.of([None, axis, some])}, keepdims={d.of([True, False])})"


def placed(d):
    """The index of an extreme."""
    x = d.name()
    return f"lg.{d.of(['argmax', 'argmin'])}({x}, axis={d.of([None, d.axis(d.value(x))])})"


def running(d):
    """A running or sorting op."""
    x = d.name()
    return f"lg.{d.of(['cumulative_sum', 'cumulative_max', 'sort', 'argsort'])}({x}, axis={d.axis(d.value(x))})"


def reshaped(d):
    """The elements in another shape."""
    x = d.name()
    size = d.value(x).size
    sizes = [n for n in (1, 2, 3, 4, 6) if size and size % n == 0] or [1]
    return f"lg.reshape({x}, {d.of([(-1,), (size,), (d.of(sizes), -1), (-1, d.of(sizes)), (1, -1, d.of(sizes))])})"


def permuted(d):
    """The axes in another order."""
    x = d.name()
    return f"lg.permute_dims({x}, {tuple(d.random.sample(range(np.ndim(d.value(x))), np.ndim(d.value(x))))})"


def moved(d):
    """An op that moves or repeats elements."""
    x = d.name()
    axis = d.axis(d.value(x))
    return d.of(
        [
            f"{x}.T",
            f"lg.flip({x}, axis={axis})",
            f"lg.roll({x}, {d.whole(-2, 2)}, axis={d.of([None, axis])})",
            f"lg.repeat({x}, 2, axis={axis})",
            f"lg.tile({x}, (2, 1))",
            f"lg.pad({x}, {d.of([1, (0, 2)])})",
            f"lg.pad({x}, 1, constant_values=3)",
            f"lg.expand_dims({x}, axis={axis})",
            f"lg.squeeze({x})",
            f"lg.swapaxes({x}, 0, {axis})",
            f"lg.matrix_transpose({x})",
            f"lg.rot90({x}, {d.whole(-1, 3)})",
            f"lg.tril({x}, {d.whole(-1, 1)})",
            f"lg.diagonal({x}, offset={d.whole(-1, 1)})",
            f"lg.diff({x}, axis={axis})",
            f"lg.split({x}, [1], axis={axis})[{d.whole(0, 1)}]",
            f"lg.broadcast_to({x}, {(d.whole(1, 2), *np.shape(d.value(x)))})",
            f"lg.broadcast_to({x}, {tuple(3 if n == 1 else n for n in np.shape(d.value(x)))})",
            f"lg.depends_on({x}, [{d.name()}])",
            f"lg.hook({x}, lambda array: None)",
        ]
    )


def joined(d):
    """Several in one."""
    x = d.name()
    y = d.fitting(np.shape(d.value(x)))
    return d.of(
        [
            f"lg.concat([{x}, {y}], axis={d.axis(d.value(x))})",
            f"lg.concat([{x}, {x}], axis={d.axis(d.value(x))})",
            f"lg.stack([{x}, {y}, {x}], axis={d.whole(-1, 0)})",
        ]
    )


def index(d, shape):
    """A basic index, as text."""
    parts = []
    for _ in range(d.whole(1, max(len(shape), 1))):
        parts.append(d.of(["0", "-1", "1:", "::-1", ":2", "::2", "None", "...", ":"]))
    return ", ".join(p for k, p in enumerate(parts) if p != "..." or "..." not in parts[:k])


def indexed(d):
    """A part, by numbers, slices and lists."""
    x = d.name()
    i = index(d, np.shape(d.value(x)))
    return f"{x}[{d.of([i, i, '[0, -1, 0]', ':, [0, 0]', '[0, -1], ..., [0, 0]', 'None, [0], :'])}]"


def taken(d):
    """Elements named by another value."""
    x, i = d.name(), d.name()
    shape = np.shape(d.value(x))
    if not shape or not shape[0] or d.value(i).dtype.kind not in "iu":
        return f"{x}[...]"
    return d.of([f"{x}[{i} % {shape[0]}]", f"lg.take({x}, {i} % {shape[0]}, axis=0)"])


def written(d):
    """A part changed."""
    x = d.name()
    i = index(d, np.shape(d.value(x)))
    v = d.of([d.partner(x), "2"])
    return d.of(
        [
            f"lg.at({x})[{i}].set({v})",
            f"lg.at({x})[{i}].add({v})",
            f"lg.at({x})[[0, -1, 0]].set({v})",
            f"lg.at({x})[[0, 0]].add({v})",
            f"lg.at({x})[{x} > 0].set(1)",
        ]
    )


def multiplied(d):
    """A product of matrices."""
    x, y = d.name(), d.name()
    return d.of(
        [
            f"{x} @ {y}",
            f"{x} @ {x}.T",
            f"{x}.T @ {y}",
            f"{x} @ lg.swapaxes({y}, -1, -2)",
            f"lg.outer({x}, {y})",
            f"lg.tensordot({x}, {y}, axes={d.whole(0, 1)})",
            f"lg.einsum('ij,kj->ik', {x}, {y})",
        ]
    )


EXACT = [
    *[unary, binary, binary, binary] * 2,
    *[with_number, moved, indexed] * 2,
    *[cast, chosen, clipped, reduced, placed, running, reshaped, permuted, joined, taken, written, multiplied],
]


def smooth_unary(d):
    """A smooth function of each element."""
    x = d.name()
    f = d.of(["sin", "cos", "tanh", "exp", "square", "negative", "atan", "asinh", "expm1"])
    return d.of([f"lg.{f}({x})", f"lg.sqrt(lg.square({x}) + 1)", f"lg.log1p(lg.square({x}))", f"1 / (1 + {x} * {x})"])


def smooth_binary(d):
    """A smooth function of pairs."""
    x = d.name()
    y = d.partner(x)
    return d.of(
        [
            f"{x} + {y}",
            f"{x} - {y}",
            f"{x} * {y}",
            f"{x} / (2 + lg.cos({y}))",
            f"lg.logaddexp({x}, {y})",
            f"2.5 * {x} - {y}",
            f"lg.hypot({x}, lg.square({y}) + 1)",
            f"lg.atan2({x}, lg.exp({y}))",
            f"lg.power(lg.square({x}) + 1, {y})",
        ]
    )


def smooth_reduced(d):
    """A reduction with a derivative."""
    x = d.name()
    f = d.of(["sum", "mean", "prod", "var", "logsumexp"])
    return f"lg.{f}({x}, axis={d.of([None, d.axis(d.value(x))])}, keepdims={d.of([True, False])})"


def smooth_chosen(d):
    """A choice by a mask that does not depend on the numbers."""
    x = d.name()
    shape = np.shape(d.value(x))
    mask = np.arange(math.prod(shape)).reshape(shape) % 2 == 0
    return f"lg.where(np.array({mask.tolist()}), {x}, {d.of([d.fitting(shape), '0.5'])})"


def smooth_running(d):
    """A running op with a derivative."""
    x = d.name()
    return f"lg.{d.of(['cumulative_sum', 'cumulative_prod'])}({x}, axis={d.axis(d.value(x))})"


SMOOTH = [
    *[smooth_unary, smooth_binary] * 4,
    *[smooth_reduced, smooth_chosen, smooth_running, reshaped, permuted, moved, joined, indexed, written, multiplied],
]


# Programs.

SHAPES = 3 * [(), (3,), (4,), (2, 3), (3, 3), (3, 3), (1, 3), (3, 1), (2, 1, 3), (2, 3, 2), (1,)] + [(0,), (0, 3)]
SQUARE = (3, 3)


def small(rng, shape, dtype):
    """Small whole numbers in any dtype."""
    return np.asarray(rng.integers(-2, 4, shape)).astype(dtype)


def grow(d, makers, lines):
    """Add so many lines, as far as NumPy can compute what is drawn."""
    end = len(d.program.lines) + lines
    for _ in range(4 * lines):
        if len(d.program.lines) >= end:
            return
        try:
            line = d.of(makers)(d)
            text, kind = line if isinstance(line, tuple) else (line, {})
            d.program.add(text, **kind)
        except NoLineError:
            continue


def exact_program(random):
    """A program on whole numbers, with variables that are assigned each other's values, views and casts."""
    rng = np.random.default_rng(random.getrandbits(32))
    kinds = ["float32", "float64", "int64", "bool"]
    shape = random.choice([SQUARE, SQUARE, (4,), ()])
    variables = [small(rng, shape, random.choice(kinds)) for _ in range(random.randint(0, 3))]
    arguments = [small(rng, random.choice(SHAPES), random.choice(kinds)) for _ in range(random.randint(1, 3))]
    program = Program(variables, arguments)
    d = Draw(random, program)
    grow(d, EXACT, random.randint(1, 24))
    for k in range(len(variables)):
        if random.randint(0, 3):
            if shape == SQUARE and not random.randint(0, 3):
                program.add(f"{program.names[random.randrange(len(variables))]}.T")
            program.updates[k] = d.fitting(shape)
    program.outputs = [d.name() for _ in range(random.randint(1, 4))]
    return program


def smooth_program(random):
    """A program on real numbers that has a derivative everywhere."""
    rng = np.random.default_rng(random.getrandbits(32))
    program = Program([], [rng.uniform(-1, 1, random.choice(SHAPES)) for _ in range(random.randint(1, 3))])
    d = Draw(random, program)
    grow(d, SMOOTH, random.randint(1, 12))
    program.outputs = [d.name() for _ in range(random.randint(1, 3))]
    return program
