"""Lynx and hare: a differential equation whose parameters are fitted to counts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import lazygrad as lg

Example = Callable[[str], Any]
Numbers = Callable[..., dict[str, float]]


def test_the_populations_are_those_of_scipy(example: Example) -> None:
    """Over the twenty-one years, by a method of order eight."""
    module = example("lotka_volterra")
    growth, eaten, death, fed, hare, lynx = module.GUESS

    def slope(_: float, y: Any) -> list[float]:
        return [(growth - eaten * y[1]) * y[0], (fed * y[0] - death) * y[1]]

    ends = module.YEARS[0], module.YEARS[-1]
    exact = solve_ivp(slope, ends, [hare, lynx], "DOP853", t_eval=module.YEARS, rtol=1e-11, atol=1e-11).y.T
    env = lg.VariableEnvironment(dtype="float64")
    found = env.run(lambda ctx, x: module.populations(x, module.YEARS), np.log(module.GUESS))
    np.testing.assert_allclose(found, exact, rtol=1e-5)


@pytest.mark.slow
def test_run_and_compile_give_the_same_numbers(numbers: Numbers) -> None:
    """The mode changes how a step is run, and nothing else."""
    run, compiled = (numbers("lotka_volterra", "--mode", mode) for mode in ("run", "compile"))
    assert run == pytest.approx(compiled, rel=1e-4)


@pytest.mark.slow
def test_the_parameters_are_those_of_the_published_posterior(example: Example) -> None:
    """Within half a standard error of its means; hares and lynxes come back after ten years."""
    found = example("lotka_volterra").main([])
    assert found["largest deviation from Carpenter (standard errors)"] < 0.5
    assert found["error of a logarithm"] == pytest.approx(0.25, abs=0.03)  # Carpenter has 0.25 for both
    assert found["period (years)"] == pytest.approx(10.3, abs=0.5)
    assert Path("results/lotka_volterra_curves.png").read_bytes().startswith(b"\x89PNG")
