"""Random words: the stream that a step draws from, the words of a draw, and the streams of the turns of a loop."""

from __future__ import annotations

from typing import Any

import numpy as np

from lazygrad.define import elementwise, flat, source
from lazygrad.define.counted import counted
from lazygrad.define.region import BodyGraph
from lazygrad.graph.graph import Graph
from lazygrad.graph.spec import Shape
from lazygrad.graph.tensor import Array, Tensor
from lazygrad.philox import TURNS, words

__all__ = ["STREAM", "stream_of", "turned", "words_of"]

STREAM = (2,), np.dtype(np.uint64)  # shape and dtype of a stream


@source(given=True)
def _stream(xp: Any, *, shape: Shape, dtype: Any) -> Any:
    """The key of the environment's seed, and how many runs have drawn before this one."""
    raise NotImplementedError


@elementwise(vjp=flat)
def _word(xp: Any, place: Array, key: Array, run: Array, *, draw: int, shape: Shape, dtype: Any) -> Any:
    """One word of a draw."""
    return xp.random_word(place, key, run, draw, dtype)


@counted(_word)
def _words(xp: Any, stream: Array, *, draw: int, shape: Shape, dtype: Any) -> Any:
    """The random words of a draw: a pure function of the stream, of the draw's number, and of each element's place."""
    return words(xp, stream, draw, shape, dtype)


@elementwise(vjp=flat)
def _word_from(
    xp: Any, place: Array, key: Array, run: Array, *, draw: int, begin: int, shape: Shape, dtype: Any
) -> Any:
    """One word of a draw, counted from ``begin`` on."""
    return xp.random_word(xp.add(place, begin), key, run, draw, dtype)


@counted(_word_from)
def _words_from(xp: Any, stream: Array, *, draw: int, begin: int, shape: Shape, dtype: Any) -> Any:
    """The random words of a draw from number ``begin`` on: those of some rows of a larger draw."""
    return words(xp, stream, draw, shape, dtype, begin)


@elementwise(vjp=flat)
def _turned_word(xp: Any, place: Array, key: Array, run: Array, turn: Array, *, shape: Shape, dtype: Any) -> Any:
    """One of the two words of the stream of a turn."""
    return xp.random_word(xp.add(place, xp.multiply(turn.astype(np.uint64), 2)), key, run, TURNS, dtype)


@counted(_turned_word)
def _turned(xp: Any, stream: Array, turn: Array, *, shape: Shape, dtype: Any) -> Any:
    """The stream of one turn of a loop, made of that of the loop."""
    place = xp.arange(2, dtype=np.uint64) + turn.astype(np.uint64) * np.uint64(2)
    return xp.random_word(place, stream[0], stream[1], TURNS, np.dtype(np.uint64))


def stream_of(graph: Graph) -> Tensor:
    """The stream that draws read where the graph is being written: that of the step, or that of a turn of its loops."""
    graph = graph.innermost()
    if graph.stream is None:
        step = graph.outermost
        if step.stream is None:
            shape, dtype = STREAM
            step.stream = _stream.write(step, shape=shape, dtype=dtype).index
        stream = graph.lifted(step.tensor(step.stream))
        for turn in graph.turns() if isinstance(graph, BodyGraph) else []:
            stream = turned(stream, graph.lifted(turn))
        graph.stream = stream.index
    return graph.tensor(graph.stream)


def turned(stream: Tensor, turn: Tensor) -> Tensor:
    """The stream of turn number ``turn``, a single whole number, of a loop that draws from ``stream``.

    Streams of different turns, and of loops in turns of loops, never share numbers, but for a chance of 2⁻¹²⁸ a pair.
    """
    shape, dtype = STREAM
    return _turned(stream, turn, shape=shape, dtype=dtype)


def words_of(graph: Graph, draw: int, shape: Shape, dtype: Any) -> Tensor:
    """The random words, uint32 or uint64, of the draw with this number."""
    return _words(stream_of(graph), draw=draw, shape=shape, dtype=np.dtype(dtype))
