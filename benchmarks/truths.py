"""Functions of the language and their derivatives beside their true values, to sixty digits.

Each row has a function of tensors and what mpmath says of it, where to take samples densely, and, for what has zeros
in the middle of its range, the size of the terms that cancel there: an error is then counted in their ulp.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from mpmath import mp, mpf

import lazygrad as lg

__all__ = ["TRUTHS", "Measure", "Truth", "measured", "sampled"]

DIGITS = 60
Array = np.ndarray[Any, Any]
Span = tuple[float, float]


class Truth(NamedTuple):
    """A function of tensors, and the truth.

    Attributes:
        name: the function's, in the words of the language.
        call: it, of tensors.
        exact: the value and one derivative an operand, of numbers of mpmath; the derivatives are of the sum of values.
        spans: intervals of dense samples, for each operand.
        beside: size of the terms that cancel, of each of these; None where nothing does.
        domain: the least and the greatest argument that means something.
        least: in the least normal numbers, the smallest result that counts. Products of which a factor has become
            denormal have lost digits though they may be somewhat larger.
        bound: the error that tests allow, in ulp.
    """

    name: str
    call: Callable[..., Any]
    exact: tuple[Callable[..., Any] | None, ...]
    spans: tuple[tuple[Span, ...], ...]
    beside: tuple[Callable[..., Any] | None, ...] = ()
    domain: Span = (-np.inf, np.inf)
    least: float = 0.0
    bound: float = 4.0


ANY: tuple[Span, ...] = ((-1, 1), (-10, 10), (-0.01, 0.01), (-110, 110), (-760, 760))
UNIT: tuple[Span, ...] = ((-1, 1), (-0.01, 0.01), (0.99, 1), (-1, -0.999))
POSITIVE: tuple[Span, ...] = ((0, 2), (0.99, 1.01), (0, 1000))
ANGLE: tuple[Span, ...] = ((-1.6, 1.6), (-10, 10), (-1e3, 1e3))


def one(
    name: str,
    call: Any,
    value: Any,
    slope: Any,
    spans: tuple[Span, ...] = ANY,
    *,
    curvature: Any = None,
    beside: Any = (None, None, None),
    domain: Span = (-np.inf, np.inf),
    least: float = 0.0,
    bound: float = 4.0,
) -> list[Truth]:
    """The row of a function of one operand, and that of its derivative if a second one is given."""
    rows = [Truth(name, call, (value, slope), (spans,), beside[:2], domain, least, bound)]
    if curvature is not None:
        step = lambda x: lg.grad(call(x), x)  # noqa: E731
        # An error of the curvature is one of a product of three or four numbers.
        rows.append(Truth(f"{name}′", step, (None, curvature), (spans,), (None, *beside[2:]), domain, least, bound + 2))
    return rows


def two(
    name: str,
    call: Any,
    value: Any,
    slopes: Any,
    spans: Any = (ANY, ANY),
    beside: Any = (),
    bound: float = 4.0,
    domain: Span = (-np.inf, np.inf),
) -> list[Truth]:
    """The row of a function of two operands."""
    return [Truth(name, call, (value, *slopes), spans, beside or (None,) * 3, domain, bound=bound)]


def expit(x: Any) -> Any:
    """1 / (1 + e⁻ˣ)."""
    return 1 / (1 + mp.exp(-x)) if x > 0 else mp.exp(x) / (1 + mp.exp(x))


def slope(x: Any) -> Any:
    """σ(x)·σ(−x)."""
    return expit(x) * expit(-x)


def sech2(x: Any) -> Any:
    """1 / cosh² x."""
    return 4 * slope(2 * x)


def softplus(x: Any) -> Any:
    """log(1 + eˣ)."""
    return max(x, 0) + mp.log1p(mp.exp(-abs(x)))


def gate(x: Any) -> Any:
    """tanh(log(1 + eˣ))."""
    e = mp.exp(-abs(x))
    top = e * (e + 2) if x < 0 else 1 + 2 * e
    return top / (top + (2 if x < 0 else 2 * e * e))


def mish_slope(x: Any) -> Any:
    """The derivative of x·tanh(log(1 + eˣ))."""
    return gate(x) + x * sech2(softplus(x)) * expit(x)


def phi(x: Any) -> Any:
    """The density of the normal distribution."""
    return mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)


def big_phi(x: Any) -> Any:
    """The normal distribution function."""
    x = max(min(x, mpf(200)), mpf(-200))
    return mp.erfc(-x / mp.sqrt(2)) / 2


def erfcx(x: Any) -> Any:
    """erfc(x)·e^(x²)."""
    if x < 1000:
        return mp.erfc(x) * mp.exp(x * x)
    z = 1 / (2 * x * x)
    return (1 - z + 3 * z * z - 15 * z**3) / (x * mp.sqrt(mp.pi))


def mills(x: Any) -> Any:
    """φ(x)/Φ(x)."""
    return mp.sqrt(2 / mp.pi) / erfcx(-x / mp.sqrt(2)) if x < 100 else mpf(0) if x > 300 else phi(x)


def log_ndtr(x: Any) -> Any:
    """log Φ(x)."""
    if x < 0:
        return -x * x / 2 + mp.log(erfcx(-x / mp.sqrt(2)) / 2)
    return mp.log1p(-big_phi(-x))


def gelu_argument(x: Any) -> Any:
    """√(8/π)·(x + 0.044715·x³)."""
    return mp.sqrt(8 / mp.pi) * (x + mpf("0.044715") * x**3)


def gelu_tanh_slope(x: Any) -> Any:
    """The derivative of x·σ(z)."""
    z = gelu_argument(x)
    return expit(z) + x * slope(z) * mp.sqrt(8 / mp.pi) * (1 + 3 * mpf("0.044715") * x * x)


def sinc(x: Any) -> Any:
    """sin πx / πx."""
    return mp.sinpi(x) / (mp.pi * x) if x else mpf(1)


def sinc1(x: Any) -> Any:
    """The derivative of sinc."""
    if abs(x) < mpf("1e-9"):
        return -(mp.pi**2) * x / 3
    return (mp.cospi(x) - sinc(x)) / x


def sinc2(x: Any) -> Any:
    """The second derivative of sinc."""
    if abs(x) < mpf("1e-9"):
        return -(mp.pi**2) / 3
    return (-mp.pi * mp.sinpi(x) - 2 * sinc1(x)) / x


def betaln(a: Any, b: Any) -> Any:
    """log B(a, b)."""
    with mp.workdps(DIGITS + 340 if max(a, b) > 1e10 or min(a, b) < 1e-10 else DIGITS + 20):
        return mp.loggamma(a) + mp.loggamma(b) - mp.loggamma(a + b)


def betaln1(a: Any, b: Any) -> Any:
    """ψ(a) − ψ(a + b)."""
    with mp.workdps(DIGITS + 340 if max(a, b) > 1e10 or min(a, b) < 1e-10 else DIGITS + 20):
        return mp.digamma(a) - mp.digamma(a + b)


def hankel(order: int, x: Any) -> list[Any]:
    """The terms of e^−|x|·I(x)·√2π|x| in 1/|x|."""
    terms = [mpf(1)]
    for k in range(1, 40):
        terms.append(-terms[-1] * (4 * order**2 - (2 * k - 1) ** 2) / (8 * k * abs(x)))
    return terms


def bessel(order: int, x: Any) -> Any:
    """e^−|x|·I(x) of an order, by its series in 1/x where that of mpmath would take long."""
    if abs(x) < 1e4:
        return mp.besseli(order, x) * mp.exp(-abs(x))
    return mp.fsum(hankel(order, x)) / mp.sqrt(2 * mp.pi * abs(x)) * (mp.sign(x) if order else 1)


def gap(x: Any) -> Any:
    """e^−|x|·(I₀(|x|) − I₁(|x|))."""
    if abs(x) < 1e4:
        return bessel(0, x) - bessel(1, abs(x))
    return mp.fsum(a - b for a, b in zip(hankel(0, x), hankel(1, x), strict=True)) / mp.sqrt(2 * mp.pi * abs(x))


def i0e(x: Any) -> Any:
    """e^−|x|·I₀(x)."""
    return bessel(0, x)


def i1e(x: Any) -> Any:
    """e^−|x|·I₁(x)."""
    return bessel(1, x)


def bce(x: Any, t: Any) -> Any:
    """Binary cross entropy."""
    return max(x, 0) - x * t + mp.log1p(mp.exp(-abs(x)))


ln2, ln10 = mp.log(2), mp.log(10)
POS = (0.0, np.inf)

TRUTHS: list[Truth] = [
    # activations
    *one("nn.sigmoid", lg.nn.sigmoid, expit, slope, curvature=lambda x: -slope(x) * mp.tanh(x / 2)),
    *one("nn.silu", lg.nn.silu, lambda x: x * expit(x), lambda x: expit(x) + x * slope(x),
         beside=(None, lambda x: expit(x), None), least=1024),
    *one("nn.gelu", lg.nn.gelu, lambda x: x * big_phi(x), lambda x: big_phi(x) + x * phi(x),
         beside=(None, lambda x: big_phi(x), None), least=1024, bound=8),
    *one("nn.gelu tanh", lambda x: lg.nn.gelu(x, approximate="tanh"), lambda x: x * expit(gelu_argument(x)),
         gelu_tanh_slope, beside=(None, lambda x: expit(gelu_argument(x)), None), least=2.0**14),
    *one("nn.softplus", lg.nn.softplus, softplus, expit, curvature=slope),
    *one("nn.log_sigmoid", lg.nn.log_sigmoid, lambda x: -softplus(-x), lambda x: expit(-x)),
    *one("nn.mish", lg.nn.mish, lambda x: x * gate(x), mish_slope, beside=(None, gate, None), least=1024, bound=5),
    *one("nn.elu", lg.nn.elu, lambda x: x if x > 0 else mp.expm1(x), lambda x: mpf(1) if x > 0 else mp.exp(x)),
    *one("nn.selu", lg.nn.selu,
         lambda x: mpf("1.0507009873554804934193") * (x if x > 0 else mpf("1.6732632423543772848170") * mp.expm1(x)),
         lambda x: mpf("1.0507009873554804934193") * (1 if x > 0 else mpf("1.6732632423543772848170") * mp.exp(x))),
    *one("nn.softsign", lg.nn.softsign, lambda x: x / (1 + abs(x)), lambda x: 1 / (1 + abs(x)) ** 2,
         curvature=lambda x: -2 * mp.sign(x) / (1 + abs(x)) ** 3),
    *one("nn.tanh", lg.nn.tanh, mp.tanh, sech2, curvature=lambda x: -2 * mp.tanh(x) * sech2(x)),
    # sums of exponentials
    *two("logaddexp", lg.logaddexp, lambda a, b: max(a, b) + mp.log1p(mp.exp(-abs(a - b))),
         (lambda a, b: expit(a - b), lambda a, b: expit(b - a)), beside=(lambda a, b: max(abs(a), abs(b)), None, None)),
    *two("logsumexp", lambda a, b: lg.logsumexp(lg.stack([a, b]), axis=0),
         lambda a, b: max(a, b) + mp.log1p(mp.exp(-abs(a - b))), (lambda a, b: expit(a - b), lambda a, b: expit(b - a)),
         beside=(lambda a, b: max(abs(a), abs(b)), None, None), bound=400),
    *two("nn.softmax", lambda a, b: lg.nn.softmax(lg.stack([a, b]), axis=0)[0], lambda a, b: expit(a - b),
         (lambda a, b: slope(a - b), lambda a, b: -slope(a - b)), bound=800,
         beside=(None, lambda a, b: expit(a - b), None)),
    Truth("nn.binary_cross_entropy_with_logits", lg.nn.binary_cross_entropy_with_logits,
          (bce, lambda x, t: (1 - t) * expit(x) - t * expit(-x)), (ANY, ((0, 0), (1, 1), (0, 1))),
          (None, lambda x, t: t * expit(-x)), least=4),
    # exponentials and logarithms
    *one("exp", lg.exp, mp.exp, mp.exp),
    *one("exp2", lg.exp2, lambda x: mpf(2) ** x, lambda x: ln2 * mpf(2) ** x, ((-1, 1), (-150, 128), (-1076, 1024))),
    *one("exp10", lg.exp10, lambda x: mpf(10) ** x, lambda x: ln10 * mpf(10) ** x, ((-1, 1), (-45, 38), (-324, 308))),
    *one("expm1", lg.expm1, mp.expm1, mp.exp, curvature=mp.exp),
    *one("log", lg.log, mp.log, lambda x: 1 / x, POSITIVE, curvature=lambda x: -1 / x**2, domain=POS),
    *one("log2", lg.log2, lambda x: mp.log(x, 2), lambda x: 1 / (x * ln2), POSITIVE, domain=POS),
    *one("log10", lg.log10, mp.log10, lambda x: 1 / (x * ln10), POSITIVE, domain=POS),
    *one("log1p", lg.log1p, mp.log1p, lambda x: 1 / (1 + x), (*UNIT, *POSITIVE), domain=(-1, np.inf)),
    # powers and roots
    *one("square", lg.square, lambda x: x * x, lambda x: 2 * x),
    *one("sqrt", lg.sqrt, mp.sqrt, lambda x: 1 / (2 * mp.sqrt(x)), POSITIVE,
         curvature=lambda x: -1 / (4 * x * mp.sqrt(x)), domain=POS),
    *one("rsqrt", lg.rsqrt, lambda x: 1 / mp.sqrt(x), lambda x: -1 / (2 * x * mp.sqrt(x)), POSITIVE, domain=POS),
    *one("reciprocal", lg.reciprocal, lambda x: 1 / x, lambda x: -1 / x**2, curvature=lambda x: 2 / x**3),
    *one("cbrt", lg.cbrt, lambda x: mp.sign(x) * mp.cbrt(abs(x)), lambda x: 1 / (3 * mp.cbrt(abs(x)) ** 2)),
    *two("divide", lg.divide, lambda a, b: a / b, (lambda a, b: 1 / b, lambda a, b: -a / b / b)),
    *two("power", lg.power, lambda a, b: mp.exp(b * mp.log(a)),
         (lambda a, b: b * mp.exp((b - 1) * mp.log(a)), lambda a, b: mp.exp(b * mp.log(a)) * mp.log(a)),
         (((0, 2), (0, 100), (0.9, 1.1)), ((-2, 2), (-100, 100), (-400, 400)))),
    *two("hypot", lg.hypot, lambda a, b: mp.hypot(a, b),
         (lambda a, b: a / mp.hypot(a, b), lambda a, b: b / mp.hypot(a, b))),
    *two("linalg.vector_norm", lambda a, b: lg.linalg.vector_norm(lg.stack([a, b], axis=-1), axis=-1),
         lambda a, b: mp.hypot(a, b), (lambda a, b: a / mp.hypot(a, b), lambda a, b: b / mp.hypot(a, b)),
         domain=(1e-36, np.inf)),
    # trigonometry
    *one("sin", lg.sin, mp.sin, mp.cos, ANGLE),
    *one("cos", lg.cos, mp.cos, lambda x: -mp.sin(x), ANGLE),
    *one("tan", lg.tan, mp.tan, lambda x: 1 + mp.tan(x) ** 2, ANGLE),
    *one("asin", lg.asin, mp.asin, lambda x: 1 / mp.sqrt((1 - x) * (1 + x)), UNIT, domain=(-1, 1)),
    *one("acos", lg.acos, mp.acos, lambda x: -1 / mp.sqrt((1 - x) * (1 + x)), UNIT, domain=(-1, 1)),
    *one("atan", lg.atan, mp.atan, lambda x: 1 / (1 + x * x), curvature=lambda x: -2 * x / (1 + x * x) ** 2),
    *two("atan2", lg.atan2, mp.atan2,
         (lambda a, b: b / (a * a + b * b), lambda a, b: -a / (a * a + b * b))),
    *one("sinh", lg.sinh, mp.sinh, mp.cosh),
    *one("cosh", lg.cosh, mp.cosh, mp.sinh),
    *one("asinh", lg.asinh, mp.asinh, lambda x: 1 / mp.sqrt(1 + x * x),
         curvature=lambda x: -x / mp.sqrt(1 + x * x) ** 3),
    *one("acosh", lg.acosh, mp.acosh, lambda x: 1 / mp.sqrt((x - 1) * (x + 1)), ((1, 1.01), (1, 2), (1, 100)),
         domain=(1, np.inf)),
    *one("atanh", lg.atanh, mp.atanh, lambda x: 1 / ((1 - x) * (1 + x)), UNIT, domain=(-1, 1)),
    *one("sinc", lg.sinc, sinc, sinc1, ((-1, 1), (-10, 10), (-0.01, 0.01), (-100, 100)), curvature=sinc2,
         beside=(None, lambda x: min(abs(3 * x), 1 / (1 + abs(x))), lambda x: 3 / (1 + abs(x)))),
    # special functions
    *one("erf", lg.erf, lambda x: mp.erf(max(-99, min(x, 99))), lambda x: 2 / mp.sqrt(mp.pi) * mp.exp(-x * x),
         ((-1, 1), (-10.4, 10.4), (-27.5, 27.5))),
    *one("erfc", lg.erfc, lambda x: mp.erfc(max(-99, min(x, 99))), lambda x: -2 / mp.sqrt(mp.pi) * mp.exp(-x * x),
         ((-1, 1), (-10.4, 10.4), (-27.5, 27.5)), bound=8),
    *one("erfinv", lg.erfinv, mp.erfinv, lambda x: mp.sqrt(mp.pi) / 2 * mp.exp(mp.erfinv(x) ** 2), UNIT,
         domain=(-1, 1), bound=8),
    *one("log_ndtr", lg.log_ndtr, log_ndtr, mills, ((-1, 1), (-40, 40), (-10, 10), (-1e4, 0)),
         curvature=lambda x: -mills(x) * (x + mills(x)) if x > -1e9 else mpf(-1), bound=12),
    *one("gammaln", lg.gammaln, lambda x: mp.loggamma(x), lambda x: mp.digamma(x), ((0, 10), (0.5, 2.5), (0, 1000)),
         domain=POS, beside=(lambda x: mpf(1) if 0.5 < x < 3 else mpf(0), None, None)),
    *one("digamma", lg.digamma, lambda x: mp.digamma(x), lambda x: mp.psi(1, x), ((0, 10), (1, 2), (0, 1000)),
         curvature=lambda x: mp.psi(2, x), domain=POS, bound=6),
    *two("betaln", lg.betaln, betaln, (betaln1, lambda a, b: betaln1(b, a)), (((0, 10), (0, 1e3)), ((0, 10), (0, 1e3))),
         beside=(lambda a, b: 1 + abs(mp.loggamma(min(a, b))), None, None), bound=8),
    *one("i0e", lg.i0e, i0e, lambda x: -mp.sign(x) * gap(x), ((-10, 10), (-100, 100)), bound=200),
    *one("i1e", lg.i1e, i1e, lambda x: gap(x) - i1e(x) / x if x else mpf("0.5"),
         ((-10, 10), (-100, 100)), beside=(None, lambda x: i0e(x) / (1 + abs(x)), None), bound=200),
]  # fmt: skip


def random_bits(dtype: Any, count: int, seed: int) -> Array:
    """All bit patterns alike, but infinities and NaN."""
    whole = np.dtype(f"u{np.dtype(dtype).itemsize}")
    x = np.random.default_rng(seed).integers(0, np.iinfo(whole).max, 2 * count, whole, endpoint=True).view(dtype)
    return x[np.isfinite(x)][:count]


def sampled(truth: Truth, dtype: Any, count: int) -> list[Array]:
    """Samples: a third of random bits, two thirds dense; and the ends of the range."""
    info, found = np.finfo(dtype), []
    ends = [info.max, -info.max, info.tiny, -info.tiny, info.smallest_subnormal, 1, -1, 0.5, 2, 100, -100]
    for operand, spans in enumerate(truth.spans):
        rng = np.random.default_rng(operand + 1)
        if spans[0] == (0, 0):  # labels beside probabilities
            found.append(rng.choice(np.array([0, 1, 0.3, 0.9]), 3 * count).astype(dtype))
            continue
        pieces = [np.array(ends, dtype), random_bits(dtype, count, operand + 7)]
        pieces += [rng.uniform(low, high, count // len(spans)).astype(dtype) for low, high in spans]
        if operand:
            pieces = [rng.permutation(np.concatenate(pieces))]
        found.append(np.concatenate(pieces))
    size = min(map(len, found))
    xs = [x[:size] for x in found]
    if len(xs) == 2:  # operands near each other as well
        near = xs[0][: size // 4] * (1 + np.finfo(dtype).eps * np.random.default_rng(3).integers(0, 99, size // 4))
        xs = [np.concatenate([xs[0], xs[0][: size // 4]]), np.concatenate([xs[1], near.astype(dtype)])]
    low, high = truth.domain
    kept = np.all([(x > low if np.isfinite(low) or low == 0 else x == x) & (x < high) for x in xs], axis=0)
    if truth.name in ("betaln", "power"):
        kept &= xs[0] > 0
        kept &= (xs[1] > 0) | (truth.name == "power")
    kept &= np.all([np.isfinite(x) for x in xs], axis=0)
    return [x[kept] for x in xs]


class Measure(NamedTuple):
    """The greatest error in ulp, and where it is."""

    greatest: float
    where: tuple[float, ...]


def computed(truth: Truth, way: str, dtype: Any, xs: list[Array]) -> list[Array]:
    """The value and the derivatives, by ``env.run`` or compiled."""
    env = lg.VariableEnvironment(dtype=dtype)
    wanted = [k for k, f in enumerate(truth.exact[1:]) if f is not None]

    def step(ctx: Any, *tensors: Any) -> Any:
        y = truth.call(*tensors)
        return y, [lg.grad(y, tensors[k]) for k in wanted]

    if way == "run":
        y, slopes = env.run(step, *xs)
    else:
        fast = env.compile(step, wait=True)
        fast(*xs)
        y, slopes = fast(*xs)
    return [y, *slopes]


def measured(truth: Truth, way: str, dtype: Any, xs: list[Array]) -> list[Measure | None]:
    """The error of the value, and of the derivatives; None where there is no truth."""
    results = computed(truth, way, dtype, xs)
    found: list[Measure | None] = []
    exacts = [truth.exact[0], *[f for f in truth.exact[1:] if f is not None]]
    least = truth.least * float(np.finfo(dtype).tiny)
    besides = truth.beside or (None,) * len(exacts)
    for got, exact, beside in zip(results, exacts, besides, strict=False):
        found.append(None if exact is None else _greatest(got, exact, beside, dtype, xs, least))
    return found


_known: dict[Any, Any] = {}


def _greatest(got: Array, exact: Any, beside: Any, dtype: Any, xs: list[Array], least: float) -> Measure:
    """The greatest error of the results."""
    info = np.finfo(dtype)
    mp.dps = DIGITS
    rows = list(zip(*[x.tolist() for x in xs], strict=True))
    key = (exact, np.dtype(dtype), len(rows))
    if key not in _known:
        truths, sizes = [], []
        for row in rows:
            numbers = [mpf(x) for x in row]
            try:
                w = exact(*numbers)
                size = max(abs(w), abs(beside(*numbers))) if beside else abs(w)
            except (ZeroDivisionError, ValueError, OverflowError, mp.NoConvergence):
                w = size = None
            truths.append(w)
            sizes.append(size)
        _known[key] = truths, sizes
    worst, where = 0.0, (0.0,) * len(xs)
    for g, w, size, row in zip(got.tolist(), *_known[key], rows, strict=True):
        if w is None or size > float(info.max) or abs(w) < least:
            continue
        unit = float(np.spacing(np.asarray(float(size)).astype(dtype)))
        off = float(abs(mpf(g) - w) / unit) if np.isfinite(g) else np.inf
        if off > worst:
            worst, where = off, row
    return Measure(worst, where)
