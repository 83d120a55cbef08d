"""Laying out buffers in one block."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lazygrad.engine.memory import ALIGNMENT, Buffer, lay_out
from lazygrad.graph.spec import Spec


def buffer(size: int, first: int, last: int) -> Buffer:
    """A buffer of ``size`` bytes that lives from ``first`` to ``last``."""
    return Buffer(Spec((size,), np.dtype(np.uint8)), first, last)


def overlap(a: Buffer, b: Buffer) -> bool:
    """Whether two buffers share a byte at the same time."""
    in_time = a.first <= b.last and b.first <= a.last
    in_space = a.offset < b.offset + b.nbytes and b.offset < a.offset + a.nbytes
    return in_time and in_space


LIVES = st.lists(st.tuples(st.integers(0, 500), st.integers(0, 30), st.integers(0, 10)), max_size=40)


@given(LIVES)
def test_no_two_living_buffers_overlap(lives: list[tuple[int, int, int]]) -> None:
    """Whatever the sizes and lives, buffers that live at once lie apart."""
    buffers = [buffer(size, first, first + length) for size, first, length in lives]
    lay_out(buffers)
    clashes = [(a, b) for i, a in enumerate(buffers) for b in buffers[:i] if overlap(a, b)]
    assert clashes == []


@given(LIVES)
def test_every_buffer_lies_aligned_within_the_block(lives: list[tuple[int, int, int]]) -> None:
    """Offsets are multiples of the alignment, and no buffer passes the end."""
    buffers = [buffer(size, first, first + length) for size, first, length in lives]
    total = lay_out(buffers)
    assert [b for b in buffers if b.offset % ALIGNMENT or b.offset < 0 or b.offset + b.nbytes > total] == []


def test_a_dead_buffer_gives_its_room_to_the_next() -> None:
    """A chain of equal buffers needs room for two."""
    buffers = [buffer(64, i, i + 1) for i in range(100)]
    assert lay_out(buffers) == 128


def test_neighbouring_gaps_become_one() -> None:
    """Two small buffers that die make room for a large one."""
    small, other, large = buffer(64, 0, 1), buffer(64, 0, 1), buffer(128, 2, 3)
    assert lay_out([small, other, large]) == 128
    assert large.offset == 0


def test_a_gap_at_the_end_grows() -> None:
    """A buffer larger than the last gap begins where the gap begins."""
    kept, dead, large = buffer(64, 0, 9), buffer(64, 0, 1), buffer(256, 2, 3)
    assert lay_out([kept, dead, large]) == 64 + 256


def test_many_living_buffers_are_laid_out_in_linear_time() -> None:
    """Ten thousand buffers that all live to the end are no burden."""
    buffers = [buffer(64, i, 10_000) for i in range(10_000)]
    assert lay_out(buffers) == 640_000
