"""Measuring a plan: by the entries of its native code, or node by node on NumPy."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from lazygrad.backends.base import Backend
from lazygrad.define.kinds import Declared
from lazygrad.define.region import Region
from lazygrad.engine.cpu.binding import Loaded
from lazygrad.engine.machine import Silent, locate, region_kernel
from lazygrad.engine.table.costs import Cost, alive, costs, is_moving, named, node_flops, works
from lazygrad.ops.control import While
from lazygrad.ops.passing import speaks
from lazygrad.plan import Plan
from lazygrad.profiling.limits import limits
from lazygrad.profiling.profile import Kernel, Profile
from lazygrad.store.draws import Drawing

__all__ = ["Given", "interpreted", "native"]

WARMING = 3  # runs before those that count


class Given:
    """What a plan is measured with: arrays that nobody else has.

    Args:
        name: of the step.
        plan: what it became.
        inputs: arrays for its inputs, in the order of ``input_nodes``.
        live: copies of the variables that it reads, by name.
        spare: arrays for those that it changes.
        draw: what random numbers are drawn from.
        threads: how many share large loops.
    """

    def __init__(
        self, name: str, plan: Plan, inputs: Sequence[Any], live: Any, spare: Any, draw: Drawing, threads: int
    ) -> None:
        self.name, self.plan, self.inputs, self.live, self.spare = name, plan, inputs, live, spare
        self.draw, self.threads = draw, threads

    @property
    def held(self) -> int:
        """Bytes of variables, arguments and results."""
        arrays = [*self.inputs, *self.live.values(), *self.spare.values()]
        results = sum(self.plan.spec(i).nbytes for i in self.plan.values)
        return int(sum(array.nbytes for array in arrays)) + results

    def profile(
        self, how: str, runs: int, whole: int, found: Sequence[tuple[int, Cost]], peak: tuple[int, int, Any]
    ) -> Profile:
        """What was measured; times are in nanoseconds."""
        machine = limits(self.threads)
        kernels = tuple(
            [
                Kernel(k, taken / 1e9, cost, machine.seconds(cost.moved, cost.flops, cost.wide) * cost.is_known)
                for k, (taken, cost) in enumerate(found)
            ]
        )
        at, nbytes, what = peak
        return Profile(self.name, how, runs, whole / 1e9, kernels, machine, self.held, nbytes, at, tuple(what))


def native(given: Given, loaded: Loaded, runs: int) -> Profile:
    """Native code, entry by entry; and as a whole, for what it takes without clocks between."""
    from lazygrad.engine.cpu.clocked import Clocked  # loads the driver

    clocked = Clocked(loaded, given.live, given.spare, given.draw)
    with np.errstate(all="ignore"):
        for _ in range(WARMING):
            clocked.run(given.inputs)
        taken = [clocked.run(given.inputs) for _ in range(runs)]
        whole = [clocked.whole(given.inputs) for _ in range(runs)]
    times = [int(statistics.median(column)) for column in zip(*taken, strict=True)][:-1]
    found = list(zip(times, costs(loaded.native), strict=True))
    return given.profile("native", runs, int(statistics.median(whole)), found, alive(loaded.native))


def interpreted(given: Given, backend: Backend, runs: int) -> Profile:
    """Node by node, each by the kernel of its op."""
    numbers = _Nodes(given, backend)
    with np.errstate(all="ignore"):
        numbers.run()
        taken = [numbers.run() for _ in range(runs)]
    times = [int(statistics.median(column)) for column in zip(*taken, strict=True)]
    found = [(each, _cost(given.plan, i)) for i, each in zip(numbers.computed, times, strict=True)]
    whole = int(statistics.median([sum(row) for row in taken]))
    how = "NumPy" if backend.name == "numpy" else f"{backend.name}, node by node"
    return given.profile(how, runs, whole, found, numbers.peak)


class _Nodes:
    """A plan, run node by node with a clock between."""

    def __init__(self, given: Given, backend: Backend) -> None:
        self.plan, self.backend, self.draw = given.plan, backend, given.draw
        plan, nodes = given.plan, given.plan.graph.nodes
        self.first = {plan.variables[name]: array for name, array in given.live.items()}
        places = sorted([*plan.placeholders.values(), *plan.constants])
        self.first |= dict(zip(places, given.inputs, strict=True))
        if plan.stream is not None:
            self.first[plan.stream] = backend.asarray(given.draw.stream)
        self.computed = [i for i in range(len(nodes)) if i not in self.first]
        self.peak: tuple[int, int, list[tuple[str, int]]] = (0, 0, [])

    def run(self) -> list[int]:
        """The nanoseconds of every node that is computed."""
        plan, arrays, results = self.plan, dict(self.first), set(self.plan.values)
        taken, sizes, clock = [], dict[int, int](), time.perf_counter_ns
        for number, i in enumerate(self.computed):
            node = plan.graph.nodes[i]
            operands = [arrays[j] for j in node.inputs]
            began = clock()
            try:
                y = self._kernel(i, operands)
            except Exception as reason:
                locate(reason, plan, i)
                raise
            taken.append(clock() - began)
            arrays[i] = y
            sizes[i] = 0 if i in results or _is_part(y, operands) else _nbytes(y)
            if sum(sizes.values()) > self.peak[1]:
                living = [(named(plan.graph, j), n) for j, n in sizes.items() if n]
                self.peak = number, sum(sizes.values()), sorted(living, key=lambda row: -row[1])
            for j in plan.dying[i]:
                if j not in self.first:
                    arrays.pop(j, None)
                    sizes.pop(j, None)
        return taken

    def _kernel(self, i: int, operands: Sequence[Any]) -> Any:
        node, backend = self.plan.graph.nodes[i], self.backend
        op = node.op
        if speaks(node):
            return operands[0]
        if isinstance(op, Region):
            return region_kernel(self.plan, i, backend, self.draw, kind=Silent)(*operands)
        if isinstance(op, Declared) and op.random:
            y = op.kernel(self.draw(node.params["draw"]), *map(backend.to_numpy, operands), **node.params)
            return backend.asarray(y)
        y = op.kernel(backend.xp, *operands, **node.params)
        if backend.name != "numpy" and hasattr(y, "ravel"):
            backend.to_numpy(y.ravel()[:1])  # a device goes on by itself: wait for it
        return y if isinstance(y, tuple) else backend.asarray(y)


def _is_part(y: Any, operands: Sequence[Any]) -> bool:
    """Whether an array lies in the memory of an operand."""
    each = [x for operand in operands for x in (operand if isinstance(operand, (tuple, list)) else (operand,))]
    return any(y is x or getattr(y, "base", None) is x for x in each)


def _nbytes(y: Any) -> int:
    return sum(map(_nbytes, y)) if isinstance(y, (tuple, list)) else int(getattr(y, "nbytes", 0))


def _cost(plan: Plan, i: int) -> Cost:
    """What a node does, seen by its specs."""
    graph = plan.graph
    node, specs = graph.nodes[i], plan.specs(i)
    made = sum(spec.nbytes for spec in specs)
    read = sum(spec.nbytes for j in node.inputs for spec in plan.specs(j))
    if node.inputs and is_moving(node):  # it reads no more of the first operand than it makes
        first = sum(spec.nbytes for spec in plan.specs(node.inputs[0]))
        read += min(first, made) - first
    is_moved = getattr(node.op, "view", None) is None and bool(node.inputs)
    wide = any(spec.dtype.itemsize == 8 and spec.dtype.kind == "f" for spec in specs)
    over = ", ".join(map(str, specs))
    return Cost(
        node.op.name,
        over,
        read if is_moved else 0,
        made if is_moved else 0,
        node_flops(graph, i),
        wide,
        tuple(works(graph, i)),
        not isinstance(node.op, While),
    )
