"""Random declarations of ops, right and wrong, run in every way between guard pages; and arrays that a thread changes.

A right declaration computes what its kernel does in every way; a wrong one is a DefinitionError, or computes what its
kernel does; no operand is changed; and nothing touches a byte beside its arrays. Each trial is a process of its own, so
that one that dies is seen.
"""

from __future__ import annotations

import collections
import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import lazygrad as lg
from lazygrad.define import elementwise, movement, opaque, reduction
from lazygrad.engine import runner as execute
from lazygrad.engine.cpu import binding

from ._guard import guarded

PROGRAMS = 12  # a trial
RACES = 2
DTYPES = ("float32", "float64", "int32", "int64", "uint8", "int8", "bool")


def trial(rng: np.random.Generator, folder: Path) -> str:
    """A process that runs random declarations."""
    seed = int(rng.integers(2**31))
    environment = {**os.environ, "LAZYGRAD_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-X", "faulthandler", "-m", "tests.stress.declarations", str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, f"seed {seed}, exit status {done.returncode}:\n{done.stdout}\n{done.stderr[-4000:]}"
    return done.stdout.strip()


# Random declarations.


class Declaration:
    """An op, arrays to call it with, and whether it is right.

    Attributes:
        fault: what is wrong with it, in a word; nothing, if it is right.
        computes: whether its kernel can be called on arrays to see what it should give.
    """

    def __init__(self, op: Any, arrays: list[Any], fault: str = "", computes: bool = True) -> None:
        self.op, self.arrays, self.fault, self.computes = op, arrays, fault, computes


def shape_of(rng: np.random.Generator, most: int = 4) -> tuple[int, ...]:
    """A small shape; now and then a long axis."""
    sizes = rng.choice([1, 2, 3, 4, 5, 8, 17], rng.integers(1, most))
    if rng.random() < 0.1:
        sizes[-1] = 1500
    return tuple(map(int, sizes))


def numbers(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any = None) -> Any:
    """Numbers of a random dtype, between guard pages."""
    dtype = np.dtype(str(rng.choice(DTYPES)) if dtype is None else dtype)
    array = rng.integers(0, 2 if dtype.kind == "b" else 60, shape).astype(dtype)
    if dtype.kind == "f":
        array += rng.normal(size=shape).astype(dtype)
    return guarded(array, bool(rng.integers(2)))


View = Callable[[Any], Any]


def a_view(rng: np.random.Generator, shape: tuple[int, ...]) -> View:
    """A random way to look at an array of a shape in another way, whatever its strides."""
    kind = rng.integers(6)
    axis = int(rng.integers(len(shape)))
    if kind == 0:
        order = tuple(map(int, rng.permutation(len(shape))))
        return lambda x: np.transpose(x, order)
    if kind == 1:
        a, b = sorted(map(int, rng.integers(0, shape[axis] + 1, 2)))
        step = int(rng.choice([1, 2, 3]))
        return lambda x: x[(slice(None),) * axis + (slice(a, max(b, a + 1), step),)] if a < shape[axis] else x
    if kind == 2:
        return lambda x: np.flip(x, axis)
    if kind == 3:
        return lambda x: np.expand_dims(x, axis)
    if kind == 4:
        place = int(rng.integers(shape[axis]))
        return lambda x: x[(slice(None),) * axis + (place, ...)]
    width = int(rng.integers(1, shape[axis] + 1))
    return lambda x: np.lib.stride_tricks.sliding_window_view(x, width, axis)


def views(rng: np.random.Generator, shape: tuple[int, ...], contiguous: bool) -> View:
    """Several of them, one after another; the first a reshape, if memory may be taken to lie in order."""
    steps: list[View] = []
    at = np.zeros(shape, np.int8)
    if contiguous:
        steps.append(lambda x: np.reshape(x, (-1,)))
        at = at.reshape(-1)
    for _ in range(rng.integers(1, 4)):
        if at.ndim == 0:
            break
        step = a_view(rng, at.shape)
        seen = step(at)
        if seen.size > 20_000 or seen.ndim > 5:
            break
        steps.append(step)
        at = seen

    def looked(x: Any) -> Any:
        for step in steps:
            x = step(x)
        return x

    return looked


def a_movement(rng: np.random.Generator) -> Declaration:
    """A view, or a movement that copies."""
    shape = shape_of(rng)
    said = [None, "always", "contiguous"][rng.integers(3)]
    look = views(rng, shape, said == "contiguous" or (said is None and bool(rng.integers(2))))
    seen = look(np.zeros(shape, np.int8)).shape
    fault = str(rng.choice(["", "", "", "copies", "computes", "beyond", "before", "shape", "dtype", "list"]))
    if fault == "copies" and said is None:
        fault = ""
    far = int(rng.integers(1, 5000))
    declared = (*seen, 1) if fault == "shape" else (*seen, far) if fault in ("beyond", "before") else seen

    @movement(shape=lambda x: declared, view=said)
    def moved(xp: Any, x: Any) -> Any:
        """Elements elsewhere."""
        y = look(x)
        if fault == "copies":
            return y.copy()
        if fault == "computes":
            return y + y.dtype.type(1)
        if fault == "dtype":
            return y.astype(np.complex64)
        if fault == "list":
            return y.tolist()
        if fault in ("beyond", "before") and isinstance(x, np.ndarray):
            step = x.itemsize * 4096 * (1 if fault == "beyond" else -1)
            return np.lib.stride_tricks.as_strided(y, (*y.shape, far), (*y.strides, step))
        return y

    if fault in ("beyond", "before") and (said is None or far == 1):
        fault = "unseen"  # a copy is made of it, by the kernel itself: not run
    return Declaration(moved, [numbers(rng, shape)], fault, fault not in ("beyond", "before", "unseen"))


def an_elementwise(rng: np.random.Generator) -> Declaration:
    """A formula, or something that is none."""
    shape = shape_of(rng)
    several = bool(rng.integers(2))
    fault = str(rng.choice(["", "", "", "mean", "place", "dtype", "shape", "state", "type", "in place", "sorted"]))
    formula = [str(f) for f in rng.choice(["sin", "square", "abs", "sqrt", "tanh"], rng.integers(1, 4))]
    count = [0]

    def f(xp: Any, x: Any, y: Any) -> Any:
        if fault == "in place" and isinstance(x, np.ndarray):
            x += 1
        if fault == "sorted" and isinstance(x, np.ndarray):
            x.sort()
        for name in formula:
            x = getattr(xp, name)(x)
        x = xp.where(x > y, x * y, x + y)
        if fault == "mean":
            return x - xp.mean(x)
        if fault == "place":
            return x + np.arange(np.shape(x)[-1])
        if fault == "dtype":
            return x.astype(np.float16)
        if fault == "shape":
            return x.reshape(-1)[:1]
        if fault == "state":
            count[0] += 1
            return x + count[0]
        if fault == "type":
            return x if isinstance(x, np.ndarray) else x + x
        return x

    if several:

        @elementwise()
        def computed(xp: Any, x: Any, y: Any) -> Any:
            """A formula."""
            return f(xp, x, y)

        arrays = [numbers(rng, shape, "float64"), numbers(rng, shape[-1:], "float64")]
    else:

        @elementwise()
        def computed(xp: Any, x: Any) -> Any:
            """A formula."""
            return f(xp, x, x)

        arrays = [numbers(rng, shape, "float64")]
    if fault == "shape" and np.broadcast_shapes(*[a.shape for a in arrays]) == (1,):
        fault = "unseen"
    return Declaration(computed, arrays, fault, fault not in ("state", "in place", "sorted", "type"))


def a_reduction(rng: np.random.Generator) -> Declaration:
    """A fold, with how it is combined."""
    shape = shape_of(rng)
    how = str(rng.choice(["sum", "prod", "max", "min"]))
    combine: Any = {"sum": lg.add, "prod": lg.multiply, "max": lg.maximum, "min": lg.minimum}[how]
    identity: Any = {"sum": 0, "prod": 1, "max": None, "min": None}[how]
    fault = str(rng.choice(["", "", "", "combine", "identity", "axis", "dtype"]))
    if fault == "combine":
        combine = {"sum": lg.maximum, "prod": lg.add, "max": lg.minimum, "min": lg.add}[how]
    if fault == "identity":
        identity = {"sum": 1, "prod": 0, "max": 99, "min": 7}[how]

    @reduction(identity=identity, combine=combine if rng.random() < 0.8 or fault else None)
    def folded(xp: Any, x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
        """A fold."""
        if fault == "axis":
            axis = None
        y = getattr(xp, how)(x, axis=axis, keepdims=keepdims)
        return y.astype(np.float16) if fault == "dtype" else y

    axis = int(rng.integers(len(shape)))
    if fault == "axis" and len(shape) == 1:
        fault = ""

    def called(x: Any) -> Any:
        return folded(x, axis=axis)

    called.kernel = lambda xp, x: folded.kernel(xp, x, axis=(axis,), keepdims=False)  # type: ignore[attr-defined]
    return Declaration(called, [numbers(rng, shape, "float64")], fault)


def an_opaque(rng: np.random.Generator) -> Declaration:
    """A call of a library."""
    rows, inner, columns = (int(n) for n in rng.integers(1, 9, 3))
    fault = str(rng.choice(["", "", "", "swapped", "shape", "several", "in place", "same", "rule"]))
    out = np.zeros((rows, columns))
    if fault == "swapped":
        columns = rows = inner
    declared: Any = {"shape": (rows, columns + 7), "several": [(rows, columns)] * 2, "rule": (rows, -columns)}
    spec = declared.get(fault, (rows, columns))

    @opaque(shape=lambda a, b: spec, recorded=bool(rng.integers(2)))
    def product(xp: Any, a: Any, b: Any) -> Any:
        """A product."""
        if fault == "in place" and isinstance(a, np.ndarray):
            a *= 2
        if fault == "same" and isinstance(a, np.ndarray):
            return np.matmul(a, b, out=out)
        return xp.matmul(b, a) if fault == "swapped" else xp.matmul(a, b)

    arrays = [numbers(rng, (rows, inner), "float64"), numbers(rng, (inner, columns), "float64")]
    called: Any = product
    if fault == "several":

        def called(*xs: Any) -> Any:
            return product(*xs)[0]

        called.kernel = product.kernel
    return Declaration(
        called, arrays, "" if fault == "swapped" else fault, fault not in ("in place", "same", "several")
    )


KINDS = (a_movement, a_movement, an_elementwise, a_reduction, an_opaque)


def program(rng: np.random.Generator) -> str:
    """One declaration in every way; what came of it."""
    declaration = KINDS[rng.integers(len(KINDS))](rng)
    if declaration.fault == "unseen":
        return "not run"
    arrays, op = declaration.arrays, declaration.op
    before = [array.copy() for array in arrays]
    twist = int(rng.integers(3))

    def step(ctx: Any, *xs: Any) -> Any:
        if twist == 1:  # what was computed
            xs = tuple(x + x.dtype.type(0) for x in xs)
        if twist == 2:  # what does not lie in order
            xs = tuple(lg.flip(lg.flip(x, -1) + x.dtype.type(0), -1) for x in xs)
        y = op(*xs)
        return (y, lg.sum(y * 1)) if twist else y

    outcomes = []
    for way in ("run", "program", "native"):
        env = lg.VariableEnvironment(dtype="float64")
        try:
            if way == "native":
                got = env.compile(step, wait=True)(*arrays)
            else:
                got = [env.run(step, *arrays) for _ in range(1 if way == "run" else 2)][-1]
        except lg.DefinitionError as reason:
            if not declaration.fault:
                raise AssertionError("a right declaration is refused") from reason
            outcomes.append("refused")
            continue
        outcomes.append("computed")
        if declaration.computes:
            with np.errstate(all="ignore"):
                expected = op.kernel(np, *before)
            found = got[0] if twist else got
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9, err_msg=f"{way} {declaration.fault}")
    assert len(set(outcomes)) == 1, (declaration.fault, outcomes)
    for array, kept in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, kept, err_msg=f"an operand was changed: {declaration.fault}")
    return "wrong " + outcomes[0] if declaration.fault else "right"


# Races.


def race(rng: np.random.Generator) -> str:
    """Steps on arrays that another thread writes nonsense into; what they compute is nonsense, but they live."""
    table = guarded(rng.normal(size=(50, 8)))
    index = guarded(rng.integers(0, 50, 4000))
    x = guarded(rng.normal(size=(4000,)))
    stop = threading.Event()
    nonsense = np.array([0, 49, -50, 50, -51, 2**62, -(2**62), 10**6, 7])

    def write() -> None:
        own = np.random.default_rng(0)
        while not stop.is_set():
            index[:] = own.choice(nonsense, index.shape)
            x[:] = own.choice([np.nan, np.inf, 1e300, 0.0, -1.0], x.shape)
            index[:] = 3

    def step(ctx: Any, table: Any, index: Any, x: Any) -> Any:
        rows = table[index]
        return lg.sum(rows * x[:, None]), lg.segment_sum(rows, lg.clip(index, 0, 49), 50), lg.argmax(x), lg.sort(x)

    env = lg.VariableEnvironment(dtype="float64")
    compiled = env.compile(step, wait=True)
    index[:] = 3
    compiled(table, index, x)
    thread = threading.Thread(target=write)
    thread.start()
    try:
        for turn in range(40):
            with contextlib.suppress(IndexError):
                compiled(table, index, x) if turn % 4 else env.run(step, table, index, x)
    finally:
        stop.set()
        thread.join()
    return "raced"


def main(seed: int) -> None:
    """All programs of one trial."""
    rng = np.random.default_rng(seed)
    plain = execute.aligned
    execute.aligned = binding.aligned = lambda nbytes: guarded(plain(nbytes))  # type: ignore[attr-defined]
    counts = collections.Counter(program(rng) for _ in range(PROGRAMS))
    for _ in range(RACES):
        counts[race(rng)] += 1
    print("survived", *sorted(name for name in counts if name.startswith("wrong")))


if __name__ == "__main__":
    main(int(sys.argv[1]))
