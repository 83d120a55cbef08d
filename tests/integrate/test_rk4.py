"""The classical Runge–Kutta method with given steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lazygrad as lg


def solved(t: Any, steps: int = 1) -> Any:
    """y' = −y·t from 1, with exact solution exp(−t²/2)."""
    env = lg.VariableEnvironment(dtype="float64")

    def step(ctx: Any, t: Any) -> Any:
        return lg.integrate.rk4(lambda t, y: -y * t, lg.ones(()), t, steps=steps)

    found = env.run(step, t)
    compiled = env.compile(step, wait=True)
    for _ in range(2):
        np.testing.assert_allclose(compiled(t), found, rtol=1e-13)
    return found


def test_a_step_is_that_of_kutta() -> None:
    """One of size h for y' = −y gives the series of exp(−h) up to the fourth power."""
    env = lg.VariableEnvironment(dtype="float64")
    h = 0.5
    found = env.run(lambda ctx: lg.integrate.rk4(lambda t, y: -y, lg.ones(()), [0, h]))
    np.testing.assert_allclose(found, [1, 1 - h + h**2 / 2 - h**3 / 6 + h**4 / 24], rtol=1e-15)


def test_half_the_step_makes_a_sixteenth_of_the_error() -> None:
    """By more steps from a time to the next, as by more times."""
    t = np.linspace(0, 2, 6)
    errors = [np.abs(solved(t, steps) - np.exp(-(t**2) / 2)).max() for steps in (4, 8)]
    assert 4 == round(np.log2(errors[0] / errors[1]))
    np.testing.assert_allclose(solved(t, 4)[-1], solved(np.linspace(0, 2, 21))[-1], rtol=1e-13)


def test_times_may_fall() -> None:
    """Back to where it came from."""
    there = solved(np.array([0.0, 1.0]), 50)[-1]
    env = lg.VariableEnvironment(dtype="float64")
    back = env.run(lambda ctx, y: lg.integrate.rk4(lambda t, y: -y * t, y, [1.0, 0.0], steps=50), there)
    np.testing.assert_allclose(back[-1], 1, rtol=1e-8)


def test_derivatives_are_those_of_finite_differences() -> None:
    """In the state, in the times, and in what the slope reads, of both orders, through a nested state."""

    def solution(y: Any, v: Any, k: Any, t: Any) -> Any:
        return lg.integrate.rk4(lambda t, s: {"y": s["v"], "v": -k * s["y"] ** 3 + t}, {"y": y, "v": v}, t, steps=2)[
            "y"
        ]

    lg.testing.check_gradient(
        solution, np.array([0.4, 0.9]), np.array([0.1, 0.2]), np.array(1.3), np.array([0.0, 0.2, 0.5])
    )


@pytest.mark.parametrize("steps", [0, 1.5, True])
def test_a_number_of_steps_that_is_none_is_refused(steps: Any) -> None:
    """With what it should be."""
    env = lg.VariableEnvironment(dtype="float64")
    with pytest.raises(lg.SpecError) as error:
        env.run(lambda ctx: lg.integrate.rk4(lambda t, y: -y, lg.ones(()), [0, 1], steps=steps))
    assert str(error.value).startswith(f"cannot rk4 with steps={steps!r}\n")
    assert str(error.value).endswith("It is a whole number, 1 or more: so many steps lie between a time and the next.")
