"""A pendulum whose length and friction are learned through a Runge–Kutta integrator."""

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


def swung(module: Any, angle: Any, parameters: Any) -> Any:
    """The trajectory."""
    env = lg.VariableEnvironment(dtype="float64")
    return env.run(lambda ctx, a, p: module.trajectory(a, p), np.asarray(angle), np.asarray(parameters))


def test_the_trajectory_is_that_of_scipy(example: Example) -> None:
    """SciPy's integrator, of another method and far more precise, gives the same angles to the error of ours."""
    module = example("physics")
    length, friction = module.TRUE
    times = module.STEP * np.arange(module.STEPS + 1)

    def derivative(_: float, state: Any) -> list[float]:
        return [state[1], -module.G / length * np.sin(state[0]) - friction * state[1]]

    exact = solve_ivp(derivative, (0, times[-1]), [1.4, 0], t_eval=times, rtol=1e-10, atol=1e-12).y[0]
    assert exact == pytest.approx(swung(module, 1.4, module.TRUE), abs=1e-3)


def test_the_integrator_is_of_fourth_order(example: Example, monkeypatch: pytest.MonkeyPatch) -> None:
    """With h, h/2 and h/4 the differences at the end fall by about 2⁴."""
    module, ends = example("physics"), []
    for parts in (1, 2, 4):
        monkeypatch.setattr(module, "STEP", 0.05 / parts)
        monkeypatch.setattr(module, "STEPS", 20 * parts)
        ends.append(swung(module, 1.4, module.TRUE)[-1])
    assert 4 == round(np.log2((ends[0] - ends[1]) / (ends[1] - ends[2])))


def test_the_gradient_through_the_integrator_is_that_of_finite_differences(
    example: Example, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First derivatives, reverse and forward, along the released angle, both parameters and the observations."""
    module = example("physics")
    monkeypatch.setattr(module, "STEPS", 12)
    observed = np.random.default_rng(0).normal(size=(13, 4))
    lg.testing.check_gradient(module.loss, module.ANGLES, np.log(module.GUESS), observed, order=1)


@pytest.mark.slow
def test_run_and_compile_give_the_same_numbers(numbers: Numbers) -> None:
    """The mode changes how a step is run, and nothing else."""
    run, compiled = (numbers("physics", "--mode", mode) for mode in ("run", "compile"))
    assert run == pytest.approx(compiled, rel=1e-6)


@pytest.mark.slow
def test_the_parameters_are_found_to_their_standard_errors(example: Example, tmp_path: Path) -> None:
    """In 300 updates both come within three standard errors of what made the data, and the loss to the noise."""
    found = example("physics").main(["--mode", "compile"])
    assert found["largest deviation (standard errors)"] < 3
    assert found["loss"] == pytest.approx(found["variance of the noise"], rel=0.3)
    assert (tmp_path / "results" / "physics_swings.png").read_bytes().startswith(b"\x89PNG")
