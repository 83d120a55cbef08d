"""The bodies of loops in exported code: tables and descriptions as in ``engine/cpu/stretches.py``, of spots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lazygrad.engine.table.described import CARRY, CLEARED, ENDLESS, READ, SETTING, WORDS, Carry, Read
from lazygrad.engine.table.native import Inside, Instruction, Native, NumpyCall, Repeat
from lazygrad.export.spots import Image, Spot, Word

__all__ = ["described"]

Spots = dict[Any, Word]


def described(native: Native, spots: Spots, fixed: Mapping[Native, Spots], image: Image) -> None:
    """Enter the spots of the descriptions of all repeats of ``native`` into ``spots``.

    Args:
        native: a plan's code, or that of a body.
        spots: where its arrays lie.
        fixed: for the code of every body where the arrays lie that are the same in every run.
        image: takes tables and descriptions in.
    """
    for step in native.program:
        if isinstance(step, Repeat):
            base = spots["arena", step.node]
            assert isinstance(base, Spot)
            stretches = [_Stretch(use, base, fixed, image) for use in step.uses]
            found = _descriptions(step, stretches, spots["flag", step.node], image)
            spots["description", step.node] = found[0] if len(step.bodies) == 1 else image.addresses(found)


class _Stretch:
    """The table of a body, and how its arguments depend on the turn."""

    def __init__(self, use: Inside, base: Spot, fixed: Mapping[Native, Spots], image: Image) -> None:
        native, size = use.native, image.pointer
        spots: Spots = {key: base + buffer.offset for key, buffer in native.buffers.items()}
        spots |= fixed[native]
        described(native, spots, fixed, image)
        block = image.addresses([_moved(spots.get(key, 0), start) for key, start in native.block])
        self.settings = [(s.number, block + size * s.place, s.start, s.amount) for s in use.settings]
        self.reads = [(r, block + size * r.place) for r in use.reads]
        rows: list[Word] = []
        begin = block
        for step in native.program:
            assert not isinstance(step, NumpyCall)
            rows += _row(step, begin)
            begin += size * len(step.arguments)
        self.table, self.rows = image.words(rows), len(native.program)


def _moved(place: Word, start: int) -> Word:
    return place + start if isinstance(place, Spot) else 0


def _row(step: Instruction | Repeat, begin: Spot) -> list[Word]:
    """The row of a table for what has its arguments at a spot; exported code has one thread."""
    if isinstance(step, Repeat):
        return [Spot("@either" if len(step.bodies) > 1 else "@repeat"), begin, 1, 0]
    return [Spot(f"@{step.name}"), begin, step.chunks, 2 * step.flush]


def _descriptions(step: Repeat, stretches: Sequence[_Stretch], flag: Word, image: Image) -> list[Spot]:
    """That of a loop, or those of the bodies of which one is chosen."""
    if step.condition is None:
        return [_description(step, s, None, flag, image) for s in stretches]
    asked, body = stretches
    return [_description(step, body, asked, flag, image)]


def _description(step: Repeat, body: _Stretch, asked: _Stretch | None, flag: Word, image: Image) -> Spot:
    turns = ENDLESS if step.loop.turns is None else step.loop.turns
    both = [body] if asked is None else [asked, body]
    settings = sorted([one for s in both for one in s.settings], key=lambda one: not one[3])
    reads = [one for s in both for one in s.reads]
    carries = _carries(step.carries, image)
    found: dict[str, Word] = {
        "table": body.table,
        "rows": body.rows,
        "condition": 0 if asked is None else asked.table,
        "conditions": 0 if asked is None else asked.rows,
        "flag": 0 if asked is None else flag,
        "limit": turns,
        **_listed("settings", "setting_count", settings, SETTING, image),
        "moving": sum(one[3] != 0 for one in settings),
        "carries": carries,
        "carry_count": len(step.carries),
        **_listed("reads", "read_count", [(_cell(carries, r), at, r.start) for r, at in reads], READ, image),
        **_listed("cleared", "cleared_count", step.cleared, CLEARED, image),
        "elsewhere": int(asked is None and turns % 2 == 0),
        "counted": step.counted,
        "limited": step.limited,
        "backwards": int(step.loop.backwards),
        "flush": int(step.flush),
    }
    return image.words([found[name] for name in WORDS])


def _carries(carries: Sequence[Carry], image: Image) -> Spot:
    return image.words([word for one in carries for word in (*one, 0, 0)])


def _cell(carries: Spot, read: Read) -> Spot:
    """The number that says where a carry lies."""
    return carries + 8 * (len(CARRY) * read.carry + CARRY.index("written" if read.becomes else "read"))


def _listed(
    begin: str, count: str, rows: Sequence[Sequence[Word]], names: Sequence[str], image: Image
) -> dict[str, Word]:
    assert all(len(row) == len(names) for row in rows)
    return {begin: image.words([word for row in rows for word in row]), count: len(rows)}
