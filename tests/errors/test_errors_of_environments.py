"""Environments, backends and files."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest
from snapshots import at
from told import message

import lazygrad as lg


def test_an_unknown_backend_is_an_error() -> None:
    """With those that there are."""

    def call() -> Any:
        lg.VariableEnvironment(backend="tpu")

    with pytest.raises(lg.BackendError) as caught:
        call()
    assert (
        str(caught.value)
        == f"""there is no backend 'tpu'

{at(call, "backend=")}

    There are: 'numpy', 'cupy', 'auto'."""
    )


def test_the_backend_cupy_without_cupy_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where CuPy is installed: the import is made to fail."""
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(lg.BackendError) as caught:
        lg.VariableEnvironment(backend="cupy")
    assert (
        str(caught.value)
        == """cannot use backend='cupy': CuPy is not installed

    import cupy: import of cupy halted; None in sys.modules
    Install it for your driver: pip install "lazygrad[gpu-cuda12]" or "lazygrad[gpu-cuda13]"."""
    )


def test_the_backend_cupy_without_a_gpu_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """CuPy is there, and finds no device."""

    def no_device() -> int:
        raise RuntimeError("cudaErrorNoDevice: no CUDA-capable device is detected")

    fake = SimpleNamespace(cuda=SimpleNamespace(runtime=SimpleNamespace(getDeviceCount=no_device)))
    monkeypatch.setitem(sys.modules, "cupy", fake)
    with pytest.raises(lg.BackendError) as caught:
        lg.VariableEnvironment(backend="cupy")
    assert (
        str(caught.value)
        == """cannot use backend='cupy': CuPy finds no GPU that works

    RuntimeError: cudaErrorNoDevice: no CUDA-capable device is detected
    Look at `nvidia-smi`, and use backend='numpy' on a machine without a GPU."""
    )


@pytest.mark.parametrize("seed", [-1, 1.5, "abc", True])
def test_a_seed_is_a_whole_number(seed: Any) -> None:
    """That is not negative."""

    def call() -> Any:
        lg.VariableEnvironment(seed=seed)

    with pytest.raises(lg.SpecError) as caught:
        call()
    assert (
        str(caught.value)
        == f"""cannot use {seed!r} as a seed

{at(call, "seed=")}

    A seed is a whole number that is not negative, or None for a fresh one."""
    )


@pytest.mark.parametrize("dtype", ["int32", "float16", "float31", "complex64", None, 3])
def test_the_dtype_of_an_environment_is_single_or_double(dtype: Any) -> None:
    """Other dtypes are for single variables."""

    def call() -> Any:
        lg.VariableEnvironment(dtype=dtype)

    with pytest.raises(lg.SpecError) as caught:
        call()
    assert (
        str(caught.value)
        == f"""cannot compute in {dtype!r} by default

{at(call, "dtype=")}

    Choose 'float32' or 'float64'; single variables may have any real dtype."""
    )


def test_a_damaged_file_is_an_error(env: lg.VariableEnvironment, tmp_path: Any) -> None:
    """A file that is cut off, for ``load`` and ``restore``; more in saving/test_document_refused.py."""
    path = tmp_path / "env.json"
    env.save(path)
    text = path.read_text()
    path.write_text(text[: len(text) // 2])
    for call in (lambda: env.restore(path), lambda: lg.VariableEnvironment.load(path)):
        found = message(env, lg.SaveError, call)
        assert found.startswith(f"cannot read {str(path)!r}\n")


def test_a_folder_that_is_not_there_is_an_error(env: lg.VariableEnvironment, tmp_path: Any) -> None:
    """Saving to it."""
    path = tmp_path / "none" / "env.json"

    def call() -> Any:
        env.save(path)

    assert (
        message(env, lg.SaveError, call)
        == f"""cannot save to {str(path)!r}

{at(call, "env.save")}

    FileNotFoundError: No such file or directory
    Choose a file in a folder that exists and that you may write to. An old file there is unchanged."""
    )
