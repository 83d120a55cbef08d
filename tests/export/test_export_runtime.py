"""``lazygrad_runtime``: exported steps called with NumPy alone, and libraries that are refused."""

from __future__ import annotations

import copy
import importlib.util
import os
import pickle
import platform
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exported import bits

import lazygrad as lg
import lazygrad_runtime

pytest.importorskip("llvmlite", reason="native code is made by llvmlite")
pytestmark = pytest.mark.skipif(
    not any(map(shutil.which, ("cc", "gcc", "clang"))) and importlib.util.find_spec("ziglang") is None,
    reason="there is no linker",
)
ROOT = Path(__file__).parents[2]


def exported(folder: Path, **settings: Any) -> tuple[Any, Any, Any]:
    """A step, its argument, and the library that is made of it."""
    env = lg.VariableEnvironment(seed=0)
    layer = lg.nn.Linear(env, 6, 5, name="layer")
    step = env.compile(lambda ctx, x: {"y": lg.tanh(layer(x)), "most": lg.argmax(layer(x), axis=1)}, wait=True)
    x = np.random.default_rng(0).random((3, 6)).astype(np.float32)
    step(x)
    step.export(folder / "predict", x, **settings)
    return step, x, lazygrad_runtime.load(folder / "predict.so")


@pytest.mark.parametrize("weights", ["inside", "file"])
def test_a_library_gives_the_bits_of_the_step(tmp_path: Path, weights: str) -> None:
    """In order or by name, with the weights in the code or beside it."""
    step, x, loaded = exported(tmp_path, weights=weights)
    expected = bits(step(x).values())
    assert expected == bits(loaded(x))
    assert expected == bits(loaded(x=x.astype(np.float64)[:, ::1].astype(np.float32)[::1]))
    assert expected == bits(loaded(np.asfortranarray(x))), "another order is copied"
    x.flags.writeable = False
    assert expected == bits(loaded(x)), "and what is read-only is read"
    assert repr(loaded) == "<predict(x: float32[3, 6]) -> y: float32[3, 5], most: int64[3]>"


def test_the_network_of_mnist_is_no_larger_than_its_weights_and_a_half(tmp_path: Path) -> None:
    """784-128-10 with 407,080 bytes of weights: at most 700,000 with them, and the bits of the step."""
    env = lg.VariableEnvironment(seed=0)
    hidden, out = lg.nn.Linear(env, 784, 128, name="hidden"), lg.nn.Linear(env, 128, 10, name="out")
    step = env.compile(lambda ctx, x: lg.nn.softmax(out(lg.nn.relu(hidden(x)))), wait=True)
    x = np.random.default_rng(0).random((1, 784)).astype(np.float32)
    step(x)
    step.export(tmp_path / "predict", x)
    assert 407_080 < (tmp_path / "predict.so").stat().st_size <= 700_000
    assert bits([step(x)]) == bits([lazygrad_runtime.load(tmp_path / "predict.so")(x)])


def test_threads_call_it_at_once(tmp_path: Path) -> None:
    """Each has a workspace of its own."""
    step, x, loaded = exported(tmp_path)
    given = [x + k for k in range(8)]
    expected = [bits(step(a).values()) for a in given]
    found: list[Any] = [None] * len(given)

    def work(k: int) -> None:
        for _ in range(300):
            found[k] = bits(loaded(given[k]))
            assert found[k] == expected[k]

    threads = [threading.Thread(target=work, args=(k,)) for k in range(len(given))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert expected == found


def test_draws_follow_seed_and_run(tmp_path: Path) -> None:
    """The same seed draws what an environment with that seed draws."""
    step = lg.VariableEnvironment(seed=3).compile(lambda ctx: ctx.random.normal((50,)), wait=True)
    step.export(tmp_path / "noise")
    loaded = lazygrad_runtime.load(tmp_path / "noise.so")
    other = lg.VariableEnvironment(seed=9).compile(lambda ctx: ctx.random.normal((50,)), wait=True)
    assert bits([step() for _ in range(3)]) == bits([loaded(run=k) for k in range(3)])
    assert bits([other() for _ in range(3)]) == bits([loaded(seed=9, run=k) for k in range(3)])


def test_inputs_may_be_called_as_one_likes(tmp_path: Path) -> None:
    """Like settings of the call, like words of C, and as the step calls them where C cannot."""

    def step(ctx: Any, seed: Any, run: Any, self: Any, double: Any) -> Any:
        return seed - run * self + double + ctx.random.normal(())

    compiled, given = lg.VariableEnvironment(seed=0).compile(step), [np.float64(k) for k in (1, 2, 3, 4)]
    compiled.export(tmp_path / "mixed", *given)
    loaded = lazygrad_runtime.load(tmp_path / "mixed.so")
    names = ("seed", "run", "self", "double"), ("seed", "run", "self", "a_double")
    expected = bits([loaded(*given)])
    assert [expected] * 2 == [bits([loaded(**dict(zip(said, given, strict=True)))]) for said in names]


def test_numbers_of_python_must_fit_the_dtype(tmp_path: Path) -> None:
    """A fraction, one too large, one below zero, text and nothing are refused where whole numbers are wanted."""
    step = lg.VariableEnvironment(seed=0).compile(lambda ctx, k, x: x * k + ctx.random.uniform(()))
    step.export(tmp_path / "scaled", np.uint8(1), np.ones(2))
    loaded = lazygrad_runtime.load(tmp_path / "scaled.so")
    assert bits([loaded(np.uint8(3), np.ones(2))]) == bits([loaded(3, [1, 1.0])]) == bits([loaded(True + 2, [1, 1])])
    for k in (3.5, 256, -1, 2**70, "3", None, np.int64(3)):
        with pytest.raises(lazygrad_runtime.LoadError, match=r"cannot call scaled: 'k' does not fit"):
            loaded(k, np.ones(2))
    with pytest.raises(lazygrad_runtime.LoadError, match="'x' does not fit"):
        loaded(3, [[1.0], [2.0, 3.0]])
    for settings, text in (
        ({"seed": -1}, "as seed, not -1"),
        ({"seed": 1.5}, "as seed, not 1.5"),
        ({"run": -1}, "as run, not -1"),
        ({"run": 1 << 64}, "as run"),
    ):
        with pytest.raises(lazygrad_runtime.LoadError, match=text):
            loaded(3, np.ones(2), **settings)


def test_what_is_loaded_is_copied_and_pickled_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process loads the library anew, wherever it runs."""
    step, x, _ = exported(tmp_path)
    monkeypatch.chdir(tmp_path)
    loaded = lazygrad_runtime.load("predict.so")
    monkeypatch.chdir(ROOT)
    for other in (copy.copy(loaded), copy.deepcopy(loaded), pickle.loads(pickle.dumps(loaded))):
        assert bits(step(x).values()) == bits(other(x))


def test_it_needs_numpy_alone(tmp_path: Path) -> None:
    """A process that loads a library imports nothing of lazygrad, of SciPy, or of llvmlite."""
    step, x, _ = exported(tmp_path)
    np.save(tmp_path / "x.npy", x)
    program = (
        "import sys, numpy as np, lazygrad_runtime\n"
        "print(lazygrad_runtime.load('predict.so')(np.load('x.npy'))[1].tolist())\n"
        "print([name for name in ('lazygrad', 'scipy', 'llvmlite') if name in sys.modules])\n"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [str(step(x)["most"].tolist()), "[]"]


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    """Shapes, kinds of dtypes, too many arrays, unknown names, a seed where nothing is drawn."""
    _, x, loaded = exported(tmp_path)
    wrong = [
        (lambda: loaded(x[:2]), "wanted:  float32[3, 6]\n    given:   float32[2, 6]"),
        (lambda: loaded(x + 1j), "given:   complex64[3, 6]"),
        (lambda: loaded(), "takes the arrays x\n\n    given:  "),
        (lambda: loaded(x, x), "given:  2 in order"),
        (lambda: loaded(z=x), "given:  z"),
        (lambda: loaded(x, x=x), "given:  1 in order, x"),
        (lambda: loaded(x, seed=1), "draws no random numbers"),
    ]
    for call, text in wrong:
        with pytest.raises(lazygrad_runtime.LoadError) as caught:
            call()
        assert text in str(caught.value)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="libraries are ELF files on Linux")
def test_libraries_that_are_not_for_this_machine_are_refused(tmp_path: Path) -> None:
    """Missing, no library, damaged, of another processor, with another name, of one that can more; weights too."""
    _, _, _ = exported(tmp_path, weights="file")
    whole = (tmp_path / "predict.so").read_bytes()
    other = 183 if platform.machine() == "x86_64" else 62
    cases = {
        "text.so": (b"hello", "it is no shared library"),
        "web.so": (b"\0asm" + bytes(40), "it is WebAssembly"),
        "other.so": (whole[:18] + other.to_bytes(2, "little") + whole[20:], "and this machine is"),
        "short.so": (whole[:64], "Export it anew"),
        "renamed.so": (whole, "it has no function renamed_spec"),
    }
    for name, (data, text) in cases.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(lazygrad_runtime.LoadError) as caught:
            lazygrad_runtime.load(tmp_path / name)
        assert text in str(caught.value), name
    for path, text in ((tmp_path / "missing.so", "FileNotFoundError"), ("\0", "null byte"), (3, "it is no path")):
        with pytest.raises(lazygrad_runtime.LoadError, match=text):
            lazygrad_runtime.load(path)
    weights = tmp_path / "predict.weights"
    data = weights.read_bytes()
    for damaged in (data[:-1], bytes([data[0] ^ 1]) + data[1:]):
        weights.write_bytes(damaged)
        with pytest.raises(lazygrad_runtime.LoadError, match="It is damaged, or of another export"):
            lazygrad_runtime.load(tmp_path / "predict.so")


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the features are those of x86")
def test_code_for_a_processor_that_can_more_is_refused(tmp_path: Path) -> None:
    """It would end the process at its first instruction that is missing."""
    for spec, missing in (
        ({"cpu": "future", "features": "+avx,+avx2,-fma"}, "avx, avx2"),
        ({"cpu": "x86-64-v4", "features": ""}, "avx512bw, avx512dq, avx512f, avx512vl"),
        ({"cpu": "x86-64-v3", "features": ""}, "avx2, bmi2, f16c, fma"),
    ):
        flags = tmp_path / "cpuinfo"
        flags.write_text("processor : 0\nflags : fpu sse4_1 sse4_2\n")
        with pytest.raises(lazygrad_runtime.LoadError, match=f"this processor lacks {missing}"):
            lazygrad_runtime._check_features(Path("f.so"), spec, flags)
        lazygrad_runtime._check_features(Path("f.so"), {"cpu": "", "features": "+sse4.2"}, flags)


def test_what_fails_says_so(tmp_path: Path) -> None:
    """The function returns 1 where the step would raise, and the caller is told; the next call is right."""
    env = lg.VariableEnvironment(seed=0)

    def doubled(ctx: Any, x: Any, which: Any) -> Any:
        y = lg.while_loop(lambda y: lg.sum(y) < 1e6, lambda y: y @ y, x, max_steps=3)
        return lg.take(y, which, axis=0)

    x, which = np.full((20, 20), 10, np.float32), np.array([1, 19])
    step = env.compile(doubled, wait=True)
    step(x, which)
    step.export(tmp_path / "doubled", x, which)
    loaded = lazygrad_runtime.load(tmp_path / "doubled.so")
    for wrong in ((np.eye(20, dtype=np.float32), which), (x, np.array([1, 20]))):
        with pytest.raises(RuntimeError, match="an index is out of range, or a loop takes more turns than it may"):
            loaded(*wrong)
    assert bits([step(x, which)]) == bits([loaded(x, which)])
