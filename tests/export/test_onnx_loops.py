"""Loops, choices and their gradients as Scan, Loop and If, run by onnxruntime for any number of rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx_open
import onnx_run
import pytest

import lazygrad as lg

pytest.importorskip("onnxruntime", reason="models are run by onnxruntime")

# fmt: off


def halving(x: Any, reverse: bool = False) -> Any:
    """A carry that goes through the rows."""
    return lg.scan(lambda c, r: (lg.tanh(c * 0.5 + r), c), x[0], x, reverse=reverse)


def growing(x: Any, most: int | None = None) -> Any:
    """Doubled until it is large: the number of turns depends on the data."""
    return lg.while_loop(lambda c: lg.sum(lg.abs(c[1])) < 300, lambda c: (c[0] + 1, c[1] * 2), (0, x), max_steps=most)


def nested(x: Any) -> Any:
    """A loop and a choice within a loop, which read what is outside of both."""
    mean = lg.mean(x, axis=0)

    def body(carry: Any, row: Any) -> Any:
        inner = lg.fori_loop(0, 3, lambda i, d: d * 0.5 + row * lg.astype(i, "float32") + mean, carry)
        return inner, lg.cond(row[0] > 0, lambda: inner + mean, lambda: row)

    return lg.scan(body, x[0], x)


def fibonacci(x: Any) -> Any:
    """Whole numbers, carried."""
    return lg.scan(lambda c, _: ((c[1], c[0] + c[1]), c[0]), (np.int64(0), np.int64(1)), length=20)[1], x


def halves(x: Any) -> Any:
    """Of each row the number of turns until it is small, and where it ends."""
    small = lambda c: lg.max(lg.abs(c[1])) <= 0.1  # noqa: E731
    return lg.vmap(lambda r: lg.while_loop(lambda c: ~small(c), lambda c: (c[0] + 1, c[1] / 2), (0, r)))(x)


STEPS: dict[str, tuple[Callable[[Any], Any], set[str]]] = {
    "a scan": (halving, {"Scan"}),
    "a scan in reverse": (lambda x: halving(x, True), {"Scan"}),
    "a scan over nothing": (lambda x: lg.scan(lambda c, _: (c * 0.5 + x, lg.sum(c, axis=1)), x, length=4), {"Loop"}),
    "a scan over nothing in reverse": (
        lambda x: lg.scan(lambda c, _: (c * 0.5 + x, c), x, length=4, reverse=True), {"Loop"}),
    "a scan of no turns": (lambda x: lg.scan(lambda c, r: (c + r, c), x, lg.zeros((0, 6), "float32")), set()),
    "a scan that gives nothing": (lambda x: lg.scan(lambda c, r: (c + r, None), x[0], x)[0], {"Scan"}),
    "whole numbers": (fibonacci, {"Loop"}),
    "a carry given twice": (lambda x: lg.scan(lambda c, r: ((c[1], c[1]), (r, r, x)), (x[0], x[1]), x[:2]), {"Scan"}),
    "a counted loop": (lambda x: lg.fori_loop(0, 5, lambda i, c: c * x + lg.astype(i, "float32"), x), {"Loop"}),
    "a loop as long as a number says": (
        lambda x: lg.fori_loop(0, lg.astype(lg.sum(lg.abs(x)), "int64") % 7, lambda i, c: c * 1.5, x), {"Loop"}),
    "a loop with a condition": (growing, {"Loop"}),
    "a loop of many rows": (halves, {"Loop"}),
    "a choice": (lambda x: lg.cond(lg.sum(x) > 0, lambda: x * 2, lambda: lg.tanh(x)), {"If"}),
    "a choice of what is outside": (lambda x: lg.cond(lg.sum(x) > 0, lambda: (x, x), lambda: (x, -x)), {"If"}),
    "loops and choices in a loop": (nested, {"Scan", "If"}),
    "a checkpoint": (lambda x: lg.grad(lg.sum(lg.checkpoint(lambda y: lg.tanh(y) * y)(x)), x), set()),
    "the gradient of a scan": (lambda x: lg.grad(lg.sum(lg.square(halving(x)[1])), x), {"Scan"}),
    "the gradient of a scan in reverse": (lambda x: lg.grad(lg.sum(lg.square(halving(x, True)[1])), x), {"Scan"}),
    "the gradient of a loop": (lambda x: lg.grad(lg.sum(growing(x, 90)[1]), x), {"Loop"}),
    "the gradient of a loop of no turns": (
        lambda x: lg.grad(lg.sum(lg.square(growing(x + 1000, 90)[1])), x), {"Loop"}),
    "a differential equation": (
        lambda x: lg.odeint(lambda t, y: -y + lg.sin(t), x, np.linspace(0, 1, 5, dtype=np.float32), max_steps=9),
        {"Loop", "If"}),
    "the gradient of a choice": (
        lambda x: lg.grad(lg.sum(lg.cond(lg.sum(x) > 0, lambda: x * 2, lambda: lg.tanh(x))), x), {"If"}),
    "the gradient of all of them": (lambda x: lg.grad(lg.sum(nested(x)[1]), x), {"Scan"}),
    "the gradient of checkpoints in a scan": (
        lambda x: lg.grad(lg.sum(lg.scan(lg.checkpoint(lambda c, r: (lg.tanh(c + r), c * r)), x, x[:9])[1]), x)
        if x.shape[0] >= 9 else x, set()),
}


def rows(rng: Any, n: int) -> tuple[Any, ...]:
    """Rows of six numbers."""
    return (rng.standard_normal((n + 1, 6)).astype(np.float32),)


def kinds(graph: Any) -> Iterator[str]:
    """The operators in a graph, and in the graphs within."""
    for node in graph.node:
        yield node.op_type
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from kinds(attribute.g)


@pytest.mark.parametrize("name", [name for name in STEPS if "checkpoints in" not in name])
def test_loops_and_choices_give_what_the_step_gives_for_any_number_of_rows(name: str, tmp_path: Path) -> None:
    """Each is one node, of the kind that ONNX has for it."""
    f, expected = STEPS[name]
    env = lg.VariableEnvironment(seed=0)

    def step(ctx: Any, x: Any) -> Any:
        return f(x)

    model = onnx_open.compare(env.compile(step), tmp_path, rows, lambda x: env.run(step, x))
    assert expected <= Counter(kinds(model.graph)).keys()


def test_a_scan_of_checkpoints_is_exported_for_the_size_that_it_is_cut_by(tmp_path: Path) -> None:
    """It is cut into as many parts as the root of its length."""
    f, _ = STEPS["the gradient of checkpoints in a scan"]
    env = lg.VariableEnvironment(seed=0)
    (x,) = rows(np.random.default_rng(0), 11)
    model = onnx_open.written(env.compile(lambda ctx, x: f(x)), tmp_path, x, batch=None)
    assert not onnx_run.apart([env.run(lambda ctx, x: f(x), x)], onnx_run.run_model(model, x))


def test_a_loop_with_variables_has_them_outside(tmp_path: Path) -> None:
    """What a body reads stands once among the arrays of the model."""
    env = lg.VariableEnvironment(seed=0)
    env.name("w").set(np.eye(6, dtype=np.float32) * 0.9)

    def step(ctx: Any, x: Any) -> Any:
        return lg.scan(lambda c, r: (lg.tanh(c @ ctx.variable("w") + r), c), x[0], x)

    model = onnx_open.compare(env.compile(step), tmp_path, rows, lambda x: env.run(step, x))
    assert [one.name for one in model.graph.initializer].count("w") == 1


def test_a_convolution_in_a_loop_is_one_node(tmp_path: Path) -> None:
    """What it is made of here is left out of the body as well, as nothing needs it."""
    env = lg.VariableEnvironment(seed=0)
    layer = lg.nn.Conv2d(env, 2, 2, 3, padding=1, use_bias=False)

    def step(ctx: Any, x: Any) -> Any:
        return lg.scan(lambda c, frame: (lg.tanh(layer(c) + frame), None), x[0], x)[0]

    def frames(rng: Any, n: int) -> tuple[Any, ...]:
        return (rng.standard_normal((n, 1, 2, 5, 5)).astype(np.float32),)

    model = onnx_open.compare(env.compile(step), tmp_path, frames, lambda x: env.run(step, x))
    (scan,) = [node for node in model.graph.node if node.op_type == "Scan"]
    (body,) = [attribute.g for attribute in scan.attribute if attribute.HasField("g")]
    assert [node.op_type for node in body.node] == ["Conv", "Add", "Tanh"]


def test_a_loop_that_takes_too_many_turns_fails_in_the_model_too(tmp_path: Path) -> None:
    """As the step raises an error; one that takes as many as it may does not."""
    env = lg.VariableEnvironment(seed=0)

    def step(ctx: Any, x: Any) -> Any:
        return lg.while_loop(lambda c: lg.sum(c) < 8, lambda c: c * 2, x, max_steps=3)

    ones = np.ones((1,), np.float32)
    model = onnx_open.written(env.compile(step), tmp_path, ones)
    assert not onnx_run.apart([env.run(step, ones)], onnx_run.run_model(model, ones))
    with pytest.raises(lg.LoopError):
        env.run(step, ones * 0.5)
    with pytest.raises(Exception, match=r"out of (data )?bounds"):
        onnx_run.run_model(model, ones * 0.5)


def test_a_hook_in_a_loop_is_refused_with_its_line(tmp_path: Path) -> None:
    """A model shows nothing."""
    env = lg.VariableEnvironment(seed=0)
    step = env.compile(lambda ctx, x: lg.scan(lambda c, r: ((c + r).show("carry"), None), x[0], x)[0])
    with pytest.raises(lg.ExportError, match="cannot export show") as caught:
        step.export(tmp_path / "model.onnx", *rows(np.random.default_rng(0), 3))
    assert "test_onnx_loops.py" in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_draws_in_a_loop_are_refused(tmp_path: Path) -> None:
    """ONNX has no such numbers."""
    env = lg.VariableEnvironment(seed=0)
    step = env.compile(lambda ctx, x: lg.scan(lambda c, r: (c + ctx.random.normal((6,)), None), x[0], x)[0])
    with pytest.raises(lg.ExportError, match="random"):
        step.export(tmp_path / "model.onnx", *rows(np.random.default_rng(0), 3))
