"""Compiled steps on CuPy's double, whose kernels are run by the emulator: what a GPU would run, but for its speed."""

from __future__ import annotations

import random
import sys
from typing import Any

import cupy_double
import numpy as np
import pytest
from cupy_double import counts
from programs import exact_program

import lazygrad as lg
from lazygrad.backends.cupy import CupyBackend
from lazygrad.engine.cuda.binding import DeviceBinding

pytest.importorskip("llvmlite", reason="llvmlite is not installed")


@pytest.fixture(autouse=True)
def device(monkeypatch: pytest.MonkeyPatch) -> None:
    """The double in place of CuPy."""
    for name, module in cupy_double.modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.delenv("LAZYGRAD_NATIVE", raising=False)


def network(env: lg.VariableEnvironment, optimizer: str = "Adam") -> Any:
    """A step that trains a small network."""
    layers = [lg.nn.Linear(env, 5, 8), lg.nn.Linear(env, 8, 3)]
    made = getattr(lg.optim, optimizer)(env, 0.01)

    def step(ctx: Any, x: Any, y: Any) -> Any:
        loss = lg.mean(lg.nn.cross_entropy(layers[1](lg.nn.gelu(layers[0](x))), y))
        return loss, made.minimize(loss)

    return step


def data(rows: int = 16) -> tuple[Any, Any]:
    """Rows and their labels."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(rows, 5)).astype(np.float32), rng.integers(0, 3, rows)


def trained(
    backend: str, optimizer: str, steps: int, precision: str | None = None
) -> tuple[list[float], dict[str, Any]]:
    """The losses, and the variables in the end."""
    env = lg.VariableEnvironment(seed=0, backend=backend)
    step = env.compile(network(env, optimizer), wait=True, precision=precision)
    losses = [float(step(*data())[0]) for _ in range(steps)]
    assert step.is_native
    return losses, {v.path: env._store.backend.to_numpy(v.value) for v in env}


@pytest.mark.parametrize("optimizer", ["Adam", "SGD"])
def test_training_on_a_device_is_training(optimizer: str) -> None:
    """Losses and variables as on the CPU."""
    (found, there), (expected, here) = trained("cupy", optimizer, 4), trained("numpy", optimizer, 4)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert here.keys() == there.keys()
    for name, value in here.items():
        np.testing.assert_allclose(there[name], value, rtol=1e-4, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("precision", ["mixed", "mixed-bfloat16"])
def test_training_in_mixed_precision_is_that_of_the_cpu(precision: str) -> None:
    """Operands are rounded to the same halves, and the scale counts the same steps."""
    (found, there), (expected, here) = (trained(name, "SGD", 3, precision) for name in ("cupy", "numpy"))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert here.keys() == there.keys()
    for name, value in here.items():
        np.testing.assert_allclose(there[name], value, rtol=1e-3, atol=1e-5, err_msg=name)


def test_a_step_is_a_handful_of_launches_and_waits_for_one_word() -> None:
    """A network with Adam: six launches at most beside its products; the host waits once, as a label may be wrong."""
    env = lg.VariableEnvironment(seed=0, backend="cupy")
    step = env.compile(network(env), wait=True)
    x, y = (env._store.backend.asarray(a) for a in data())
    step(x, y), step(x, y)
    before = counts.copy()
    loss, _ = step(x, y)
    spent = counts - before
    assert spent["launches"] <= 6
    assert spent["waits for the device"] <= 1
    assert spent["to the host"] == 0
    assert isinstance(loss, cupy_double.ndarray)


def test_a_step_that_cannot_fail_waits_for_nothing() -> None:
    """Its result stays on the device until it is asked for."""
    env = lg.VariableEnvironment(backend="cupy")
    w = env.name("w").set(np.ones(5, np.float32))
    step = env.compile(lambda ctx, x: (lg.sum(x * w), ctx.assign(w, w * 0.5)), wait=True)
    x = env._store.backend.asarray(np.ones(5, np.float32))
    step(x), step(x)
    before = counts.copy()
    result = step(x)[0]
    spent = counts - before
    assert (0, 0) == (spent["waits for the device"], spent["to the host"])
    assert 5 / 4 == float(result)


def test_an_index_out_of_range_ends_the_step_and_nothing_is_lost() -> None:
    """The kernel sets a word, and NumPy's words say which index; the next step is as if it had not been."""
    env = lg.VariableEnvironment(backend="cupy")
    w = env.name("w").set(np.arange(6, dtype=np.float32))
    step = env.compile(lambda ctx, i: (lg.sum(w[i]), ctx.assign(w, w + 1)), wait=True)
    good, bad = np.array([0, 5]), np.array([0, 9])
    assert 5 == float(step(good)[0])
    with pytest.raises(IndexError, match="index 9 is out of bounds for axis 0 with size 6"):
        step(bad)
    assert [1, 2, 3, 4, 5, 6] == w.value.get().tolist()
    assert 7 == float(step(good)[0])


def test_operands_that_are_views_are_multiplied_where_they_lie() -> None:
    """Transposed, a part of another, and of a batch."""
    env = lg.VariableEnvironment(backend="cupy")

    def step(ctx: Any, a: Any, b: Any) -> Any:
        return lg.matrix_transpose(a) @ b[:4], (a + 1) @ lg.matrix_transpose(b), a[None] @ lg.stack([b.T, b.T * 2])

    a, b = np.arange(12, dtype=np.float32).reshape(4, 3), np.arange(18, dtype=np.float32).reshape(6, 3)
    for found, expected in zip(
        env.compile(step, wait=True)(a, b), lg.VariableEnvironment().run(step, a, b), strict=True
    ):
        np.testing.assert_array_equal(found.get(), expected)


def test_draws_on_a_device_are_those_of_the_cpu() -> None:
    """Bit for bit, in kernels, and others in every run; nothing is made on the host."""

    def step(ctx: Any) -> Any:
        return ctx.random.uniform((50,)), ctx.random.bernoulli((50,), 0.3), ctx.random.uniform((3,), dtype="float64")

    steps = [lg.VariableEnvironment(seed=5, backend=name).compile(step, wait=True) for name in ("cupy", "numpy")]
    runs = [[[np.asarray(getattr(a, "_a", a)) for a in run()] for _ in range(3)] for run in steps]
    for there, here in zip(*runs, strict=True):
        assert [a.tobytes() for a in here] == [a.tobytes() for a in there]
    assert runs[0][0][0].tobytes() != runs[0][1][0].tobytes()


def test_an_environment_moves_to_a_device_and_back() -> None:
    """Training goes on where it was, in compiled steps and in those that are run; layers stay what they are."""
    there, here = lg.VariableEnvironment(seed=0), lg.VariableEnvironment(seed=0)
    losses: dict[lg.VariableEnvironment, list[float]] = {there: [], here: []}
    steps = {env: (network(env), env.compile(network(env, "SGD"), wait=True)) for env in (there, here)}
    for backend in ("numpy", "cupy", "cupy", "numpy", "auto"):
        assert there is there.to(backend)
        for env, (interpreted, compiled) in steps.items():
            losses[env] += [float(compiled(*data())[0]), float(env.run(interpreted, *data())[0])]
    assert "cupy" == there.backend
    np.testing.assert_allclose(losses[there], losses[here], rtol=1e-5)
    assert all(isinstance(v.value, cupy_double.ndarray) for v in there)


def test_an_environment_that_cannot_move_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that is full, or a step that is being written."""
    env = lg.VariableEnvironment()
    v, w = env.name("v").set(np.ones(3)), env.name("w").set(np.ones(2))
    step = env.compile(lambda ctx: ctx.assign(w, w + 1), wait=True)
    step()
    asarray, left = CupyBackend.asarray, [1]

    def full(self: Any, array: Any, dtype: Any = None) -> Any:
        if not left:
            raise MemoryError("the device is full")
        left.pop()
        return asarray(self, array, dtype)

    monkeypatch.setattr(CupyBackend, "asarray", full)
    with pytest.raises(MemoryError):
        env.to("cupy")
    step()
    assert ("numpy", [3, 3], [1, 1, 1]) == (env.backend, w.value.tolist(), v.value.tolist())
    with pytest.raises(lg.GraphError, match="cannot move an environment in the middle of a step"):
        env.run(lambda ctx: env.to("numpy"))


def test_a_file_is_read_on_the_other_backend(tmp_path: Any) -> None:
    """It holds NumPy's arrays."""
    env = lg.VariableEnvironment(seed=3, backend="cupy")
    env.name("w").set(np.arange(3.0))
    env.save(tmp_path / "w.json")
    assert [0, 1, 2] == lg.VariableEnvironment.load(tmp_path / "w.json")["w"].tolist()
    again = lg.VariableEnvironment.load(tmp_path / "w.json", backend="cupy")
    assert isinstance(again["w"], cupy_double.ndarray)


def test_auto_is_numpy_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """CuPy may be installed, and find none."""
    assert "cupy" == lg.VariableEnvironment(backend="auto").backend
    runtime = sys.modules["cupy"].cuda.runtime
    monkeypatch.setattr(runtime, "getDeviceCount", lambda: 1 / 0)
    assert "numpy" == lg.VariableEnvironment(backend="auto").backend


def test_a_step_is_compared_with_the_same_without_its_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on the CPU, if ``LAZYGRAD_CHECK=1`` asks for it."""
    monkeypatch.setenv("LAZYGRAD_CHECK", "1")
    env = lg.VariableEnvironment(seed=0, backend="cupy")
    step = env.compile(network(env), wait=True)
    assert np.isfinite([float(step(*data())[0]) for _ in range(2)]).all()
    monkeypatch.setattr(DeviceBinding, "_multiply", lambda self, node, operands, arrays: None)
    with pytest.raises(lg.BackendError, match="disagree"):
        env.compile(network(env), wait=True)(*data())


@pytest.mark.filterwarnings("ignore:step computes in float64")  # of data that are wider than the environment
@pytest.mark.thinned(10)
@pytest.mark.parametrize("seed", range(40))
def test_a_random_program_computes_the_same(seed: int) -> None:
    """On whole numbers, which no order of summation rounds."""
    made = exact_program(random.Random(seed))
    step = made.step()
    found = {}
    for backend in ("numpy", "cupy"):
        env = lg.VariableEnvironment(seed=0, backend=backend)
        for k, value in enumerate(made.variables):
            env.name("abc"[k]).set(value)
        compiled = env.compile(step, wait=True)
        values, _ = compiled(*made.arguments)
        arrays = [*values, *(env["abc"[k]] for k in range(len(made.variables)))]
        found[backend] = [np.asarray(env._store.backend.to_numpy(a)) for a in arrays]
    for one, other in zip(found["cupy"], found["numpy"], strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_device_draws_the_numbers_that_numpy_draws() -> None:
    """Words of every size, in rows of any length, bit for bit, in every run."""

    def step(ctx: Any) -> Any:
        r = ctx.random
        drawn = [r.uniform((3, 7)), r.normal((3, 8)), r.exponential(9, dtype="float64"), r.bernoulli((4, 4), 0.3)]
        return *drawn, r.integers(5, -3, 9), r.normal((2, 5), dtype="float64").T, lg.max(r.uniform((4, 6)), axis=1)

    here, there = lg.VariableEnvironment(seed=4), lg.VariableEnvironment(seed=4, backend="cupy")
    fast = there.compile(step, wait=True)
    for _ in range(3):
        for a, b in zip(here.run(step), fast(), strict=True):
            np.testing.assert_array_equal(a, there._store.backend.to_numpy(b))
    assert fast.is_native
