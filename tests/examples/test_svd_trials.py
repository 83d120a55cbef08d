"""Trials of the singular value decomposition, and that they would find a wrong one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lazygrad as lg

Example = Callable[[str], Any]


def test_no_decomposition_is_wrong_or_does_not_converge(numbers: Callable[..., dict[str, float]]) -> None:
    """A twentieth of the trials: 500 small matrices, 15 medium ones and a large one."""
    found = numbers("svd_trials")
    assert {"trials": 516, "wrong at 1e-5": 0, "wrong at 1e-9": 0, "not converged": 0}.items() <= found.items()


def test_run_and_compile_give_the_same_numbers(numbers: Callable[..., dict[str, float]]) -> None:
    """The mode changes how a step is run, and nothing else."""
    assert numbers("svd_trials", "--mode", "run") == numbers("svd_trials", "--mode", "compile")


def test_the_figure_is_drawn(numbers: Callable[..., dict[str, float]], tmp_path: Path) -> None:
    """It lies beside the numbers."""
    numbers("svd_trials", "--save", "kept")
    assert (tmp_path / "kept" / "svd_trials_errors.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("shape", [(5, 3, 3), (5, 2, 7), (5, 7, 2)])
def test_the_errors_of_a_right_decomposition_are_small(shape: tuple[int, ...], example: Example) -> None:
    """Three errors for each matrix, whether it is square, wide or tall."""
    errors = lg.VariableEnvironment().run(example("svd_trials").deviations, np.random.default_rng(0).normal(size=shape))
    assert errors.shape == (3, 5)
    assert errors.max() < 1e-13


def test_a_wrong_decomposition_is_seen(example: Example, monkeypatch: pytest.MonkeyPatch) -> None:
    """A left singular vector that is 1e-4 too long spoils UᵀU and UΣVᵀ, but not VᵀV."""
    right = lg.linalg.svd

    def wrong(a: Any) -> Any:
        u, s, vh = right(a)
        return u * np.array([1 + 1e-4, 1, 1]), s, vh

    monkeypatch.setattr(lg.linalg, "svd", wrong)
    a = np.random.default_rng(0).normal(size=(1, 3, 3))
    errors = lg.VariableEnvironment().run(example("svd_trials").deviations, a)
    assert [True, False, True] == (errors[:, 0] > 1e-5).tolist()


def test_only_the_matrix_that_does_not_converge_counts_as_such(example: Example) -> None:
    """The others of its batch are tried again, each alone."""

    def step(array: Any) -> Any:
        if (array == 13).any():
            raise np.linalg.LinAlgError("SVD did not converge")
        return np.zeros((3, len(array)))

    errors = example("svd_trials").attempted(step, np.array([1, 13, 2]).reshape(3, 1, 1))
    assert [False, True, False] == np.isnan(errors).all(axis=0).tolist()
