"""Rows of loops and choices."""

from __future__ import annotations

from typing import Any

import numpy as np
from rows import X, row

import lazygrad as lg

# fmt: off


def halved(x: Any, reverse: bool) -> Any:
    """The carries of a loop that halves and adds, and the last one."""
    carry, rows = x[0], []
    for r in x[::-1] if reverse else x:
        rows.append(carry)
        carry = carry * 0.5 + r
    return np.stack([*(rows[::-1] if reverse else rows), carry])


def scanned(x: Any, reverse: bool) -> Any:
    """The same, as a scan."""
    last, rows = lg.scan(lambda c, r: (c * 0.5 + r, c), x[0], x, reverse=reverse)
    return lg.concat([rows, last[None]])


LOOPS = [
    row("scan", lambda x: scanned(x, False), lambda x: halved(x, False), X),
    row("scan", lambda x: scanned(x, True), lambda x: halved(x, True), X, label="reverse"),
    row("fori_loop", lambda x: lg.fori_loop(0, 3, lambda i, c: c * x, x), lambda x: x * x * x * x, X),
    row("while_loop",
        lambda x: lg.while_loop(lambda c: c[0] < 2, lambda c: (c[0] + 1, c[1] * x), (0, x), max_steps=3)[1],
        lambda x: x * x * x, X),
    row("cond", lambda x: lg.cond(lg.sum(x) > 1000, lambda: x, lambda: x * x), lambda x: x * x, X),
    row("checkpoint", lambda x: lg.checkpoint(lambda y: y * y * x)(x), lambda x: x * x * x, X),
]
