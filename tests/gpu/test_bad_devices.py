"""What may be wrong with a GPU, its driver, CuPy or an array: a clear error that names the remedy, and nothing lost."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable
from typing import Any

import cupy_double
import numpy as np
import pytest
from cupy_double import launch, runtime

import lazygrad as lg
from lazygrad.backends import remedies

CURE = '"lazygrad[gpu-cuda12]" or "lazygrad[gpu-cuda13]"'


@pytest.fixture(autouse=True)
def device(double: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The double in place of CuPy."""
    monkeypatch.delenv("LAZYGRAD_NATIVE", raising=False)


def trained(steps: int = 2, **settings: Any) -> tuple[lg.VariableEnvironment, Callable[..., Any], list[Any]]:
    """A step that may fail, after some calls; and its arrays."""
    env = lg.VariableEnvironment(seed=0, backend="cupy")
    layer, adam = lg.nn.Linear(env, 4, 3), lg.optim.Adam(env, 0.01)

    def step(ctx: Any, x: Any, y: Any) -> Any:
        loss = lg.mean(lg.nn.cross_entropy(layer(x), y))
        return loss, adam.minimize(loss)

    arrays = [np.ones((5, 4), np.float32), np.array([0, 1, 2, 0, 1])]
    compiled = env.compile(step, **settings)
    for _ in range(steps):
        compiled(*arrays)
    return env, compiled, arrays


def numbers(env: lg.VariableEnvironment) -> dict[str, bytes]:
    """The bits of all variables."""
    return {v.path: env._store.backend.to_numpy(v.value).tobytes() for v in env}


def said_of(call: Callable[[], Any], kind: type[Exception] = lg.BackendError) -> str:
    """What an error says."""
    with pytest.raises(kind) as refused:
        call()
    return str(refused.value)


# CuPy, and what it runs on.


def test_without_cupy_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """And ``auto`` is NumPy."""
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert f"pip install {CURE}" in said_of(lambda: lg.VariableEnvironment(backend="cupy"))
    assert "numpy" == lg.VariableEnvironment(backend="auto").backend


def test_an_environment_that_cannot_go_to_a_gpu_stays_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """No driver, and CuPy says so in its first call."""
    env = lg.VariableEnvironment()
    w = env.name("w").set(np.ones(3))

    def none() -> int:
        raise runtime.CUDARuntimeError("cudaErrorNoDevice: no CUDA-capable device is detected")

    monkeypatch.setattr(sys.modules["cupy"].cuda.runtime, "getDeviceCount", none)
    said = said_of(lambda: env.to("cupy"))
    assert "CuPy finds no GPU that works" in said
    assert "no CUDA-capable device" in said
    assert "nvidia-smi" in said
    assert ("numpy", [1, 1, 1]) == (env.backend, w.value.tolist())


def test_a_driver_that_is_older_than_cupy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """What to update."""

    def old() -> int:
        raise runtime.CUDARuntimeError("cudaErrorInsufficientDriver: CUDA driver version is insufficient")

    monkeypatch.setattr(sys.modules["cupy"].cuda.runtime, "getDeviceCount", old)
    said = said_of(lambda: lg.VariableEnvironment(backend="cupy"))
    assert "the GPU's driver is too old" in said
    assert "Update NVIDIA's driver" in said


def test_two_builds_of_cupy_are_told_with_how_to_remove_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """They overwrite each other; CuPy only warns."""
    for build in ("cupy_cuda12x-14.2.0", "cupy_cuda13x-14.1.0"):
        name, version = build.split("-")
        (tmp_path / f"{build}.dist-info").mkdir()
        text = f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: {version}\n"
        (tmp_path / f"{build}.dist-info" / "METADATA").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    said = said_of(lambda: lg.VariableEnvironment(backend="cupy"))
    assert "installed:  cupy-cuda12x 14.2.0, cupy-cuda13x 14.1.0" in said
    assert f"pip uninstall cupy-cuda12x cupy-cuda13x, then pip install {CURE}" in said


VERSIONS = {"6.0": "9.0", "6.5": "10.2", "7.0": "11.0", "7.8": "11.8", "8.5": "12.5", "8.7": "12.8", "9.0": "13.0"}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_driver_that_is_too_old_for_kernels_is_told_which_one_is_needed(
    version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the version of PTX; the step runs node by node."""

    def refused(self: Any, image: bytes) -> None:
        raise runtime.CUDADriverError("CUDA_ERROR_UNSUPPORTED_PTX_VERSION: the provided PTX was compiled with ...")

    monkeypatch.setattr(launch.Module, "load", refused)
    monkeypatch.setattr(runtime.settings, "driver", 8000)
    monkeypatch.setattr("lazygrad.engine.cuda.making._image", lambda *_: f".version {version}\n\0".encode())
    needed = f"for CUDA 8.0, does not take the code of kernels: one for CUDA {VERSIONS[version]} or later is needed"
    with pytest.warns(RuntimeWarning, match=f"node by node, .*{needed}"):
        _, step, arrays = trained(1, wait=True)
    assert not step.is_native
    assert np.isfinite(float(step(*arrays)[0]))
    assert "Update NVIDIA's driver" in step._last.native.why_not


def test_a_cubin_that_is_refused_is_sent_as_ptx(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which an older driver may take; and both are refused by one that is older still."""
    taken = launch.Module.load

    def load(self: Any, image: bytes) -> None:
        if image.startswith(remedies.ELF):
            raise runtime.CUDADriverError("CUDA_ERROR_NO_BINARY_FOR_GPU: no kernel image is available")
        taken(self, image)

    monkeypatch.setattr(launch.Module, "load", load)
    monkeypatch.setattr("lazygrad.engine.cuda.making._image", lambda *_: remedies.ELF + b"\0")
    _, step, _ = trained(2, wait=True)
    assert step.is_native


# Arrays, devices, memory.


class Lent:
    """An array of another library."""

    def __init__(self, array: Any) -> None:
        self._array = array
        self.shape, self.dtype = array.shape, array.dtype

    @property
    def __cuda_array_interface__(self) -> Any:
        return self._array.__cuda_array_interface__


@pytest.mark.parametrize("kind", ["of CuPy", "of another library", "lent by DLPack"])
def test_an_array_on_another_gpu_is_refused(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """At every door, with how to copy it; nothing is changed."""
    env, step, (x, y) = trained()
    before = numbers(env)
    monkeypatch.setattr(runtime.settings, "device", 1)
    there = given = cupy_double.modules()["cupy"].asarray(x)
    monkeypatch.setattr(runtime.settings, "device", 0)
    if kind == "lent by DLPack":
        given = type("Lent", (), {"__dlpack__": lambda s: there._a, "__dlpack_device__": lambda s: (2, 1)})()
        monkeypatch.setattr(cupy_double.modules()["cupy"], "from_dlpack", lambda _: there)
    elif kind == "of another library":
        given = Lent(there)
        monkeypatch.setattr(cupy_double.modules()["cupy"], "asarray", lambda *_, **__: there)
    for door in (
        lambda: step(given, y),
        lambda: env.run(lambda ctx, x: lg.sum(x), given),
        lambda: env.name("v").set(given),
    ):
        said = said_of(door)
        assert said.startswith("cannot use an array on GPU 1: the variables are on GPU 0")
        assert "with cupy.cuda.Device(0): x = cupy.array(x)" in said
    assert before == numbers(env)


@pytest.mark.parametrize("steps", [0, 2])
def test_a_step_on_another_gpu_than_its_variables_is_refused(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interpreted, and compiled."""
    env, step, arrays = trained(steps, wait=True)
    before = numbers(env)
    sent = [env._store.backend.asarray(a) for a in arrays]
    monkeypatch.setattr(runtime.settings, "device", 1)
    said = said_of(lambda: step(*sent) if steps else env.run(lambda ctx, x: lg.sum(x), sent[0]))
    assert said.startswith("cannot run a step on GPU 1: the variables are on GPU 0")
    assert "with cupy.cuda.Device(0):" in said
    monkeypatch.setattr(runtime.settings, "device", 0)
    assert before == numbers(env)


@pytest.mark.parametrize("native", ["off", "wait"])
def test_a_run_on_another_stream_waits_there_for_the_one_before(native: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They share variables, and the arena; on the same stream they come in order by themselves."""
    monkeypatch.setenv("LAZYGRAD_NATIVE", native)
    _, step, arrays = trained()
    before = cupy_double.counts.copy()
    stream = sys.modules["cupy"].cuda.Stream(non_blocking=True)
    step(*arrays)
    with stream:
        step(*arrays), step(*arrays)
    assert 1 == (cupy_double.counts - before)["streams that wait for another"]
    step(*arrays)
    assert 2 == (cupy_double.counts - before)["streams that wait for another"]


def test_a_full_gpu_is_told_with_the_bytes_that_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where results are made, and where numbers are sent; nothing is changed, and it goes on where there is room."""
    env, step, arrays = trained(wait=True)
    before, cupy = numbers(env), cupy_double.modules()["cupy"]

    def full(*_: Any, **__: Any) -> Any:
        raise runtime.OutOfMemoryError("Out of memory allocating 1,024 bytes (allocated so far: 512 bytes).")

    for owner, name, first in (
        (cupy_double.ndarray, "copy", "cannot run a step"),
        (cupy, "asarray", "cannot send float32[5, 4] to the GPU"),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(owner, name, full)
            said = said_of(lambda: step(*arrays), lg.DeviceMemoryError)
            assert said.startswith(f"{first}: the GPU's memory is full")
            assert (f"needed:  {step.plan.peak_bytes:,} bytes" in said) == (name == "copy")
            assert "4,294,967,296 bytes, of which 3,221,225,472 are free" in said
            assert "free_all_blocks" in said
        assert before == numbers(env)
    assert issubclass(lg.DeviceMemoryError, MemoryError)
    step(*arrays)
    assert before != numbers(env)


def test_a_gpu_that_has_no_room_for_the_arena_runs_the_step_node_by_node(monkeypatch: pytest.MonkeyPatch) -> None:
    """It frees arrays as it goes on."""
    cupy = cupy_double.modules()["cupy"]

    def full(*_: Any, **__: Any) -> Any:
        raise runtime.OutOfMemoryError("Out of memory allocating 1,024 bytes")

    with monkeypatch.context() as patched:
        patched.setattr(cupy, "empty", full)
        with pytest.warns(RuntimeWarning, match="node by node, .*Out of memory"):
            _, step, arrays = trained(1, wait=True)
    assert not step.is_native
    assert np.isfinite(float(step(*arrays)[0]))


def test_a_wrong_label_ends_a_compiled_step_with_nothing_lost() -> None:
    """As NumPy says it, with the index."""
    env, step, (x, _) = trained(wait=True)
    before = numbers(env)
    with pytest.raises((IndexError, ValueError), match="7"):
        step(x, np.array([0, 1, 7, 0, 1]))
    assert before == numbers(env)


def test_a_matrix_that_is_not_positive_definite_ends_a_compiled_step_with_nothing_lost() -> None:
    """In NumPy's words, for small matrices (a kernel's) and for larger ones (a call's)."""
    for size in (3, 12):
        env = lg.VariableEnvironment(backend="cupy")
        w = env.name("w").set(np.eye(size, dtype=np.float32))
        step = env.compile(lambda ctx, a, w=w: (lg.linalg.cholesky(a), ctx.assign(w, w + a)), wait=True)
        good, bad = np.eye(size, dtype=np.float32), -np.eye(size, dtype=np.float32)
        step(good), step(good)
        assert step.is_native
        with pytest.raises(np.linalg.LinAlgError, match="not positive definite"):
            step(bad)
        np.testing.assert_array_equal(w.value.get(), np.eye(size) * 3)
        step(good)
        np.testing.assert_array_equal(w.value.get(), np.eye(size) * 4)


# Interrupts.


def test_an_interrupt_between_any_two_launches_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before, between and after them: variables are whole, and the next call computes what it would have."""
    (env, step, arrays), (other, _, _) = trained(wait=True), trained(3, wait=True)
    before, call, left = numbers(env), launch.Function.__call__, [-1]

    def interrupted(self: Any, *args: Any, **kwargs: Any) -> Any:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        return call(self, *args, **kwargs)

    monkeypatch.setattr(launch.Function, "__call__", interrupted)
    launches = 0
    while launches < 50:
        left[0] = launches + 1
        try:
            step(*arrays)
        except KeyboardInterrupt:
            assert before == numbers(env)
            launches += 1
        else:
            break
    assert launches > 1
    assert numbers(other) == numbers(env)


# Memory of the host.


def test_what_the_caller_has_pinned_may_be_written_again_at_once() -> None:
    """CuPy would still be reading it; what is not pinned it copies by itself."""
    import cupyx

    env = lg.VariableEnvironment(backend="cupy")
    step = env.compile(lambda ctx, x: lg.sum(x), wait=True)
    x = cupyx.empty_pinned((4,), np.float32)
    for k in range(3):
        x[:] = k
        found = step(x)
        x[:] = -1
        assert 4 * k == float(found)


def test_arrays_of_numpy_go_over_without_a_wait() -> None:
    """As do the addresses of where they lie."""
    _, step, arrays = trained(wait=True)
    before = cupy_double.counts.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        step(*[a.copy() for a in arrays])
    spent = cupy_double.counts - before
    assert 2 <= spent["to the device"] <= 3  # and a row of addresses, if they lie elsewhere than before
    assert 0 == spent["copies that may wait"] + spent["waits for a copy"]
    assert 1 == spent["waits for the device"]  # a label may be wrong
