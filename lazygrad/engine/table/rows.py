"""The entries of a table in words and numbers: what each is, over what it goes, bytes and operations."""

from __future__ import annotations

import math

from lazygrad.define.kinds import item
from lazygrad.engine.lower.fuse import Entry
from lazygrad.engine.lower.kernels import Kernel, Part
from lazygrad.engine.lower.regions import looped
from lazygrad.engine.lower.turns import SmallLoop
from lazygrad.engine.lower.ways import Way
from lazygrad.engine.table.native import Native, Repeat
from lazygrad.graph.graph import Node

__all__ = ["inside", "row_of"]


def inside(native: Native, number: int) -> list[tuple[str, Native]]:
    """The bodies of the entry of a number, with what each is called."""
    repeats = [step for step in native.program if step.entry == number and isinstance(step, Repeat)]
    found = []
    for step in repeats:
        names = ["condition"] if step.condition is not None else []
        names += ["if true", "if false"] if len(step.bodies) > 1 else ["body"]
        found += [(name, use.native) for name, use in zip(names, step.uses, strict=True)]
    return found


def row_of(native: Native, entry: Kernel | SmallLoop | Entry) -> tuple[str, str, int, int, int]:
    """What an entry is in words, what it goes over, bytes that it reads and writes, operations."""
    if isinstance(entry, SmallLoop):
        return _small_loop(native, entry)
    return _kernel(native, entry) if isinstance(entry, Kernel) else _called(native, entry)


def _called(native: Native, entry: Entry) -> tuple[str, str, int, int, int]:
    ways = native.ways
    node = ways.nodes[entry.node]
    views = [ways.view(j) if node.op is not item and ways.way[j] is not Way.NUMBER else None for j in node.inputs]
    read = sum(math.prod(v.shape) * ways.spec(v.buffer).dtype.itemsize for v in views if v is not None)
    specs = native.plan.specs(entry.node)
    made = sum(spec.nbytes for spec in specs)
    if entry.kind is Way.PRODUCT:
        a, b = (ways.spec(j) for j in node.inputs)
        m, k, n = a.shape[-2], a.shape[-1], b.shape[-1]
        return f"product {m} × {k} × {n}", str(specs[0]), read, made, 2 * k * specs[0].size
    if entry.kind is Way.LAPACK:
        return f"LAPACK: {node.op.name}", str(specs[0]), read, made, 0
    if entry.kind in (Way.ORDER, Way.PUT):
        return node.op.name, str(specs[0]), read, made, 0
    if entry.kind is Way.REPEAT:
        return _loop(native, node), "", read, made, _operations(native, entry.node)
    why = ways.refused.get(entry.node)
    library = "CuPy" if native.stages else "NumPy"
    return f"{library}: {node.op.name}" + (f" ({why})" if why else ""), str(specs[0]), read, made, 0


def _small_loop(native: Native, entry: SmallLoop) -> tuple[str, str, int, int, int]:
    o = entry.operation
    wrote = sum(spec.nbytes for spec, result in zip(o.specs, entry.results, strict=True) if result is not None)
    operations = o.params.get("length", 1) * entry.length
    return _loop(native, native.ways.nodes[o.node]), "in registers", entry.read, wrote, operations


def _loop(native: Native, node: Node) -> str:
    """A repeat in words."""
    loop = looped(node)
    assert loop is not None
    if loop.condition is not None:
        return f"{node.op.name}, " + ("any number of turns" if loop.turns is None else f"at most {loop.turns:,} turns")
    return f"{node.op.name}, {loop.turns:,} turns" if loop.turns != 1 else node.op.name


def _operations(native: Native, node: int) -> int:
    """Of all turns of a repeat, where their number is known; else of one."""
    (step,) = [step for step in native.program if isinstance(step, Repeat) and step.node == node]
    turns = step.loop.turns if step.condition is None and step.loop.turns is not None else 1
    return turns * sum(row_of(use.native, entry)[-1] for use in step.uses for entry in use.native.entries)


def _kernel(native: Native, kernel: Kernel) -> tuple[str, str, int, int, int]:
    ways = native.ways
    own = {s.node for s in kernel.statements if s.target is None}
    ops = [(ways.nodes[s.node] if s.small is None else ways.nodes[s.small.base]).op for s in kernel.statements]
    names = [
        "copy" if s.target is not None and s.fold is None else op.name
        for s, op in zip(kernel.statements, ops, strict=True)
    ]
    rows = " × ".join(map(str, kernel.rows)) or "1"
    return (
        ", ".join(names),
        f"{rows} rows",
        sum(min(ways.spec(n).nbytes, nbytes) for n, nbytes in _read(native, kernel, own).items()),
        sum(min(ways.spec(n).nbytes, nbytes) for n, nbytes in _written(native, kernel, own).items()),
        sum(s.size * s.cost for s in kernel.statements),
    )


def _read(native: Native, kernel: Kernel, own: set[int]) -> dict[int, int]:
    """By node how many bytes elements are read of it, one as often as there are different places in the program."""
    found: dict[int, int] = {}
    seen: set[tuple[int, object]] = set()
    for s in kernel.statements:
        for access in s.reads:
            where = access.node, (str(access.place), s.shape)
            if access.node in own or (access.place is not None and where in seen):
                continue
            seen.add(where)
            spec = native.ways.spec(access.node)
            is_whole = s.small is not None or s.start is not None
            found[access.node] = found.get(access.node, 0) + (spec.nbytes if is_whole else s.size * spec.dtype.itemsize)
    return found


def _written(native: Native, kernel: Kernel, own: set[int]) -> dict[int, int]:
    """By node how many bytes of it are written."""
    found: dict[int, int] = {}
    for s in kernel.statements:
        if isinstance(s.target, Part):
            node, spec = s.target.node, native.ways.spec(s.target.node)
            found[node] = found.get(node, 0) + s.size * spec.dtype.itemsize
        elif s.node in kernel.stored or s.node not in own:
            found[s.node] = native.ways.spec(s.node).nbytes
    return found
