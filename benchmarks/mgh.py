"""The test functions of Moré, Garbow and Hillstrom: residuals, starts and the least sums of squares.

J. J. Moré, B. S. Garbow, K. E. Hillstrom, "Testing Unconstrained Optimization Software", ACM Transactions on
Mathematical Software 7 (1981), 17-41. The numbers of the functions are those of the paper.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import lazygrad as lg

__all__ = ["FUNCTIONS", "Function", "is_minimum", "solved"]


class Function(NamedTuple):
    """A function of the paper.

    Attributes:
        number: in the paper.
        residuals: of a tensor of n numbers.
        start: the standard start.
        minima: the least sum of squares, and those of other minima that are known, to the paper's six digits.
    """

    number: int
    residuals: Callable[[Any], Any]
    start: Any
    minima: tuple[float, ...]


def counted(n: int, first: int = 1) -> Any:
    """The numbers ``first``, …, in a row of n."""
    return np.arange(first, first + n, dtype=float)


def rosenbrock(x):
    """1, and 21 for more numbers."""
    odd, even = x[0::2], x[1::2]
    return lg.concat([10 * (even - odd**2), 1 - odd])


def freudenstein_roth(x):
    """2."""
    return lg.stack([x[0] - 13 + ((5 - x[1]) * x[1] - 2) * x[1], x[0] - 29 + ((x[1] + 1) * x[1] - 14) * x[1]])


def powell_badly_scaled(x):
    """3."""
    return lg.stack([1e4 * x[0] * x[1] - 1, lg.exp(-x[0]) + lg.exp(-x[1]) - 1.0001])


def brown_badly_scaled(x):
    """4."""
    return lg.stack([x[0] - 1e6, x[1] - 2e-6, x[0] * x[1] - 2])


def beale(x):
    """5."""
    return np.array([1.5, 2.25, 2.625]) - x[0] * (1 - x[1] ** counted(3))


def jennrich_sampson(x):
    """6."""
    i = counted(10)
    return 2 + 2 * i - (lg.exp(i * x[0]) + lg.exp(i * x[1]))


def helical_valley(x):
    """7."""
    turn = lg.atan2(x[1], x[0]) / (2 * math.pi)
    turn = lg.where(turn < -0.25, turn + 1, turn)  # the paper's angle goes from −1/4 to 3/4
    return lg.stack([10 * (x[2] - 10 * turn), 10 * (lg.hypot(x[0], x[1]) - 1), x[2]])


BARD = [0.14, 0.18, 0.22, 0.25, 0.29, 0.32, 0.35, 0.39, 0.37, 0.58, 0.73, 0.96, 1.34, 2.10, 4.39]


def bard(x):
    """8."""
    u, v = counted(15), 16 - counted(15)
    return np.array(BARD) - (x[0] + u / (v * x[1] + np.minimum(u, v) * x[2]))


GAUSSIAN = [0.0009, 0.0044, 0.0175, 0.0540, 0.1295, 0.2420, 0.3521, 0.3989]


def gaussian(x):
    """9."""
    t = (8 - counted(15)) / 2
    return x[0] * lg.exp(-x[1] * (t - x[2]) ** 2 / 2) - np.array(GAUSSIAN + GAUSSIAN[-2::-1])


MEYER = [34780, 28610, 23650, 19630, 16370, 13720, 11540, 9744, 8261, 7030, 6005, 5147, 4427, 3820, 3307, 2872]


def meyer(x):
    """10."""
    return x[0] * lg.exp(x[1] / (45 + 5 * counted(16) + x[2])) - np.array(MEYER, float)


def gulf(x):
    """11, in the form in which its minimum is zero."""
    t = counted(20) / 100
    y = 25 + (-50 * np.log(t)) ** (2 / 3)
    return lg.exp(-(lg.abs(y - x[1]) ** x[2]) / x[0]) - t


def box(x):
    """12."""
    t = counted(10) / 10
    return lg.exp(-t * x[0]) - lg.exp(-t * x[1]) - x[2] * (np.exp(-t) - np.exp(-10 * t))


def powell_singular(x):
    """13, and 22 for more numbers."""
    a, b, c, d = (x[k::4] for k in range(4))
    return lg.concat([a + 10 * b, math.sqrt(5) * (c - d), (b - 2 * c) ** 2, math.sqrt(10) * (a - d) ** 2])


def wood(x):
    """14."""
    a, b, c, d = (x[k] for k in range(4))
    ten = math.sqrt(10)
    return lg.stack([10 * (b - a**2), 1 - a, 3 * ten * (d - c**2), 1 - c, ten * (b + d - 2), (b - d) / ten])


KOWALIK = [0.1957, 0.1947, 0.1735, 0.1600, 0.0844, 0.0627, 0.0456, 0.0342, 0.0323, 0.0235, 0.0246]
KOWALIK_AT = [4.0, 2.0, 1.0, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625]


def kowalik_osborne(x):
    """15."""
    u = np.array(KOWALIK_AT)
    return np.array(KOWALIK) - x[0] * (u**2 + u * x[1]) / (u**2 + u * x[2] + x[3])


def brown_dennis(x):
    """16."""
    t = counted(20) / 5
    return (x[0] + t * x[1] - np.exp(t)) ** 2 + (x[2] + x[3] * np.sin(t) - np.cos(t)) ** 2


OSBORNE_1 = [
    *(0.844, 0.908, 0.932, 0.936, 0.925, 0.908, 0.881, 0.850, 0.818, 0.784, 0.751, 0.718, 0.685, 0.658, 0.628, 0.603),
    *(0.580, 0.558, 0.538, 0.522, 0.506, 0.490, 0.478, 0.467, 0.457, 0.448, 0.438, 0.431, 0.424, 0.420, 0.414, 0.411),
    0.406,
]


def osborne_1(x):
    """17."""
    t = 10 * counted(33, 0)
    return np.array(OSBORNE_1) - (x[0] + x[1] * lg.exp(-t * x[3]) + x[2] * lg.exp(-t * x[4]))


def biggs(x):
    """18."""
    t = counted(13) / 10
    y = np.exp(-t) - 5 * np.exp(-10 * t) + 3 * np.exp(-4 * t)
    return x[2] * lg.exp(-t * x[0]) - x[3] * lg.exp(-t * x[1]) + x[5] * lg.exp(-t * x[4]) - y


OSBORNE_2 = [
    *(1.366, 1.191, 1.112, 1.013, 0.991, 0.885, 0.831, 0.847, 0.786, 0.725, 0.746, 0.679, 0.608, 0.655, 0.616, 0.606),
    *(0.602, 0.626, 0.651, 0.724, 0.649, 0.649, 0.694, 0.644, 0.624, 0.661, 0.612, 0.558, 0.533, 0.495, 0.500, 0.423),
    *(0.395, 0.375, 0.372, 0.391, 0.396, 0.405, 0.428, 0.429, 0.523, 0.562, 0.607, 0.653, 0.672, 0.708, 0.633, 0.668),
    *(0.645, 0.632, 0.591, 0.559, 0.597, 0.625, 0.739, 0.710, 0.729, 0.720, 0.636, 0.581, 0.428, 0.292, 0.162, 0.098),
    0.054,
]


def osborne_2(x):
    """19."""
    t = counted(65, 0) / 10
    peaks = [x[k] * lg.exp(-((t - x[k + 7]) ** 2) * x[k + 4]) for k in (1, 2, 3)]
    return np.array(OSBORNE_2) - (x[0] * lg.exp(-t * x[4]) + peaks[0] + peaks[1] + peaks[2])


def watson(x):
    """20."""
    n, t = x.size, counted(29)[:, None] / 29
    j = counted(n, 0)
    slopes = np.where(j > 0, j * t ** np.maximum(j - 1, 0), 0.0)
    return lg.concat([slopes @ x - (t**j @ x) ** 2 - 1, x[:1], x[1:2] - x[:1] ** 2 - 1])


def penalty_1(x):
    """23."""
    return lg.concat([math.sqrt(1e-5) * (x - 1), lg.reshape(lg.sum(x**2) - 0.25, (1,))])


def penalty_2(x):
    """24."""
    n, a = x.size, math.sqrt(1e-5)
    i = counted(n - 1, 2)
    y = np.exp(i / 10) + np.exp((i - 1) / 10)
    e = lg.exp(x / 10)
    last = lg.reshape(lg.sum((n - counted(n) + 1) * x**2) - 1, (1,))
    return lg.concat([x[:1] - 0.2, a * (e[1:] + e[:-1] - y), a * (e[1:] - math.exp(-0.1)), last])


def variably_dimensioned(x):
    """25."""
    s = lg.reshape(lg.sum(counted(x.size) * (x - 1)), (1,))
    return lg.concat([x - 1, s, s**2])


def trigonometric(x):
    """26."""
    n = x.size
    return n - lg.sum(lg.cos(x)) + counted(n) * (1 - lg.cos(x)) - lg.sin(x)


def brown_almost_linear(x):
    """27."""
    return lg.concat([x[:-1] + lg.sum(x) - (x.size + 1), lg.reshape(lg.prod(x) - 1, (1,))])


def discrete_boundary_value(x):
    """28."""
    h = 1 / (x.size + 1)
    t = h * counted(x.size)
    wide = lg.pad(x, ((1, 1),))
    return 2 * x - wide[:-2] - wide[2:] + h**2 * (x + t + 1) ** 3 / 2


def discrete_integral_equation(x):
    """29."""
    h = 1 / (x.size + 1)
    t = h * counted(x.size)
    early = np.tril(np.outer(1 - t, t))  # j ≤ i
    late = np.triu(np.outer(t, 1 - t), 1)
    return x + h / 2 * ((early + late) @ (x + t + 1) ** 3)


def broyden_tridiagonal(x):
    """30."""
    wide = lg.pad(x, ((1, 1),))
    return (3 - 2 * x) * x - wide[:-2] - 2 * wide[2:] + 1


def broyden_banded(x):
    """31."""
    apart = counted(x.size)[None, :] - counted(x.size)[:, None]
    near = ((apart >= -5) & (apart <= 1) & (apart != 0)).astype(float)
    return x * (2 + 5 * x**2) + 1 - near @ (x * (1 + x))


def linear_full_rank(x):
    """32, with m = 2 n."""
    m = 2 * x.size
    both = -2 / m * lg.sum(x) - 1
    return lg.concat([x + both, lg.broadcast_to(both, (m - x.size,))])


def linear_rank_1(x):
    """33, with m = 2 n."""
    return counted(2 * x.size) * lg.sum(counted(x.size) * x) - 1


def linear_rank_1_zeros(x):
    """34, with m = 2 n."""
    m = 2 * x.size
    i = counted(m, 0)
    i[-1] = 0
    return i * lg.sum(counted(x.size - 2, 2) * x[1:-1]) - 1


def chebyquad(x):
    """35."""
    n = x.size
    y = 2 * x - 1
    T = [lg.ones_like(y), y]
    for _ in range(n - 1):
        T.append(2 * y * T[-1] - T[-2])
    whole = [0.0 if i % 2 else -1 / (i**2 - 1) for i in range(1, n + 1)]
    return lg.stack([lg.mean(T[i]) for i in range(1, n + 1)]) - np.array(whole)


def _bvp_start(n: int) -> Any:
    t = counted(n) / (n + 1)
    return t * (t - 1)


FUNCTIONS = {
    "Rosenbrock": Function(1, rosenbrock, [-1.2, 1], (0,)),
    "Freudenstein and Roth": Function(2, freudenstein_roth, [0.5, -2], (0, 48.9842)),
    "Powell badly scaled": Function(3, powell_badly_scaled, [0, 1], (0,)),
    "Brown badly scaled": Function(4, brown_badly_scaled, [1, 1], (0,)),
    "Beale": Function(5, beale, [1, 1], (0,)),
    "Jennrich and Sampson": Function(6, jennrich_sampson, [0.3, 0.4], (124.362,)),
    "Helical valley": Function(7, helical_valley, [-1, 0, 0], (0,)),
    "Bard": Function(8, bard, [1, 1, 1], (8.21487e-3, 17.4286)),
    "Gaussian": Function(9, gaussian, [0.4, 1, 0], (1.12793e-8,)),
    "Meyer": Function(10, meyer, [0.02, 4000, 250], (87.9458,)),
    "Gulf research": Function(11, gulf, [5, 2.5, 0.15], (0,)),
    "Box three-dimensional": Function(12, box, [0, 10, 20], (0,)),
    "Powell singular": Function(13, powell_singular, [3, -1, 0, 1], (0,)),
    "Wood": Function(14, wood, [-3, -1, -3, -1], (0,)),
    "Kowalik and Osborne": Function(15, kowalik_osborne, [0.25, 0.39, 0.415, 0.39], (3.07505e-4, 1.02734e-3)),
    "Brown and Dennis": Function(16, brown_dennis, [25, 5, -5, -1], (85822.2,)),
    "Osborne 1": Function(17, osborne_1, [0.5, 1.5, -1, 0.01, 0.02], (5.46489e-5,)),
    "Biggs EXP6": Function(18, biggs, [1, 2, 1, 1, 1, 1], (0, 5.65565e-3)),
    "Osborne 2": Function(19, osborne_2, [1.3, 0.65, 0.65, 0.7, 0.6, 3, 5, 7, 2, 4.5, 5.5], (4.01377e-2,)),
    "Watson 6": Function(20, watson, np.zeros(6), (2.28767e-3,)),
    "Watson 9": Function(20, watson, np.zeros(9), (1.39976e-6,)),
    "Watson 12": Function(20, watson, np.zeros(12), (4.72238e-10,)),
    "Extended Rosenbrock": Function(21, rosenbrock, [-1.2, 1] * 5, (0,)),
    "Extended Powell singular": Function(22, powell_singular, [3, -1, 0, 1] * 3, (0,)),
    "Penalty I 4": Function(23, penalty_1, counted(4), (2.24997e-5,)),
    "Penalty I 10": Function(23, penalty_1, counted(10), (7.08765e-5,)),
    "Penalty II 4": Function(24, penalty_2, np.full(4, 0.5), (9.37629e-6,)),
    "Penalty II 10": Function(24, penalty_2, np.full(10, 0.5), (2.93660e-4,)),
    "Variably dimensioned": Function(25, variably_dimensioned, 1 - counted(10) / 10, (0,)),
    "Trigonometric": Function(26, trigonometric, np.full(10, 0.1), (0, 2.79506e-5)),
    "Brown almost linear": Function(27, brown_almost_linear, np.full(10, 0.5), (0, 1)),
    "Discrete boundary value": Function(28, discrete_boundary_value, _bvp_start(10), (0,)),
    "Discrete integral equation": Function(29, discrete_integral_equation, _bvp_start(10), (0,)),
    "Broyden tridiagonal": Function(30, broyden_tridiagonal, np.full(10, -1.0), (0,)),
    "Broyden banded": Function(31, broyden_banded, np.full(10, -1.0), (0,)),
    "Linear, full rank": Function(32, linear_full_rank, np.ones(10), (10,)),
    "Linear, rank 1": Function(33, linear_rank_1, np.ones(10), (20 * 19 / (2 * 41),)),
    "Linear, rank 1, zeros": Function(34, linear_rank_1_zeros, np.ones(10), ((400 + 60 - 6) / (2 * 37),)),
    "Chebyquad 7": Function(35, chebyquad, counted(7) / 8, (0,)),
    "Chebyquad 8": Function(35, chebyquad, counted(8) / 9, (3.51687e-3,)),
    "Chebyquad 10": Function(35, chebyquad, counted(10) / 11, (4.77271e-3, 6.50395e-3)),
}


def is_minimum(f: Function, found: float) -> bool:
    """Whether a sum of squares is that of a known minimum, to the digits that the paper gives."""
    return any(abs(found - known) <= max(1e-5 * known, 1e-12) for known in f.minima)


def solved(f: Function, **options: Any) -> tuple[float, Any]:
    """The sum of squares that ``least_squares`` finds from the standard start, and its result."""
    env = lg.VariableEnvironment(dtype="float64")
    env.name("x").set(np.asarray(f.start, float))
    step = env.compile(lambda ctx: f.residuals(ctx.variable("x")))
    given = {"ftol": 1e-15, "xtol": 1e-15, "gtol": 1e-15, "x_scale": "jac", "max_nfev": 5000, **options}
    result = lg.optimize.least_squares(step, **given)
    return 2 * result.cost, result
