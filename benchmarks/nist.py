"""The nonlinear regressions of NIST's Statistical Reference Datasets: curves, data, starts and certified values.

National Institute of Standards and Technology, https://www.itl.nist.gov/div898/strd/nls/nls_main.shtml. The data, the
starts and the certified values, which are in the public domain, are in ``nist_strd.json``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import lazygrad as lg

__all__ = ["CURVES", "Dataset", "dataset", "digits"]


def bennett5(x, b1, b2, b3):
    """Superconductivity."""
    return b1 * (b2 + x) ** (-1 / b3)


def rising(x, b1, b2):
    """BoxBOD and Misra1a."""
    return b1 * (1 - lg.exp(-b2 * x))


def chwirut(x, b1, b2, b3):
    """Ultrasonic reference blocks."""
    return lg.exp(-b1 * x) / (b2 + b3 * x)


def dan_wood(x, b1, b2):
    """Radiated energy."""
    return b1 * x**b2


def eckerle4(x, b1, b2, b3):
    """Circular interference transmittance."""
    return (b1 / b2) * lg.exp(-0.5 * ((x - b3) / b2) ** 2)


def enso(x, b1, b2, b3, b4, b5, b6, b7, b8, b9):
    """Differences of atmospheric pressure, with three periods."""

    def wave(period, b, c):
        angle = 2 * math.pi * x / period
        return b * lg.cos(angle) + c * lg.sin(angle)

    return b1 + wave(12, b2, b3) + wave(b4, b5, b6) + wave(b7, b8, b9)


def gauss(x, b1, b2, b3, b4, b5, b6, b7, b8):
    """Two Gaussian peaks on a decaying baseline."""
    return b1 * lg.exp(-b2 * x) + b3 * lg.exp(-((x - b4) ** 2) / b5**2) + b6 * lg.exp(-((x - b7) ** 2) / b8**2)


def cubic(x, b1, b2, b3, b4, b5, b6, b7):
    """Hahn1 and Thurber: a cubic over a cubic."""
    return (b1 + b2 * x + b3 * x**2 + b4 * x**3) / (1 + b5 * x + b6 * x**2 + b7 * x**3)


def kirby2(x, b1, b2, b3, b4, b5):
    """Scanning electron microscope line widths: a quadratic over a quadratic."""
    return (b1 + b2 * x + b3 * x**2) / (1 + b4 * x + b5 * x**2)


def lanczos(x, b1, b2, b3, b4, b5, b6):
    """Three exponentials."""
    return b1 * lg.exp(-b2 * x) + b3 * lg.exp(-b4 * x) + b5 * lg.exp(-b6 * x)


def mgh09(x, b1, b2, b3, b4):
    """Kowalik and Osborne's."""
    return b1 * (x**2 + x * b2) / (x**2 + x * b3 + b4)


def mgh10(x, b1, b2, b3):
    """Meyer's."""
    return b1 * lg.exp(b2 / (x + b3))


def mgh17(x, b1, b2, b3, b4, b5):
    """Osborne's."""
    return b1 + b2 * lg.exp(-x * b4) + b3 * lg.exp(-x * b5)


def misra1b(x, b1, b2):
    """Dental monomolecular adsorption."""
    return b1 * (1 - (1 + b2 * x / 2) ** -2)


def misra1c(x, b1, b2):
    """Dental monomolecular adsorption."""
    return b1 * (1 - (1 + 2 * b2 * x) ** -0.5)


def misra1d(x, b1, b2):
    """Dental monomolecular adsorption."""
    return b1 * b2 * x / (1 + b2 * x)


def nelson(x, b1, b2, b3):
    """The logarithm of a breakdown strength, by time and temperature."""
    return b1 - b2 * x[0] * lg.exp(-b3 * x[1])


def rat42(x, b1, b2, b3):
    """A growth curve."""
    return b1 / (1 + lg.exp(b2 - b3 * x))


def rat43(x, b1, b2, b3, b4):
    """A growth curve."""
    return b1 / (1 + lg.exp(b2 - b3 * x)) ** (1 / b4)


def roszman1(x, b1, b2, b3, b4):
    """Quantum defects in iodine."""
    return b1 - b2 * x - lg.atan(b3 / (x - b4)) / math.pi


CURVES: dict[str, Callable[..., Any]] = {
    "Bennett5": bennett5,
    "BoxBOD": rising,
    "Chwirut1": chwirut,
    "Chwirut2": chwirut,
    "DanWood": dan_wood,
    "ENSO": enso,
    "Eckerle4": eckerle4,
    "Gauss1": gauss,
    "Gauss2": gauss,
    "Gauss3": gauss,
    "Hahn1": cubic,
    "Kirby2": kirby2,
    "Lanczos1": lanczos,
    "Lanczos2": lanczos,
    "Lanczos3": lanczos,
    "MGH09": mgh09,
    "MGH10": mgh10,
    "MGH17": mgh17,
    "Misra1a": rising,
    "Misra1b": misra1b,
    "Misra1c": misra1c,
    "Misra1d": misra1d,
    "Nelson": nelson,
    "Rat42": rat42,
    "Rat43": rat43,
    "Roszman1": roszman1,
    "Thurber": cubic,
}


class Dataset(NamedTuple):
    """One of the regressions."""

    f: Callable[..., Any]
    x: Any
    y: Any
    starts: tuple[Any, Any]
    certified: Any
    deviations: Any
    sum_of_squares: float


@cache
def _read() -> dict[str, dict[str, Any]]:
    text = (Path(__file__).parent / "nist_strd.json").read_text(encoding="utf-8")
    return {name: {key: np.array(value) for key, value in found.items()} for name, found in json.loads(text).items()}


def dataset(name: str) -> Dataset:
    """The regression of that name. Nelson's curve is that of the logarithm."""
    d = _read()[name]
    y = np.log(d["y"]) if name == "Nelson" else d["y"].astype(float)
    starts = d["start1"], d["start2"]
    return Dataset(CURVES[name], d["x"], y, starts, d["certified"], d["deviations"], float(d["sum_of_squares"]))


def digits(found: Any, certified: Any) -> float:
    """How many digits all numbers share with the certified ones: the least −log₁₀ of a relative error, at most 11."""
    apart = np.abs(np.asarray(found) - certified) / np.abs(certified)
    return float(min(11.0, -np.log10(max(apart.max(), 1e-11))))
