"""Products of float32 on a GPU are products of float32, whatever CuPy has been told; TF32 where it was allowed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from cupy_double import counts
from cupy_double.runtime import settings

import lazygrad as lg


@pytest.fixture(autouse=True)
def ampere(double: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A GPU that knows TF32; what is set is set back."""
    monkeypatch.setattr(settings, "architecture", "80")
    monkeypatch.setattr(settings, "compute", {})
    monkeypatch.setattr(settings, "mode", 0)
    yield
    lg.allow_tf32(False)


def products(dtype: str = "float32") -> int:
    """How many of two products are computed in TF32, one of matrices and one of a batch."""
    env = lg.VariableEnvironment(backend="cupy", dtype=dtype)
    x = np.ones((2, 3, 3), dtype)
    before = counts["products in TF32"]
    env.run(lambda ctx, x: (x @ x, x[0] @ x[1]), x)
    return counts["products in TF32"] - before


def test_float32_is_float32_until_tf32_is_allowed() -> None:
    """Both kinds of products; what float64 is does not change."""
    assert 0 == products()
    assert lg.allow_tf32(True) is False
    assert (2, 0) == (products(), products("float64"))
    assert lg.allow_tf32(False) is True
    assert 0 == products()


def test_what_cupy_was_told_holds_for_others_and_not_for_lazygrad() -> None:
    """``CUPY_TF32`` and a math mode of the handle: they are as they were afterwards, after a failure too."""
    settings.compute["f"], settings.mode = 7, 3
    assert 0 == products()
    assert (7, 3) == (settings.compute["f"], settings.mode)
    env = lg.VariableEnvironment(backend="cupy")
    x = env._store.backend.asarray(np.ones((2, 3), np.float32))
    with pytest.raises(ValueError, match="matmul"):
        env._store.backend.xp.matmul(x, x)
    assert (7, 3) == (settings.compute["f"], settings.mode)


def test_who_asked_cupy_for_more_than_float32_keeps_it() -> None:
    """Its pedantic products round as float32 does."""
    settings.compute["f"] = 2
    assert 0 == products()
    assert 2 == settings.compute["f"]


def test_a_gpu_without_tf32_is_not_asked_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """CuPy would warn."""
    monkeypatch.setattr(settings, "architecture", "75")
    lg.allow_tf32(True)
    assert 0 == products()


@pytest.mark.parametrize("precision", ["mixed", "mixed-bfloat16"])
@pytest.mark.parametrize("native", ["off", "auto"])
def test_products_of_halves_need_no_permission(monkeypatch: pytest.MonkeyPatch, native: str, precision: str) -> None:
    """TF32 has all digits of a half: in mixed precision it is taken where there is one, and gives the same numbers."""
    if native == "auto":
        pytest.importorskip("llvmlite", reason="llvmlite is not installed")
    monkeypatch.setenv("LAZYGRAD_NATIVE", native)
    x = np.float32([[1 + 2**-9, 3.0], [5.0, 7.0]])

    def step(ctx: Any, x: Any) -> Any:
        return x @ x.T, x.astype("float64") @ x, lg.sum(x, axis=0, keepdims=True) @ x

    found = []
    for architecture, expected in (("80", 2), ("75", 0)):
        monkeypatch.setattr(settings, "architecture", architecture)
        env = lg.VariableEnvironment(backend="cupy")
        compiled = env.compile(step, precision=precision, wait=True)
        before = counts["products in TF32"]
        found.append([y.get() for y in compiled(x)])
        assert counts["products in TF32"] - before == expected
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)
    assert lg.allow_tf32(False) is False


def test_tf32_is_allowed_by_a_truth_value() -> None:
    """A word is refused, and nothing is changed."""
    with pytest.raises(lg.BackendError, match="cannot use 'yes' to allow TF32"):
        lg.allow_tf32("yes")  # type: ignore[arg-type]
    assert lg.allow_tf32(False) is False
