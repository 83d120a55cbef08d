"""Checks of ops for their writers: derivatives against difference quotients, values against a reference.

Both run outside any step, in an environment of their own, so that a test is one line::

    lg.testing.check_gradient(lambda x: my_op(x, axis=1), np.random.default_rng(0).normal(size=(3, 4)))
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lazygrad.define.kinds import tensor
from lazygrad.derivative.gradient import grad, jvp
from lazygrad.engine.agreement import disagreement
from lazygrad.environment import VariableEnvironment
from lazygrad.errors import DefinitionError
from lazygrad.graph.tensor import Tensor
from lazygrad.names import publish as _publish
from lazygrad.ops.arithmetic import add, multiply, square
from lazygrad.ops.reduction import sum

__all__ = ["check_gradient", "check_value"]

EPS = float(np.finfo(np.float64).eps)
# A fourth-order central difference errs by h⁴·|f⁽⁵⁾|/30 in truncation and about 1.5·ε·|f|/h in rounding;
# for f of scale 1 the sum is least near h = ε^(1/5) ≈ 7.4e-4 (Fornberg 1988; Press et al. §5.7). The
# sixth-order one is taken, and its distance from the fourth-order one says how far to trust them.
STEP = EPS**0.2
POINTS = (1, -1, 2, -2, 3, -3)
FOURTH = np.array([8, -8, -1, 1, 0, 0]) / 12
SIXTH = np.array([45, -45, -9, 9, 1, -1]) / 60

Arrays = Sequence[Any]


def check_gradient(
    f: Callable[..., Any],
    *arrays: Any,
    order: int = 2,
    seed: int = 0,
    rtol: float = 1e-6,
    step: float = STEP,
) -> None:
    """Check the derivatives of ``f`` against central differences in float64.

    The results of ``f`` become one number, s = Σ w·y + ½·Σ y² with random w: the square, because otherwise
    every second derivative of a linear op would be zero, and a wrong one could not be told from it. Its
    derivative along a random direction of each argument is computed in reverse (:func:`lazygrad.grad`) and
    forward (:func:`lazygrad.jvp`) mode, and for ``order=2`` the second derivative in all four combinations of
    the two. The difference quotient of the second derivatives is taken of the first one in reverse mode, which
    has then been checked.

    The two numbers may differ by ``rtol`` of the larger, plus the distance between the difference quotients of
    sixth and fourth order, for truncation, plus 20·ε·(max|s|/h + 1), for rounding. Where a function bends so much
    that truncation shows, h is made smaller.

    Args:
        f: takes tensors, returns a tensor, or a tuple or list of them. Results that are not floating are left out.
        arrays: its arguments. Floating arrays are cast to float64 and differentiated; they must lie further than
            3h from kinks and poles. Arrays of whole numbers and booleans are passed on as tensors. What is
            no array (a number, a string) is passed on as it is.
        order: 1 or 2, the highest derivative to check.
        seed: of the random weights and directions.
        rtol: allowed relative error.
        step: h, the largest step taken.

    Raises:
        AssertionError: a derivative differs, or is NaN, or has another shape or dtype than its argument. The
            message says which derivative of which argument, and both numbers.
        ValueError: there is nothing to differentiate.
        LazygradError: ``f`` cannot be evaluated or differentiated.
    """
    given = [np.asarray(a, np.float64) if _floating(a) else a for a in arrays]
    places = [k for k, a in enumerate(given) if _floating(a)]
    if not places:
        raise ValueError(f"nothing to differentiate: no argument of {_named(f)} is a floating array")
    rng = np.random.default_rng(seed)
    tangents = [rng.standard_normal(given[k].shape) for k in places]
    others = [rng.standard_normal(given[k].shape) for k in places]
    env = VariableEnvironment(seed=seed, dtype="float64")

    def number(*xs: Any) -> Tensor:
        return _scalarized(f, xs, np.random.default_rng(seed + 1))

    def first(ctx: Any, *xs: Any) -> Any:
        s = number(*xs)
        wrt = [xs[k] for k in places]
        grads = grad(s, wrt)
        for k, g in zip(places, grads, strict=True):
            _same_spec(f, k, g, xs[k])
        reverse = [_along([g], [v]) for g, v in zip(grads, tangents, strict=True)]
        forward = [jvp(s, x, v) for x, v in zip(wrt, tangents, strict=True)]
        return reverse, forward

    def second(ctx: Any, *xs: Any) -> Any:
        s = number(*xs)
        wrt = [xs[k] for k in places]
        pulled = _along(grad(s, wrt), others)
        pushed = jvp(s, wrt, others)
        combined: dict[str, list[Tensor]] = {}
        for name, slope in (("reverse", pulled), ("forward", pushed)):
            again = grad(slope, wrt)
            combined[f"reverse over {name}"] = [_along([g], [v]) for g, v in zip(again, tangents, strict=True)]
            combined[f"forward over {name}"] = [jvp(slope, x, v) for x, v in zip(wrt, tangents, strict=True)]
        return combined

    def sample(ctx: Any, *xs: Any) -> Any:
        s = number(*xs)
        return s, _along(grad(s, [xs[k] for k in places]), others)

    reverse, forward = env.run(first, *given)
    quotients = [_quotients(env, sample, given, k, v, step) for k, v in zip(places, tangents, strict=True)]
    for n, k in enumerate(places):
        expected, noise = quotients[n][0]
        for mode, found in (("reverse", reverse[n]), ("forward", forward[n])):
            _close(f, k, f"first derivative, {mode} mode,", expected, float(found), rtol, noise)
    if order < 2:
        return
    combined = env.run(second, *given)
    for n, k in enumerate(places):
        expected, noise = quotients[n][1]
        for mode, values in combined.items():
            _close(f, k, f"second derivative, {mode},", expected, float(values[n]), rtol, noise)


def check_value(f: Callable[..., Any], reference: Callable[..., Any], *arrays: Any, ulps: float = 0.0) -> None:
    """Check what ``f`` computes against a reference on arrays, and against itself run another way.

    ``f`` is evaluated three ways: node by node, by the program of ``env.run``, and by that of ``env.compile``.
    The three must agree bit for bit; native code to an element's 2⁻¹⁴ of the largest of its array in float32, 2⁻⁴⁰ in
    float64. Evaluating node by node also checks that every kernel returns the shape and dtype that its op declares.

    Args:
        f: takes tensors, returns a tensor, or a tuple or list of them.
        reference: takes the arrays, returns what ``f`` should; the dtypes must agree too.
        arrays: the arguments; what is no array is passed on as it is.
        ulps: allowed error, in units of rounding (ε of the result's dtype) of the largest finite element. 0
            means bit for bit, but that any NaN equals any other.

    Raises:
        AssertionError: shapes, dtypes or numbers differ, or an op is declared wrongly; the message shows both.
    """
    floats = [a.dtype for a in arrays if isinstance(a, (np.ndarray, np.generic)) and a.dtype.kind == "f"]
    env = VariableEnvironment(seed=0, dtype="float32" if np.dtype(np.float32) in floats else "float64")

    def evaluated(ctx: Any, *xs: Any) -> Any:
        return [tensor(y) for y in _listed(f(*xs))]

    with np.errstate(all="ignore"):
        expected = [np.asarray(y) for y in _listed(reference(*arrays))]
    compiled = env.compile(evaluated)
    try:
        interpreted = env.run(evaluated, *arrays)
    except DefinitionError as reason:  # a kernel was seen to do something else than its op declares
        raise AssertionError(f"{_named(f)}: {reason}") from reason
    again = {
        "the second env.run": env.run(evaluated, *arrays),
        "env.compile": compiled(*arrays),
        "the second call of env.compile": compiled(*arrays),
    }
    native = compiled.is_native
    assert len(expected) == len(interpreted), f"{_named(f)}: {len(expected)} results expected, got {len(interpreted)}"
    for k, (want, got) in enumerate(zip(expected, interpreted, strict=True)):
        of = f"{_named(f)}, result {k}"
        assert (want.shape, want.dtype) == (got.shape, got.dtype), (
            f"{of}: expected {want.dtype}{list(want.shape)}, got {got.dtype}{list(got.shape)}"
        )
        _close_arrays(of, want, got, ulps)
        for name, values in again.items():
            if native and "compile" in name and got.dtype.kind == "f":
                difference = disagreement(values[k], got)
                assert difference is None, f"{of}, {name} beside the first: {difference}"
            else:
                _close_arrays(f"{of}, {name} beside the first", got, values[k], 0)


def _floating(a: Any) -> bool:
    return isinstance(a, (np.ndarray, np.generic)) and a.dtype.kind == "f"


def _listed(ys: Any) -> list[Any]:
    return list(ys) if isinstance(ys, (tuple, list)) else [ys]


def _scalarized(f: Callable[..., Any], xs: Arrays, rng: np.random.Generator) -> Tensor:
    """Σ w·y + ½·Σ y² over all floating results."""
    total = None
    for y in _listed(f(*xs)):
        if isinstance(y, Tensor) and y.dtype.kind == "f":
            part = sum(add(multiply(y, rng.standard_normal(y.shape)), multiply(square(y), 0.5)))
            total = part if total is None else add(total, part)
    if total is None:
        raise ValueError(f"nothing to differentiate: {_named(f)} returns no floating tensor")
    return total


def _along(gs: Sequence[Tensor], vs: Arrays) -> Tensor:
    total = sum(multiply(gs[0], vs[0]))
    for g, v in zip(gs[1:], vs[1:], strict=True):
        total = add(total, sum(multiply(g, v)))
    return total


def _quotients(
    env: VariableEnvironment, sample: Callable[..., Any], given: Arrays, place: int, v: Any, step: float
) -> list[tuple[float, float]]:
    """For each number that ``sample`` gives its derivative along ``v``, and the error of that.

    Where a function bends within a step, a shorter one is taken, until what truncation costs is no more than
    a millionth, or than what rounding does (Ridders 1982).
    """
    best = [(0.0, np.inf)] * 2
    for h in (step, step / 4, step / 16):
        values = []
        for times in POINTS:
            moved = [a + times * h * v if k == place else a for k, a in enumerate(given)]
            values.append([float(value) for value in env.run(sample, *moved)])
        table = np.array(values).T
        slopes, truncation = table @ SIXTH / h, np.abs(table @ (SIXTH - FOURTH)) / h
        # Each value is known to a few ε of its size, and the quotient divides by h; the derivative itself sums
        # terms of size 1 that may cancel.
        rounding = 20 * EPS * (np.abs(table).max(axis=1) / h + 1)
        found = [(float(a), float(b)) for a, b in zip(slopes, truncation + rounding, strict=True)]
        best = [new if not old[1] <= new[1] else old for old, new in zip(best, found, strict=True)]
        if not np.any(truncation > np.maximum(1e-6 * np.abs(slopes), rounding)):
            break
    return best


def _close(
    f: Callable[..., Any], place: int, what: str, expected: float, actual: float, rtol: float, noise: float
) -> None:
    allowed = rtol * max(abs(expected), abs(actual)) + noise
    # Written so that a NaN on either side fails.
    if not abs(expected - actual) <= allowed:
        raise AssertionError(
            f"{what} of {_named(f)} with respect to argument {place} is wrong along a random direction:\n"
            f"    expected {expected!r}, by central differences\n"
            f"    actual   {actual!r}\n"
            f"    they may differ by {allowed:.1e}"
        )


def _same_spec(f: Callable[..., Any], place: int, g: Tensor, x: Tensor) -> None:
    if g.spec != x.spec:
        raise AssertionError(
            f"the gradient of {_named(f)} with respect to argument {place} is {g.spec}, the argument {x.spec}"
        )


def _close_arrays(of: str, expected: Any, actual: Any, ulps: float) -> None:
    if np.array_equal(expected, actual, equal_nan=expected.dtype.kind == "f"):
        if expected.dtype.kind != "f" or np.array_equal(_signs(expected), _signs(actual)):
            return
    if ulps and expected.dtype.kind == "f":
        finite = np.isfinite(expected)
        scale = float(np.max(np.abs(expected[finite]), initial=0.0))
        if np.array_equal(expected[~finite], actual[~finite], equal_nan=True):
            error = np.abs(expected[finite].astype(np.float64) - actual[finite].astype(np.float64))
            if not np.any(~(error <= ulps * np.finfo(expected.dtype).eps * scale)):
                return
    raise AssertionError(f"{of}:\n    expected {expected!r}\n    actual   {actual!r}")


def _signs(a: Any) -> Any:
    """Where the sign is set; of NaN it means nothing."""
    return np.signbit(a) & ~np.isnan(a)


def _named(f: Callable[..., Any]) -> str:
    """The function as its writer knows it: its name, or for a lambda its line."""
    name = getattr(f, "__qualname__", repr(f)).replace("<locals>.", "")
    code = getattr(f, "__code__", None)
    if code is None or "<lambda>" not in name:
        return name
    try:
        line = inspect.getsource(f).strip().splitlines()[0]
    except (OSError, TypeError):
        line = name
    return f"{line!r} (line {code.co_firstlineno})"


_publish(__name__, "lg.testing", advised=False)  # ")
