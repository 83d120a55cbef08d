"""Long rows of boxes put together, so that no box has more children than one can take in."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import TypeVar

__all__ = ["MOST", "shortened"]

MOST = 15  # children of a box
MANY = 60  # of which the smallest are looked for
PERIODS = 8  # the longest pattern that is looked for

T = TypeVar("T")


def shortened(
    row: Sequence[T],
    name: Callable[[T], str],
    size: Callable[[T], int],
    fixed: Callable[[T], bool],
    put: Callable[[Sequence[T]], T],
) -> list[T]:
    """A row of at most ``MOST``, if it can be had, in which neighbours are put together.

    What repeats goes first, such as thirty layers with an activation behind each; then the smallest neighbours, or of
    very many equal portions.

    Args:
        row: what is drawn, in order.
        name: what it is called.
        size: how large it is.
        fixed: whether something stays by itself.
        put: makes one of several.
    """
    found = list(row)
    while len(found) > MOST:
        first, period, times = _series([("!" if fixed(x) else "") + _stem(name(x)) for x in found])
        if times < 3 or any(fixed(x) for x in found[first : first + period * times]):
            break
        series = found[first : first + period * times]
        found[first : first + period * times] = [put(_portions(series, period, times, put))]
        if period * times == len(row):
            return found
    while len(found) > MANY:
        first, count = _stretch([fixed(x) for x in found])
        if count < 2:
            break
        piece = max(2, math.ceil(count / MOST))
        found[first : first + count] = [_put(part, put) for part in _cut_at(found[first : first + count], piece)]
    return [_put(piece, put) for piece in _smallest_first(found, size, fixed)]


def _smallest_first(row: Sequence[T], size: Callable[[T], int], fixed: Callable[[T], bool]) -> list[list[T]]:
    """A row in pieces, ``MOST`` of them if that can be had: the two smallest neighbours become one, and so on."""
    if len(row) <= MOST:
        return [[x] for x in row]
    pieces, sizes = [[x] for x in row], [size(x) for x in row]
    stays = [fixed(x) for x in row]
    while len(pieces) > MOST:
        pairs = [
            (sizes[k] + sizes[k + 1], k)
            for k in range(len(pieces) - 1)
            if not stays[k] and not stays[k + 1] and len(pieces[k]) + len(pieces[k + 1]) <= MOST
        ]
        if not pairs:
            break
        total, k = min(pairs)
        pieces[k : k + 2], sizes[k : k + 2], stays[k : k + 2] = [pieces[k] + pieces[k + 1]], [total], [False]
    return pieces


def _put(piece: Sequence[T], put: Callable[[Sequence[T]], T]) -> T:
    return piece[0] if len(piece) == 1 else put(piece)


def _portions(series: Sequence[T], period: int, times: int, put: Callable[[Sequence[T]], T]) -> list[T]:
    """A series, if it is long in portions of some periods each."""
    if len(series) <= MOST:
        return list(series)
    size = period * math.ceil(times / min(MOST, math.ceil(math.sqrt(times))))
    return [put(_portions(part, period, len(part) // period, put)) for part in _cut_at(series, size)]


def _cut_at(series: Sequence[T], size: int) -> list[Sequence[T]]:
    return [series[k : k + size] for k in range(0, len(series), size)]


def _stem(name: str) -> str:
    """A name without its number, so that h1 and h2 are alike."""
    return re.sub(r"\d+", "#", name)


def _series(stems: Sequence[str]) -> tuple[int, int, int]:
    """Where the longest series begins, how long its pattern is, and how many times that comes."""
    best = (0, 1, 1)
    for period in range(1, min(PERIODS, len(stems) // 3) + 1):
        first = 0
        while first + period < len(stems):
            end = first + period
            while end < len(stems) and stems[end] == stems[end - period]:
                end += 1
            times = (end - first) // period
            if times >= 3 and times * period > best[1] * best[2]:
                best = first, period, times
            first = max(first + 1, end - period + 1)
    return best


def _stretch(fixed: Sequence[bool]) -> tuple[int, int]:
    """Where the longest stretch without anything fixed begins, and how long it is."""
    best, first = (0, 0), 0
    for k, one in enumerate([*fixed, True]):
        if one:
            if k - first > best[1]:
                best = first, k - first
            first = k + 1
    return best
