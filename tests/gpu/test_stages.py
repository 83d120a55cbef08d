"""Which kernels are launched together: every one finds what it would find if they ran one after the other."""

from __future__ import annotations

import dataclasses
import itertools
import random
from typing import Any

import numpy as np
import pytest
from codegen.native_steps import plan_of
from gpu.emulated import emulated
from programs import exact_program

import lazygrad as lg
from lazygrad.engine.cuda.calls import launches
from lazygrad.engine.cuda.target import GPU
from lazygrad.engine.table.lower import lowered
from lazygrad.engine.table.native import Bundle, Instruction, Native
from lazygrad.engine.table.stages import touched

ONE_BY_ONE = dataclasses.replace(GPU, bundles=False)


def program_of(seed: int) -> tuple[Any, Any]:
    """A random program on whole numbers as a step, and its arguments and variables."""
    made = exact_program(random.Random(seed))
    step = made.step()
    return step, (made.arguments, {"abc"[k]: np.array(v) for k, v in enumerate(made.variables)})


def writers(native: Native) -> dict[Any, dict[Any, Any]]:
    """For every step what wrote last what it reads."""
    found: dict[Any, dict[Any, Any]] = {}
    last: dict[Any, Any] = {}
    for step in native.program:
        name = (step.entry, getattr(step, "name", ""), getattr(step, "arguments", ()))
        own = touched(native.ways, step, native.key)
        found[name] = {key: last.get(key) for key in own.reads}
        last.update(dict.fromkeys(own.writes, name))
    return found


@pytest.mark.filterwarnings("ignore:step computes in float64")  # of data that are wider than the environment
@pytest.mark.parametrize("seed", range(40))
def test_every_step_reads_what_it_read_in_order(seed: int) -> None:
    """In another order all kernels find what the same ones have written, and none of a launch waits for another."""
    step, (arguments, variables) = program_of(seed)
    plan = plan_of(step, *arguments, **variables)
    native = lowered(plan, GPU)
    assert writers(lowered(plan, ONE_BY_ONE)) == writers(native)
    for bundle in native.bundles:
        together = native.program[bundle.first : bundle.first + bundle.size]
        for one, other in itertools.permutations(together, 2):
            own, its = (touched(native.ways, each, native.key) for each in (one, other))
            assert not own.waits_for(its)


@pytest.mark.filterwarnings("ignore:step computes in float64")  # of data that are wider than the environment
@pytest.mark.parametrize("seed", range(40))
def test_what_lives_at_once_lies_apart(seed: int) -> None:
    """Arrays of the arena that are read or written in overlapping stretches of time share no byte."""
    step, (arguments, variables) = program_of(seed)
    native = lowered(plan_of(step, *arguments, **variables), GPU)
    lives: dict[Any, list[int]] = {}
    for time, one in zip(native.stages, native.program, strict=True):
        own = touched(native.ways, one, native.key)
        for key in (own.reads | own.writes) & native.buffers.keys():
            lives.setdefault(key, []).append(time)
    for a, b in itertools.combinations(lives, 2):
        one, other = native.buffers[a], native.buffers[b]
        apart = one.offset + one.nbytes <= other.offset or other.offset + other.nbytes <= one.offset
        assert apart or max(lives[a]) < min(lives[b]) or max(lives[b]) < min(lives[a])


def _network(ctx: Any, x: Any, y: Any) -> Any:
    """Three layers with Adam, written out."""
    h, sizes, moments = x, (12, 40, 40, 3), []
    for k in range(3):
        h = h @ ctx.variable(f"w{k}") + ctx.variable(f"b{k}")
        h = lg.nn.relu(h) if k < 2 else h
    loss = lg.mean(lg.nn.cross_entropy(h, y))
    names = [f"{kind}{k}" for k in range(len(sizes) - 1) for kind in "wb"]
    count = ctx.variable("count") + 1
    for name in names:
        g, w = lg.grad(loss, ctx.variable(name)), ctx.variable(name)
        m = ctx.variable(f"m{name}") * 0.9 + g * 0.1
        v = ctx.variable(f"v{name}") * 0.99 + g * g * 0.01
        rate = 0.01 * lg.sqrt(1 - 0.99**count) / (1 - 0.9**count)
        moments += [ctx.assign(f"m{name}", m), ctx.assign(f"v{name}", v)]
        moments += [ctx.assign(name, w - rate * m / (lg.sqrt(v) + 1e-8))]
    return loss, ctx.assign("count", count), moments


def test_a_step_of_a_network_with_adam_is_six_launches_beside_its_products() -> None:
    """A hidden layer more is two more: one forward, one back; all that a bundle computes has the bits of the host."""
    rng = np.random.default_rng(0)
    variables: dict[str, Any] = {"count": np.zeros((), np.float32)}
    for k, (n, m) in enumerate([(12, 40), (40, 40), (40, 3)]):
        for name, shape in ((f"w{k}", (n, m)), (f"b{k}", (m,))):
            variables[name] = rng.normal(size=shape).astype(np.float32)
            variables[f"m{name}"] = np.zeros(shape, np.float32)
            variables[f"v{name}"] = np.ones(shape, np.float32)
    x, y = rng.normal(size=(16, 12)).astype(np.float32), rng.integers(0, 3, 16)
    this = emulated(_network, x, y, **variables)
    found = [step for step, _ in launches(this.native) if isinstance(step, (Instruction, Bundle))]
    assert len(found) <= 6 + 2
    assert any(isinstance(step, Bundle) and len(step.kernels) > 2 for step in found)
    for one, host in zip(this.found, this.host, strict=True):
        assert host.tobytes() == one.tobytes()


def test_a_bundle_of_many_equal_kernels_writes_each_once() -> None:
    """Thirty variables of one shape are one kernel, with thirty rows in its table."""
    names = [f"v{k}" for k in range(30)]

    def step(ctx: Any) -> Any:
        total = lg.sum(lg.stack([lg.sum(ctx.variable(name)) for name in names]))
        return [ctx.assign(name, ctx.variable(name) * total) for name in names]

    variables = {name: np.full((50 + k % 2 * 50, 70), k, np.float32) for k, name in enumerate(names)}
    this = emulated(step, **variables)
    last = this.native.bundles[-1]
    assert (30, 2) == (last.size, len(last.kernels))
    for one, expected in zip(this.found, this.expected, strict=True):
        np.testing.assert_array_equal(one, expected)
