"""A second target: the primitives of lanes written anew, and nothing else, give kernels that compute the same."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from native_steps import random_floats, traced, whole
from programs import exact_program

import lazygrad as lg
from lazygrad.engine.cpu.binding import Loaded
from lazygrad.engine.lanes.arithmetic import Arithmetic
from lazygrad.engine.lanes.registers import ADDRESS, BOOL, I8, I64, Register, literal, scalar_type
from lazygrad.engine.lanes.target import Target
from lazygrad.engine.runner import interpret
from lazygrad.engine.table.lower import lowered

pytest.importorskip("llvmlite", reason="llvmlite is not installed")


class Single(Arithmetic):
    """A lane is all there is: a wide register is one number, as it would be in a thread."""

    def __init__(self) -> None:
        super().__init__(1)

    def type(self, dtype: Any, wide: bool) -> str:
        return scalar_type(dtype)

    def constant(self, value: Any, dtype: Any, wide: bool = False) -> Register:
        return Register(self, literal(value, dtype), dtype, wide, 0)

    def widened(self, x: Register) -> Register:
        return Register(self, x.name, x.dtype, True, x.level)

    def lane(self, x: Register, number: int) -> Register:
        return Register(self, x.name, x.dtype, False, x.level)

    def lanes(self, dtype: Any = I64) -> Register:
        return self.constant(0, dtype, wide=True)

    def first_lanes(self, count: int) -> Register:
        return self.constant(count > 0, BOOL, wide=True)

    def turned(self, x: Register, step: int) -> Register:
        return x

    def inserted(self, x: Register, one: Register, number: int) -> Register:
        return self.widened(one)

    def any(self, condition: Register) -> Register:
        return self.lane(condition, 0)

    def intrinsic(self, name: str, *operands: Register, dtype: Any = None) -> Register:
        operands = self.even(*operands)
        first = operands[0]
        result = scalar_type(dtype or first.dtype)
        name = f"@llvm.{name}.{'f' if first.dtype.kind == 'f' else 'i'}{8 * first.dtype.itemsize}"
        self.definitions[name] = f"declare {result} {name}({', '.join(x.type for x in operands)})"
        listed = ", ".join(f"{x.type} {x.name}" for x in operands)
        return self.instruction(f"call {result} {name}({listed})", dtype or first.dtype, *operands)

    def to_whole(self, x: Register, dtype: Any) -> Register:
        sign, result = "u" if dtype.kind == "u" else "s", scalar_type(dtype)
        name = f"@llvm.fpto{sign}i.sat.i{8 * dtype.itemsize}.f{8 * x.dtype.itemsize}"
        self.definitions[name] = f"declare {result} {name}({x.type})"
        found = self.instruction(f"call {result} {name}({x.type} {x.name})", dtype, x)
        return found if sign == "u" else self.select(x.differs(x), int(np.iinfo(dtype).min), found)

    def load(
        self, address: Register, index: Any, dtype: Any, wide: bool = False, mask: Any = None, fixed: bool = True
    ) -> Register:
        place = self.at(address, index, dtype)
        memory, wide = (I8 if dtype == BOOL else dtype), wide or place.wide
        text = f"load {scalar_type(memory)}, ptr {place.name}, align {memory.itemsize}"
        found = self.instruction(text, memory, place, wide=wide) if fixed else self.here(text, memory, wide)
        return found.differs(0) if dtype == BOOL else found

    def store(self, x: Register, address: Register, index: Any, mask: Any = None, wide: bool = False) -> None:
        place = self.at(address, index, x.dtype)
        if x.dtype == BOOL:
            x = self.instruction(f"zext i1 {x.name} to i8", I8, x)
        self.line(f"store {x.type} {x.name}, ptr {place.name}, align {x.dtype.itemsize}")

    def room(self, count: int, dtype: Any) -> Register:
        name = self._name()
        self._cells.append(f"  {name} = alloca [{count} x {'i8' if dtype == BOOL else scalar_type(dtype)}], align 64")
        return Register(self, name, ADDRESS, False, 0)


SINGLE = Target(1, Single)


def computed(step: Callable[..., Any], *arguments: Any, **variables: Any) -> tuple[list[Any], list[Any]]:
    """What the step gives on the target, and on NumPy."""
    with warnings.catch_warnings():  # of data that are wider than the environment
        warnings.simplefilter("ignore")
        env, plan, inputs = traced(step, arguments, variables)
    given = dict(zip(sorted([*plan.placeholders.values(), *plan.constants]), inputs, strict=True))
    given |= {i: env._store.find(name).live(0) for name, i in plan.variables.items()}
    live = {name: env._store.find(name).live(0) for name in plan.variables}
    spare = {name: np.full_like(env._store.find(name).live(0), 77) for name in plan.updates}
    with np.errstate(all="ignore"):
        expected = interpret(plan, env._store.backend, given, env._store.drawing)
        found = Loaded(lowered(plan, SINGLE), env._store.backend.xp).bind(live, spare, env._store.drawing).step(*inputs)
    updates = [expected[i] for i in plan.updates.values()]
    return [*found, *spare.values()], [*(expected[i] for i in plan.values), *updates]


KERNELS: dict[str, tuple[Callable[..., Any], Any]] = {
    "maps": (lambda ctx, x: ((x + 1) * x, x > 0, lg.where(x > 0, x, -x)), whole((40, 30))),
    "folds": (lambda ctx, x: (lg.max(x, axis=1), lg.sum(x, axis=0), lg.sum(x)), whole((70, 50))),
    "in chunks": (lambda ctx, x: (lg.sum(x), lg.sum(x, axis=0)), whole((3000, 200))),
    "rooms": (lambda ctx, x: x * x - lg.sum(x * x, axis=1, keepdims=True), whole((70, 50))),
    "places": (lambda ctx, x: (lg.argmax(x, axis=-1), lg.argmin(x, axis=-1)), whole((50, 7))),
    "segments": (lambda ctx, x: lg.at(lg.ones((3, 5)))[np.array([0, 2, -1, 0])].add(x), whole((4, 5))),
    "indices": (lambda ctx, x: x[np.array([[0, -1], [2, 0]]), 1:], whole((4, 5))),
    "sorting": (
        lambda ctx, x: (lg.argsort(x), lg.sort(x, axis=0), lg.searchsorted(lg.sort(x[0]), x)),
        whole((150, 20)),
    ),
    "written": (lambda ctx, x: (x.at[1:, ::2].set(0.5), x.at[[0, 2, 0], [1, -1, 1]].add(x[0, :3])), whole((4, 5))),
    "casts": (lambda ctx, x: (lg.astype(x * 1.5, "int32"), lg.astype(x, "bool"), lg.astype(x, "float64")), whole(9)),
}


@pytest.mark.parametrize("name", KERNELS)
def test_every_kind_of_kernel_computes_the_same(name: str) -> None:
    """Of whole numbers, bit for bit."""
    step, x = KERNELS[name]
    for actual, expected in zip(*computed(step, x), strict=True):
        np.testing.assert_array_equal(actual, expected)


def test_functions_compute_the_same() -> None:
    """They are written with the same primitives; large angles are reduced by a function of their own."""
    x = random_floats((300,)) * 1e4
    step = lambda ctx, x: (lg.sin(x), lg.exp(-lg.square(x) * 1e-6), lg.tanh(x * 1e-3), lg.nn.softmax(x * 1e-4))  # noqa: E731
    for actual, expected in zip(*computed(step, x), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=3e-6, atol=1e-7)


@pytest.mark.parametrize("seed", range(12))
def test_a_random_program_computes_the_same(seed: int) -> None:
    """On whole numbers; products of matrices are another matter, and have registers of their own."""
    made = exact_program(random.Random(seed))
    function = made.function()

    def step(ctx: Any, *arguments: Any) -> Any:
        read = [ctx.variable("abc"[k]) for k in range(len(made.variables))]
        values = dict(zip(made.names, function(lg, *read, *arguments), strict=True))
        updates = [ctx.assign("abc"[k], values[name]) for k, name in made.updates.items()]
        return [values[name] for name in made.outputs if "@" not in made.source], updates

    variables = {"abc"[k]: value for k, value in enumerate(made.variables)}
    for actual, expected in zip(*computed(step, *made.arguments, **variables), strict=True):
        np.testing.assert_array_equal(actual, expected)
