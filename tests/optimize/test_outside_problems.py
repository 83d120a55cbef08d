"""Problems from outside: what is certified or known is found. ``benchmarks/certified.py`` has them whole."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import lazygrad as lg

sys.path.insert(0, str(Path(__file__).parents[2]))  # benchmarks/ is no part of the package
from benchmarks.mgh import FUNCTIONS, is_minimum, solved
from benchmarks.nist import CURVES, dataset, digits

QUICK_CURVES = ["BoxBOD", "DanWood", "Eckerle4", "MGH09", "MGH17", "Misra1a", "Misra1c", "Nelson", "Rat42", "Roszman1"]
LARGE = ["Osborne 2", "Watson 12", "Penalty II 10", "Chebyquad 7", "Chebyquad 8", "Chebyquad 10"]


@pytest.fixture(autouse=True)
def same_code_at_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Code that takes over on the way rounds otherwise, at a time of its own; and some problems have several minima."""
    monkeypatch.setenv("LAZYGRAD_NATIVE", "wait")


def split(names: list[str], quick: list[str]) -> list[object]:
    """The names as parameters of a test; those that are not quick are slow."""
    return [name if name in quick else pytest.param(name, marks=pytest.mark.slow) for name in names]


@pytest.mark.parametrize("name", split(list(CURVES), QUICK_CURVES))
def test_certified_parameters_are_found_from_both_starts(name: str) -> None:
    """To six digits, and their standard deviations to five, by ``curve_fit`` as it is called without settings.

    Of Lanczos1 the deviations are those of rounding: its residual sum of squares is 1e-25.
    """
    d = dataset(name)
    for start in d.starts:
        fit = lg.optimize.curve_fit(d.f, d.x, d.y, start)
        assert digits(fit.x, d.certified) >= 6
        assert digits(np.sqrt(np.diag(fit.covariance)), d.deviations) >= (2 if name == "Lanczos1" else 5)
        assert 2 * fit.result.cost == pytest.approx(d.sum_of_squares, rel=1e-2 if name == "Lanczos1" else 1e-7)


@pytest.mark.parametrize("name", split(list(FUNCTIONS), [name for name in FUNCTIONS if name not in LARGE]))
def test_known_minima_are_found_from_the_standard_start(name: str) -> None:
    """By Levenberg and Marquardt's method, as in the paper."""
    found, _ = solved(FUNCTIONS[name], method="lm")
    assert is_minimum(FUNCTIONS[name], found)


def test_there_are_as_many_problems_as_are_said() -> None:
    """All 27 data sets, and all 35 functions of the paper."""
    assert 27 == len(CURVES)
    assert set(range(1, 36)) - {1} == {f.number for f in FUNCTIONS.values()} - {1}
