"""The description of a repeat: what the driver must know to run a table again and again, as int64 numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["CARRY", "CLEARED", "READ", "SETTING", "WORDS", "Carry", "Description", "Read", "Setting"]

# The words of a description and of its parts, in order; what each means is said in ``engine/cpu/llvm_repeats.py``.
WORDS = (
    *("table", "rows", "condition", "conditions", "flag", "limit", "settings", "moving", "setting_count"),
    *("carries", "carry_count", "reads", "read_count", "cleared", "cleared_count"),
    *("elsewhere", "counted", "limited", "backwards", "flush"),
)
SETTING = ("number", "place", "start", "amount")
CARRY = ("from", "to", "other", "bytes", "read", "written")
READ = ("cell", "place", "start")
CLEARED = ("number", "bytes")

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
        limited: the number of the array that says how many of the turns are made; 0 if all are.
        backwards: whether arrays move from their ends.
        cleared: numbers of arrays that begin as zeros, with their bytes.
        flush: whether results below the least normal number become zero.
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
        limited: int = 0,
        backwards: bool = False,
        cleared: Sequence[tuple[int, int]] = (),
        flush: bool = False,
    ) -> None:
        count = ENDLESS if turns is None else turns
        ordered = sorted(settings, key=lambda one: not one.amount)
        self._settings = _rows(ordered, len(SETTING))
        self._carries = _rows([(*one, 0, 0) for one in carries], len(CARRY))
        self._reads = _rows([(self._cell(read), read.place, read.start) for read in reads], len(READ))
        self._cleared = _rows(cleared, len(CLEARED))
        self._tables = table, condition
        found = {
            **_of("table", "rows", table),
            **_of("condition", "conditions", condition),
            **_of("settings", "setting_count", self._settings),
            **_of("carries", "carry_count", self._carries),
            **_of("reads", "read_count", self._reads),
            **_of("cleared", "cleared_count", self._cleared),
            "moving": sum(one.amount != 0 for one in settings),
            "flag": flag,
            "limit": count,
            "elsewhere": int(condition is None and count % 2 == 0),
            "counted": counted,
            "limited": limited,
            "backwards": int(backwards),
            "flush": int(flush),
        }
        self._words = np.array([found[name] for name in WORDS], np.int64)

    def _cell(self, read: Read) -> int:
        """The address of the number that says where a carry lies."""
        column = CARRY.index("written" if read.becomes else "read")
        return int(self._carries.ctypes.data) + 8 * (len(CARRY) * read.carry + column)

    @property
    def address(self) -> int:
        """Where the numbers begin."""
        return int(self._words.ctypes.data)


def _rows(numbers: Sequence[Sequence[int]], columns: int) -> NDArray[np.int64]:
    """A list as the driver goes through it."""
    return np.array(numbers, np.int64).reshape(-1, columns)


def _of(begin: str, count: str, rows: NDArray[np.int64] | None) -> dict[str, int]:
    """Where rows begin, and how many they are."""
    return {begin: 0, count: 0} if rows is None else {begin: rows.ctypes.data, count: len(rows)}
