"""What the classical methods share: they are fitted beside scikit-learn, compared with it, and timed."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import numpy as np

import lazygrad as lg

sys.path.append(str(Path(__file__).parents[1]))  # where the parts lie that all examples share
from common import Results, options, start

__all__ = ["Beside", "Disagreement", "host", "start", "unit"]

A = TypeVar("A")
B = TypeVar("B")


class Disagreement(lg.LazygradError):
    """What lazygrad found and what scikit-learn found differ by more than was promised."""


class Beside(Results):
    """One run of a classical method beside scikit-learn's: its options, environment, numbers and figures.

    Args:
        name: the program's file name, without ``.py``.
        description: its docstring, for ``--help``.
        argv: its arguments; those of the process if None.
    """

    def __init__(self, name: str, description: str | None, argv: Sequence[str] | None) -> None:
        parser = options(description, "this one takes data that come with scikit-learn", mode="compile")
        given = parser.parse_args(argv)
        super().__init__(f"classical/{name}", given)
        self.quick: bool = given.quick
        self.rng = np.random.default_rng(given.seed)
        self.seed: int = given.seed
        self._mode = given.mode
        self.env = lg.VariableEnvironment(backend=given.backend, seed=given.seed, dtype="float64")
        self._compared: list[tuple[str, float, float]] = []

    def step(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The step as a function of its arrays: native from its first call, or traced at each."""
        return self.env.compile(function, wait=True) if self._mode == "compile" else partial(self.env.run, function)

    def race(self, ours: Callable[[], A], theirs: Callable[[], B], repeats: int = 7) -> tuple[A, B]:
        """What both fits return. After the first, which compiles ours, they take turns, and the medians are kept.

        A quick run fits once, and keeps no times but that one's.
        """
        compiling, our_fit = _timed(ours)
        first, their_fit = _timed(theirs)
        self.number("seconds, lazygrad's first fit, with compiling", compiling)
        self.number("seconds, scikit-learn's first fit", first)
        if not self.quick:
            turns = [(_timed(ours)[0], _timed(theirs)[0]) for _ in range(repeats)]
            self.number("seconds, lazygrad", median(our for our, _ in turns))
            self.number("seconds, scikit-learn", median(their for _, their in turns))
        return our_fit, their_fit

    def agree(self, name: str, ours: Any, theirs: Any, tolerance: float) -> None:
        """Compare two numbers or arrays: the largest difference, as a part of the largest number of scikit-learn's.

        Whole numbers, such as labels, differ by the part of them that is not the same.

        Raises:
            Disagreement: they differ by more than the tolerance, or in shape, or are not numbers.
        """
        mine, other = host(ours), host(theirs)
        if mine.shape != other.shape:
            raise Disagreement(f"{name}: lazygrad found {mine.shape}, scikit-learn {other.shape}")
        if mine.dtype.kind in "iub" and other.dtype.kind in "iub":
            difference = float(np.mean(mine != other))
        else:
            difference = float(np.max(np.abs(mine - other)) / (np.max(np.abs(other)) or 1.0))
        self._compared.append((name, difference, tolerance))
        if not difference <= tolerance:  # so that NaN is a difference too
            fact = f"they differ by {difference:.3g}, and should by {tolerance:.3g} at most"
            raise Disagreement(lg.errors.report(f"{name}: lazygrad and scikit-learn do not agree", facts=[fact]))

    def write(self) -> dict[str, float]:
        """Write what was found, with a table of what was compared."""
        header = ["compared", "largest difference", "allowed"]
        self.table("Beside scikit-learn", header, [(n, f"{d:.1e}", f"{t:.0e}") for n, d, t in self._compared])
        return super().write()


def host(array: Any) -> Any:
    """The array as NumPy's, wherever it was computed."""
    return np.asarray(array.get() if hasattr(array, "get") else array)


def unit(columns: Any) -> Any:
    """Columns of length 1, their largest number positive: an eigenvector has no length or sign of its own."""
    columns = host(columns)
    largest = np.take_along_axis(columns, np.abs(columns).argmax(axis=0)[None], axis=0)
    return columns * np.sign(largest) / np.linalg.norm(columns, axis=0)


def _timed(function: Callable[[], A]) -> tuple[float, A]:
    """Seconds of a call, and what it returned."""
    began = time.perf_counter()
    result = function()
    return time.perf_counter() - began, result
