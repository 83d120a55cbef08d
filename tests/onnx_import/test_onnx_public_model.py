"""A public model of 3 MB, that of the package magika (Apache 2.0), which tells kinds of files apart by their bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx_models import ours, theirs

import lazygrad as lg


@pytest.fixture(scope="module")
def path() -> Path:
    """Its file."""
    magika = pytest.importorskip("magika", reason="the package magika is not installed")
    return next((Path(magika.__file__).parent / "models").glob("standard*/model.onnx"))


def files(rows: int) -> Any:
    """Numbers as it takes them: bytes, and 256 where a file is shorter."""
    rng = np.random.default_rng(0)
    found = rng.integers(0, 256, (rows, 2048)).astype(np.int32)
    found[0, :1024] = np.frombuffer(Path(__file__).read_bytes()[:1024], np.uint8)
    found[0, 1024:] = 256
    return found


@pytest.mark.parametrize("rows", [1, 3])
def test_it_gives_what_onnxruntime_gives(path: Path, rows: int) -> None:
    """Probabilities of 200 kinds and more; both compute in float32."""
    model, x = lg.import_onnx(path), files(rows)
    np.testing.assert_allclose(ours(model, bytes=x)[0], theirs(path, bytes=x)[0], atol=1e-5)


def test_it_is_fine_tuned(path: Path) -> None:
    """A gradient agrees with differences, and a step of training changes its weights and what it says."""
    model = lg.import_onnx(path, name="magika")
    env, x, labels = model.env, files(2), np.array([3, 5])
    sgd = lg.optim.SGD(env, 0.5)

    def loss(ctx: Any, x: Any) -> Any:
        return -lg.mean(lg.log(model(x)[np.arange(2), labels] + 1e-6))

    target = max((v for v in model.variables if len(v.shape) == 2), key=lambda v: v.spec.size)
    way = np.random.default_rng(1).normal(size=target.shape).astype(np.float32)

    def slope(ctx: Any, x: Any) -> Any:
        return lg.sum(lg.grad(loss(ctx, x), [ctx.variable(target)])[0] * way)

    before, h, values = env[target.path], 1e-3, []
    found = env.run(slope, x)
    for sign in (1, -1):
        env[target.path] = before + sign * h * way
        values.append(env.run(loss, x))
    # Losses around 10 in float32: a difference of two, divided by 0.002, is rounded to about 1e-3.
    np.testing.assert_allclose(found, (values[0] - values[1]) / (2 * h), rtol=2e-2, atol=1e-2)
    env[target.path] = before
    numbers = {v.path: env[v.path] for v in model.variables if v.trainable}

    def step(ctx: Any, x: Any) -> Any:
        value = loss(ctx, x)
        return value, sgd.minimize(value)

    first = env.run(step, x)[0]
    assert env.run(step, x)[0] < first
    changed = [path for path, array in numbers.items() if not np.array_equal(array, env[path])]
    assert len(changed) > len(numbers) / 2
