"""Plan -> Native: ways, then kernels, then their code, then the table."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, cast

import numpy as np

from lazygrad.define.kinds import item
from lazygrad.engine.emit import lapack, putting, sorting
from lazygrad.engine.emit.products import Product, turned, write
from lazygrad.engine.emit.rows import Written, written
from lazygrad.engine.emit.totals import Partial, total_of_chunks
from lazygrad.engine.emit.turns import written_loop
from lazygrad.engine.emit.whole import WholeKernel
from lazygrad.engine.lanes.target import Target, cpu
from lazygrad.engine.lanes.writer import Writer
from lazygrad.engine.lower import describe
from lazygrad.engine.lower.fuse import Draft, Entry, fused
from lazygrad.engine.lower.index import View
from lazygrad.engine.lower.kernels import Kernel, Part, Spare
from lazygrad.engine.lower.reuse import Numbered
from lazygrad.engine.lower.schedule import LONG
from lazygrad.engine.lower.turns import SmallLoop, fits, small_loop
from lazygrad.engine.lower.ways import NATIVE, Way, Ways
from lazygrad.engine.machine import BodyPlan
from lazygrad.engine.memory import Buffer, lay_out
from lazygrad.engine.table.arguments import Moving, layout, taking
from lazygrad.engine.table.decompositions import call_of, results_of
from lazygrad.engine.table.native import Bundle, Instruction, Native, NumpyCall, Results, Step, key_of
from lazygrad.engine.table.orders import order_of
from lazygrad.engine.table.putting import putting_of
from lazygrad.engine.table.repeats import flushes, repeat
from lazygrad.graph.spec import Spec
from lazygrad.plan import Plan, last_reads

__all__ = ["lowered"]

LARGE = 4096  # bytes; a value that is larger is computed where it is returned, a smaller one is copied


def _nothing() -> None:
    """Go on."""


def lowered(plan: Plan, target: Target | int, look: Callable[[], None] = _nothing) -> Native:
    """The native code of a plan, not compiled yet.

    Args:
        plan: what to lower.
        target: what its code is written for; a number: a CPU with so many lanes.
        look: called now and then; raises if nobody wants the code any more.
    """
    look()
    target = cpu(target) if isinstance(target, int) else target
    ways = Ways(plan, target.lapack, fits, target.hosted, target.windows)
    look()
    code = _Lowering(ways, cpu(target) if isinstance(target, int) else target, look)
    inputs = tuple(sorted([*plan.placeholders.values(), *plan.constants]))
    native = _native(code, _results(ways, plan.updates, plan.values), inputs)
    if native.moving and native.layout is not None:
        code.functions["take"] = taking(list(native.moving.values()), native.layout)
    return native


def _native(
    code: _Lowering, results: Results, inputs: tuple[int, ...], given: Mapping[Any, Spec] | None = None
) -> Native:
    """The native code of a plan or of a body; ``given`` are arrays outside of it, beside its inputs and outputs."""
    ways, plan = code.ways, code.ways.plan
    entries = fused(ways, code.target)
    entries += [Draft(describe.copy(ways, i, Spare(name))) for name, i in results.copied]
    lives = _lives(plan, ways, entries)
    for number, entry in enumerate(entries):
        code.look()
        code.write(number, entry, lives.stored)
    buffers = {**code.scratch, **_buffers(plan, ways, code.program, lives, results)}
    stages = _staged(code, results, buffers) if code.target.bundles else []
    nbytes = lay_out(list(buffers.values()))
    outside = {**{i: ways.spec(i) for i in (*inputs, *results.outputs)}, **(given or {})}
    block, moving = _arguments(ways, code.program, results, outside)
    bundles: tuple[Bundle, ...] = ()
    if stages:
        from lazygrad.engine.table.stages import bundled, numbers  # not for a CPU

        bundles = bundled(stages, len(block))
        block = (*block, *numbers(bundles))
    times = tuple([number for number, stage in enumerate(stages) for _ in stage])
    return Native(
        plan, code.target.lanes, ways, tuple(code.entries), tuple(code.program), code.functions, code.definitions,
        results, buffers, nbytes, inputs, block, moving, layout(), times, bundles,
    )  # fmt: skip


def _staged(code: _Lowering, results: Results, buffers: Mapping[Any, Buffer]) -> list[list[Step]]:
    """What is run, in stages, with the buffers that it works on alive as long; the program is then in that order."""
    from lazygrad.engine.table.stages import relive, staged

    def key(node: Any) -> Any:
        return key_of(results, node)

    def alone(step: Step) -> bool:
        entry = code.entries[step.entry]
        return not isinstance(entry, Kernel) or entry.small or entry.length >= LONG

    stages = staged(code.ways, code.program, key, code.functions, buffers, alone)
    kept = [*code.ways.plan.values, *(i for _, i in results.foreign)]
    relive(code.ways, stages, key, buffers, kept)
    code.program[:] = [step for stage in stages for step in stage]
    return stages


# Where things lie.


def _results(ways: Ways, updates: Mapping[Any, int], values: Sequence[int]) -> Results:
    """Where what is returned and assigned is computed: variables whose new value lies elsewhere already get a copy."""
    spares: dict[int, str | int] = {}
    copied, foreign = [], []
    for name, i in updates.items():
        lies = i in ways.stored or (ways.way[i] is Way.CALLBACK and ways.nodes[i].op is not item)
        if lies and i not in spares:
            spares[i] = name
        elif ways.spec(i).size and ways.spec(i).dtype not in NATIVE:
            foreign.append((name, i))
        elif ways.spec(i).size:
            copied.append((name, i))
    outputs = [i for i in dict.fromkeys(values) if i in ways.stored and i not in spares and ways.spec(i).nbytes > LARGE]
    return Results(spares, tuple(copied), tuple(foreign), tuple(outputs))


class _Lives(NamedTuple):
    """For every node the entry that begins to make it, and the last that reads it; and which lie in memory."""

    maker: dict[int, int]
    last: dict[int, int]
    stored: frozenset[int]
    end: int  # the number of entries


def _lives(plan: Plan, ways: Ways, entries: Sequence[Entry]) -> _Lives:
    """A node must lie in memory if it is returned or assigned, or if another entry reads it, or any element of it."""
    maker: dict[int, int] = {}
    for number, entry in enumerate(entries):
        for node in _made(ways, entry):
            maker.setdefault(node, number)
    reads = [_read(ways, entry) for entry in entries]
    stored = {*plan.values, *plan.updates.values()} & ways.stored
    for number, (entry, read) in enumerate(zip(entries, reads, strict=True)):
        anywhere = (
            [r.node for s in entry.statements for r in s.reads if r.at is None] if isinstance(entry, Draft) else []
        )
        stored |= {node for node in read if maker.get(node) != number or node in anywhere}
    return _Lives(maker, last_reads(reads), frozenset(stored), len(entries))


def _made(ways: Ways, entry: Entry) -> list[int]:
    """The nodes that an entry makes, whole or in part."""
    if not isinstance(entry, Draft):
        return [entry.node, *ways.results.get(entry.node, {}).values()]
    made = [s for s in entry.statements if not isinstance(s.target, Spare)]
    return [s.target.node if isinstance(s.target, Part) else s.node for s in made]


def _read(ways: Ways, entry: Entry) -> list[int]:
    """The nodes in memory that an entry reads."""
    if isinstance(entry, Draft):
        return [read.node for s in entry.statements for read in s.reads]
    node = ways.nodes[entry.node]
    if node.op is item:
        return list(node.inputs)
    return [view.buffer for j in node.inputs if (view := ways.view(j)) is not None]


def _buffers(plan: Plan, ways: Ways, program: Iterable[Step], lives: _Lives, results: Results) -> dict[Any, Buffer]:
    """What lies in the arena: every buffer lives from the entry that writes it to the last that reads it."""
    found: dict[Any, Buffer] = {}
    for step in program:
        for node in (
            [step.node, *ways.results.get(step.node, {}).values()] if isinstance(step, NumpyCall) else step.arguments
        ):
            if not isinstance(node, int) or node not in lives.maker or node in found:
                continue
            spec = ways.nodes[node].spec
            if node not in results.spares and node not in results.outputs and isinstance(spec, Spec):
                first = lives.maker[node]
                found[node] = Buffer(spec, first, lives.last.get(node, first))
    for i in (*plan.values, *(i for _, i in results.foreign)):
        if i in found:
            found[i].last = lives.end
    return found


def _arguments(ways: Ways, program: Iterable[Step], results: Results, outside: Mapping[Any, Spec]) -> Any:
    """The arguments of all kernels in one row, and what arrays given at a call become of them."""
    places: dict[Any, list[tuple[int, int]]] = {key: [] for key in outside}
    block: list[tuple[Any, int]] = []
    for step in program:
        for argument in () if isinstance(step, NumpyCall) else step.arguments:
            start, key = 0, argument
            if isinstance(argument, View):
                start = argument.start * ways.spec(argument.buffer).dtype.itemsize
                key = argument.buffer
            key = key_of(results, key)
            if key in places:
                places[key].append((len(block), start))
            block.append((key, start))
    return tuple(block), {key: Moving(outside[key], tuple(found)) for key, found in places.items()}


# Code.


class _Known(NamedTuple):
    """A kernel whose code has been written, and the names of what it works on."""

    text: Written
    names: list[Any]

    def renamed(self, names: list[Any]) -> Written:
        """The same code on other arrays."""
        other = dict(zip(self.names, names, strict=True))
        arguments = [
            Partial(other[key.node], key.chunks) if isinstance(key, Partial) else other[key]
            for key in self.text.arguments
        ]
        grown = frozenset(other[node] for node in self.text.grown)
        return replace(self.text, definitions={}, arguments=arguments, grown=grown)


class _ProductCode(NamedTuple):
    """The kernel of a product, with the bytes of its scratch memory, and that which copies an operand before."""

    kernel: Written
    scratch: int
    copy: Written | None = None
    operand: int = 0
    copied: int = 0


def _multiplied(product: Product, width: int) -> _ProductCode:
    w = Writer(width)
    found = turned(product, w)
    copy = None if found is None else Written(w.body(), dict(w.definitions), [], found.plan.chunks)
    w = Writer(width)
    plan = write(product if found is None else found.product, w)
    kernel = Written(w.body(), dict(w.definitions), [], plan.chunks)
    if found is None:
        return _ProductCode(kernel, plan.scratch)
    return _ProductCode(kernel, plan.scratch, copy, found.operand, found.size)


def _form(ways: Ways, node: int) -> Product:
    """The product of a node, with the strides of its operands."""
    a, b = (ways.view(j) for j in ways.nodes[node].inputs)
    c = ways.view(node)
    assert a is not None
    assert b is not None
    assert c is not None
    batch = c.shape[:-2]

    def strides(view: View) -> Any:
        own = view.shape[:-2]
        steps = [0 if n == 1 else s for n, s in zip(own, view.steps[:-2], strict=True)]
        return ((0,) * (len(batch) - len(own)) + tuple(steps), *view.steps[-2:])

    m, n, k = c.shape[-2], c.shape[-1], a.shape[-1]
    return Product(batch, m, n, k, ways.spec(node).dtype, strides(a), strides(b), strides(c))


class _Lowering:
    """The code of entries, written one after the other.

    Attributes:
        entries: what has been written, as immutable descriptions.
        program, functions, definitions: as those of :class:`Native`.
        scratch: memory that a single entry needs.
    """

    def __init__(self, ways: Ways, target: Target, look: Callable[[], None]) -> None:
        self.ways, self.target, self.look = ways, target, look
        self._known: dict[Any, _Known] = {}
        self._products: dict[Product, _ProductCode] = {}
        self._kernels: dict[Any, WholeKernel] = {}
        self._small: dict[Any, Written] = {}
        self.entries: list[Kernel | SmallLoop | Entry] = []
        self.program: list[Step] = []
        self.functions: dict[str, str] = {}
        self.definitions: dict[str, str] = {}
        self.scratch: dict[Any, Buffer] = {}

    def write(self, number: int, entry: Entry, stored: frozenset[int]) -> None:
        """Write an entry; ``stored`` are the nodes that must lie in memory."""
        if isinstance(entry, Draft):
            self.entries.append(self._rows(number, entry.kernel(stored)))
            return
        small = small_loop(self.ways, entry.node, self.target) if entry.kind is Way.REPEAT else None
        self.entries.append(small or entry)
        if entry.kind is Way.PRODUCT and not self.target.hosted:
            self._product(number, entry.node)
        elif small is not None:
            self._small_loop(number, entry.node, small)
        elif entry.kind is Way.REPEAT:
            step, scratch = repeat(self.ways, number, entry.node, self._inside)
            self.program.append(step)
            self.scratch.update(scratch)
        elif entry.kind is Way.LAPACK:
            self._whole(number, entry.node, call_of(self.ways, entry.node), lapack.write)
        elif entry.kind is Way.ORDER:
            self._whole(number, entry.node, order_of(self.ways, entry.node), sorting.write)
        elif entry.kind is Way.PUT:
            self._whole(number, entry.node, putting_of(self.ways, entry.node), putting.write)
        else:
            self.program.append(NumpyCall(entry.node, number))

    def _small_loop(self, number: int, node: int, small: SmallLoop) -> None:
        text = self._small.get(small.key)
        if text is None:
            text = self._small[small.key] = written_loop(small, self.target)
        writes = [result for result in small.results if result is not None]
        self._append(text, small.arguments, number, flushes(self.ways, node), writes)

    def _inside(self, ways: Ways) -> Native:
        """The native code of a body, which shares the text of its kernels with what is around it."""
        code, plan = _Lowering(ways, self.target, self.look), cast(BodyPlan, ways.plan)
        code._known, code._products, code._kernels = self._known, self._products, self._kernels
        code._small = self._small
        code.functions, code.definitions = self.functions, self.definitions
        given = {Spare(k): ways.spec(i) for k, i in enumerate(plan.outputs)}
        return _native(code, _results(ways, dict(enumerate(plan.outputs)), ()), tuple(plan.inputs), given)

    def _rows(self, number: int, kernel: Kernel) -> Kernel:
        numbered = Numbered(kernel)
        known = self._known.get(numbered.key)
        if known is None:
            text = written(kernel, self.target)
            self._known[numbered.key] = _Known(text, numbered.names)
        else:
            text = known.renamed(numbered.names)
        kept = kernel.stored | text.grown
        targets = [s.node if s.target is None else s.target for s in kernel.statements]
        writes: list[Any] = [key.node if isinstance(key, Part) else key for key in targets]
        writes += [key for key in text.arguments if isinstance(key, Partial)]
        self._append(text, text.arguments, number, writes=set(text.arguments).intersection(writes))
        for key in dict.fromkeys(text.arguments):
            if isinstance(key, Partial):
                s = kernel.made[key.node]
                self.scratch[key] = Buffer(Spec((key.chunks, *s.spec.shape), s.spec.dtype), number, number)
                w, arguments, chunks = total_of_chunks(s, key, self.target)
                total = Written(w.body(), dict(w.definitions), arguments, chunks)
                self._append(total, arguments, number, writes=[key.node])
        return replace(kernel, stored=kept)

    def _product(self, number: int, node: int) -> None:
        product = _form(self.ways, node)
        made = self._products.get(product)
        if made is None:
            made = self._products[product] = _multiplied(product, self.target.lanes)
        operands: list[Any] = [self.ways.view(j) for j in self.ways.nodes[node].inputs]
        if made.copy is not None:
            copied = ("copied", node)
            self.scratch[copied] = Buffer(Spec((made.copied,), product.dtype), number, number)
            self._append(made.copy, [operands[made.operand], copied], number)
            operands[made.operand] = copied
        scratch = ("scratch", node)
        self.scratch[scratch] = Buffer(Spec((made.scratch,), np.dtype(np.uint8)), number, number)
        # What comes out of such a loop is summed in products, and so is what has become small there.
        flush = product.dtype == np.float32 and any(flushes(self.ways, i) for i in self.ways.inside)
        self._append(made.kernel, [*operands, node, scratch], number, flush)

    def _whole(self, number: int, node: int, form: Any, write: Callable[[Any, Target], WholeKernel]) -> None:
        """What has a kernel of its own, which works on whole arrays and in scratch memory."""
        made = self._kernels.get(form)
        if made is None:
            made = self._kernels[form] = write(form, self.target)
        operands = [view for j in self.ways.nodes[node].inputs if (view := self.ways.view(j)) is not None]
        results = [i for i in results_of(self.ways, node) if i is not None]
        scratch = ("scratch", node)
        self.scratch[scratch] = Buffer(Spec((made.scratch,), np.dtype(np.uint8)), number, number)
        self._append(made, [*operands, *results, scratch], number)

    def _append(
        self,
        text: Written | WholeKernel,
        arguments: list[Any],
        number: int,
        flush: bool = False,
        writes: Iterable[Any] = (),
    ) -> None:
        name = "k" + hashlib.sha256(text.body.encode()).hexdigest()[:20]
        self.functions.setdefault(name, text.body)
        self.definitions.update(text.definitions)
        self.program.append(Instruction(name, tuple(arguments), text.chunks, number, flush, frozenset(writes)))
