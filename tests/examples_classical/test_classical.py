"""The classical methods agree with scikit-learn, in every mode, and say so if they do not."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

CLASSICAL = Path(__file__).parents[2] / "examples" / "classical"
NAMES = sorted(path.stem for path in CLASSICAL.glob("*.py") if "__main__" in path.read_text(encoding="utf-8"))


@pytest.fixture
def classical(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Any]]:
    """A function that imports a program, or what they share, with an empty working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(CLASSICAL))
    before = list(sys.path)
    yield importlib.import_module
    sys.path[:] = before
    for name in [*NAMES, "beside", "common"]:
        sys.modules.pop(name, None)


@pytest.fixture
def beside(classical: Callable[[str], Any]) -> Any:
    """The numbers of a run that has compared nothing yet."""
    return classical("beside").Beside("kmeans", "", ["--quick"])


def untimed(numbers: dict[str, float]) -> dict[str, float]:
    """The numbers that are not times."""
    return {name: value for name, value in numbers.items() if "seconds" not in name}


def test_every_method_has_its_program() -> None:
    """The twelve programs of thirteen methods: the elastic net stands beside the lasso."""
    expected = {"diffusion_maps", "fast_ica", "gaussian_mixture", "gaussian_process", "kmeans", "lasso"}
    expected |= {"least_squares", "logistic_regression", "pca", "poisson", "ridge", "svm"}
    assert sorted(expected) == NAMES


@pytest.mark.thinned(6)
@pytest.mark.parametrize("name", NAMES)
def test_a_method_agrees_with_scikit_learn_in_both_modes(name: str, classical: Callable[[str], Any]) -> None:
    """A program raises if it and scikit-learn differ; the mode changes how a step is run, and nothing else."""
    program = classical(name)
    traced, compiled = (untimed(program.main(["--quick", "--mode", mode])) for mode in ("run", "compile"))
    assert traced
    assert traced == pytest.approx(compiled, rel=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_a_method_takes_eighty_lines(name: str) -> None:
    """Each reads from top to bottom on one page."""
    assert len((CLASSICAL / f"{name}.py").read_text(encoding="utf-8").splitlines()) <= 80


@pytest.mark.parametrize("name", ["kmeans", "ridge"])
def test_what_is_kept_tells_how_to_repeat_it(name: str, classical: Callable[[str], Any]) -> None:
    """The command is the program's own path, the comparison is a table, and the figure lies beside it."""
    classical(name).main(["--quick", "--seed", "3"])
    kept = json.loads(Path(f"results/classical_{name}.json").read_text(encoding="utf-8"))
    command = f"python examples/classical/{name}.py --quick --seed 3 --mode compile"
    assert command == kept["command"]
    assert [["compared", "largest difference", "allowed"]] == [table["header"] for table in kept["tables"]]
    assert [True] == [Path("results", figure["file"]).is_file() for figure in kept["figures"]]


@pytest.mark.parametrize(
    ("ours", "theirs", "tolerance"),
    [
        (np.array([1.0, 2.0]), np.array([1.0, 2.1]), 0.01),
        (np.array([0, 1, 1]), np.array([0, 1, 2]), 0),
        (np.array([1.0, np.nan]), np.array([1.0, 2.0]), 1.0),
        (np.zeros(3), np.zeros((3, 1)), 1.0),
        (1.0, np.nan, 1.0),
    ],
)
def test_a_difference_is_an_error(ours: Any, theirs: Any, tolerance: float, beside: Any) -> None:
    """Too large a difference, a label that is not the same, NaN, and another shape all end the program."""
    with pytest.raises(Exception, match="what was compared") as failure:
        beside.agree("what was compared", ours, theirs, tolerance)
    assert "Disagreement" == type(failure.value).__name__


def test_a_disagreement_is_one_message_and_exit_code_1(
    classical: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Running a program is the check: here scikit-learn's result is changed behind its back."""
    program = classical("least_squares")
    found = program.LinearRegression.fit

    def wrong(self: Any, x: Any, y: Any) -> Any:
        fitted = found(self, x, y)
        fitted.coef_ = fitted.coef_ + 1e-3
        return fitted

    monkeypatch.setattr(program.LinearRegression, "fit", wrong)
    with pytest.raises(SystemExit) as exit_:
        classical("beside").start(lambda: program.main(["--quick"]))
    assert "Disagreement: weights: lazygrad and scikit-learn do not agree" in str(exit_.value.code)


def test_a_difference_is_measured_by_the_largest_number(beside: Any) -> None:
    """A hundredth of what is a thousand in the largest place is a part of 1e-5."""
    beside.agree("numbers", np.array([1000.0, 1.01]), np.array([1000.0, 1.0]), 1.1e-5)
    [(name, difference, tolerance)] = beside._compared
    assert ("numbers", 1.1e-5) == (name, tolerance)
    assert difference == pytest.approx(1e-5)


def test_a_column_of_unit_length_has_no_sign_of_its_own(classical: Callable[[str], Any]) -> None:
    """A vector and its negative multiple become the same column."""
    columns = np.array([[3.0, -6.0], [-4.0, 8.0]])
    assert classical("beside").unit(columns).tolist() == [[-0.6, -0.6], [0.8, 0.8]]


def test_the_lasso_sets_weights_to_zero_exactly(classical: Callable[[str], Any]) -> None:
    """The proximal step stops at zero: at large penalties most of the 400 weights are exactly that."""
    numbers = classical("lasso").main(["--quick"])
    assert 140 == numbers["weights of the lasso that are zero, of 400"]
