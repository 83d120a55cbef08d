"""The plane of best fit: to points on a plane, to digits, and by gradient descent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lazygrad as lg

Numbers = Callable[..., dict[str, float]]


def fitted(module: Any, points: Any, k: int) -> Any:
    """The mean and the basis."""
    return lg.VariableEnvironment(dtype="float64").run(lambda ctx, p: module.plane_of_best_fit(p, k), points)


def test_points_on_a_line_give_the_line(example: Callable[[str], Any]) -> None:
    """Seven points of (1, 2, 3) + t·(2, −1, 2)/3: the middle one and ±the direction."""
    direction = np.array([2, -1, 2]) / 3
    points = np.array([1, 2, 3]) + np.arange(-3, 4)[:, None] * direction
    mean, basis = fitted(example("plane_of_best_fit"), points, 1)
    assert mean == pytest.approx(np.array([1, 2, 3]))
    assert abs(direction @ basis) == pytest.approx(1)


def test_the_basis_is_orthonormal_for_every_set_of_a_batch(example: Callable[[str], Any]) -> None:
    """Four sets of 20 points in six dimensions, a basis of three vectors for each."""
    points = np.random.default_rng(0).normal(size=(4, 20, 6))
    mean, basis = fitted(example("plane_of_best_fit"), points, 3)
    assert mean == pytest.approx(points.mean(axis=1))
    assert basis.mT @ basis == pytest.approx(np.broadcast_to(np.eye(3), (4, 3, 3)), abs=1e-14)


def test_no_other_plane_is_nearer(example: Callable[[str], Any]) -> None:
    """Planes turned or moved a little are further from the points."""
    module, rng = example("plane_of_best_fit"), np.random.default_rng(0)
    points = rng.normal(size=(30, 5))
    mean, basis = fitted(module, points, 2)
    least = np.square(module.residuals(points, mean, basis)).sum()
    for _ in range(20):
        turned = np.linalg.qr(basis + 0.01 * rng.normal(size=basis.shape))[0]
        assert np.square(module.residuals(points, mean, turned)).sum() > least
        assert np.square(module.residuals(points, mean + 0.01 * rng.normal(size=5), basis)).sum() > least


def test_run_and_compile_give_the_same_numbers(numbers: Numbers) -> None:
    """The mode changes how a step is run, and nothing else."""
    run, compiled = (numbers("plane_of_best_fit", "--mode", mode) for mode in ("run", "compile"))
    assert run == pytest.approx(compiled, rel=1e-6)


def test_the_plane_is_that_of_scikit_learn_and_of_gradient_descent(numbers: Numbers, tmp_path: Path) -> None:
    """The shares of the variance agree to 12 digits, and 200 steps of descent come within a tenth of a degree."""
    found = numbers("plane_of_best_fit")
    assert found["difference from scikit-learn below 1e-12"] == 1
    assert found["angle between the two (degrees)"] < 0.1
    assert 0.7382 == pytest.approx(found["share of the variance at k = 10"], abs=5e-5)
    assert (tmp_path / "results" / "plane_of_best_fit_angles.png").read_bytes().startswith(b"\x89PNG")
