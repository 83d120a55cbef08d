"""The numbers of a random draw, from the seed, the number of the run, and the number of the draw."""

from __future__ import annotations

from typing import Any

import numpy as np

from lazygrad.errors import SpecError, report
from lazygrad.graph.registry import here

__all__ = ["Draws", "checked_seed", "fresh_seed"]


class Draws:
    """Philox under one seed. Each (run, draw) is a counter of its own, so draws never share numbers.

    A draw has 2⁶⁴ blocks of four numbers before it would meet the next one.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.key = np.asarray(np.random.SeedSequence(seed).generate_state(2, np.uint64), np.uint64)
        self._bits = np.random.Philox(key=self.key)
        self._generator = np.random.Generator(self._bits)
        self._buffer = np.zeros(4, np.uint64)

    def at(self, run: int, draw: int, turn: int = 0) -> Any:
        """The generator, set to the beginning of a draw, in a turn of a loop. Use it before asking for another."""
        self._bits.state = {
            "bit_generator": "Philox",
            "state": {"counter": np.array([0, draw, run, turn], np.uint64), "key": self.key},
            "buffer": self._buffer,
            "buffer_pos": 4,
            "has_uint32": 0,
            "uinteger": 0,
        }
        return self._generator


def fresh_seed() -> int:
    """A seed from the operating system."""
    entropy = np.random.SeedSequence().entropy
    assert isinstance(entropy, int)
    return entropy


def checked_seed(seed: Any) -> int:
    """The seed, if it is one.

    Raises:
        SpecError: it is not.
    """
    if isinstance(seed, (int, np.integer)) and not isinstance(seed, bool) and seed >= 0:
        return int(seed)
    cure = "A seed is a whole number that is not negative, or None for a fresh one."
    raise SpecError(report(f"cannot use {seed!r} as a seed", at=here(), cure=cure))
