"""The twenty-five non-stiff problems of Hull, Enright, Fellen and Sedgwick (1972), each from 0 to 20.

T. E. Hull, W. H. Enright, B. M. Fellen and A. E. Sedgwick, Comparing numerical methods for ordinary differential
equations, SIAM J. Numer. Anal. 9, pp. 603–637. ``xp`` is lazygrad or NumPy, so that one text serves both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

END = 20.0


class Problem(NamedTuple):
    """dy/dt = slope(xp, t, y), y(0) = first."""

    slope: Callable[[Any, Any, Any], Any]
    first: list[float]


def a1(xp: Any, t: Any, y: Any) -> Any:
    """Decay."""
    return -y


def a2(xp: Any, t: Any, y: Any) -> Any:
    """A special case of the Riccati equation."""
    return -(y**3) / 2


def a3(xp: Any, t: Any, y: Any) -> Any:
    """An oscillation."""
    return y * xp.cos(t)


def a4(xp: Any, t: Any, y: Any) -> Any:
    """A logistic curve."""
    return y / 4 * (1 - y / 20)


def a5(xp: Any, t: Any, y: Any) -> Any:
    """A spiral."""
    return (y - t) / (y + t)


def b1(xp: Any, t: Any, y: Any) -> Any:
    """Two populations in conflict."""
    return xp.stack([2 * (y[0] - y[0] * y[1]), -(y[1] - y[0] * y[1])])


def b2(xp: Any, t: Any, y: Any) -> Any:
    """A linear chemical reaction."""
    return xp.stack([-y[0] + y[1], y[0] - 2 * y[1] + y[2], y[1] - y[2]])


def b3(xp: Any, t: Any, y: Any) -> Any:
    """A chemical reaction that is not linear."""
    return xp.stack([-y[0], y[0] - y[1] ** 2, y[1] ** 2])


def b4(xp: Any, t: Any, y: Any) -> Any:
    """The integral surface of a torus."""
    r = xp.sqrt(y[0] ** 2 + y[1] ** 2)
    return xp.stack([-y[1] - y[0] * y[2] / r, y[0] - y[1] * y[2] / r, y[0] / r])


def b5(xp: Any, t: Any, y: Any) -> Any:
    """Euler's equations of a rigid body without forces."""
    return xp.stack([y[1] * y[2], -y[0] * y[2], -0.51 * y[0] * y[1]])


def c1(xp: Any, t: Any, y: Any) -> Any:
    """A chain of radioactive decay."""
    return xp.concat([-y[:1], y[:-2] - y[1:-1], y[-2:-1]])


def c2(xp: Any, t: Any, y: Any) -> Any:
    """Another chain."""
    i = np.arange(1.0, 10.0)
    return xp.concat([-y[:1], i[:-1] * y[:-2] - i[1:] * y[1:-1], 9 * y[-2:-1]])


def c3(xp: Any, t: Any, y: Any) -> Any:
    """A parabolic equation, by the method of lines."""
    zero = 0 * y[:1]
    return xp.concat([zero, y[:-1]]) - 2 * y + xp.concat([y[1:], zero])


MASSES = np.array([0.000954786104043, 0.000285583733151, 0.0000437273164546, 0.0000517759138449, 0.00000277777777778])
SUN, GRAVITY = 1.00000597682, 2.95912208286
PLACES = [
    *(3.42947415189, 3.35386959711, 1.35494901715),
    *(6.64145542550, 5.97156957878, 2.18231499728),
    *(11.2630437207, 14.6952576794, 6.27960525067),
    *(-30.1552268759, 1.65699966404, 1.43785752721),
    *(-21.1238353380, 28.4465098142, 15.3882659679),
]
SPEEDS = [
    *(-0.557160570446, 0.505696783289, 0.230578543901),
    *(-0.415570776342, 0.365682722812, 0.169143213293),
    *(-0.325325669158, 0.189706021964, 0.0877265322780),
    *(-0.0240476254170, -0.287659532608, -0.117219543175),
    *(-0.176860753121, -0.216393453025, -0.0148647893090),
]


def c5(xp: Any, t: Any, y: Any) -> Any:
    """The five outer planets."""
    place = xp.reshape(y[:15], (5, 3))
    pull = place / xp.sum(place**2, axis=1)[:, None] ** 1.5
    apart = place[None] - place[:, None]
    distance = xp.sum(apart**2, axis=2) + np.eye(5)  # a planet is not pulled by itself: the difference there is 0
    between = xp.sum(MASSES[:, None] * apart / distance[:, :, None] ** 1.5, axis=1)
    others = xp.sum(MASSES[:, None] * pull, axis=0) - MASSES[:, None] * pull
    change = GRAVITY * (between - others - (SUN + MASSES[:, None]) * pull)
    return xp.concat([y[15:], xp.reshape(change, (15,))])


def orbit(xp: Any, t: Any, y: Any) -> Any:
    """A planet around the sun."""
    r3 = (y[0] ** 2 + y[1] ** 2) ** 1.5
    return xp.stack([y[2], y[3], -y[0] / r3, -y[1] / r3])


def e1(xp: Any, t: Any, y: Any) -> Any:
    """Bessel's equation of order a half."""
    return xp.stack([y[1], -(y[1] / (t + 1) + (1 - 0.25 / (t + 1) ** 2) * y[0])])


def e2(xp: Any, t: Any, y: Any) -> Any:
    """Van der Pol's equation."""
    return xp.stack([y[1], (1 - y[0] ** 2) * y[1] - y[0]])


def e3(xp: Any, t: Any, y: Any) -> Any:
    """Duffing's equation."""
    return xp.stack([y[1], y[0] ** 3 / 6 - y[0] + 2 * xp.sin(2.78535 * t)])


def e4(xp: Any, t: Any, y: Any) -> Any:
    """Falling."""
    return xp.stack([y[1], 0.032 - 0.4 * y[1] ** 2])


def e5(xp: Any, t: Any, y: Any) -> Any:
    """Linear pursuit."""
    return xp.stack([y[1], xp.sqrt(1 + y[1] ** 2) / (25 - t)])


PROBLEMS = {
    "A1": Problem(a1, [1.0]),
    "A2": Problem(a2, [1.0]),
    "A3": Problem(a3, [1.0]),
    "A4": Problem(a4, [1.0]),
    "A5": Problem(a5, [4.0]),
    "B1": Problem(b1, [1.0, 3.0]),
    "B2": Problem(b2, [2.0, 0.0, 1.0]),
    "B3": Problem(b3, [1.0, 0.0, 0.0]),
    "B4": Problem(b4, [3.0, 0.0, 0.0]),
    "B5": Problem(b5, [0.0, 1.0, 1.0]),
    "C1": Problem(c1, [1.0] + [0.0] * 9),
    "C2": Problem(c2, [1.0] + [0.0] * 9),
    "C3": Problem(c3, [1.0] + [0.0] * 9),
    "C4": Problem(c3, [1.0] + [0.0] * 50),
    "C5": Problem(c5, PLACES + SPEEDS),
    **{
        f"D{i}": Problem(orbit, [1 - e, 0.0, 0.0, ((1 + e) / (1 - e)) ** 0.5])
        for i, e in enumerate((0.1, 0.3, 0.5, 0.7, 0.9), 1)
    },
    "E1": Problem(e1, [0.6713967071418030, 0.09540051444747446]),
    "E2": Problem(e2, [2.0, 0.0]),
    "E3": Problem(e3, [0.0, 0.0]),
    "E4": Problem(e4, [30.0, 0.0]),
    "E5": Problem(e5, [0.0, 0.0]),
}
