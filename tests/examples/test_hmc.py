"""Eight schools by Hamiltonian Monte Carlo, chains and transitions in one step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lazygrad as lg

Example = Callable[[str], Any]
Numbers = Callable[..., dict[str, float]]


def test_the_exact_posterior_is_that_of_a_quadrature(example: Example) -> None:
    """Over μ and log τ; given both, an effect is normal."""
    module = example("hmc")
    mu, log_tau = np.linspace(-30, 40, 701)[:, None], np.linspace(-14, 9, 1151)[None]
    tau = np.exp(log_tau)
    density = -(mu**2) / 50 - np.log1p(tau**2 / 25) + log_tau
    for effect, error in zip(module.EFFECT, module.ERROR, strict=True):
        variance = error**2 + tau**2
        density = density - np.log(variance) / 2 - (effect - mu) ** 2 / variance / 2
    weights = np.exp(density - density.max())
    weights /= weights.sum()
    found = {}
    for name, mean, variance in [
        ("mu", mu, 0.0),
        ("tau", tau, 0.0),
        *(
            (
                f"school {'ABC'[i]}",
                (mu / tau**2 + module.EFFECT[i] / module.ERROR[i] ** 2) / (tau**-2 + module.ERROR[i] ** -2.0),
                1 / (tau**-2 + module.ERROR[i] ** -2.0),
            )
            for i in (0, 2)
        ),
    ]:
        first = (weights * mean).sum()
        found[name] = first, np.sqrt((weights * (mean**2 + variance)).sum() - first**2)
    for name, exact in module.EXACT.items():
        np.testing.assert_allclose(found[name], exact, rtol=1e-3)


def test_a_trajectory_keeps_the_energy_and_goes_back(example: Example) -> None:
    """Of each chain nearly; and with the momenta turned round it comes to where it began."""
    module = example("hmc")
    q, p = (np.random.default_rng(seed).normal(size=(5, 10)) for seed in (1, 2))
    env = lg.VariableEnvironment(dtype="float64")

    def step(ctx: Any, q: Any, p: Any) -> Any:
        q_end, p_end = module.leapfrog(q, p)
        energies = [lg.sum(v**2, axis=1) / 2 - module.log_density(x) for x, v in ((q, p), (q_end, p_end))]
        return energies, module.leapfrog(q_end, -p_end)

    (before, after), (q_back, p_back) = env.run(step, q, p)
    np.testing.assert_allclose(after, before, atol=0.5)
    np.testing.assert_allclose(q_back, q, atol=1e-10)
    np.testing.assert_allclose(-p_back, p, atol=1e-10)


@pytest.mark.slow
def test_run_and_compile_give_the_same_numbers(numbers: Numbers) -> None:
    """The draws have the same names in both; a chain is not chaotic in thirty transitions."""
    run, compiled = (numbers("hmc", "--mode", mode) for mode in ("run", "compile"))
    assert run == pytest.approx(compiled, rel=1e-6)


@pytest.mark.slow
def test_the_posterior_is_found(example: Example) -> None:
    """Means within four of their standard errors, of several thousand effective draws; and the chains agree."""
    found = example("hmc").main([])
    assert found["largest distance from an exact mean (standard errors)"] < 4
    assert found["largest R̂"] < 1.01
    assert 0.8 < found["accepted"] < 0.99
    assert Path("results/hmc_posterior.png").read_bytes().startswith(b"\x89PNG")
