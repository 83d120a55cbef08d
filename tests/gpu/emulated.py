"""A step's kernels as PTX, run by the emulator, beside the same on the CPU with 32 lanes and on NumPy."""

from __future__ import annotations

import dataclasses
import functools
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from codegen.native_steps import traced
from gpu import emulator, ptx_text

from lazygrad.define.kinds import Declared, item
from lazygrad.engine.agreement import NUDGES, disagreement, nudge
from lazygrad.engine.cpu.binding import Loaded
from lazygrad.engine.cuda.calls import launches
from lazygrad.engine.cuda.entry import DeviceCode, device_code
from lazygrad.engine.cuda.llvm import ptx
from lazygrad.engine.cuda.target import GPU
from lazygrad.engine.lanes.arithmetic import Arithmetic
from lazygrad.engine.lanes.writer import Writer
from lazygrad.engine.lower.index import View
from lazygrad.engine.lower.kernels import Spare
from lazygrad.engine.lower.ways import Way
from lazygrad.engine.runner import interpret
from lazygrad.engine.table.lower import lowered
from lazygrad.engine.table.native import Bundle, Instruction, Native
from lazygrad.graph.spec import Spec

__all__ = ["HOST", "Emulated", "emulated", "held_to_the_law", "module_of"]


def _host() -> Arithmetic:
    writer = Writer(32)
    writer.contract = False
    return writer


HOST = dataclasses.replace(
    GPU, writer=_host, bundles=False
)  # the same work cut in the same way, for the CPU's registers


class Emulated(NamedTuple):
    """Values, then new values of variables: of the emulator, of the CPU with 32 lanes, of NumPy.

    ``nudged`` gives those of NumPy once more, each time with last bits moved at random.
    """

    native: Native
    found: list[Any]
    host: list[Any]
    expected: list[Any]
    nudged: Callable[[], list[Any]]


def held_to_the_law(this: Emulated) -> None:
    """The bits of the host, and the numbers of NumPy as near as ``docs/native.md`` says.

    A NaN is a NaN, whatever its bits: a GPU makes others than a CPU.
    """
    several: list[list[Any]] = []
    for k, (found, host, expected) in enumerate(zip(this.found, this.host, this.expected, strict=True)):
        assert (host.shape, host.dtype) == (found.shape, found.dtype)
        assert _without_nan(host).tobytes() == _without_nan(found).tobytes(), (k, host, found)
        if disagreement(found, expected):
            several = several or [this.nudged() for _ in range(NUDGES)]
            said = disagreement(found, expected, [one[k] for one in several])
            assert said is None, (k, said)


def _without_nan(array: Any) -> Any:
    return np.where(np.isnan(array), np.array(np.nan, array.dtype), array) if array.dtype.kind == "f" else array


def module_of(native: Native) -> DeviceCode:
    """The kernels of a step as a module."""
    functions = {name: body for name, body in native.functions.items() if name != "take"}
    return device_code(functions, native.definitions, native.together, native.apart)


@functools.lru_cache(maxsize=256)
def _program(text: str) -> ptx_text.Program:
    return ptx_text.read(ptx(text))


def emulated(
    step: Callable[..., Any], *arguments: Any, seed: int | None = None, environment: Any = None, **variables: Any
) -> Emulated:
    """What a step gives; ``seed`` is that of the order of threads, ``environment`` one that has variables already."""
    with warnings.catch_warnings():  # of data that are wider than the environment
        warnings.simplefilter("ignore")
        env, plan, inputs = traced(step, arguments, variables, environment)
    live = {name: env._store.find(name).live(0) for name in plan.variables}
    given = dict(zip(sorted([*plan.placeholders.values(), *plan.constants]), inputs, strict=True))
    given |= {i: live[name] for name, i in plan.variables.items()}
    draw, backend = env._store.drawing, env._store.backend
    with np.errstate(all="ignore"):
        reference = interpret(plan, backend, given, draw)
        spare = {name: np.full_like(env._store.find(name).live(0), 77) for name in plan.updates}
        host = Loaded(lowered(plan, HOST), backend.xp).bind(live, spare, draw).step(*inputs)
        native = lowered(plan, GPU)
        device = _Device(native, given, env._store, seed)
        device.run()
    names = list(plan.updates)
    rng = np.random.default_rng(0)

    def nudged() -> list[Any]:
        with np.errstate(all="ignore"):
            found = interpret(plan, backend, given, draw, lambda array: nudge(array, rng))
        return [found[i] for i in (*plan.values, *(plan.updates[name] for name in names))]

    return Emulated(
        native,
        [*map(device.value, plan.values), *(device.arrays[Spare(name)] for name in names)],
        [*host, *(spare[name] for name in names)],
        [reference[i] for i in (*plan.values, *(plan.updates[name] for name in names))],
        nudged,
    )


class _Device:
    """The arrays of a step, and its kernels run on them one after the other; calls back are NumPy's."""

    def __init__(self, native: Native, given: dict[int, Any], store: Any, seed: int | None) -> None:
        self.native, self.plan, self.seed, self.draw = native, native.plan, seed, store.drawing
        self.xp = store.backend.xp
        self.module = module_of(native)
        self.arrays: dict[Any, Any] = {i: np.array(array, order="C") for i, array in given.items()}
        if self.plan.stream is not None:
            self.arrays[self.plan.stream] = self.draw.stream
        for i, node in enumerate(self.plan.graph.nodes):
            static = self.plan.static[i] and i not in self.arrays and native.ways.way[i] is not Way.NUMBER
            if static and all(j in self.arrays or native.ways.way[j] is Way.NUMBER for j in node.inputs):
                made = node.op.kernel(self.xp, *[self._operand(j) for j in node.inputs], **node.params)
                if isinstance(node.spec, Spec):
                    self.arrays[i] = np.array(made, order="C")
        for name, i in self.plan.updates.items():
            self.arrays[Spare(name)] = np.full(*_filled(self.plan.spec(i)))
        for key, buffer in native.buffers.items():
            self.arrays[key] = np.full(*_filled(buffer.spec))
        for i in native.outputs:
            self.arrays[i] = np.full(*_filled(self.plan.spec(i)))

    def run(self) -> None:
        """Run everything in order; what kernels write is then in ``arrays``."""
        program = _program(self.module.text) if self.module.launches else None
        for step, place in launches(self.native):
            if isinstance(step, (Instruction, Bundle)):
                assert program is not None
                self._launch(program, step, place)
            else:
                self._call(step.node)
        for name, i in self.native.foreign:
            np.copyto(self.arrays[Spare(name)], self._operand(i))

    def _launch(self, program: ptx_text.Program, step: Instruction | Bundle, place: int) -> None:
        memory, failed = emulator.Memory(), np.zeros(1, np.int64)
        keys = step.arguments if isinstance(step, Instruction) else self._all_arguments(step)
        row = np.array([self._address(key, memory) for key in keys] or [0], np.int64)
        begin, many = memory.add(row), step.chunks
        if isinstance(step, Bundle):
            begin, many = begin + 8 * (len(row) - len(step.table)), step.size
        entry = self.module.launches[step.name]
        arguments = [begin, many, memory.add(failed)]
        emulator.run(program, step.name, entry.blocks(step.chunks), entry.threads, arguments, memory, self.seed)
        if failed[0]:
            raise IndexError("a kernel failed")

    def _all_arguments(self, bundle: Bundle) -> list[Any]:
        """Those that stand before the table of a bundle, as far back as it counts, and then that."""
        steps = self.native.program[bundle.first : bundle.first + bundle.size]
        first = bundle.place + min(bundle.table[bundle.size + 1 :: 2])
        own = [key for step in steps if isinstance(step, Instruction) for key in step.arguments]
        between = bundle.place - first - len(own)
        return [*own, *[np.int64(0)] * between, *[np.int64(n) for n in bundle.table]]

    def _address(self, key: Any, memory: emulator.Memory) -> int:
        start = 0
        if isinstance(key, np.int64):
            return int(key)
        if isinstance(key, View):
            start = key.start * self.native.ways.spec(key.buffer).dtype.itemsize
            key = key.buffer
        array = self._array(key)
        return (memory.add(array) if array.nbytes else 0) + start

    def _array(self, key: Any) -> Any:
        return self.arrays[self.native.key(key)]

    def _operand(self, j: int) -> Any:
        ways = self.native.ways
        spec = ways.nodes[j].spec
        if not isinstance(spec, Spec):
            return self.arrays["results", j]
        if ways.way[j] is Way.NUMBER:
            return np.full(spec.shape, ways.nodes[j].params["value"], spec.dtype)
        view = ways.view(j)
        assert view is not None
        base = self._array(view.buffer).reshape(-1)[view.start :]
        steps = [step * spec.dtype.itemsize for step in view.steps]
        return np.lib.stride_tricks.as_strided(base, view.shape, steps)

    def _call(self, node: int) -> None:
        it = self.native.ways.nodes[node]
        if it.op is item:
            np.copyto(self._array(node), self.arrays["results", it.inputs[0]][it.params["index"]])
            return
        operands = [self._operand(j) for j in it.inputs]
        if isinstance(it.op, Declared) and it.op.random:
            made = it.op.kernel(self.draw(it.params["draw"]), *operands, **it.params)
        else:
            made = it.op.kernel(self.xp, *operands, **it.params)
        if isinstance(it.spec, Spec):
            np.copyto(self._array(node), made)
        else:
            self.arrays["results", node] = made

    def value(self, i: int) -> Any:
        """What is returned for a node."""
        return self._operand(i) if self.native.ways.way[i] is Way.NUMBER else self._array(i)


def _filled(spec: Spec) -> tuple[Any, Any, Any]:
    """Shape, rubbish and dtype."""
    return spec.shape, 77 if spec.dtype != np.bool_ else True, spec.dtype
