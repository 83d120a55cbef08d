"""The pass that makes of the graph of a step, written for the whole batch, that of one worker."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from lazygrad.define.kinds import item
from lazygrad.define.region import Region, parameter
from lazygrad.distribute import batched, indexing  # noqa: F401 - they have rules
from lazygrad.distribute.regions import shared_region
from lazygrad.distribute.rules import rule_of
from lazygrad.distribute.sharing import Inside, Sharing
from lazygrad.distribute.states import PART, WHOLE, Split, State, Value
from lazygrad.errors import report
from lazygrad.graph.body import Body
from lazygrad.graph.graph import Graph, Node, writing
from lazygrad.graph.spec import Spec
from lazygrad.ops.passing import _after, _show
from lazygrad.ops.source import _replicated, assign, placeholder
from lazygrad.ops.workers import _total
from lazygrad.rewrite.passes import prune
from lazygrad.workers.among import Among

__all__ = ["of_one_worker"]


def of_one_worker(graph: Graph, rows: Mapping[str, int], among: Among) -> Graph:
    """What one worker computes of a step.

    Args:
        graph: the step for the whole batch, after all passes.
        rows: for every placeholder whose rows are shared out, how many there are.
        among: the workers.
    """
    return prune(_Walk(graph, rows, among).run())


class _Walk:
    """A graph while it becomes that of one worker; also a body of a loop, whose inputs have states."""

    def __init__(
        self, graph: Graph, rows: Mapping[str, int], among: Among, inputs: Sequence[State] | None = None
    ) -> None:
        self.graph, self.rows, self.among = graph, rows, among
        made = Graph(graph.dtype)
        made.constants, made.rewrites = graph.constants, graph.rewrites
        self.to = Sharing(made, among, inputs is not None)
        self.given = iter(inputs or ())
        self.readers = Counter([j for node in graph.nodes for j in set(node.inputs)] + list(graph.roots))
        self.now: list[Any] = []  # of every node a Value, or a tuple of them where there are several results

    def run(self) -> Graph:
        """The graph of this worker; what is asked for is whole."""
        self.write()
        made = self.to.made
        roots = []
        with self._writing():
            for i in self.graph.roots:
                made.origin = self.graph.origins[i]
                value = self.now[i]
                roots.append(self.to.whole(value).index if isinstance(value, Value) else self._root(value))
        made.roots = tuple(roots)
        return made

    @contextmanager
    def _writing(self) -> Iterator[None]:
        made, height = self.to.made, len(writing.graphs)
        try:
            writing.graphs.append(made)
            yield
        finally:
            del writing.graphs[height:]
            made.origin = None

    def _root(self, values: Sequence[Value]) -> int:
        """Of a region that is asked for because it acts: any result, of which the region is the operand."""
        index = values[0].local.index
        node = self.to.made.nodes[index]
        return node.inputs[0] if node.of(item) else index

    def write(self) -> None:
        """All nodes, in order."""
        made = self.to.made
        with self._writing():
            for i, node in enumerate(self.graph.nodes):
                made.origin = self.graph.origins[i]
                self.now.append(self._written(i, node))

    def _written(self, i: int, node: Node) -> Any:
        to = self.to
        if node.of(item):
            found = self.now[node.inputs[0]]
            return self._item(found, node) if isinstance(found, Value) else found[node.params["index"]]
        given = [self._given(j) for j in node.inputs]
        if not given:
            return self._source(node)
        if node.of(_total) or node.of(_replicated):  # of the whole batch every value is the total already
            return given[0]
        if isinstance(node.op, Region):
            return self._region(i, node, given)
        if all(v.is_whole for v in given) and not node.of(_show):
            return to.copied(node, [v.local for v in given])
        if node.of(_after):
            return self._after(node, given)
        if node.of(assign) or not node.op.pure:
            return self._acting(node, given)
        rule = rule_of(node)
        found = None if rule is None else rule(to, node, given)
        if found is None:
            if any(v.split is not None for v in given):
                self._say(i, node)
            found = to.copied(node, [to.whole(v) for v in given])
        return found

    def _given(self, j: int) -> Any:
        """An operand. Parts that several read are added up at once: whoever reads them would else add up his own."""
        value = self.now[j]
        if isinstance(value, Value) and value.state is PART and self.readers[j] > 1 and not self.to.is_body:
            value = self.now[j] = Value(self.to.whole(value), WHOLE, value.shape)
        return value

    def _source(self, node: Node) -> Value:
        made, spec = self.to.made, node.spec
        assert isinstance(spec, Spec)
        if node.of(placeholder) and node.params["name"] in self.rows:
            split = Split(0, 1, self.rows[node.params["name"]], 1)
            shape = self.to.local_shape(spec.shape, split)
            settings = {"name": node.params["name"], "shape": shape, "dtype": spec.dtype}
            return Value(made.apply(node.op, (), settings, tuple(settings.values())), split, spec.shape)
        if node.of(parameter):
            state = next(self.given, WHOLE)
            shape = self.to.local_shape(spec.shape, state)
            settings = {"shape": shape, "dtype": spec.dtype, "number": node.params["number"]}
            return Value(made.apply(node.op, (), settings, tuple(settings.values())), state, spec.shape)
        return Value(made.apply(node.op, (), node.params, node.key), WHOLE, spec.shape)

    def _item(self, found: Value, node: Node) -> Value:
        assert isinstance(node.spec, Spec)
        return Value(item(found.local, index=node.params["index"]), WHOLE, node.spec.shape)

    def _after(self, node: Node, given: Sequence[Value]) -> Value:
        first = given[0]
        return Value(self.to.again(node, [v.local for v in given]), first.state, first.shape)

    def _acting(self, node: Node, given: Sequence[Value]) -> Value:
        """What is seen to happen is of the whole; the first worker alone prints."""
        operands = [self.to.whole(v) for v in given]
        if node.of(_show) and self.among.rank > 0:
            return Value(operands[0], WHOLE, given[0].shape)
        return self.to.copied(node, operands)

    def _region(self, i: int, node: Node, given: Sequence[Value]) -> Any:
        found = None
        if any(not v.is_whole for v in given) and node.op.pure:
            with suppress(Inside):
                found = shared_region(self.to, node, given, self._body)
        if found is None:
            if any(v.split is not None for v in given):
                self._say(i, node)
            whole = self.to.copied(node, [self.to.whole(v) for v in given])
            if isinstance(node.spec, Spec):
                return whole
            return tuple(Value(item(whole.local, index=k), WHOLE, s.shape) for k, s in enumerate(node.spec))
        return found[0] if isinstance(node.spec, Spec) else tuple(found)

    def _body(self, body: Body, states: Sequence[State], wanted: Sequence[State | None]) -> tuple[Body, list[State]]:
        """A body for inputs in these states, and the states of its outputs, of which some are wanted.

        Raises:
            Inside: workers would have to exchange something in it.
        """
        walk = _Walk(body.graph, {}, self.among, states)
        walk.write()
        outputs, found = [], []
        made = walk.to.made
        with walk._writing():
            for i, want in zip(body.outputs, wanted, strict=True):
                made.origin = body.graph.origins[i]
                value = walk.now[i]
                state = value.state if want is None else want
                x = value.local if state == value.state else _brought(walk.to, value, state)
                outputs.append(x.index)
                found.append(state)
        inputs = [walk.now[i].local.index for i in body.inputs]
        made.roots = (*inputs, *outputs)
        new = prune(made)
        new.open = False
        count = len(inputs)
        return Body(new, new.roots[:count], new.roots[count:]), found

    def _say(self, i: int, node: Node) -> None:
        """Warn that an op is computed of all rows on every worker."""
        if self.to.is_body:
            return
        cure = "It is right, and costs an exchange of all rows; the result is not shared out among the workers."
        what = f"the rows of all workers are brought together for {node.op.name}"
        warnings.warn(report(what, at=self.graph.origins[i], cure=cure), RuntimeWarning, stacklevel=2)


def _brought(to: Sharing, value: Value, state: State) -> Any:
    if state is WHOLE:
        return to.whole(value)
    return to.part(value) if state is PART else to.split(value, state)
