"""Forms of numbers in sizes: found from values at a few sizes, and only if they hold at others."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazygrad.export.onnx.forms import fitted, points, real, whole

EPS = float(np.finfo(np.float32).eps)
AT = points([64, 20], {66})


def test_no_size_is_taken_nor_another_axis_is() -> None:
    """What the step has stays apart from what is tried, as do the sizes of two axes."""
    at = points([64, 64], {66, 70})
    first, second = ({point[axis] for point in at} for axis in (0, 1))
    assert not (first | second) & {64, 66, 70}
    assert not first & second
    assert len(at) == 4 + 2
    assert (
        max(max(point) for point in points([64], {66}, near=True))
        < 80
        < max(max(point) for point in points([64], {66}))
    )


@given(st.lists(st.integers(-50, 50), min_size=4, max_size=4))
def test_a_polynomial_of_degree_one_in_each_size_is_found(factors: list[int]) -> None:
    """Its coefficients are those it was made of."""
    a, b, c, d = factors
    form = whole([a * n * t + b * n + c * t + d for n, t in AT], AT)
    assert form is not None
    assert form((7, 9)) == a * 63 + b * 7 + c * 9 + d


@pytest.mark.parametrize(
    "f",
    [lambda n: n // 2, lambda n: n * n, lambda n: n % 2, lambda n: min(n, 70), lambda n: 2**n, lambda n: -(-n // 3)],
)
def test_what_is_no_such_polynomial_has_no_form(f: Callable[[int], int]) -> None:
    """Halves, squares and the like are refused, though two values lie on a line."""
    assert whole([f(n) for n, _ in AT], AT) is None


@pytest.mark.parametrize(
    ("said", "f"),
    [
        ("batch", lambda n, t: n),
        ("12*batch", lambda n, t: 12 * n),
        ("batch*time + 1", lambda n, t: n * t + 1),
        ("3", lambda n, t: 3),
    ],
)
def test_a_form_is_said_in_names(said: str, f: Callable[[int, int], int]) -> None:
    """As ONNX writes a size that is open."""
    form = whole([f(*point) for point in AT], AT)
    assert form is not None
    assert form.said(["batch", "time"]) == said


@pytest.mark.parametrize(
    "f",
    [
        lambda n, t: 1 / n,
        lambda n, t: -2 / (n * t),
        lambda n, t: 0.3 * n,
        lambda n, t: 1 / math.sqrt(t),
        lambda n, t: 1 / (n - 1),
        lambda n, t: n / t**2,
    ],
)
def test_powers_of_sizes_are_found_through_rounding(f: Callable[[int, int], float]) -> None:
    """Of float32 numbers the form gives those of other sizes, to a few roundings."""
    form = real([float(np.float32(f(*point))) for point in AT], AT, EPS)
    assert form is not None
    # Each value is rounded once, and so is the factor that is taken from one: a few roundings in all.
    assert form((513, 7)) == pytest.approx(f(513, 7), rel=8 * EPS)


@pytest.mark.parametrize("f", [lambda n, t: math.log(n), lambda n, t: 1 / (n + t), lambda n, t: math.nan])
def test_what_is_no_power_has_no_form(f: Callable[[int, int], float]) -> None:
    """Logarithms, sums below a line, and what is no number."""
    assert real([f(*point) for point in AT], AT, EPS) is None


def test_of_an_array_each_number_has_its_form() -> None:
    """Those that do not change keep their bits, minus zero and infinities too."""
    arrays: list[Any] = [np.array([-0.0, np.inf, 1 / n, n - 2], np.float32) for n, _ in AT]
    forms = fitted(arrays, AT)
    assert forms is not None
    assert math.copysign(1, forms[0]((5, 5))) == -1
    assert [form((5, 5)) for form in forms[1:]] == [math.inf, pytest.approx(0.2), 3]
    assert fitted([np.array([n % 2 == 0]) for n, _ in AT], AT) is None
