"""The same program on both backends: training, files, estimators and examples, with ``backend="cupy"`` alone."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cupy_double
import numpy as np
import pytest

import lazygrad as lg

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(autouse=True)
def device(double: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The double in place of CuPy; steps run node by node unless a test says otherwise."""
    monkeypatch.setenv("LAZYGRAD_NATIVE", "off")


def trainer(backend: str) -> tuple[lg.VariableEnvironment, Callable[..., Any], list[Any]]:
    """A network, a step that trains it, and data."""
    env = lg.VariableEnvironment(backend=backend, seed=1)
    layers = [lg.nn.Linear(env, 4, 6), lg.nn.Dropout(env, 0.2), lg.nn.Linear(env, 6, 3)]
    adam = lg.optim.Adam(env, 0.02)

    def step(ctx: Any, x: Any, y: Any, train: bool = True) -> Any:
        hidden = lg.nn.gelu(layers[0](x))
        logits = layers[2](layers[1](hidden, train=train))
        loss = lg.mean(lg.nn.cross_entropy(logits, y))
        return (loss, adam.minimize(loss)) if train else loss

    rng = np.random.default_rng(0)
    return env, step, [rng.normal(size=(12, 4)).astype(np.float32), rng.integers(0, 3, 12)]


def numbers(env: lg.VariableEnvironment) -> dict[str, Any]:
    """All variables, in main memory."""
    return {v.path: lg.to_numpy(v.value) for v in env}


def close(found: dict[str, Any], expected: dict[str, Any]) -> None:
    """They are the same variables, to rounding."""
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("native", ["off", "wait"])
def test_fit_trains_on_a_gpu_as_on_a_cpu(native: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """Compiled and interpreted, with validation, checkpoints and the best weights."""
    monkeypatch.setenv("LAZYGRAD_NATIVE", native)
    found = {}
    for backend in ("numpy", "cupy"):
        env, step, data = trainer(backend)
        history = lg.fit(
            env.compile(step),
            data,
            epochs=2,
            batch_size=6,
            validation=data,
            callbacks=[lg.BestWeights()],
            env=env,
            seed=3,
            checkpoint=tmp_path / f"{backend}.json",
        )
        found[backend] = numbers(env), history["loss"], history["validation_loss"]
    close(found["cupy"][0], found["numpy"][0])
    for there, here in zip(found["cupy"][1:], found["numpy"][1:], strict=True):
        np.testing.assert_allclose(there, here, rtol=1e-4)
        assert all(isinstance(one, float) for one in there)


@pytest.mark.parametrize("backends", [("cupy", "numpy"), ("numpy", "cupy")])
def test_training_goes_on_from_a_file_of_the_other_backend(backends: tuple[str, str], tmp_path: Any) -> None:
    """With the optimizer's state and the place of draws: as if it had never been interrupted."""
    first, second = backends
    env, step, data = trainer(first)
    for _ in range(3):
        env.run(step, *data)
    env.save(tmp_path / "v.json")
    other, again, _ = trainer(second)
    other.run(again, *data)  # so that the optimizer has its variables
    other.restore(tmp_path / "v.json")
    whole, stepped, _ = trainer("numpy")
    for _ in range(3):
        whole.run(stepped, *data)
    close(numbers(other), numbers(whole))
    other.run(again, *data), whole.run(stepped, *data)
    close(numbers(other), numbers(whole))
    loaded = lg.VariableEnvironment.load(tmp_path / "v.json", backend=second)
    assert second == loaded.backend
    assert all(isinstance(v.value, cupy_double.ndarray if second == "cupy" else np.ndarray) for v in loaded)


def test_estimators_compute_on_a_gpu_with_a_word() -> None:
    """They take and give NumPy's arrays, and agree with those on a CPU."""
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    from lazygrad import sklearn

    rng = np.random.default_rng(2)
    x = rng.normal(size=(20, 3))
    labels, target = np.array(["a", "b"])[(x[:, 0] > 0).astype(int)], x @ [1.0, -2.0, 0.5]
    made = {
        "classes": lambda backend: sklearn.Classifier(epochs=2, random_state=0, backend=backend).fit(x, labels),
        "numbers": lambda backend: sklearn.Regressor(epochs=2, random_state=0, backend=backend).fit(x, target),
        "codes": lambda backend: sklearn.Transformer(epochs=2, random_state=0, backend=backend).fit(x),
    }
    for name, fitted in made.items():
        here, there = fitted("numpy"), fitted("cupy")
        ask = {"classes": "predict_proba", "numbers": "predict", "codes": "transform"}[name]
        found, expected = getattr(there, ask)(x), getattr(here, ask)(x)
        assert type(found) is np.ndarray
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8)


def test_what_lies_on_a_gpu_is_brought_to_numpy_in_any_nesting() -> None:
    """All else stays what it is, also the tree itself if nothing lies there."""
    env = lg.VariableEnvironment(backend="cupy")
    found = env.run(lambda ctx: {"a": (lg.zeros(2), 3), "b": [lg.ones(1)], "c": None})
    there = lg.to_numpy({**found, "d": "text"})
    assert type(there["a"][0]) is type(there["b"][0]) is np.ndarray
    assert ([0, 0], 3, [1], None, "text") == (
        there["a"][0].tolist(),
        there["a"][1],
        there["b"][0].tolist(),
        None,
        "text",
    )
    plain = [np.zeros(2), {"x": 1}]
    assert plain is lg.to_numpy(plain)


# The first takes two seconds on an idle machine, each of the others up to ten.
FAST, LONG = ("linear_regression",), ("xor", "hessian", "kalman", "physics", "svd_trials", "plane_of_best_fit", "vae")


@pytest.mark.parametrize("name", [*FAST, *(pytest.param(name, marks=pytest.mark.slow) for name in LONG)])
def test_an_example_runs_on_a_gpu(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """With ``--backend cupy``, and nothing else."""
    pytest.importorskip("matplotlib", reason="matplotlib is not installed").use("agg")
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.chdir(tmp_path)
    kept = set(sys.modules)
    try:
        arguments = ["--quick", "--backend", "cupy"]
        example = importlib.import_module(name)
        example.main(arguments if name == "linear_regression" else [*arguments, "--save", str(tmp_path)])
    finally:
        for other in set(sys.modules) - kept:  # as they have the names of modules of tests
            if str(EXAMPLES) in str(getattr(sys.modules[other], "__file__", "")):
                del sys.modules[other]
