"""Special functions and their derivatives beside their true values, and at the ends of their ranges."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import scipy.special as special

mpmath = pytest.importorskip("mpmath", reason="exact values come from mpmath")
from mpmath import mp, mpf  # noqa: E402

import lazygrad as lg  # noqa: E402

INF, NAN = np.inf, np.nan
ROOT_PI, ROOT_TWO_PI, LOG_TWO = math.sqrt(math.pi), math.sqrt(2 * math.pi), math.log(2)
COUNT = 40


class Row(NamedTuple):
    """A function, the truth of its value and of one derivative an operand, where, and the errors allowed in ulp."""

    call: Callable[..., Any]
    exact: tuple[Callable[..., Any] | None, ...]
    spans: tuple[tuple[float, float], ...]
    bounds: tuple[float, ...]
    label: str = ""


def normal(x: Any) -> Any:
    """The density of the normal distribution."""
    return mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)


def quantile(p: Any) -> Any:
    """The p-quantile of the normal distribution, by Newton's method."""
    x = mpf(float(special.ndtri(float(p))))
    for _ in range(4):
        x -= (mp.erfc(-x / mp.sqrt(2)) / 2 - p) / normal(x)
    return x


def erfcx(x: Any) -> Any:
    """erfc(x)·e^(x²)."""
    return mp.erfc(x) * mp.exp(x * x)


def lower(a: Any, x: Any) -> Any:
    """P(a, x)."""
    return mp.gammainc(a, 0, x, regularized=True)


def upper(a: Any, x: Any) -> Any:
    """Q(a, x)."""
    return mp.gammainc(a, x, regularized=True)


def gamma_density(a: Any, x: Any) -> Any:
    """xᵃ⁻¹·e⁻ˣ/Γ(a)."""
    return mp.exp((a - 1) * mp.log(x) - x - mp.loggamma(a))


def gamma_slope(a: Any, x: Any) -> Any:
    """∂P/∂a, by a central difference with sixty digits of whichever of P and Q is small."""
    h = mpf(10) ** -20 * a
    f = lower if x < a else lambda a, x: -upper(a, x)
    return (f(a + h, x) - f(a - h, x)) / (2 * h)


def gamma_curvature(a: Any, x: Any) -> Any:
    """∂²P/∂a²."""
    h = mpf(10) ** -15 * a
    f = lower if x < a else lambda a, x: -upper(a, x)
    return (f(a + h, x) - 2 * f(a, x) + f(a - h, x)) / h**2


def incomplete(a: Any, b: Any, x: Any) -> Any:
    """I(a, b, x)."""
    return mp.betainc(a, b, 0, x, regularized=True)


def complement(a: Any, b: Any, x: Any) -> Any:
    """1 − I(a, b, x)."""
    return mp.betainc(b, a, 0, 1 - x, regularized=True)


def beta_density(a: Any, b: Any, x: Any) -> Any:
    """xᵃ⁻¹·(1 − x)ᵇ⁻¹/B(a, b)."""
    return x ** (a - 1) * (1 - x) ** (b - 1) / mp.beta(a, b)


def beta_slope(a: Any, b: Any, x: Any) -> Any:
    """∂I/∂a."""
    h = mpf(10) ** -20 * a
    f = incomplete if x < a / (a + b) else lambda a, b, x: -complement(a, b, x)
    return (f(a + h, b, x) - f(a - h, b, x)) / (2 * h)


def beta_curvature(a: Any, b: Any, x: Any) -> Any:
    """∂²I/∂a²."""
    h = mpf(10) ** -15 * a
    f = incomplete if x < a / (a + b) else lambda a, b, x: -complement(a, b, x)
    return (f(a + h, b, x) - 2 * f(a, b, x) + f(a - h, b, x)) / h**2


def beta_mixed(a: Any, b: Any, x: Any) -> Any:
    """∂²I/∂a∂b."""
    h = mpf(10) ** -15 * b
    return (beta_slope(a, b + h, x) - beta_slope(a, b - h, x)) / (2 * h)


def student(df: Any, t: Any) -> Any:
    """Student's distribution function."""
    half = incomplete(df / 2, mpf(0.5), df / (df + t * t)) / 2
    return half if t < 0 else 1 - half


def student_density(df: Any, t: Any) -> Any:
    """Its density."""
    return (1 + t * t / df) ** (-(df + 1) / 2) / (mp.sqrt(df) * mp.beta(df / 2, mpf(0.5)))


def student_slope(df: Any, t: Any) -> Any:
    """Its derivative for df."""
    h = mpf(10) ** -20 * df
    return (student(df + h, -abs(t)) - student(df - h, -abs(t))) / (2 * h) * (1 if t < 0 else -1)


def bessel(n: int) -> Any:
    """I of order n."""
    return lambda x: mp.besseli(n, x)


def exprel(n: int) -> Any:
    """∫ tⁿ·eˣᵗ dt from 0 to 1."""
    return lambda x: mp.hyp1f1(n + 1, n + 2, x) / (n + 1)


ROWS = [
    Row(lg.logit, (lambda p: mp.log(p / (1 - p)), lambda p: 1 / (p * (1 - p))), ((0, 1),), (4, 4)),
    Row(lg.erfcx, (erfcx, lambda x: 2 * x * erfcx(x) - 2 / mp.sqrt(mp.pi)), ((-5, 20),), (4, 12)),
    Row(lg.ndtr, (lambda x: mp.erfc(-x / mp.sqrt(2)) / 2, normal), ((-37, 9),), (5, 4)),
    Row(lg.ndtri, (quantile, lambda p: 1 / normal(quantile(p))), ((0, 1),), (4, 8)),
    Row(lg.ndtri, (quantile, lambda p: 1 / normal(quantile(p))), ((1e-200, 1e-190),), (4, 8), "tail"),
    Row(lg.erfcinv, (lambda x: mp.erfinv(1 - x), lambda x: -mp.sqrt(mp.pi) / 2 * mp.exp(mp.erfinv(1 - x) ** 2)),
        ((0, 2),), (6, 8)),
    Row(lg.gamma, (mp.gamma, lambda x: mp.gamma(x) * mp.digamma(x)), ((0, 170),), (5, 8)),
    Row(lg.gamma, (mp.gamma, lambda x: mp.gamma(x) * mp.digamma(x)), ((0, 20),), (4, 6), "small"),
    Row(lg.factorial, (mp.factorial, lambda x: mp.gamma(x + 1) * mp.digamma(x + 1)), ((0, 20),), (5, 5)),
    Row(lg.beta, (mp.beta, lambda a, b: mp.beta(a, b) * (mp.digamma(a) - mp.digamma(a + b)),
                  lambda a, b: mp.beta(a, b) * (mp.digamma(b) - mp.digamma(a + b))),
        ((0, 60), (0, 60)), (8, 12, 12)),
    Row(lg.betaln, (lambda a, b: mp.log(mp.beta(a, b)), None, None), ((30, 60), (30, 60)), (4,)),
    Row(lambda a: lg.multigammaln(a, 3),
        (lambda a: mp.log(mp.pi) * 1.5 + sum(mp.loggamma(a - mpf(j) / 2) for j in range(3)),
         lambda a: sum(mp.digamma(a - mpf(j) / 2) for j in range(3))), ((4, 60),), (6, 6), "multigammaln"),
    Row(lambda q: lg.zeta(2.5, q), (lambda q: mp.zeta(mpf(2.5), q), lambda q: -mpf(2.5) * mp.zeta(mpf(3.5), q)),
        ((0.1, 20),), (8, 8), "zeta"),
    Row(lg.i0, (bessel(0), bessel(1)), ((-20, 700),), (4, 4)),
    Row(lg.i1, (bessel(1), lambda x: (bessel(0)(x) + bessel(2)(x)) / 2), ((-20, 30),), (4, 4)),
    Row(lg.log1mexp, (lambda x: mp.log1p(-mp.exp(x)), lambda x: 1 / -mp.expm1(-x)), ((-40, 0),), (4, 4)),
    Row(lg.entr, (lambda x: -x * mp.log(x), lambda x: -mp.log(x) - 1), ((0.7, 9),), (4, 4)),
    Row(lg.rel_entr, (lambda x, y: x * mp.log(x / y), None, lambda x, y: -x / y), ((0, 3), (0, 3)), (4, 4)),
    Row(lg.kl_div, (lambda x, y: x * mp.log(x / y) - x + y, lambda x, y: mp.log(x / y), lambda x, y: 1 - x / y),
        ((3, 4), (3, 4)), (4, 4, 4)),
    Row(lg.kl_div, (lambda x, y: x * mp.log(x / y) - x + y, lambda x, y: mp.log(x / y), lambda x, y: 1 - x / y),
        ((0, 100), (0, 100)), (5, 4, 4), "apart"),
    Row(lg.exprel, (exprel(0), exprel(1)), ((-20, 20),), (4, 4)),
    Row(lg.boxcox, (lambda x, p: mp.expm1(p * mp.log(x)) / p, lambda x, p: x ** (p - 1),
                    lambda x, p: mp.log(x) ** 2 * exprel(1)(p * mp.log(x))), ((0.1, 9), (-3, 3)), (8, 4, 8)),
    Row(lg.gammainc, (lower, gamma_slope, gamma_density), ((0.1, 9), (0.1, 20)), (40, 16, 12)),
    Row(lg.gammaincc, (upper, lambda a, x: -gamma_slope(a, x), lambda a, x: -gamma_density(a, x)),
        ((0.1, 9), (0.1, 20)), (40, 16, 12)),
    Row(lg.gammainc, (lower, gamma_slope, gamma_density), ((20, 60), (20, 60)), (200, 200, 60), "large"),
    Row(lg.betainc, (incomplete, beta_slope, lambda a, b, x: -beta_slope(b, a, 1 - x), beta_density),
        ((0.2, 9), (0.2, 9), (0, 1)), (40, 40, 40, 30)),
    Row(lg.betainc, (incomplete, beta_slope, lambda a, b, x: -beta_slope(b, a, 1 - x), beta_density),
        ((0.5, 4), (0.5, 4), (1e-9, 1e-5)), (40, 40, 40, 40), "betainc of small numbers"),
    Row(lg.betaincc, (complement, lambda a, b, x: -beta_slope(a, b, x), lambda a, b, x: beta_slope(b, a, 1 - x)),
        ((0.2, 9), (0.2, 9), (0, 1)), (10, 40, 40)),
    Row(lg.betainc, (incomplete, beta_slope, None, beta_density), ((20, 60), (20, 60), (0.2, 0.8)), (200, 120, 120),
        "large"),
    Row(lambda a, x: lg.grad(lg.gammainc(a, x), a), (gamma_slope, gamma_curvature), ((0.02, 50), (0.1, 60)),
        (200, 4000), "second derivatives of gammainc"),
    Row(lambda a, b, x: lg.grad(lg.betainc(a, b, x), a), (beta_slope, beta_curvature, beta_mixed),
        ((0.2, 9), (0.2, 9), (0, 1)), (40, 4000, 4000), "second derivatives of betainc"),
    Row(lg.stdtr, (student, student_slope, student_density), ((0.5, 30), (-10, 10)), (40, 6000, 60)),
    Row(lg.stdtr, (student, student_slope, student_density), ((0.5, 30), (1e-9, 1e-2)), (40, 20000, 60),
        "stdtr near 0"),
]  # fmt: skip
NAMES = [row.label or row.call.__name__ for row in ROWS]


def sampled(row: Row) -> list[Any]:
    """Operands, the same in every run."""
    rng = np.random.default_rng(7)
    return [rng.uniform(low, high, COUNT) for low, high in row.spans]


def computed(row: Row, xs: list[Any], way: str = "run") -> list[Any]:
    """The value and the derivatives of which there is a truth."""
    wanted = [k for k, f in enumerate(row.exact[1:]) if f is not None]

    def step(ctx: Any, *tensors: Any) -> Any:
        y = row.call(*tensors)
        return [y, *[lg.grad(y, tensors[k]) for k in wanted]]

    env = lg.VariableEnvironment(dtype="float64")
    return env.run(step, *xs) if way == "run" else env.compile(step, wait=True)(*xs)


def ulps(got: Any, exact: Any, rows: list[Any]) -> float:
    """The greatest error."""
    mp.dps = 60
    found = []
    for y, numbers in zip(got.tolist(), rows, strict=True):
        truth = exact(*map(mpf, numbers))
        found.append(float(abs(mpf(y) - truth) / mpf(float(np.spacing(abs(float(truth)))))))
    return max(found)


@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS, ids=[f"{n}-{i}" for i, n in enumerate(NAMES)])
def test_special_functions_and_their_derivatives_keep_their_digits(row: Row) -> None:
    """Where SciPy's value has lost some, as it says itself of the incomplete ones, no more than it loses."""
    xs = sampled(row)
    rows = list(zip(*[x.tolist() for x in xs], strict=True))
    truths = [f for f in row.exact if f is not None]
    found = [ulps(y, f, rows) for y, f in zip(computed(row, xs), truths, strict=True)]
    assert [True] * len(found) == [e <= bound for e, bound in zip(found, row.bounds, strict=True)], found


# How they are run.

PROBES = np.array([0.2, 0.35, 0.6, 0.85])
CALLS: dict[str, Callable[[Any], Any]] = {
    **{name: getattr(lg, name) for name in ("logit", "erfcx", "erfcinv", "ndtr", "ndtri", "gamma", "factorial")},
    **{name: getattr(lg, name) for name in ("i0", "i1", "entr", "exprel")},
    "log1mexp": lambda x: lg.log1mexp(-x),
    "beta": lambda x: lg.beta(x, 2.5),
    "binom": lambda x: lg.binom(4.5, x),
    "multigammaln": lambda x: lg.multigammaln(x + 1, 3),
    "zeta": lambda x: lg.zeta(2.5, x),
    "rel_entr": lambda x: lg.rel_entr(x, 0.5),
    "kl_div": lambda x: lg.kl_div(x, 0.5),
    "boxcox": lambda x: lg.boxcox(x, 0.5),
    **{name: functools.partial(getattr(lg, name), 2.5) for name in ("gammainc", "gammaincc", "gammaincinv")},
    **{name: functools.partial(getattr(lg, name), 2.5, 3.5) for name in ("betainc", "betaincc", "betaincinv")},
    **{name: functools.partial(getattr(lg, name), 4.0) for name in ("gammainccinv", "stdtr", "stdtrit")},
    "betainccinv": lambda x: lg.betainccinv(2.5, 3.5, x),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_compiled_steps_compute_what_run_does_whether_a_function_has_native_code_or_not(
    monkeypatch: pytest.MonkeyPatch, dtype: str
) -> None:
    """All of them and their derivatives in one step; what has none goes back to NumPy by itself."""
    monkeypatch.setenv("LAZYGRAD_NATIVE", "auto")

    def step(ctx: Any, x: Any) -> Any:
        ys = {name: f(x) for name, f in CALLS.items()}
        return ys, {name: lg.grad(y, x) for name, y in ys.items()}

    env, x = lg.VariableEnvironment(backend="numpy", dtype=dtype), PROBES.astype(dtype)
    expected = env.run(step, x)
    compiled = env.compile(step, wait=True)
    for want, got in zip(expected, compiled(x), strict=True):
        for name in CALLS:
            assert (np.dtype(dtype), x.shape) == (got[name].dtype, got[name].shape)
            np.testing.assert_allclose(got[name], want[name], rtol=64 * np.finfo(dtype).eps, err_msg=name)
    assert compiled.is_native


# The ends of their ranges, and beyond.


def value(f: Any, *xs: Any) -> list[float]:
    """``f`` of the numbers, and its derivative for the last operand."""
    arrays = [np.asarray(x, np.float64) for x in xs]
    step = lambda ctx, *xs: f(*xs)  # noqa: E731
    return lg.VariableEnvironment(dtype="float64").run(step, *arrays).tolist()


def slope(f: Any, *xs: Any) -> list[float]:
    """The derivative of ``f`` for the last operand."""
    return value(lambda *xs: lg.grad(f(*xs), xs[-1]), *xs)


ENDS: list[tuple[Any, tuple[Any, ...], Any, Any]] = [
    (lg.logit, ([0, 1, 0.5, -1, NAN],), [-INF, INF, 0, NAN, NAN], [INF, INF, 4, None, NAN]),
    (lg.ndtri, ([0, 1, 0.5, -1, 2, NAN],), [-INF, INF, 0, NAN, NAN, NAN], [INF, INF, ROOT_TWO_PI, *[None] * 3]),
    (lg.erfcinv, ([0, 2, 1, 3, NAN],), [INF, -INF, 0, NAN, NAN], [-INF, -INF, -ROOT_PI / 2, None, NAN]),
    (lg.erfcx, ([INF, -INF, 0, NAN, 1e300],), [0, INF, 1, NAN, 1 / ROOT_PI / 1e300], [0, -INF, None, NAN, 0]),
    (lg.ndtr, ([INF, -INF, NAN],), [1, 0, NAN], [0, 0, NAN]),
    (lg.gamma, ([1, 171, 172, INF, NAN],), [1, math.gamma(171), INF, INF, NAN], [None] * 5),
    (lg.factorial, ([0, 3, 20],), [1, 6, math.factorial(20)], [None] * 3),
    (lg.i0, ([0, INF, -INF, NAN],), [1, INF, INF, NAN], [0, INF, -INF, NAN]),
    (lg.i1, ([0, INF, -INF, NAN],), [0, INF, -INF, NAN], [0.5, INF, INF, NAN]),
    (lg.log1mexp, ([0, -INF, 1, -800, NAN],), [-INF, 0, NAN, 0, NAN], [-INF, 0, None, 0, NAN]),
    (lg.entr, ([0, 1, INF, -1, NAN],), [0, 0, -INF, -INF, NAN], [INF, -1, -INF, None, NAN]),
    (lg.rel_entr, ([0, 0, 1, -1, 1, NAN], [0, 2, 0, 1, 1, 1]), [0, 0, INF, INF, 0, NAN], [0, 0, None, None, -1, NAN]),
    (lg.kl_div, ([0, 0, 1, -1, 1, NAN], [0, 2, 0, 1, 1, 1]), [0, 2, INF, INF, 0, NAN], [None, 1, None, None, 0, NAN]),
    (lg.exprel, ([0, INF, -INF, NAN, 1e-300],), [1, INF, 0, NAN, 1], [0.5, INF, 0, NAN, 0.5]),
    (lg.boxcox, ([0, 1, 2, 2, INF], [2, 3, 0, 1, -1]), [-0.5, 0, LOG_TWO, 1, 1], [None, 0, LOG_TWO**2 / 2, None, None]),
    (lg.gammainc, ([2, 2, 1, 0.5, 2, -1], [0, INF, 0, 0, NAN, 1]), [0, 1, 0, 0, NAN, NAN], [0, 0, 1, INF, NAN, NAN]),
    (lg.gammaincc, ([2, 2, 1], [0, INF, 0]), [1, 0, 1], [0, 0, -1]),
    (lg.gammaincinv, ([1, 1], [0, 1]), [0, INF], [1, INF]),
    (lg.betainc, ([2, 2, 1, 0.5, 2], [2, 2, 3, 1, 2], [0, 1, 0, 0, NAN]), [0, 1, 0, 0, NAN], [0, 0, 3, INF, NAN]),
    (lg.betaincc, ([2, 2, 2], [2, 2, 1], [0, 1, 1]), [1, 0, 0], [0, 0, -2]),
    (lg.stdtr, ([1, 1, 1, 1], [0, INF, -INF, 1]), [0.5, 1, 0, 0.75], [1 / math.pi, 0, 0, 0.5 / math.pi]),
    (lg.stdtrit, ([1, 1, 1], [0.5, 0, 1]), [0, -INF, INF], [math.pi, INF, INF]),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
@pytest.mark.parametrize("end", ENDS, ids=[row[0].__name__ for row in ENDS])
def test_values_and_derivatives_at_the_ends_of_the_range_are_limits(end: Any) -> None:
    """None stands for a derivative that has no meaning, or is tested elsewhere."""
    f, operands, values, slopes = end
    np.testing.assert_allclose(value(f, *operands), np.array(values, float), rtol=4e-16)
    found = slope(f, *operands)
    kept = [k for k, x in enumerate(slopes) if x is not None]
    np.testing.assert_allclose([found[k] for k in kept], [slopes[k] for k in kept], rtol=1e-14)


def test_zeta_has_no_derivative_for_its_exponent() -> None:
    """It says so, and what to do."""
    with pytest.raises(lg.GradientError) as caught:
        slope(lambda q, s: lg.zeta(s, q), [1.0], [2.0])
    assert "cannot differentiate hurwitz with respect to 'left': no derivative is known" in str(caught.value)


def test_the_third_derivative_of_an_incomplete_function_for_its_shape_is_refused() -> None:
    """The first and second are integrals, whose derivatives are not known."""
    with pytest.raises(lg.GradientError) as caught:
        slope(lambda x, a: lg.grad(lg.grad(lg.gammainc(a, x), a), a), [1.0], [2.0])
    assert "cannot differentiate gammainc_curvature with respect to 'left'" in str(caught.value)


def test_the_number_of_dimensions_is_a_whole_number() -> None:
    """The message says what it is."""
    for d in (0, 1.5, True):
        with pytest.raises(lg.SpecError) as caught:
            value(lambda a, d=d: lg.multigammaln(a, d), [3.0])
        assert f"cannot multigammaln with d={d}" in str(caught.value)
