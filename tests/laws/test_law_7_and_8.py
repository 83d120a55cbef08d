"""Law 7: saving loses nothing; law 8: zero times anything. More in the tests of files and of derivatives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from snapshots import snapshot
from ways import X, rich_env, rich_step

import lazygrad as lg

pytestmark = pytest.mark.usefixtures("numpy_alone")  # what holds bit for bit, and kernels that are made to fail


def test_a_saved_environment_goes_on_where_it_was(tmp_path: Any) -> None:
    """Variables, optimizer state and random state come back to the bit, and training goes on the same."""
    env, step = rich_env()
    env.save(tmp_path / "env.json")
    loaded = lg.VariableEnvironment.load(tmp_path / "env.json")
    again = rich_step(loaded)
    assert snapshot(loaded) == snapshot(env)
    for _ in range(3):
        assert env.run(step, X)[0].tobytes() == loaded.run(again, X)[0].tobytes()
    assert snapshot(loaded) == snapshot(env)


def test_what_is_not_chosen_and_what_is_small_or_half_or_nan_gives_the_right_number(
    env: lg.VariableEnvironment,
) -> None:
    """Zero cotangents give zeros, halves are added in float32, small whole numbers do not wrap, NaN arrives."""

    def step(ctx: lg.Context, x: lg.Tensor) -> Any:
        masked = lg.grad(lg.sum(lg.where(x > 0, lg.log(x), 0)), x)
        half = lg.mean(np.full(10, 40000, "float16"))
        small = lg.nn.softmax(np.array([1, 2, 3], "uint8"))
        return masked, half, small, lg.median(lg.where(x > 0, x, np.nan))

    x = np.array([0.0, -1.0, 2.0])
    exponentials = np.exp([1.0, 2.0, 3.0])
    for masked, half, small, middle in (env.run(step, x), env.compile(step, wait=True)(x)):
        assert [0.0, 0.0, 0.5] == masked.tolist()
        assert half == 40000
        np.testing.assert_allclose(small, exponentials / np.sum(exponentials), rtol=1e-15)
        assert np.isnan(middle)
