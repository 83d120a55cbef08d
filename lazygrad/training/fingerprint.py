"""Fingerprints of data and steps, by which a checkpoint knows the training that it belongs to.

They are the same in every process, on every machine and with every Python: no address, no hash of Python, no code
object is in them. A step's is of the graph that it writes, node by node: what it means, not how it is written down.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lazygrad.graph.body import Body
from lazygrad.graph.graph import Graph, Op
from lazygrad.graph.spec import Spec
from lazygrad.training.data import Table, pieces
from lazygrad.training.sources import Source
from lazygrad.training.steps import Step
from lazygrad.training.streams import Stream

__all__ = ["Fingerprint", "of_data", "of_graph", "of_stream"]


class Fingerprint(NamedTuple):
    """What a training is of; it goes on only from a checkpoint of the same."""

    settings: Mapping[str, Any]  # numbers
    texts: Mapping[str, str]  # what the data are
    steps: Mapping[str, Any]  # numbers for nodes
    graphs: Mapping[str, Graph]  # and the nodes
    metrics: Sequence[str]
    variables: Mapping[str, Spec]  # all that there will be, those that the step registers at its first call included
    chosen: bool  # whether somebody chose the seed

    @classmethod
    def of(
        cls, step: Step, source: Source, held_out: tuple[Step, Source, Sequence[str]] | None, weights: Any, chosen: bool
    ) -> Fingerprint:
        """That of a training whose steps have been checked.

        Args:
            step: the step.
            source: of what it is trained with.
            held_out: the step, the source and the metrics of validation, or None.
            weights: of the classes, as a value that is written down.
            chosen: whether somebody chose the seed.
        """
        sources, checked = {"data": source}, {"step": step}
        measured: Sequence[str] = ()
        if held_out is not None:
            checked["evaluate"], sources["validation"], measured = held_out
        texts = {
            f"{key}/{k}": of_stream(table) if isinstance(one, Stream) else of_data(table)
            for key, one in sources.items()
            for k, table in enumerate(one.tables)
        }
        if weights is not None:
            texts["class_weight"] = _told(weights)
        graphs = {key: one.graph for key, one in checked.items() if one.graph is not None}
        steps = {key: of_graph(graph, checked[key].constants) for key, graph in graphs.items()}
        new = {path: Spec(tuple(array.shape), array.dtype) for path, array in step.initial.items()}
        variables = {v.path: v.spec for v in step.env} | new
        metrics = [*step.metrics, *measured]
        return cls(source.settings(), texts, steps, graphs, metrics, variables, chosen)

    def node(self, step: str, place: int) -> str:
        """What messages call a node of a step."""
        graph = self.graphs[step]
        return f"{graph.origins[place].text}   {graph.describe(place)}" if place < len(graph) else "what it returns"


def of_data(table: Table) -> str:
    """Name, dtype, shape, and SHA-256 of the numbers, to half its length."""
    array, digest = table.array, hashlib.sha256()
    for _, piece in pieces(np.atleast_1d(array)):
        little = np.ascontiguousarray(piece.astype(piece.dtype.newbyteorder("<"), copy=False))
        digest.update(little.reshape(-1).view(np.uint8).data)
    return f"{table.name}: {array.dtype}[{', '.join(map(str, array.shape))}], {digest.hexdigest()[:32]}"


def of_stream(table: Table) -> str:
    """Name, dtype and axes of what comes batch by batch, of which nobody knows the numbers beforehand."""
    return f"{table.name}: {table.dtype}, {table.array.ndim} axes, batch by batch"


def of_graph(graph: Graph, constants: Sequence[Any]) -> Any:
    """A number of 32 bits for every node and everything before it, the last one for what the step returns; uint32.

    Args:
        graph: the graph of a step, which has ended.
        constants: the arrays that its nodes refer to by number.
    """
    found: list[int] = []
    for node in graph.nodes:
        params = {key: constants[value] if key == "number" else value for key, value in node.params.items()}
        text = f"{node.op.name} {node.inputs} {node.spec} {_told(params)}"
        found.append(zlib.crc32(text.encode(), found[-1] if found else 0))
    ends = f"{graph.roots!r}{graph.halves or ''}"
    return np.array([*found, zlib.crc32(ends.encode(), found[-1] if found else 0)], np.uint32)


def _told(value: Any) -> str:
    """A setting as text that is the same wherever the setting is."""
    if value is None or isinstance(value, (bool, int, str)):
        return repr(value)
    if isinstance(value, float):
        return struct.pack(">d", value).hex()
    if isinstance(value, (np.dtype, np.ndarray, np.generic)):
        return str(value) if isinstance(value, np.dtype) else _of_array(np.asarray(value))
    if isinstance(value, Graph):
        return str(of_graph(value, value.constants).tolist())
    if isinstance(value, Body):  # the numbers of its parameters stand for themselves
        places = value.inputs, value.outputs, value.effects
        return f"{of_graph(value.graph, range(len(value.graph) + 1)).tolist()} {places}"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_told(key)}: {_told(item)}' for key, item in value.items())}}}"
    if isinstance(value, slice):
        return f"slice{_told((value.start, value.stop, value.step))}"
    if isinstance(value, Sequence):
        return f"({', '.join(map(_told, value))})"
    if isinstance(value, Op):
        return f"op {value.name}"
    named = value if hasattr(value, "__qualname__") else type(value)
    return f"{named.__module__}.{named.__qualname__}"


def _of_array(array: Any) -> str:
    if array.dtype.hasobject:
        return f"{array.dtype}{array.shape}"
    return of_data(Table("", np.ascontiguousarray(array), (), array.dtype))
