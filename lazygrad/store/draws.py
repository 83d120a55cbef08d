"""What random draws are made of: the seed, the number of the run, and the number of the draw."""

from __future__ import annotations

from typing import Any

import numpy as np

from lazygrad.errors import SpecError, report
from lazygrad.graph.registry import here

__all__ = ["Drawing", "Draws", "checked_seed", "fresh_seed"]


class Draws:
    """The keys of one seed, and a generator of NumPy's under it for ops of the user's that draw with ``rng``.

    Each (run, draw) of that is a counter of its own, so draws never share numbers: a draw has 2⁶⁴ blocks of four
    numbers before it would meet the next one.

    Attributes:
        seed: of the environment.
        word: the key of the streams that lazygrad's own draws are made of.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.key = np.asarray(np.random.SeedSequence(seed).generate_state(2, np.uint64), np.uint64)
        self.word = int(self.key[0])
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


class Drawing:
    """What one run draws from.

    Called with the number of a draw, it gives a generator for ops of the user's that draw with ``rng``.

    Attributes:
        stream: the key and the number of the run, in an array that stays where it is: native code reads it there.
    """

    def __init__(self) -> None:
        self.stream = np.zeros(2, np.uint64)
        self._cells = memoryview(self.stream.data).cast("B").cast("Q")
        self._draws: Draws | None = None
        self._run = 0

    def begin(self, draws: Draws, run: int) -> None:
        """Draw what is drawn in run number ``run`` from now on."""
        self._cells[0], self._cells[1] = draws.word, run
        self._draws, self._run = draws, run

    def __call__(self, draw: int, turn: int = 0) -> Any:
        """The generator, at the beginning of a draw, in a loop's turn."""
        assert self._draws is not None
        return self._draws.at(self._run, draw, turn)


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
