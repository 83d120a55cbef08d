"""What the entries of native code cost: floating operations, whose they are, and what lies in memory meanwhile."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from lazygrad.define.kinds import Elementwise, Movement, Opaque, item
from lazygrad.define.region import Region
from lazygrad.engine.lower.fuse import Entry
from lazygrad.engine.lower.kernels import Apply, Kernel, Small, Spare, Statement, Taken
from lazygrad.engine.lower.turns import SmallLoop
from lazygrad.engine.lower.ways import Way
from lazygrad.engine.table.native import Native, Repeat
from lazygrad.engine.table.rows import inside, row_of
from lazygrad.errors import Origin
from lazygrad.graph.body import bodies
from lazygrad.graph.graph import Graph, Node
from lazygrad.graph.spec import Spec
from lazygrad.ops.control import While
from lazygrad.ops.indexing import _gather
from lazygrad.ops.passing import speaks
from lazygrad.ops.solving import lapack
from lazygrad.ops.source import assign
from lazygrad.plan import layer_of

__all__ = ["Cost", "Portion", "alive", "costs", "is_moving", "named", "node_flops", "node_work", "work_of", "works"]


@dataclass(frozen=True)
class Portion:
    """Part of an entry's work: of a node, its op, its origin with its layer, and how much it is.

    ``node`` is its number in the plan; in the body of a loop it is that of the loop.
    """

    op: str
    origin: Origin
    amount: float
    node: int


@dataclass(frozen=True)
class Cost:
    """What an entry does.

    Attributes:
        what, over: it in words, and what it goes over.
        read, written: bytes of the arrays that it reads and writes, each once.
        flops: floating operations; a function such as exp counts as many as the instructions that it is written with.
            Of a choice they are those of the longer one.
        is_known: whether it is known how often it does all that; of a loop with a condition it is not, and what it
            reads, writes and computes are those of one turn.
        wide: whether it computes in float64.
        work: whose work it is.
    """

    what: str
    over: str
    read: int
    written: int
    flops: int
    wide: bool
    work: tuple[Portion, ...]
    is_known: bool = True

    @property
    def moved(self) -> int:
        """Bytes that are read and written."""
        return self.read + self.written

    @property
    def nodes(self) -> tuple[int, ...]:
        """The numbers of the nodes that it computes, in order."""
        return tuple(sorted({portion.node for portion in self.work}))


def costs(native: Native) -> list[Cost]:
    """What every entry does, in order."""
    found = []
    for number, entry in enumerate(native.entries):
        what, over, read, written, _ = row_of(native, entry)
        work = tuple(_work(native, number, entry))
        flops, is_known = _flops(native, number, entry), not _is_endless(native, entry)
        found.append(Cost(what, over, read, written, flops, _is_wide(native, entry), work, is_known))
    return found


def work_of(native: Native, number: int) -> list[Portion]:
    """Whose work the entry of a number is."""
    return list(_work(native, number, native.entries[number]))


def _made(native: Native, i: int, amount: float) -> Portion:
    graph = native.plan.graph
    return Portion(graph.nodes[i].op.name, layer_of(graph, i), amount, i)


def _work(native: Native, number: int, entry: Kernel | SmallLoop | Entry) -> Iterator[Portion]:
    """Whose work an entry is; the amounts are comparable within it."""
    if isinstance(entry, Kernel):
        for s in entry.statements:
            yield from _of_statement(native, s)
        return
    node = entry.operation.node if isinstance(entry, SmallLoop) else entry.node
    within = inside(native, number)
    if within:
        for _, body in within:
            for k, each in enumerate(body.entries):
                yield from (replace(portion, node=node) for portion in _work(body, k, each))
    else:
        yield from works(native.plan.graph, node)


def works(graph: Graph, i: int) -> list[Portion]:
    """Whose work a node is: its own; of one with bodies, that of their nodes."""
    found = list(_of_bodies(graph.nodes[i], i)) if isinstance(graph.nodes[i].op, Region) else []
    return found or [Portion(graph.nodes[i].op.name, layer_of(graph, i), 1.0, i)]


def _of_statement(native: Native, s: Statement) -> Iterator[Portion]:
    count = len(native.plan.graph.nodes)
    yield _made(native, s.node, float(s.size))  # to load, to combine and to store
    for e in s.elements:
        if isinstance(e, (Apply, Taken, Small)) and e.node < count:
            each = e.length / max(1, math.prod(e.inner[e.result])) if isinstance(e, Small) else e.length
            yield _made(native, e.node, float(s.size * max(1, each)))


def _of_bodies(node: Node, number: int) -> Iterator[Portion]:
    """The nodes of the bodies of a loop of that number, by the elements that they make."""
    for body in bodies(node):
        for i, inner in enumerate(body.graph.nodes):
            if isinstance(inner.op, Region):
                yield from _of_bodies(inner, number)
            elif inner.inputs:
                yield Portion(inner.op.name, layer_of(body.graph, i), float(node_work(body.graph, i)), number)


def node_work(graph: Graph, i: int) -> int:
    """About how much work a node is, seen by its op and its specs alone: to share what several nodes take."""
    node = graph.nodes[i]
    if isinstance(node.op, Region):
        return _of_region(node, node_work)
    if not node.inputs or getattr(node.op, "view", None) is not None:
        return 0
    return max(node_flops(graph, i), *[spec.size for spec in _specs(graph, i)], 0)


def node_flops(graph: Graph, i: int) -> int:
    """About how many floating operations a node is, seen by its op and its specs alone.

    One for each element that is computed or combined; of linear algebra one for each element of the matrix and each row
    that it is combined with, which is a third to several times of what it does.
    """
    node = graph.nodes[i]
    op, specs = node.op, _specs(graph, i)
    if isinstance(op, Region):
        return _of_region(node, node_flops)
    made = specs[: len(specs) - len(node.inputs)]
    is_float = any(spec.dtype.kind == "f" for spec in made)
    if not node.inputs or not is_float or is_moving(node):
        return 0
    if op.name == "matmul" and specs[1].shape:
        return 2 * specs[1].shape[-1] * specs[0].size
    if isinstance(op, Opaque) and op.dtype_rule is lapack:
        return max(spec.size for spec in specs) * min(specs[len(made)].shape[-2:])
    return max(spec.size for spec in specs) if not isinstance(op, Elementwise) else made[0].size


def is_moving(node: Node) -> bool:
    """Whether a node computes nothing: its elements are those of its first operand, or it hands that on."""
    return isinstance(node.op, Movement) or node.op in (item, assign, _gather) or speaks(node)


def _specs(graph: Graph, i: int) -> list[Spec]:
    """Those of the results of a node, then those of its operands that have one result."""
    node = graph.nodes[i]
    own = [node.spec] if isinstance(node.spec, Spec) else list(node.spec)
    return [*own, *[spec for j in node.inputs if isinstance(spec := graph.nodes[j].spec, Spec)]]


def _of_region(node: Node, of: Callable[[Graph, int], int]) -> int:
    """Of a loop that of all of its turns, if their number is known, else of one; of a choice that of the larger one."""
    inner = [sum(of(body.graph, k) for k in range(len(body.graph.nodes))) for body in bodies(node)]
    return int(node.params.get("length", 1)) * max(inner, default=0)


def _flops(native: Native, number: int, entry: Kernel | SmallLoop | Entry) -> int:
    if isinstance(entry, Kernel):
        return sum(_statement_flops(s) for s in entry.statements)
    if isinstance(entry, SmallLoop):
        return row_of(native, entry)[-1]
    if entry.kind is Way.PRODUCT:
        return row_of(native, entry)[-1]
    steps = [step for step in native.program if step.entry == number and isinstance(step, Repeat)]
    if steps:
        (step,) = steps
        turns = (step.loop.turns if step.condition is None else 1) or 1
        each = [sum(_flops(b, k, one) for k, one in enumerate(b.entries)) for _, b in inside(native, number)]
        return turns * (max(each) if len(step.bodies) > 1 else sum(each))
    return node_flops(native.plan.graph, entry.node)


def _statement_flops(s: Statement) -> int:
    each = sum(
        e.length / max(1, math.prod(e.inner[e.result])) if isinstance(e, Small) else e.length
        for e in s.elements
        if isinstance(e, (Apply, Small)) and e.dtype.kind == "f"
    )
    return int(s.size * (each + (s.fold is not None)))


def _is_endless(native: Native, entry: Kernel | SmallLoop | Entry) -> bool:
    """Whether an entry is a loop with a condition."""
    if isinstance(entry, Kernel):
        return False
    node = entry.operation.node if isinstance(entry, SmallLoop) else entry.node
    return isinstance(native.plan.graph.nodes[node].op, While)


def _is_wide(native: Native, entry: Kernel | SmallLoop | Entry) -> bool:
    nodes = [s.node for s in entry.statements] if isinstance(entry, Kernel) else []
    if not isinstance(entry, Kernel):
        nodes = [entry.operation.node if isinstance(entry, SmallLoop) else entry.node]
    specs = [spec for i in nodes for spec in native.plan.specs(i)]
    return any(spec.dtype.itemsize == 8 and spec.dtype.kind == "f" for spec in specs)


def alive(native: Native) -> tuple[int, int, list[tuple[str, int]]]:
    """The entry at which most bytes of the arena are alive, how many, and what they are, the largest first."""
    spans = [(key, buffer) for key, buffer in native.buffers.items()]
    if not spans:
        return 0, 0, []
    at = [sum(b.nbytes for _, b in spans if b.first <= n <= b.last) for n in range(len(native.entries))]
    peak = max(range(len(at)), key=at.__getitem__, default=0)
    living = [(_named(native, key), b.nbytes) for key, b in spans if b.first <= peak <= b.last]
    return peak, at[peak] if at else 0, sorted(living, key=lambda row: -row[1])


def named(graph: Graph, i: int) -> str:
    """What a node is, and what messages call it."""
    spec = graph.nodes[i].spec
    return f"{spec if isinstance(spec, Spec) else ', '.join(map(str, spec))}  {graph.describe(i)}"


def _named(native: Native, key: object) -> str:
    """What lies in a buffer, in words."""
    graph = native.plan.graph
    if isinstance(key, int) and 0 <= key < len(graph.nodes):
        return named(graph, key)
    if isinstance(key, Spare):
        return f"variable {key.name!r}"
    number = next((part for part in key if isinstance(part, int)), None) if isinstance(key, tuple) else None
    where = f"  {graph.describe(number)}" if number is not None and 0 <= number < len(graph.nodes) else ""
    return f"room to work{where}"
