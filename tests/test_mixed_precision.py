"""Mixed precision: products of halves with float32 sums, and the scale of the loss."""

from __future__ import annotations

import copy
import itertools
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from optimizer_formulas import CASES

import lazygrad as lg
from lazygrad.ops.halves import _halved, _packed, _unpacked
from lazygrad.rewrite import keeping
from lazygrad.workers import side_by_side

SCALE, GOOD = "mixed_precision/scale", "mixed_precision/good"
MIXED = pytest.mark.parametrize("precision", ["mixed", "mixed-bfloat16"])


def nearest_half(x: np.ndarray, to: str) -> np.ndarray:
    """float32 numbers rounded to float16 by NumPy; to bfloat16 by looking at both neighbours, in float64."""
    with np.errstate(all="ignore"):
        if to == "float16":
            return x.astype(np.float16).astype(np.float32)
        low = (x.view(np.uint32) & 0xFFFF0000).view(np.float32)  # towards zero
        high = (low.view(np.uint32) + np.uint32(0x10000)).view(np.float32)
        end = np.where(np.isinf(high), np.copysign(2.0**128, x.astype(np.float64)), high.astype(np.float64))
        left, right = np.abs(x.astype(np.float64) - low), np.abs(end - x)
        is_even = (low.view(np.uint32) >> 16) & 1 == 0
        nearer = np.where((left < right) | ((left == right) & is_even), low, high)
        return np.where(np.isfinite(x), nearer, x)


def sample() -> np.ndarray:
    """Numbers of every size, and those on which rounding turns: halves, what lies between two, the ends."""
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2**32, 30_000, dtype=np.uint64).astype(np.uint32).view(np.float32)
    sizes = (2.0 ** rng.uniform(-28, 17, 30_000) * rng.choice([-1, 1], 30_000)).astype(np.float32)
    halves = np.arange(0, 0x7C00, dtype=np.uint16).view(np.float16).astype(np.float32)
    between = (halves[1:] + halves[:-1]) / 2
    short = (np.arange(0, 0x7F80, dtype=np.uint32) << 16).view(np.float32)
    middle = ((np.arange(0, 0x7F80, dtype=np.uint32) << 16) + 0x8000).view(np.float32)
    ends = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 65519.996, 65520.0, 3.4e38, -3.4e38, 1e-45], np.float32)
    payload = np.array([0x7F800001, 0xFFFFFFFF, 0x7FFFFFFF], np.uint32).view(np.float32)  # NaN too
    return np.concatenate([bits, sizes, halves, between, -between, short, middle, ends, payload])


def same_bits(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Where two arrays of float32 have the same bits, or both are NaN."""
    return (a.view(np.uint32) == b.view(np.uint32)) | (np.isnan(a) & np.isnan(b))


@pytest.mark.parametrize("to", ["float16", "bfloat16"])
@pytest.mark.parametrize("way", ["run", "compile"])
def test_rounding_is_that_of_a_cast(monkeypatch: pytest.MonkeyPatch, way: str, to: str) -> None:
    """Bit for bit, on NumPy and in native code: ties go to the even one, small numbers keep their signs."""
    if way == "compile":
        pytest.importorskip("llvmlite", reason="llvmlite is not installed")
        monkeypatch.setenv("LAZYGRAD_NATIVE", "auto")
    x, env = sample(), lg.VariableEnvironment(backend="numpy")
    step = env.compile(lambda ctx, x: _halved(x, to=to), wait=True)
    found = step(x) if way == "compile" else env.run(lambda ctx, x: _halved(x, to=to), x)
    assert way == "run" or step.is_native
    assert same_bits(np.asarray(found), nearest_half(x, to)).all()


# Products.


@MIXED
def test_a_product_is_one_of_rounded_operands_with_float32_sums(precision: str) -> None:
    """Both operands, in run and compile; the sum has all its digits, and is no half."""
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(5, 300)).astype(np.float32), rng.normal(size=(300, 4)).astype(np.float32)
    to = {"mixed": "float16", "mixed-bfloat16": "bfloat16"}[precision]
    exact = nearest_half(a, to).astype(np.float64) @ nearest_half(b, to)
    env = lg.VariableEnvironment()
    for found in (
        env.run(lambda ctx, a, b: a @ b, a, b, precision=precision),
        env.compile(lambda ctx, a, b: a @ b, precision=precision)(a, b),
    ):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, exact, rtol=0, atol=300 * 2**-24 * 30)  # a rounding each, of sums up to 30
        assert np.abs(found - exact).max() < np.abs(exact - a.astype(np.float64) @ b).max() / 10


def test_what_is_no_product_of_float32_keeps_its_digits() -> None:
    """Sums, elementwise ops, and products of float64 and of whole numbers."""
    x = np.float32([[1 + 2**-20, 3.0], [5.0, 7.0]])

    def step(ctx: Any, x: Any) -> Any:
        wide = x.astype("float64")
        whole = x.astype("int64") * 4097
        return x * x, lg.sum(x), lg.exp(x), wide @ wide, whole @ whole, lg.nn.softmax(x)

    env = lg.VariableEnvironment()
    for found, expected in zip(env.run(step, x, precision="mixed"), env.run(step, x), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_weight_and_its_transpose_are_rounded_once_and_of_windows_the_image() -> None:
    """What only moves elements moves rounded ones: a convolution rounds its image, not each window."""
    env = lg.VariableEnvironment(seed=0)
    layer = lg.nn.Conv2d(env, 1, 4, 3)
    dense = lg.nn.Linear(env, 4 * 36, 3)

    def step(ctx: Any, x: Any) -> Any:
        loss = lg.mean(lg.square(dense(lg.reshape(layer(x), (2, -1)))))
        return lg.grad(loss, [*layer.variables, *dense.variables])

    compiled = env.compile(step, precision="mixed")
    plan = compiled.prepare(np.ones((2, 1, 8, 8), np.float32))
    sizes = sorted(plan.spec(i).size for i, node in enumerate(plan.graph.nodes) if node.of(_halved))
    # Filters; the cotangent of the result; the image; the cotangent of the filters' product, which has 4 channels;
    # the second layer's operands.
    assert sizes == sorted([4 * 9, 2 * 3, 2 * 64, 2 * 144, 2 * 144, 3 * 144])


def test_products_in_loops_and_branches_are_of_halves_too() -> None:
    """The body of a scan, and both branches of a choice."""
    w = np.float32([[1 + 2**-12]])

    def step(ctx: Any, x: Any) -> Any:
        last, _ = lg.scan(lambda c, _: (c @ w, c), x, length=3)
        return last, lg.cond(lg.sum(x) > 0, lambda: x @ w, lambda: x @ (w + 1))

    env = lg.VariableEnvironment()
    x = np.float32([[1.0]])
    for found in env.run(step, x, precision="mixed"):
        assert found == 1.0  # 1 + 2⁻¹² is rounded to 1
    assert env.run(step, x)[1] > 1.0
    plan = env.compile(step, precision="mixed").prepare(x)
    assert plan.explain().count("float16[1, 1] @ float16[1, 1]") == 3


def test_explain_says_which_products_are_of_halves_and_where() -> None:
    """A line a product, with the line of the user's; and none without mixed precision."""
    env = lg.VariableEnvironment()
    a, b = np.ones((2, 3), np.float32), np.ones((3, 4), np.float32)

    def step(ctx: Any, a: Any, b: Any) -> Any:
        return a @ b, a.astype("float64") @ b

    text = env.compile(step, precision="mixed").prepare(a, b).explain()
    assert "products of halves, summed in float32\n        float16[2, 3] @ float16[3, 4]   " in text
    assert text.count("float16[") == 2
    assert "halves" not in env.compile(step).prepare(a, b).explain()


# What is kept for the gradient.


@pytest.mark.parametrize("to", ["float16", "bfloat16"])
@pytest.mark.parametrize("way", ["run", "compile"])
def test_sixteen_bits_are_those_of_the_half_and_give_it_back(
    monkeypatch: pytest.MonkeyPatch, way: str, to: str
) -> None:
    """They give it back bit for bit, NaN as NaN; the bits of float16 are NumPy's."""
    if way == "compile":
        pytest.importorskip("llvmlite", reason="llvmlite is not installed")
        monkeypatch.setenv("LAZYGRAD_NATIVE", "auto")
    x, env = nearest_half(sample(), to), lg.VariableEnvironment(backend="numpy")

    def step(ctx: Any, x: Any) -> Any:
        bits = _packed(x, to=to)
        return bits, _unpacked(bits, of=to)

    compiled = env.compile(step, wait=True)
    bits, back = compiled(x) if way == "compile" else env.run(step, x)
    assert way == "run" or compiled.is_native
    assert bits.dtype == np.uint16
    assert same_bits(back, x).all()
    if to == "float16":
        np.testing.assert_array_equal(bits[x == x], x[x == x].astype(np.float16).view(np.uint16))


def deep(env: lg.VariableEnvironment, activation: Callable[[Any], Any]) -> Callable[..., Any]:
    """A step that trains eight equal layers."""
    layers, sgd = [lg.nn.Linear(env, 64, 64) for _ in range(8)], lg.optim.SGD(env, 0.1)

    def step(ctx: Any, x: Any) -> Any:
        for layer in layers:
            x = activation(layer(x))
        loss = lg.mean(lg.square(x))
        return loss, sgd.minimize(loss)

    return step


@MIXED
@pytest.mark.parametrize("activation", [lg.nn.relu, lg.tanh])
def test_what_is_kept_for_the_gradient_takes_less_memory(
    monkeypatch: pytest.MonkeyPatch, activation: Callable[[Any], Any], precision: str
) -> None:
    """The arena of native code is smaller than that of float32, and than without keeping 16 bits."""
    pytest.importorskip("llvmlite", reason="llvmlite is not installed")
    monkeypatch.setenv("LAZYGRAD_NATIVE", "auto")
    x = np.ones((512, 64), np.float32)

    def arena(precision: str | None, worth: int) -> int:
        monkeypatch.setattr(keeping, "WORTH", worth)
        env = lg.VariableEnvironment(seed=0, backend="numpy")
        compiled = env.compile(deep(env, activation), precision=precision)
        return compiled.prepare(x).peak_bytes

    kept = arena(precision, 1024)
    assert kept < 0.9 * arena(None, 1024)
    assert kept < 0.8 * arena(precision, 10**9)


@MIXED
@pytest.mark.parametrize("activation", [lg.nn.relu, lg.tanh])
def test_keeping_sixteen_bits_changes_no_number(
    monkeypatch: pytest.MonkeyPatch, activation: Callable[[Any], Any], precision: str
) -> None:
    """Three steps with and without, on NumPy: the same variables, bit for bit."""
    x = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    found = []
    for worth in (1, 10**9):
        monkeypatch.setattr(keeping, "WORTH", worth)
        env = lg.VariableEnvironment(seed=0)
        step = deep(env, activation)
        for _ in range(3):
            env.run(step, x, precision=precision)
        found.append(values(env))
    assert found[0] == found[1]


def test_only_products_of_the_gradient_and_comparisons_with_zero_read_the_bits() -> None:
    """The largest of a window is compared with its elements, all digits of them; ties would be lost otherwise."""
    w = np.ones((64, 1), np.float32)

    def step(ctx: Any, x: Any) -> Any:
        pooled = lg.nn.max_pool2d(lg.reshape(x, (64, 1, 8, 8)), 2)
        return lg.grad(lg.sum(lg.reshape(pooled, (16, 64)) @ w), x)

    x = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    env = lg.VariableEnvironment()
    np.testing.assert_array_equal(env.run(step, x, precision="mixed"), env.run(step, x))


# Gradients and their scale.


def network(env: lg.VariableEnvironment, *sizes: int) -> Callable[[Any], Any]:
    """A small perceptron with a hyperbolic tangent."""
    layers = [lg.nn.Linear(env, m, n) for m, n in itertools.pairwise(sizes)]

    def logits(x: Any) -> Any:
        for layer in layers[:-1]:
            x = lg.tanh(layer(x))
        return layers[-1](x)

    return logits


def data(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows and labels."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(16, 6)).astype(np.float32), rng.integers(0, 3, 16)


def training(make: Callable[[Any], Any] = lambda env: lg.optim.Adam(env, 0.01), **settings: Any) -> Any:
    """An environment, and a step that trains a network in it."""
    env = lg.VariableEnvironment(seed=0, **settings)
    f = network(env, 6, 8, 3)
    optimizer = make(env)

    def step(ctx: Any, x: Any, y: Any) -> Any:
        loss = lg.mean(lg.nn.cross_entropy(f(x), y))
        return loss, optimizer.minimize(loss)

    return env, step


def values(env: lg.VariableEnvironment) -> dict[str, bytes]:
    """The bits of every variable but those of the scaling."""
    return {v.path: np.asarray(env[v.path]).tobytes() for v in env if v.namespace != "mixed_precision"}


@MIXED
def test_gradients_are_those_of_float32_to_half_precision(precision: str) -> None:
    """A network of two layers; every product rounds by 2⁻¹¹ or 2⁻⁸, of which there are four in a row."""
    env = lg.VariableEnvironment(seed=0)
    f = network(env, 6, 8, 3)
    x, y = data()

    def step(ctx: Any, x: Any, y: Any) -> Any:
        return lg.grad(lg.mean(lg.nn.cross_entropy(f(x), y)), ctx.variables())

    room = 4 * {"mixed": 2.0**-11, "mixed-bfloat16": 2.0**-8}[precision]
    for found, expected in zip(env.run(step, x, y, precision=precision), env.run(step, x, y), strict=True):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=0, atol=room * np.abs(expected).max())
        assert np.any(found != expected)


def test_cotangents_that_halves_cannot_hold_are_held_by_the_scale() -> None:
    """A cotangent of 10⁻⁹ is 0 in float16, and 3.3·10⁻⁵ times the scale; in bfloat16 it needs none."""
    env = lg.VariableEnvironment()
    w = env.name("w").set(np.float32([[3.0]]))

    def step(ctx: Any, x: Any) -> Any:
        return lg.grad(lg.sum(x @ ctx.variable(w)) * 1e-9, w)

    x = np.float32([[2.0]])
    np.testing.assert_allclose(env.run(step, x, precision="mixed"), [[2e-9]], rtol=2e-3)
    np.testing.assert_allclose(env.run(step, x, precision="mixed-bfloat16"), [[2e-9]], rtol=1e-2)
    env[SCALE] = 1.0
    assert env.run(step, x, precision="mixed") == 0.0


def test_no_pass_moves_the_scale_past_a_product() -> None:
    """A loss that is a product and nothing else: its factors could be taken out, were there no roundings."""
    env = lg.VariableEnvironment()
    w = env.name("w").set(np.float32([[1e-6, 1.0]]))

    def step(ctx: Any, x: Any) -> Any:
        return lg.grad(lg.sum((x * 1e-9) @ ctx.variable(w).T * 1e-6), x)

    plan = env.compile(step, precision="mixed").prepare(np.ones((1, 2), np.float32))
    assert "products of halves" in plan.explain()
    found = env.compile(step, precision="mixed")(np.ones((1, 2), np.float32))
    np.testing.assert_allclose(found, [[1e-21, 1e-15]], rtol=2e-2)  # 1e-6 has 4 digits of 11 left in float16


def test_second_derivatives_and_given_cotangents_are_scaled_and_divided_alike() -> None:
    """A gradient of a gradient, one from a given cotangent, and one of a loss of float64."""
    env = lg.VariableEnvironment()
    x = np.float32([[0.1, 0.2]])
    v = np.float32([[0.5], [0.25]])

    def step(ctx: Any, x: Any) -> Any:
        y = lg.square(x @ v)
        first = lg.grad(y, x)
        given, wide = lg.grad(y, x, [3 * lg.ones_like(y)]), lg.grad(lg.sum(y.astype("float64")), x)
        return first, lg.grad(lg.sum(lg.square(first)), x), given, wide

    for found, expected in zip(env.run(step, x, precision="mixed"), env.run(step, x), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-3)


# Overflow.


OPTIMIZERS = pytest.mark.parametrize("name", [*CASES, "LBFGS"])


@OPTIMIZERS
def test_a_step_that_overflows_changes_the_scale_and_nothing_else(name: str) -> None:
    """The planted step is skipped bit for bit, state included; those before and after it are not."""
    make = CASES[name][0] if name in CASES else lambda env: lg.optim.LBFGS(env, 0.1)
    env, step = training(make)
    x, y = data()
    compiled = env.compile(step, precision="mixed")
    compiled(x, y)
    assert (env[SCALE], env[GOOD]) == (32768, 1)
    before = values(env)
    compiled(x * np.float32(1e30), y)
    assert values(env) == before
    assert (env[SCALE], env[GOOD]) == (16384, 0)
    compiled(x, y)
    assert values(env) != before
    assert (env[SCALE], env[GOOD]) == (16384, 1)


def test_updates_of_the_users_own_and_statistics_are_skipped_too() -> None:
    """What is assigned beside the optimizer: a counter of whole numbers, a running statistic, an average."""
    env = lg.VariableEnvironment(seed=0)
    layer, norm = lg.nn.Linear(env, 6, 3), lg.nn.BatchNorm(env, 3)
    count = env.name("count").set(np.int64(0), trainable=False)
    rate = np.float32(0.1)

    def step(ctx: Any, x: Any, y: Any) -> Any:
        loss = lg.mean(lg.nn.cross_entropy(norm(layer(x), train=True), y))
        xs = ctx.variables()
        moved = [ctx.assign(v, v - rate * g) for v, g in zip(xs, lg.grad(loss, xs), strict=True)]
        return loss, moved, ctx.updates(), ctx.assign(count, ctx.variable(count) + 1)

    x, y = data()
    compiled = env.compile(step, precision="mixed")
    compiled(x, y)
    before = values(env)
    compiled(x * np.float32(1e30), y)
    assert (values(env), env["count"], env[SCALE]) == (before, 1, 16384)
    compiled(x, y)
    assert env["count"] == 2


def test_one_of_two_gradients_that_overflows_holds_back_the_updates_of_both() -> None:
    """Two losses of one step, and two optimizers."""
    env = lg.VariableEnvironment(seed=0)
    layers = [lg.nn.Linear(env, 6, 2, name=name) for name in ("one", "two")]
    sgd = [lg.optim.SGD(env, 0.1, name=f"sgd_{k}") for k in range(2)]

    def step(ctx: Any, x: Any, z: Any) -> Any:
        losses = [lg.mean(lg.square(layer(a))) for layer, a in zip(layers, (x, z), strict=True)]
        return [s.minimize(loss, layer.variables) for s, loss, layer in zip(sgd, losses, layers, strict=True)]

    x, _ = data()
    before = values(env)
    env.run(step, x, x * np.float32(1e30), precision="mixed")
    assert (values(env), env[SCALE]) == (before, 16384)
    env.run(step, x, x, precision="mixed")
    assert values(env) != before


def test_the_scale_doubles_after_two_thousand_finite_steps_and_stays_within_its_ends() -> None:
    """The counter is a variable, so the test sets it; the scale is at most 2²⁴ and at least 1."""
    env, step = training(lambda env: lg.optim.SGD(env, 0.0))
    x, y = data()
    compiled = env.compile(step, precision="mixed")
    compiled(x, y)
    env[GOOD] = 1998
    compiled(x, y)
    assert (env[SCALE], env[GOOD]) == (32768, 1999)
    compiled(x, y)
    assert (env[SCALE], env[GOOD]) == (65536, 0)
    env[SCALE], env[GOOD] = 2.0**24, 1999
    compiled(x, y)
    assert env[GOOD] == 0
    assert env[SCALE] in (2.0**24, 2.0**23)  # or so large that this very step overflows
    env[SCALE] = 1.0
    compiled(x * np.float32(1e30), y)
    assert env[SCALE] == 1.0


def test_a_step_without_gradient_has_no_scale_and_one_without_updates_leaves_it() -> None:
    """Evaluation, updates of the user's own without a gradient, and a gradient that is only looked at."""
    env = lg.VariableEnvironment()
    w = env.name("w").set(np.float32([[2.0]]))
    x = np.float32([[1.0]])
    env.run(lambda ctx, x: x @ ctx.variable(w), x, precision="mixed")
    env.run(lambda ctx, x: ctx.assign(w, x @ ctx.variable(w) * np.inf), x, precision="mixed")
    assert np.isinf(env["w"])
    assert SCALE not in env
    env["w"] = 2.0 * np.ones((1, 1), np.float32)
    for _ in range(2):
        env.run(lambda ctx, x: lg.grad(lg.sum(x @ ctx.variable(w) * 1e9), x), x, precision="mixed")
    assert env[SCALE] == 32768
    assert GOOD not in env


def test_bfloat16_has_no_scale() -> None:
    """Its range is float32's; what is not finite is assigned, as in float32."""
    env, step = training()
    compiled = env.compile(step, precision="mixed-bfloat16")
    compiled(*data())
    assert SCALE not in env


# One step, two ways to run it.


@MIXED
def test_run_and_compile_train_alike(precision: str) -> None:
    """Ten steps, of which one overflows; the tolerance is that of a few roundings that fall the other way."""
    (one, f), (two, g) = training(), training()
    compiled = two.compile(g, precision=precision)
    for k in range(10):
        x, y = data(k)
        x = x * np.float32(1e30 if k == 5 and precision == "mixed" else 1)
        expected, _ = one.run(f, x, y, precision=precision)
        found, _ = compiled(x, y)
        np.testing.assert_allclose(found, expected, rtol=1e-3)
    for v in one:
        np.testing.assert_allclose(two[v.path], one[v.path], rtol=1e-2, atol=1e-3)


def recurrent(env: lg.VariableEnvironment) -> Callable[..., Any]:
    """A recurrent network, whose products are in the body of a loop."""
    cell, out = lg.nn.GRU(env, 8, 12), lg.nn.Linear(env, 12, 1)
    return lambda x: lg.mean(lg.square(out(cell(x)[0]) - 1))


def attentive(env: lg.VariableEnvironment) -> Callable[..., Any]:
    """Attention, with a softmax between two products."""
    layer, norm = lg.nn.MultiHeadAttention(env, 8, 2), lg.nn.LayerNorm(env, 8)
    return lambda x: lg.mean(lg.square(norm(layer(x)) - x / 10))


def upsampling(env: lg.VariableEnvironment) -> Callable[..., Any]:
    """A convolution and the transpose of one."""
    down = lg.nn.Conv2d(env, 1, 4, 3, stride=2, padding=1)
    up = lg.nn.ConvTranspose2d(env, 4, 1, 3, stride=2, padding=1, output_padding=1)

    def loss(x: Any) -> Any:
        images = lg.reshape(x, (4, 1, 8, 8))
        return lg.mean(lg.square(up(lg.nn.relu(down(images))) - images))

    return loss


def penalised(env: lg.VariableEnvironment) -> Callable[..., Any]:
    """A gradient within the loss: of second order."""
    f = network(env, 8, 32, 1)

    def loss(x: Any) -> Any:
        x = lg.reshape(x, (-1, 8))
        y = f(x)
        return lg.mean(lg.square(y)) + lg.mean(lg.square(lg.sum(lg.square(lg.grad(lg.sum(y), x)), axis=1) - 1))

    return loss


def learning(env: lg.VariableEnvironment) -> Callable[..., Any]:
    """Gradients in the body of a loop, which are not scaled, and one of all of it, which is."""
    w = env.name("w").set(np.eye(8, dtype=np.float32) / 2)

    def loss(x: Any) -> Any:
        x = lg.reshape(x, (-1, 8))

        def turn(c: Any, _: Any) -> Any:
            return c - 0.1 * lg.grad(lg.mean(lg.square(x @ c - x)), c), lg.sum(c)

        moved, _ = lg.scan(turn, lg.asarray(w), None, length=3)
        return lg.mean(lg.square(x @ moved - 1))

    return loss


@pytest.mark.parametrize("make", [recurrent, attentive, upsampling, penalised, learning])
def test_layers_and_loops_train_as_in_float32_in_run_and_compile(make: Callable[[Any], Any]) -> None:
    """Three steps of each; losses as in float32 to half precision, and the same in both ways to run."""
    x = np.random.default_rng(0).normal(size=(4, 8, 8)).astype(np.float32)
    losses = {}
    for precision in (None, "mixed", "mixed-bfloat16"):
        for way in ("run", "compile"):
            env = lg.VariableEnvironment(seed=0)
            f, adam = make(env), lg.optim.Adam(env, 0.01)

            def step(ctx: Any, x: Any, f: Any = f, adam: Any = adam) -> Any:
                loss = f(x)
                return loss, adam.minimize(loss)

            compiled = env.compile(step, precision=precision)
            found = [compiled(x) if way == "compile" else env.run(step, x, precision=precision) for _ in range(3)]
            losses[precision, way] = [float(loss) for loss, _ in found]
            assert env["adam/step"] == 3
    for (precision, _), found in losses.items():
        room = {None: 1e-4, "mixed": 2e-3, "mixed-bfloat16": 2e-2}[precision]
        np.testing.assert_allclose(found, losses[None, "run"], rtol=room)
        np.testing.assert_allclose(found, losses[precision, "run"], rtol=min(room, 2e-3))


def test_the_same_step_runs_with_and_without_and_remembers_each() -> None:
    """A step that writes the same nodes both times: the plan of the one is not taken for the other."""
    env = lg.VariableEnvironment()
    a = np.float32([[1 + 2**-12]])

    def step(ctx: Any, a: Any) -> Any:
        return a @ a

    for _ in range(3):
        assert env.run(step, a) > 1
        assert env.run(step, a, precision="mixed") == 1
        assert env.run(step, a, precision="mixed-bfloat16") == 1


def test_an_evaluator_in_the_middle_of_a_step_guards_what_it_is_given() -> None:
    """Two runs in one call, each with an update; the second has another gradient, and overflows."""
    env = lg.VariableEnvironment()
    u, w = (env.name(name).set(np.float32([[1.0]])) for name in ("u", "w"))

    def step(ctx: Any, x: Any) -> Any:
        def moved(v: Any, x: Any) -> Any:
            return ctx.assign(v, ctx.variable(v) - lg.grad(lg.sum(x @ ctx.variable(v)), v))

        ctx.evaluator().push(moved(u, x)).run()
        return moved(w, x * 1e30)

    env.run(step, np.float32([[0.25]]), precision="mixed")
    assert (env["u"], env["w"], env[SCALE]) == (0.75, 1.0, 16384)


def test_bound_copied_and_pickled_steps_keep_their_precision() -> None:
    """``bound``, ``copy`` and what rebuilds a pickled step."""
    env = lg.VariableEnvironment()
    a = np.float32([[1 + 2**-12]])
    compiled = env.compile(lambda ctx, a, times=1: a @ a * times, precision="mixed")
    make, given = compiled.__reduce__()
    for again in (compiled, compiled.bound(times=1), copy.copy(compiled), make(*given)):
        assert again(a) == 1


def test_the_traced_graph_of_a_step_shows_what_is_scaled() -> None:
    """``env.trace`` writes scale and choice, and registers nothing."""
    env, step = training()
    plain, mixed = env.trace(step, *data()), env.trace(step, *data(), precision="mixed")
    assert len(mixed.nodes) > len(plain.nodes)
    assert SCALE in str(mixed)
    assert SCALE not in str(plain)
    assert SCALE not in env


# Training.


def digits() -> tuple[Any, ...]:
    """scikit-learn's digits: rows to train with and rows to test with, and their labels."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    x, y = (x[order] / 16).astype(np.float32), y[order]
    return x[:1400], y[:1400], x[1400:], y[1400:]


def perceptron(env: Any) -> Any:
    """Sixty-four hidden units."""
    one, two = lg.nn.Linear(env, 64, 64), lg.nn.Linear(env, 64, 10)
    return lambda x: two(lg.nn.relu(one(x)))


def convolutional(env: Any) -> Any:
    """One convolution, pooled, and a dense layer."""
    filters, dense = lg.nn.Conv2d(env, 1, 8, 3, padding=1), lg.nn.Linear(env, 8 * 16, 10)
    return lambda x: dense(
        lg.reshape(lg.nn.max_pool2d(lg.nn.relu(filters(lg.reshape(x, (-1, 1, 8, 8)))), 2), (x.shape[0], -1))
    )


@pytest.mark.parametrize("make", [perceptron, convolutional])
def test_digits_are_learned_as_well_as_in_float32(make: Callable[[Any], Any]) -> None:
    """Within one point of accuracy on rows not seen, by ``lg.fit`` with the same seed, in both precisions of halves."""
    x, y, test_x, test_y = digits()
    found = {}
    for precision in (None, "mixed", "mixed-bfloat16"):
        env = lg.VariableEnvironment(seed=1)
        f = make(env)
        adam = lg.optim.Adam(env, learning_rate=0.005)

        def step(ctx: Any, x: Any, y: Any, f: Any = f, adam: Any = adam) -> Any:
            loss = lg.mean(lg.nn.cross_entropy(f(x), y))
            return loss, adam.minimize(loss)

        history = lg.fit(env.compile(step, precision=precision), (x, y), batch_size=50, epochs=8)
        assert history["loss"][-1] < history["loss"][0] / 5
        best = env.run(lambda ctx, x, f=f: lg.argmax(f(x), axis=1), test_x, precision=precision)
        found[precision] = float(np.mean(np.asarray(best) == test_y))
    assert found[None] > 0.94
    assert found["mixed"] > found[None] - 0.01
    assert found["mixed-bfloat16"] > found[None] - 0.01


def test_fit_skips_steps_until_the_scale_fits_the_loss() -> None:
    """A loss of hundreds, whose cotangents times the first scale are beyond float16; validation has no scale."""
    env = lg.VariableEnvironment(seed=0)
    f, sgd = network(env, 6, 8, 3), lg.optim.SGD(env, 1e-4)

    def step(ctx: Any, x: Any, y: Any) -> Any:
        loss = lg.sum(lg.nn.cross_entropy(f(x), y)) * 100
        return loss, sgd.minimize(loss)

    def measured(ctx: Any, x: Any, y: Any) -> Any:
        return lg.mean(lg.nn.cross_entropy(f(x), y))

    mixed, held = env.compile(step, precision="mixed"), env.compile(measured, precision="mixed")
    history = lg.fit(mixed, data(), batch_size=4, epochs=6, validation=data(1), evaluate=held)
    assert np.isfinite(history["loss"]).all()
    assert history["loss"][-1] < history["loss"][0]
    skipped = np.log2(32768 / env[SCALE])
    assert 3 <= skipped <= 10
    assert env["sgd/step"] == 24 - skipped


# Files.


def test_files_copies_and_pickles_have_the_scale(tmp_path: Path) -> None:
    """A training that goes on from a file goes on bit for bit, its scale included."""
    env, step = training()
    x, y = data()
    for k in range(3):
        env.run(step, x * np.float32(1e30 if k == 1 else 1), y, precision="mixed")
    env.save(tmp_path / "model.json")
    loaded = lg.VariableEnvironment.load(tmp_path / "model.json")
    for other in (loaded, env.copy(), pickle.loads(pickle.dumps(env))):
        assert (other[SCALE], other[GOOD], other[SCALE].dtype) == (16384, 1, np.float32)
    f, adam = network(loaded, 6, 8, 3), lg.optim.Adam(loaded, 0.01)

    def again(ctx: Any, x: Any, y: Any) -> Any:
        loss = lg.mean(lg.nn.cross_entropy(f(x), y))
        return loss, adam.minimize(loss)

    expected, found = env.run(step, x, y, precision="mixed")[0], loaded.run(again, x, y, precision="mixed")[0]
    assert expected == found
    assert values(loaded) == values(env)
    assert loaded[GOOD] == 2


def test_a_checkpoint_goes_on_with_its_scale_and_not_in_another_precision(tmp_path: Path) -> None:
    """Six epochs at once, and three and three, are the same bit for bit; the file knows the precision."""

    def trained(epochs: int, precision: str | None, checkpoint: Path | None = None) -> dict[str, bytes]:
        env = lg.VariableEnvironment(seed=0)
        f, adam = network(env, 6, 8, 3), lg.optim.Adam(env, 0.01)

        def step(ctx: Any, x: Any, y: Any) -> Any:
            loss = lg.sum(lg.nn.cross_entropy(f(x), y)) * 100
            return loss, adam.minimize(loss)

        compiled = env.compile(step, precision=precision, wait=True)
        lg.fit(compiled, data(), batch_size=4, epochs=epochs, checkpoint=checkpoint, seed=1)
        return {v.path: np.asarray(env[v.path]).tobytes() for v in env}

    file = tmp_path / "training.json"
    whole = trained(6, "mixed")
    trained(3, "mixed", file)
    assert trained(6, "mixed", file) == whole
    other = tmp_path / "other.json"
    trained(1, "mixed-bfloat16", other)
    for precision in (None, "mixed"):
        with pytest.raises(lg.SaveError):
            trained(2, precision, other)


# Bad input.


def test_an_unknown_precision_is_refused_with_those_there_are() -> None:
    """At ``compile``, ``run`` and ``trace``; the message names what may have been meant."""
    env = lg.VariableEnvironment()
    for ask in (env.compile, env.run, env.trace):
        with pytest.raises(lg.SpecError, match="there is no precision 'mixd'") as error:
            ask(lambda ctx: 1, precision="mixd")
        assert "Did you mean 'mixed'" in str(error.value)
    with pytest.raises(lg.SpecError, match="Without it a step computes in float32"):
        env.compile(lambda ctx: 1, precision=16)


def test_an_environment_of_float64_is_refused() -> None:
    """It was asked for digits that halves have not."""
    env = lg.VariableEnvironment(dtype="float64")
    with pytest.raises(lg.SpecError) as error:
        env.compile(lambda ctx: 1, precision="mixed")
    assert "cannot compute with precision='mixed' in an environment of float64" in str(error.value)
    assert "precision:    'mixed', products of float16 summed in float32" in str(error.value)
    assert "environment:  float64" in str(error.value)
    assert "Leave precision out, or make the environment lg.VariableEnvironment(dtype='float32')." in str(error.value)


def test_a_variable_in_the_place_of_the_scale_is_refused_and_kept() -> None:
    """One of another shape, and a trainable one."""
    env = lg.VariableEnvironment()
    env.namespace("mixed_precision").name("scale").set(np.ones(3, np.float32))
    w = env.name("w").set(np.float32([[1.0]]))
    with pytest.raises(lg.VariableError, match="cannot use variable 'mixed_precision/scale'") as error:
        env.run(lambda ctx: lg.grad(lg.sum(ctx.variable(w)), w), precision="mixed")
    assert "name your variable otherwise" in str(error.value)
    assert env[SCALE].shape == (3,)
    assert GOOD not in env


def test_a_step_that_fails_leaves_no_scale_behind() -> None:
    """What is registered while a step is written goes with it."""
    env = lg.VariableEnvironment()
    w = env.name("w").set(np.float32([[1.0]]))

    def step(ctx: Any) -> Any:
        lg.grad(lg.sum(ctx.variable(w)), w)
        raise ValueError("planted")

    for ask in (env.compile(step, precision="mixed"), lambda: env.run(step, precision="mixed")):
        with pytest.raises(ValueError, match="planted"):
            ask()
    assert SCALE not in env


# Several workers.


@pytest.mark.parametrize("own", [False, True], ids=["rows of a batch", "arrays of their own"])
def test_what_one_worker_skips_all_skip(own: bool) -> None:
    """A row that overflows is one worker's; the variables stay the same on all, and those of one process."""

    def trained(communicator: Any) -> dict[str, Any]:
        env = lg.VariableEnvironment(backend="numpy", seed=0, workers=communicator)  # who speak of its arrays
        f, sgd = network(env, 6, 8, 3), lg.optim.SGD(env, 0.1)

        def step(ctx: Any, x: Any, y: Any, z: Any) -> Any:
            losses = lg.nn.cross_entropy(f(x), y)
            loss = lg.total(lg.sum(losses)) / 16 if own else lg.mean(losses)
            steep = lg.grad(lg.sum(lg.square(f(z))), z)  # of a worker's rows: its overflow is known to that one alone
            return loss, sgd.minimize(loss), lg.sum(steep)

        for k in range(3):
            x, y = data()
            z = x / 100
            z[0] *= 1e30 if k == 1 else 1
            if communicator is not None and own:
                rows = slice(env.worker * 8, env.worker * 8 + 8)
                env.run(step, x[rows], y[rows], z[rows], precision="mixed")
            else:
                env.run(step, *env.rows(x, y, z), precision="mixed")
        return {v.path: env[v.path] for v in env}

    alone = trained(None)
    assert (alone[SCALE], alone[GOOD], alone["sgd/step"]) == (16384, 1, 2)
    for found in side_by_side(2, trained):
        for name, value in alone.items():
            np.testing.assert_allclose(found[name], value, rtol=1e-3, atol=1e-5, err_msg=name)
