"""Comparisons of initialisers, optimizers, decay and dropout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lazygrad as lg

Example = Callable[[str], Any]
FIGURES = ("initialisers", "optimizers", "decay", "dropout")


@pytest.fixture
def data() -> Any:
    """40 rows to learn y = x₀ − x₁ from, and 20 others, all with noise."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3))
    y = x[:, :1] - x[:, 1:2] + 0.1 * rng.normal(size=(60, 1))
    return x[:40], x[40:], y[:40], y[40:]


@pytest.mark.slow
def test_run_and_compile_give_the_same_numbers_and_four_figures(
    numbers: Callable[..., dict[str, float]], tmp_path: Path
) -> None:
    """The mode changes how a step is run, and nothing else; both losses of all 13 choices are there."""
    run, compiled = (numbers("comparisons", "--mode", mode) for mode in ("run", "compile"))
    assert len(run) == 2 * 13
    assert run == pytest.approx(compiled, rel=1e-6)
    for name in FIGURES:
        assert (tmp_path / "results" / f"comparisons_{name}.png").read_bytes().startswith(b"\x89PNG")


def test_the_network_learns(example: Example, data: Any) -> None:
    """Both losses fall from about 2, the variance, towards 0.01, the variance of the noise."""
    module = example("comparisons")
    losses = module.train(module.Choice(), data, 60, 0, "compile", "numpy")
    assert losses["training"][-1] < 0.2
    assert losses["test"][-1] < 0.4


def test_from_zeros_only_the_last_bias_learns(example: Example, data: Any) -> None:
    """All units of a layer are alike and pass nothing back; the best constant has the variance as its loss."""
    module = example("comparisons")
    choice = module.Choice(weight=lg.nn.initializers.Zeros())
    losses = module.train(choice, data, 60, 0, "compile", "numpy")
    assert losses["training"][-1] == pytest.approx(data[2].var(), rel=0.01)


def test_dropout_holds_while_learning_only(example: Example, data: Any) -> None:
    """It changes what is learned; the loss after an epoch is judged with all units, so the same twice."""
    module = example("comparisons")
    plain, first, second = (
        module.train(module.Choice(dropout=rate), data, 2, 0, "run", "numpy")["test"] for rate in (0, 0.5, 0.5)
    )
    assert first.tolist() == second.tolist()
    assert first.tolist() != plain.tolist()


def test_every_choice_has_a_colour_of_its_own(example: Example) -> None:
    """And a label of its own within its figure."""
    module = example("comparisons")
    compared = module.comparisons(100)
    assert list(FIGURES) == [name for name, _, _ in compared]
    for _, _, choices in compared:
        assert len({label for label, _ in choices}) == len(choices) <= len(set(module.COLOURS))
