"""Networks that learn the exclusive or."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Numbers = Callable[..., dict[str, float]]


def test_run_and_compile_give_the_same_numbers(numbers: Numbers) -> None:
    """The mode changes how a step is run, and nothing else."""
    run, compiled = (numbers("xor", "--mode", mode) for mode in ("run", "compile"))
    assert run == pytest.approx(compiled, rel=1e-6)


@pytest.mark.parametrize("seed", ["0", "1", "2"])
def test_most_networks_solve_it_already_after_a_tenth_of_the_epochs(seed: str, numbers: Numbers) -> None:
    """Some begin where gradient descent does not find the way; the median network is near the answers."""
    found = numbers("xor", "--seed", seed, "--mode", "compile")
    assert found["share of the networks that solve it"] >= 0.75
    assert found["median loss"] < 0.005


def test_both_figures_are_drawn(numbers: Numbers, tmp_path: Path) -> None:
    """The losses, and the surface over the unit square."""
    numbers("xor", "--mode", "compile")
    for name in ("loss", "surface"):
        assert (tmp_path / "results" / f"xor_{name}.png").read_bytes().startswith(b"\x89PNG")
