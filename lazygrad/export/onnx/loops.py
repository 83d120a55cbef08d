"""Graphs within the graph: bodies of loops and of choices, which see what has been written around them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lazygrad.export.onnx.writer import Value, Writer, graph_of
from lazygrad.graph.spec import Spec

__all__ = ["COUNT", "Within", "counted", "turns", "valued"]

COUNT = np.dtype(np.int64)


def counted(writer: Writer, count: int) -> Value:
    """0, 1, 2, … as int64."""
    start, step = (writer.constant(np.int64(n)) for n in (0, 1))
    end = writer.constant(np.int64(count), "size")
    return writer.made("Range", start, end, step, shape=(count,), dtype=np.int64)


class Within:
    """A graph within another one, that is being written.

    Args:
        outer: the writer of the graph around it.
        name: of the graph.

    Attributes:
        writer: of the graph.
        inputs: what it is given.
    """

    def __init__(self, outer: Writer, name: str) -> None:
        self.writer, self.name = outer.sub(), name
        self.inputs: list[Value] = []

    def given(self, word: str, shape: Sequence[int], dtype: Any) -> Value:
        """An input."""
        self.inputs.append(Value(self.writer, self.writer.fresh(word), Spec(tuple(shape), np.dtype(dtype))))
        return self.inputs[-1]

    def seen(self, values: Sequence[Value]) -> list[Value]:
        """What lies around it, as it is read within."""
        return [Value(self.writer, value.name, value.spec, value.number) for value in values]

    def closed(self, outputs: Sequence[Value]) -> Any:
        """The graph."""
        return graph_of(self.writer, self.writer.fresh(self.name), self.inputs, outputs)


def valued(writer: Writer, names: str | Sequence[str], specs: Sequence[Spec]) -> list[Value]:
    """The results of a node."""
    listed = [names] if isinstance(names, str) else names
    return [Value(writer, name, spec) for name, spec in zip(listed, specs, strict=True)]


def turns(
    writer: Writer,
    count: int | Value,
    first: Sequence[Value],
    turn: Callable[[Within, Value, list[Value]], Sequence[Value]],
    again: Callable[[list[Value]], Value] | None = None,
) -> list[Value]:
    """A Loop of at most ``count`` turns.

    Args:
        writer: of the graph around it.
        count: how many turns there are.
        first: the values before the first turn.
        turn: what it makes of its number and of the values before it, in the graph that it is given.
        again: of the values after a turn whether there is to be another one; None: there is.
    """
    graph = Within(writer, "turn")
    number, holds = graph.given("turn", (), COUNT), graph.given("holds", (), np.bool_)
    before = [graph.given("carry", x.shape, x.dtype) for x in first]
    after = list(turn(graph, number, before))
    body = graph.closed([holds if again is None else again(after), *after])
    limit = count.name if isinstance(count, Value) else writer.constant(np.int64(count), "turns")
    always = writer.constant(np.bool_(True), "always")
    names = writer.node("Loop", [limit, always, *[x.name for x in first]], len(first), body=body)
    return valued(writer, names, [x.spec for x in first])
