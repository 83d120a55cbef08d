"""Kalman filters whose noises are learned: the flow of the Nile, and the path of a ship."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

import lazygrad as lg

Example = Callable[[str], Any]
Numbers = Callable[..., dict[str, float]]


def test_the_likelihood_of_the_ship_is_that_of_one_normal_distribution(example: Example) -> None:
    """All observations together are normal: their covariance, written out, has the same density, and so the means."""
    module = example("kalman")
    logarithms, steps = np.log([0.7, 0.2]), 6
    _, ys = module.voyage(np.random.default_rng(0), steps)
    first = np.array([0.1, -0.2, 0.5, 0.3]), np.diag([1.0, 2.0, 0.5, 0.4])
    env = lg.VariableEnvironment(dtype="float64")

    def step(ctx: Any, x: Any, ys: Any) -> Any:
        model = module.ship(x)
        means, covariances, likely = module.filtered(model, tuple(map(lg.asarray, first)), ys)
        return model, means, likely, module.smoothed(model, means, covariances)

    (f, h, q, r), means, likely, (smooth, _) = env.run(step, logarithms, ys)
    mean, joint = [first[0]], np.zeros((4 * steps, 4 * steps))
    covariance = first[1]
    for t in range(steps):
        mean.append(f @ mean[-1])
        covariance = f @ covariance @ f.T + q
        block = covariance
        for s in range(t, steps):
            joint[4 * s : 4 * s + 4, 4 * t : 4 * t + 4] = block
            joint[4 * t : 4 * t + 4, 4 * s : 4 * s + 4] = block.T
            block = f @ block
    states = np.concatenate(mean[1:])
    seen = np.kron(np.eye(steps), h)
    spread = seen @ joint @ seen.T + np.kron(np.eye(steps), r)
    exact = stats.multivariate_normal(seen @ states, spread).logpdf(ys.ravel())
    assert exact == pytest.approx(likely, rel=1e-10)
    known = states + joint @ seen.T @ np.linalg.solve(spread, ys.ravel() - seen @ states)
    np.testing.assert_allclose(smooth.ravel(), known, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(means[-1], known[-4:], rtol=1e-8, atol=1e-10)


def test_the_gradient_through_the_filter_is_that_of_finite_differences(example: Example) -> None:
    """For the logarithms of both noises, with the second derivatives that the standard errors come from."""
    module = example("kalman")
    ys = module.NILE[:8, None] / 1000

    def likelihood(logarithms: Any) -> Any:
        return module.filtered(module.level(logarithms), module.begun(logarithms, ys), lg.asarray(ys[1:]))[2]

    lg.testing.check_gradient(likelihood, np.log([0.02, 0.005]))


@pytest.mark.slow
def test_run_and_compile_give_the_same_numbers(numbers: Numbers) -> None:
    """The mode changes how a step is run, and nothing else; the optimiser stops where rounding leaves it."""
    run, compiled = (numbers("kalman", "--mode", mode) for mode in ("run", "compile"))
    assert run == pytest.approx(compiled, rel=1e-4)


@pytest.mark.slow
def test_the_variances_of_the_nile_are_those_that_are_published(example: Example) -> None:
    """To the digits that Durbin and Koopman give; and the ship's noises come within three standard errors."""
    module = example("kalman")
    found = module.main([])
    variances = [found["Nile: variance of an observation"], found["Nile: variance of the level"]]
    np.testing.assert_allclose(variances, module.PUBLISHED, rtol=1e-3)
    assert found["Nile: log likelihood"] == pytest.approx(-632.54, abs=0.01)  # statsmodels, with an exact diffuse start
    assert found["ship: largest deviation (standard errors)"] < 3
    distance = "ship: distance from the true place, "
    assert found[distance + "smoothed"] < found[distance + "filtered"] < found[distance + "seen"]
    for name in ("nile", "ship"):
        assert Path("results", f"kalman_{name}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("statsmodels") is None, reason="statsmodels is not installed: a peer")
def test_the_variances_of_the_nile_are_those_of_statsmodels(example: Example) -> None:
    """Which fits the same model."""
    module = example("kalman")
    found = module.main([])
    variances = [found["Nile: variance of an observation"], found["Nile: variance of the level"]]
    np.testing.assert_allclose(variances, module.statsmodels_level(module.NILE), rtol=1e-3)
