"""The bodies of repeats with their addresses filled in, for the driver."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lazygrad.engine.cpu import driver
from lazygrad.engine.table.described import Description
from lazygrad.engine.table.native import Inside, Instruction, Native, NumpyCall, Repeat, Step
from lazygrad.graph.spec import Spec

__all__ = ["describe", "row", "statics"]

Addresses = dict[Any, int]
Code = Mapping[str, int]
Statics = Mapping[Native, Mapping[Any, Any]]


def statics(native: Native, xp: Any) -> dict[Native, dict[Any, Any]]:
    """For native code, and for that of all bodies in it, what is read that no input changes, computed once."""
    found = {native: _statics(native, xp)}
    for step in native.program:
        for use in step.uses if isinstance(step, Repeat) else ():
            found |= statics(use.native, xp)
    return found


def _statics(native: Native, xp: Any) -> dict[Any, Any]:
    plan = native.plan
    nodes = plan.graph.nodes
    wanted = {key for key, _ in native.block} | {view.buffer for view in native.called_views()}
    wanted |= set(plan.values)
    needed = bytearray(len(nodes))
    for i in range(len(nodes) - 1, -1, -1):
        if plan.static[i] and i not in plan.constants and (i in wanted or needed[i]):
            needed[i] = 1
            for j in nodes[i].inputs:
                needed[j] = 1
    made: dict[Any, Any] = {}
    for i, node in enumerate(nodes):
        if needed[i]:
            op = node.op
            with np.errstate(all="ignore"):
                result = op.kernel(xp, *[made[j] for j in node.inputs], **node.params)
            if isinstance(node.spec, Spec):
                result = np.array(result, order="C")
                plan.check(i, [result])
            else:
                plan.check(i, result)
            made[i] = result
    return made


def row(step: Instruction | Repeat, codes: Code, begin: int) -> list[int]:
    """The row of the table for what has its arguments at an address."""
    if isinstance(step, Repeat):
        return [driver.repeat_address("either" if len(step.bodies) > 1 else "repeat"), begin, 1, 0]
    return [codes[step.name], begin, step.chunks, int(step.chunks > 1) + 2 * step.flush]


def describe(program: Sequence[Step], addresses: Addresses, codes: Code, known: Statics) -> list[Any]:
    """Enter the addresses of the descriptions of all repeats; what must live as long as they are used."""
    kept: list[Any] = []
    for step in program:
        if isinstance(step, Repeat):
            base = addresses["arena", step.node]
            stretches = [_Stretch(use, base, codes, known) for use in step.uses]
            made = _descriptions(step, stretches, addresses["flag", step.node])
            one = made[0].address
            if len(step.bodies) > 1:
                pair = np.array([each.address for each in made], np.int64)
                kept.append(pair)
                one = pair.ctypes.data
            addresses["description", step.node] = one
            kept += [stretches, made]
    return kept


def _descriptions(step: Repeat, stretches: Sequence[_Stretch], flag: int) -> list[Description]:
    """That of a loop, or those of the bodies of which one is chosen."""
    more: dict[str, Any] = {
        "counted": step.counted,
        "limited": step.limited,
        "backwards": step.loop.backwards,
        "cleared": step.cleared,
        "flush": step.flush,
    }
    turns = step.loop.turns
    if step.condition is not None:
        asked, body = stretches
        settings, reads = [*asked.settings, *body.settings], [*asked.reads, *body.reads]
        return [Description(body.table, turns, settings, step.carries, reads, asked.table, flag, **more)]
    return [Description(s.table, turns, s.settings, step.carries, s.reads, **more) for s in stretches]


class _Stretch:
    """The table of a body, with all arguments that are the same in every turn."""

    def __init__(self, use: Inside, base: int, codes: Code, known: Statics) -> None:
        native = use.native
        addresses = {key: base + buffer.offset for key, buffer in native.buffers.items()}
        addresses |= {key: x.ctypes.data for key, x in known[native].items() if isinstance(x, np.ndarray)}
        self._kept = describe(native.program, addresses, codes, known), known
        missing = [key for key, _ in native.block if key not in addresses and key not in native.moving]
        assert not missing, missing
        self._block = np.array([start + addresses.get(key, 0) for key, start in native.block] or [0], np.int64)
        begin, rows = int(self._block.ctypes.data), []
        self.settings = [s._replace(place=begin + 8 * s.place) for s in use.settings]
        self.reads = [r._replace(place=begin + 8 * r.place) for r in use.reads]
        for step in native.program:
            assert not isinstance(step, NumpyCall)
            rows.append(row(step, codes, begin))
            begin += 8 * len(step.arguments)
        self.table: NDArray[np.int64] = np.array(rows, np.int64).reshape(-1, driver.COLUMNS)
