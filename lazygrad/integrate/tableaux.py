"""The coefficients of embedded Runge–Kutta methods.

A step of size h from (t, y) evaluates slopes, each from those before it,

    kᵢ = f(t + cᵢ·h, y + h·Σⱼ aᵢⱼ·kⱼ),

and ends at y + h·Σᵢ bᵢ·kᵢ. Both methods have seven slopes, of which the last is taken at the end of the step and is
the first of the next one (FSAL). A second method with other weights is of one order less; the difference of the two,
h·Σᵢ eᵢ·kᵢ, is taken for the error.

Between the ends of a step the solution is the polynomial of fourth degree that has the values and slopes of both ends,
and of which one number is free: the cubic of Hermite plus q·θ²·(1 − θ)², with θ from 0 to 1 and q = h·Σᵢ qᵢ·kᵢ.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["DORMAND_PRINCE", "METHODS", "TSITOURAS", "Tableau"]

Row = tuple[float, ...]


class Tableau(NamedTuple):
    """A method of order 5 with an embedded one of order 4.

    Attributes:
        name: by which it is asked for.
        places: c, where in a step each slope is taken, from 0 to 1.
        rows: a, for each slope but the first the weights of those before it. The last row holds the weights b.
        errors: e.
        dense: q.
    """

    name: str
    places: Row
    rows: tuple[Row, ...]
    errors: Row
    dense: Row


# Dormand and Prince (1980), table 2, RK5(4)7M. ``dense`` as in Hairer, Nørsett and Wanner (1993), §II.6, their d.
DORMAND_PRINCE = Tableau(
    "dopri5",
    (0.0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0),
    (
        (1 / 5,),
        (3 / 40, 9 / 40),
        (44 / 45, -56 / 15, 32 / 9),
        (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
        (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
        (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
    ),
    (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40),
    (
        -12715105075 / 11282082432,
        0.0,
        87487479700 / 32700410799,
        -10690763975 / 1880347072,
        701980252875 / 199316789632,
        -1453857185 / 822651844,
        69997945 / 29380423,
    ),
)

# Tsitouras (2011), table 1; ``dense`` are the highest coefficients of the polynomials bᵢ(θ) in his §3.
TSITOURAS = Tableau(
    "tsit5",
    (0.0, 0.161, 0.327, 0.9, 0.9800255409045097, 1.0, 1.0),
    (
        (0.161,),
        (-0.008480655492356989, 0.335480655492357),
        (2.8971530571054935, -6.359448489975075, 4.3622954328695815),
        (5.325864828439257, -11.748883564062828, 7.4955393428898365, -0.09249506636175525),
        (5.86145544294642, -12.92096931784711, 8.159367898576159, -0.071584973281401, -0.028269050394068383),
        (
            0.09646076681806523,
            0.01,
            0.4798896504144996,
            1.379008574103742,
            -3.290069515436081,
            2.324710524099774,
        ),
    ),
    (
        0.00178001105222577714,
        0.0008164344596567469,
        -0.007880878010261995,
        0.1447110071732629,
        -0.5823571654525552,
        0.45808210592918697,
        -1 / 66,
    ),
    (
        -1.0530884977290216,
        0.1017,
        2.490627285651252793,
        -16.54810288924490272,
        47.37952196281928122,
        -34.87065786149660974,
        2.5,
    ),
)

METHODS = {method.name: method for method in (DORMAND_PRINCE, TSITOURAS)}
