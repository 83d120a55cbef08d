"""The curvature of a small network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lazygrad as lg

Example = Callable[[str], Any]
Numbers = Callable[..., dict[str, float]]


def test_the_network_is_that_of_two_layers_written_out(example: Example) -> None:
    """The vector holds the weights of a layer, row by row, then its biases, then the next layer."""
    rng = np.random.default_rng(0)
    w1, b1, w2, b2 = (rng.normal(size=shape) for shape in [(4, 3), (3,), (3, 2), (2,)])
    w = np.concatenate([part.ravel() for part in (w1, b1, w2, b2)])
    x = rng.normal(size=(5, 4))
    found = lg.VariableEnvironment().run(lambda ctx, w, x: example("hessian").network(w, x, (4, 3, 2)), w, x)
    assert found == pytest.approx(np.tanh(x @ w1 + b1) @ w2 + b2)


def test_first_and_second_derivatives_are_those_of_finite_differences(example: Example) -> None:
    """Of the loss along a random direction of the weights."""
    rng = np.random.default_rng(0)
    x, y, loss = rng.normal(size=(6, 4)), np.array([0, 1, 1, 0, 1, 0]), example("hessian").loss
    lg.testing.check_gradient(lambda w: loss(w, x, y, (4, 3, 2)), rng.normal(size=23))


@pytest.mark.slow
def test_run_and_compile_give_the_same_numbers(numbers: Numbers) -> None:
    """The mode changes how a step is run, and nothing else."""
    run, compiled = (numbers("hessian", "--mode", mode) for mode in ("run", "compile"))
    assert run == pytest.approx(compiled, rel=1e-6)


def test_training_goes_down_and_the_power_iteration_finds_the_largest_eigenvalue(
    numbers: Numbers, tmp_path: Path
) -> None:
    """The product of Hessian and vector knows the same steepest direction as the whole matrix."""
    found = numbers("hessian")
    assert found["loss after"] < found["loss before"] / 5
    assert found["directions of negative curvature after"] < found["directions of negative curvature before"]
    dense = found["steepest curvature after"]
    assert dense == pytest.approx(found["steepest curvature after, by power iteration"], rel=1e-6)
    assert (tmp_path / "results" / "hessian_spectrum.png").read_bytes().startswith(b"\x89PNG")
