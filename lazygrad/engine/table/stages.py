"""Kernels that do not wait for each other, launched as one: the order in which a table is run on a GPU, in stages.

Every launch costs the host some microseconds, and the device waits at its end. So kernels run as late as they may,
where others do that they do not depend on: the totals of a step's gradients are combined in one launch, and all
variables updated in one. Calls and loops are stages of their own, and stay in order; and a kernel that is the last to
read much more memory than it writes stays where it was, so that the memory is free for others.

A bundle is a launch whose warps find out which kernel they are of. Its arguments are those of its kernels, and a table:
``first`` chunks of every instruction with their sum, then for each where its arguments are, counted from the table in
words, and which of the bundle's kernels it runs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

from lazygrad.engine.lower.index import View
from lazygrad.engine.lower.ways import Way, Ways
from lazygrad.engine.memory import Buffer
from lazygrad.engine.table.native import NUMBER, Bundle, Instruction, NumpyCall, Step
from lazygrad.graph.spec import Spec

__all__ = ["Touched", "bundled", "numbers", "relive", "staged", "touched"]

KERNELS = 12  # different ones in a bundle
TEXT = 60_000  # characters of them
LOST = 1 << 20  # bytes that a kernel may keep others from, to run later


class Touched(NamedTuple):
    """The memory that a step reads and writes, by key."""

    reads: AbstractSet[Any]
    writes: AbstractSet[Any]

    def waits_for(self, other: Touched) -> bool:
        """Whether it must come after another one."""
        pairs = ((self.reads, other.writes), (self.writes, other.writes), (self.writes, other.reads))
        return any(a & b for a, b in pairs)


class _Stage:
    """What may run at once: kernels, or a single call, loop or long kernel."""

    def __init__(self, opened: bool) -> None:
        self.opened = opened
        self.steps: list[tuple[int, Step]] = []  # with their places in the program
        self.names: set[str] = set()
        self.reads: set[Any] = set()
        self.writes: set[Any] = set()

    def add(self, place: int, step: Step, own: Touched) -> None:
        """Take a step in."""
        self.steps.append((place, step))
        self.reads |= own.reads
        self.writes |= own.writes
        if isinstance(step, Instruction):
            self.names.add(step.name)

    @property
    def whole(self) -> Touched:
        """What all of them touch."""
        return Touched(self.reads, self.writes)


def staged(
    ways: Ways,
    program: Sequence[Step],
    key: Callable[[Any], Any],
    functions: Mapping[str, str],
    buffers: Mapping[Any, Buffer],
    alone: Callable[[Step], bool],
) -> list[list[Step]]:
    """The steps of a program in stages, each of which waits for none of its own.

    Args:
        ways: how each node is computed.
        program: what is run, in an order in which it can be.
        key: the buffer in which a node lies.
        functions: the text of every kernel.
        buffers: what lies in the arena.
        alone: whether a step is too long to share a launch.
    """
    stages: list[_Stage] = []
    last = {k: place for place, step in enumerate(program) for k in touched(ways, step, key).reads}
    for place in range(len(program) - 1, -1, -1):
        step = program[place]
        own = touched(ways, step, key)
        if not isinstance(step, Instruction) or alone(step):
            found = _Stage(False)
            stages.insert(0, found)
        else:
            dying = sum(buffers[k].nbytes for k in own.reads if k in buffers and last[k] == place)
            made = sum(buffers[k].nbytes for k in own.writes if k in buffers)
            found = _found(stages, step, own, functions, may_wait=dying <= made + LOST)
        found.add(place, step, own)
    return [[step for _, step in sorted(stage.steps, key=lambda one: one[0])] for stage in stages]


def _found(
    stages: list[_Stage], step: Instruction, own: Touched, functions: Mapping[str, str], may_wait: bool
) -> _Stage:
    """The latest stage that a kernel can join, or a new one before the first that waits for it."""
    before = next((k for k, stage in enumerate(stages) if stage.whole.waits_for(own)), len(stages))
    for stage in reversed(stages[: before if may_wait else min(before, 1)]):
        if stage.opened and _has_room(stage, step, functions):
            return stage
    made = _Stage(True)
    stages.insert(before if may_wait else 0, made)
    return made


def _has_room(stage: _Stage, step: Instruction, functions: Mapping[str, str]) -> bool:
    names = stage.names | {step.name}
    return len(names) <= KERNELS and (step.name in stage.names or sum(len(functions[n]) for n in names) <= TEXT)


def touched(ways: Ways, step: Step, key: Callable[[Any], Any]) -> Touched:
    """What a step reads and writes."""
    if isinstance(step, Instruction):
        known = {key(a.buffer if isinstance(a, View) else a) for a in step.arguments}
        writes = {key(k) for k in step.writes}
        return Touched(known - writes, writes)
    nodes, node = ways.nodes, step.node
    reads: set[Any] = set()
    for j in nodes[node].inputs:
        if not isinstance(nodes[j].spec, Spec):
            reads.add(("results", j))
        elif ways.way[j] is not Way.NUMBER and (view := ways.view(j)) is not None:
            reads.add(key(view.buffer))
    if isinstance(step, NumpyCall):
        writes = {key(node), ("results", node), *(key(j) for j in ways.results.get(node, {}).values())}
    else:
        operands = 1 + len(nodes[node].inputs)
        writes = {("arena", node), *(key(k) for k in step.arguments[operands:])}
    return Touched(reads, writes)


def relive(
    ways: Ways,
    stages: Sequence[Sequence[Step]],
    key: Callable[[Any], Any],
    buffers: Mapping[Any, Buffer],
    kept: Iterable[int],
) -> None:
    """Enter when each buffer lives: from the stage that writes it to the last that reads it; those kept, to the end."""
    lives: dict[Any, list[int]] = {}
    for number, stage in enumerate(stages):
        for step in stage:
            own = touched(ways, step, key)
            for k in own.reads | own.writes:
                lives.setdefault(k, []).append(number)
    for k, buffer in buffers.items():
        buffer.first, buffer.last = min(lives.get(k, [0])), max(lives.get(k, [0]))
    for i in kept:
        if i in buffers:
            buffers[i].last = len(stages)


def bundled(stages: Sequence[Sequence[Step]], begin: int) -> tuple[Bundle, ...]:
    """The stages of several kernels as bundles, whose tables lie one after the other behind all arguments.

    Args:
        stages: of a program.
        begin: where the first table begins among the arguments.
    """
    found, first, place = list[Bundle](), 0, 0
    for stage in stages:
        instructions = [step for step in stage if isinstance(step, Instruction)]
        if len(stage) > 1:
            assert len(instructions) == len(stage)
            names = tuple(sorted({step.name for step in instructions}))
            table, at, chunks = list[int](), place, list[int]()
            for step in instructions:
                table += [at - begin, names.index(step.name)]
                at += len(step.arguments)
                chunks.append(step.chunks)
            firsts = [sum(chunks[:k]) for k in range(len(chunks) + 1)]
            name = "b" + hashlib.sha256(" ".join(names).encode()).hexdigest()[:20]
            found.append(Bundle(name, names, first, len(stage), begin, (*firsts, *table)))
            begin += len(found[-1].table)
        first += len(stage)
        place += sum(0 if isinstance(step, NumpyCall) else len(step.arguments) for step in stage)
    return tuple(found)


def numbers(bundles: Iterable[Bundle]) -> list[tuple[Any, int]]:
    """The tables of bundles, as what stands among arguments."""
    return [(NUMBER, number) for bundle in bundles for number in bundle.table]
