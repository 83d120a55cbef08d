"""Searching a plan for the first node that is not finite though its operands are.

The plan, as it runs after all passes, is computed once on NumPy, and every array is kept. From what is returned or
assigned and is bad, the search goes back. An operand is to blame if the node is still bad when all others are mended:
so what a ``where`` does not choose, or a product with a strong zero drops, is not taken for the cause. Positions are
followed through ops that work element by element and through movements.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from lazygrad.backends.numpy import NumpyBackend
from lazygrad.define.kinds import Declared, Elementwise, Movement
from lazygrad.define.region import Region
from lazygrad.engine.machine import Hosted, region_kernel
from lazygrad.errors import Origin
from lazygrad.graph.spec import Spec
from lazygrad.ops.passing import _hook, _show
from lazygrad.ops.source import placeholder, variable
from lazygrad.plan import Plan, layer_of
from lazygrad.searching.finding import Finding, bad, ranged
from lazygrad.store.draws import Drawing

__all__ = ["Computed", "search"]

TRIES = 200  # of parts of a batch


class Computed:
    """A plan, computed once on NumPy, with every array; hooks are not called.

    Args:
        plan: what is run.
        given: NumPy arrays of its variables, placeholders and constants, by node.
        draw: what random numbers are drawn from.
        hooks: whether what shows a value or calls a hook does so.
        widened: what is done with every array before it is used, if anything.
    """

    def __init__(
        self,
        plan: Plan,
        given: dict[int, Any],
        draw: Drawing,
        hooks: bool = False,
        widened: Callable[[Any], Any] | None = None,
    ) -> None:
        self.plan, self.draw, self.hooks, self.widened = plan, draw, hooks, widened
        self.backend = NumpyBackend()
        self.given = dict(given)
        if plan.stream is not None:
            self.given[plan.stream] = draw.stream
        self.arrays: list[Any] = [None] * len(plan.graph.nodes)
        with np.errstate(all="ignore"):
            for i in range(len(self.arrays)):
                self.arrays[i] = self.value(i, self.arrays)

    def value(self, i: int, arrays: Sequence[Any]) -> Any:
        """The array of a node, given those of its operands."""
        if i in self.given:
            return self.given[i]
        return self.applied(i, [arrays[j] for j in self.plan.graph.nodes[i].inputs])

    def applied(self, i: int, operands: Sequence[Any]) -> Any:
        """What the kernel of a node gives for these operands."""
        node = self.plan.graph.nodes[i]
        op = node.op
        if not self.hooks and (node.of(_hook) or node.of(_show)):
            return operands[0]
        with np.errstate(all="ignore"):
            if isinstance(op, Region):
                y = region_kernel(self.plan, i, self.backend, self.draw)(*operands)
            elif isinstance(op, Declared) and op.random:
                y = op.kernel(self.draw(node.params["draw"]), *operands, **node.params)
            else:
                y = op.kernel(self.backend.xp, *operands, **node.params)
        if isinstance(y, (tuple, list)):
            return tuple(y)
        return np.asarray(y) if self.widened is None else self.widened(np.asarray(y))

    def again(self, changed: dict[int, Any], upto: int) -> Any:
        """The array of a node if some of what is given were other arrays."""
        arrays: dict[int, Any] = {}
        nodes = self.plan.graph.nodes
        for i in range(upto + 1):
            if i in changed:
                arrays[i] = changed[i]
            elif i not in self.given and any(j in arrays for j in nodes[i].inputs):
                arrays[i] = self.applied(i, [arrays.get(j, self.arrays[j]) for j in nodes[i].inputs])
        return arrays.get(upto, self.arrays[upto])


def search(computed: Computed, kind: str) -> Finding | None:
    """The first node that is bad though its operands are not, on the way to something returned or assigned."""
    for what, root in _roots(computed.plan):
        if _any(kind, computed.arrays[root]):
            return _Search(computed, kind, what, root).found()
    if kind == "inf":  # a NaN may come of one
        finding = search(computed, "nan")
        return finding if finding is not None and np.isinf(finding.first[1]) else None
    return None


def _roots(plan: Plan) -> Iterator[tuple[str, int]]:
    """What a run is made for, in words, with its nodes."""
    for k, i in enumerate(plan.values):
        yield ("the result" if len(plan.values) == 1 else f"result {k}"), i
    for name, i in plan.updates.items():
        yield f"the new value of variable {name!r}", i


def _any(kind: str, x: Any) -> bool:
    return any(_any(kind, y) for y in x) if isinstance(x, tuple) else bool(bad(kind, x).any())


class _Search:
    """One way back, from a root to where it begins."""

    def __init__(self, computed: Computed, kind: str, reaches: str, root: int) -> None:
        self.computed, self.kind, self.reaches, self.root = computed, kind, reaches, root
        self.plan, self.arrays = computed.plan, computed.arrays

    def found(self) -> Finding:
        """Where the way ends; from a NaN that infinite operands make on to what made these, if that was computed."""
        at, mask = self._back(self.root, self._mask(self.root, self.kind), self.kind)
        nodes = self.plan.graph.nodes
        if self._is_meant(at) and _any("nan", self.arrays[self.root]):
            return self._finding(*self._back(self.root, self._mask(self.root, "nan"), "nan"))
        if self.kind != "inf" and nodes[at].inputs and _any("nan", self.arrays[at]):
            for j in nodes[at].inputs:
                if _any("inf", self.arrays[j]) and not _any("nan", self.arrays[j]):
                    before, inside = self._back(j, self._mask(j, "inf"), "inf")
                    if nodes[before].inputs:
                        return self._finding(before, inside)
        return self._finding(at, mask)

    def _is_meant(self, i: int) -> bool:
        """Whether a node is infinite because somebody gave it so, as masks are: then a NaN begins elsewhere."""
        return not self.plan.graph.nodes[i].inputs and not _any("nan", self.arrays[i])

    def _mask(self, i: int, kind: str) -> Any:
        x = self.arrays[i]
        return None if isinstance(x, tuple) else bad(kind, x)

    def _back(self, i: int, mask: Any, kind: str) -> tuple[int, Any]:
        """From a node and its bad elements to the node where they begin."""
        while True:
            step = self._blamed(i, mask, kind)
            if step is None:
                return i, mask
            i, mask = step

    def _blamed(self, i: int, mask: Any, kind: str) -> tuple[int, Any] | None:
        """The operand that makes a node bad, with its elements that do; None if the node does so itself."""
        node, arrays = self.plan.graph.nodes[i], self.arrays
        wild = [k for k, j in enumerate(node.inputs) if _any(kind, arrays[j])]
        if i in self.computed.given or not wild:
            return None
        operands = [arrays[j] for j in node.inputs]
        for k in wild:
            if len(wild) == 1 and not isinstance(node.op, Elementwise):
                return node.inputs[k], self._moved(i, k, mask, kind)
            mended = [x if number == k else _mended(x) for number, x in enumerate(operands)]
            try:
                y = self.computed.applied(i, mended)
            except Exception:  # a kernel of the user's, with operands that it never had
                continue
            if isinstance(y, tuple) or mask is None:
                if _any(kind, y):
                    return node.inputs[k], self._mask(node.inputs[k], kind)
                continue
            still = bad(kind, y) & mask
            if still.any():
                return node.inputs[k], self._moved(i, k, still, kind)
        return None

    def _moved(self, i: int, k: int, mask: Any, kind: str) -> Any:
        """Which elements of an operand make these of a node bad."""
        node = self.plan.graph.nodes[i]
        j = node.inputs[k]
        own = self._mask(j, kind)
        if own is None or mask is None:
            return own
        if isinstance(node.op, Elementwise):
            found = own & _summed(mask, own.shape)
        elif isinstance(node.op, Movement) and len(node.inputs) == 1:
            places = self.computed.applied(i, [np.arange(1, own.size + 1).reshape(own.shape)])
            found = np.zeros(own.size + 1, bool)
            found[np.asarray(places, np.int64)[mask]] = True
            found = own & found[1:].reshape(own.shape)
        else:
            return own
        return found if found.any() else own

    # What is said of it.

    def _finding(self, i: int, mask: Any) -> Finding:
        plan, node, x = self.plan, self.plan.graph.nodes[i], self.arrays[i]
        if isinstance(x, tuple):
            x = next(y for y in x if _any(self.kind, y))
            mask = bad(self.kind, x)
        origin, turn = layer_of(plan.graph, i), None
        op, operands = node.op.name, tuple(self._operand(j) for j in node.inputs)
        if isinstance(node.op, Region):
            inner = _inside(self.computed, i)
            if inner is not None:
                op, origin, turn, operands, x = inner
                mask = bad("finite", x)
        first = tuple(int(place) for place in np.argwhere(mask)[0]) if mask.any() else ()
        rows, batch = self._rows(i, mask)
        named = {variable: "variable", placeholder: "argument"}
        op = next((word for kind, word in named.items() if node.of(kind)), "constant" if op == "_constant" else op)
        name = str(node.params["name"]) if node.of(variable) or node.of(placeholder) else ""
        return Finding(
            self.kind, op, name, origin, str(Spec(x.shape, x.dtype)), int(mask.sum()), x.size,
            (first, x[first].item()), operands, rows, batch, turn, self.reaches,
        )  # fmt: skip

    def _operand(self, j: int) -> str:
        x = self.arrays[j]
        said = ranged(x) if not isinstance(x, tuple) else "; ".join(map(ranged, x))
        return f"{self.plan.graph.describe(j)}:  {said}"

    def _rows(self, i: int, mask: Any) -> tuple[tuple[int, ...] | None, int]:
        """The rows of the arguments that make the root bad by way of a node, and how many there are."""
        nodes = self.plan.graph.nodes
        given = {j: self.arrays[j] for j in self._given(i) if self.arrays[j].ndim}
        sizes = [x.shape[0] for x in given.values()]
        size = max(set(sizes), key=sizes.count, default=0)
        if size < 2:
            return None, size
        guess = np.unique(np.argwhere(mask)[:, 0]) if mask.ndim and mask.shape[0] == size else np.zeros(0, int)
        if nodes[i].of(placeholder):
            return (tuple(map(int, guess)) if guess.size else None), size
        every = {j: self.arrays[j] for j in self.plan.placeholders.values()}
        rows = _Rows(self.computed, self.root, {j: x for j, x in every.items() if x.ndim and x.shape[0] == size}, size)
        return rows.found(self.kind, guess), size

    def _given(self, i: int) -> list[int]:
        """The placeholders that a node is computed from."""
        nodes, seen, stack = self.plan.graph.nodes, {i}, [i]
        while stack:
            fresh = [j for j in nodes[stack.pop()].inputs if j not in seen]
            stack += fresh
            seen.update(fresh)
        return sorted(seen & set(self.plan.placeholders.values()))


class _Rows:
    """Which rows of a batch make a root bad: those without which it is not, found by filling the batch with others."""

    def __init__(self, computed: Computed, i: int, given: dict[int, Any], size: int) -> None:
        self.computed, self.i, self.given, self.size = computed, i, given, size
        self.tries = 0

    def found(self, kind: str, guess: Any) -> tuple[int, ...] | None:
        """The rows, in order; None if it is bad whatever the rows, or if none is to blame alone."""
        everything = np.arange(self.size)
        others = np.setdiff1d(everything, guess)
        if guess.size and self._is_bad(kind, guess) and (not others.size or not self._is_bad(kind, others)):
            return tuple(map(int, guess))
        found = self._halved(kind, everything)
        rest = np.setdiff1d(everything, found)
        if not found or (rest.size and self._is_bad(kind, rest)):
            return None
        return tuple(map(int, found))

    def _is_bad(self, kind: str, rows: Any) -> bool:
        """Whether the root is bad in a batch of these rows alone, over and over."""
        self.tries += 1
        chosen = np.resize(rows, self.size)
        try:
            return _any(kind, self.computed.again({j: x[chosen] for j, x in self.given.items()}, self.i))
        except Exception:  # a kernel of the user's, with a batch that it never had
            return False

    def _halved(self, kind: str, rows: Any) -> list[int]:
        if self.tries > TRIES or not self._is_bad(kind, rows):
            return []
        if rows.size == 1:
            return [int(rows[0])]
        half = rows.size // 2
        parts = self._halved(kind, rows[:half]) + self._halved(kind, rows[half:])
        return parts or [int(r) for r in rows]


def _mended(x: Any) -> Any:
    """An array with one of its own finite numbers in place of what is not finite."""
    if isinstance(x, tuple):
        return tuple(map(_mended, x))
    if x.dtype.kind not in "fc":
        return x
    fine = np.isfinite(x)
    if fine.all():
        return x
    return np.where(fine, x, x[fine].flat[0] if fine.any() else x.dtype.type(0.5))


def _summed(mask: Any, shape: tuple[int, ...]) -> Any:
    """Whether any of the elements is marked that an element of an operand was repeated to."""
    ahead = mask.ndim - len(shape)
    mask = mask.any(axis=tuple(range(ahead))) if ahead else mask
    axes = tuple(k for k, size in enumerate(shape) if size == 1 and mask.shape[k] != 1)
    return mask.any(axis=axes, keepdims=True) if axes else mask


# Inside of loops.


class _Watched(Hosted):
    """A machine that remembers the first node of a body that is not finite though its operands are."""

    first: Any = None

    def _node(self, plan: Plan, i: int, at: list[int]) -> Callable[..., Any]:
        kernel, node = super()._node(plan, i, at), plan.graph.nodes[i]

        def watched(*operands: Any) -> Any:
            y = kernel(*operands)
            if self.first is None and node.inputs and _any("finite", _tupled(y)):
                if not any(_any("finite", _tupled(x)) for x in operands):
                    said = [f"{plan.graph.describe(j)}:  {ranged(x)}" for j, x in zip(node.inputs, operands)]
                    one = next(z for z in _tupled(y) if _any("finite", np.asarray(z)))
                    self.first = node.op.name, layer_of(plan.graph, i), at[0], tuple(said), np.array(one)
            return y

        return watched


def _tupled(y: Any) -> tuple[Any, ...]:
    return tuple(y) if isinstance(y, (tuple, list)) else (np.asarray(y),)


def _inside(computed: Computed, i: int) -> tuple[str, Origin, int, tuple[str, ...], Any] | None:
    """What in the body of a region is the first that is not finite, and in which turn; None if nothing is."""
    plan = computed.plan
    node = plan.graph.nodes[i]
    machine = _Watched(computed.backend, computed.draw, plan.origin(i), node.op.name)
    with np.errstate(all="ignore"):
        node.op.kernel(machine, *[computed.arrays[j] for j in node.inputs], **node.params)
    found: tuple[str, Origin, int, tuple[str, ...], Any] | None = machine.first
    return found
