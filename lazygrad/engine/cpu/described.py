"""The description of a repeat: what the driver must know to run a table again and again, as int64 numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lazygrad.engine.cpu.llvm_repeats import CARRY, READ, SETTING, WORDS

__all__ = ["Carry", "Description", "Read", "Setting"]

ENDLESS = 2**63 - 1


class Setting(NamedTuple):
    """An argument of the body: an array of the repeat from some byte on, which moves by so many bytes a turn."""

    number: int
    place: int
    start: int
    amount: int = 0


class Carry(NamedTuple):
    """The numbers of the arrays in which a carry lies: before the first turn, after the last, and between."""

    initial: int
    final: int
    other: int
    nbytes: int


class Read(NamedTuple):
    """An argument of the body: what a carry is, or what it is to become, from some byte on."""

    carry: int
    becomes: bool
    place: int
    start: int


class Description:
    """The numbers of a repeat, at an address that stays.

    Args:
        table: what is run in every turn.
        turns: how many there are, or at most are allowed, if there is a condition; None: as many as it says.
        settings, carries, reads: how the arguments depend on the turn.
        condition: the table that leaves 0 or 1 in the byte at ``flag``, if there is one.
        counted: the number of the array that is told how many turns there were; 0 if none is.
        backwards: whether turns are counted from the last to the first.
    """

    def __init__(
        self,
        table: NDArray[np.int64],
        turns: int | None,
        settings: Sequence[Setting],
        carries: Sequence[Carry],
        reads: Sequence[Read],
        condition: NDArray[np.int64] | None = None,
        flag: int = 0,
        counted: int = 0,
        backwards: bool = False,
    ) -> None:
        count = ENDLESS if turns is None else turns
        moving = [one for one in settings if one.amount]
        rows = [*moving, *(one for one in settings if not one.amount)]
        self._settings = np.array(rows, np.int64).reshape(-1, len(SETTING))
        self._carries = np.array([(*one, 0, 0) for one in carries], np.int64).reshape(-1, len(CARRY))
        begin, row = self._carries.ctypes.data, 8 * len(CARRY)
        cells = (8 * CARRY.index("read"), 8 * CARRY.index("written"))
        listed = [(begin + row * r.carry + cells[r.becomes], r.place, r.start) for r in reads]
        self._reads = np.array(listed, np.int64).reshape(-1, len(READ))
        self._table, self._condition = table, condition
        found = {
            "table": table.ctypes.data,
            "rows": len(table),
            "condition": 0 if condition is None else condition.ctypes.data,
            "conditions": 0 if condition is None else len(condition),
            "flag": flag,
            "limit": count,
            "settings": self._settings.ctypes.data,
            "moving": len(moving),
            "setting_count": len(rows),
            "carries": begin,
            "carry_count": len(carries),
            "reads": self._reads.ctypes.data,
            "read_count": len(reads),
            "elsewhere": int(condition is None and count % 2 == 0),
            "turn": 0,
            "first": count - 1 if backwards else 0,
            "step": -1 if backwards else 1,
            "counted": counted,
        }
        self._words = np.array([found[name] for name in WORDS], np.int64)

    @property
    def address(self) -> int:
        """Where the numbers begin."""
        return int(self._words.ctypes.data)

    @property
    def turn(self) -> int:
        """Where the number of the turn stands that is under way."""
        return self.address + 8 * WORDS.index("turn")
