"""Which sizes of a model are open: as it is asked for, or shown; and what is said where they cannot be."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx_open
import onnx_run
import pytest

import lazygrad as lg

pytest.importorskip("onnxruntime", reason="models are run by onnxruntime")

X = np.random.default_rng(0).standard_normal((5, 6, 3)).astype(np.float32)


def environment() -> Any:
    """One with a matrix."""
    env = lg.VariableEnvironment(seed=0)
    env.name("w").set(np.random.default_rng(1).standard_normal((3, 4)).astype(np.float32))
    return env


def flat(ctx: Any, x: Any) -> Any:
    """A layer of all rows of all examples, and its mean over the examples."""
    y = lg.reshape(x, (-1, 3)) @ ctx.variable("w")
    return lg.tanh(y), lg.mean(y, axis=0), lg.var(x, axis=0, correction=1)


def shape(info: Any) -> list[Any]:
    """The sizes of what goes in or comes out."""
    return [dim.dim_param or dim.dim_value for dim in info.type.tensor_type.shape.dim]


def test_the_first_axis_is_open_if_nothing_is_said(tmp_path: Path) -> None:
    """It is called batch, and what comes out has sizes in it."""
    model = onnx_open.written(environment().compile(flat), tmp_path, X)
    assert shape(model.graph.input[0]) == ["batch", 6, 3]
    assert [shape(one) for one in model.graph.output] == [["6*batch", 4], [4], [6, 3]]


def test_no_size_is_open_if_none_is_wanted(tmp_path: Path) -> None:
    """The model has the sizes of the arguments given."""
    env = environment()
    model = onnx_open.written(env.compile(flat), tmp_path, X, batch=None)
    assert shape(model.graph.input[0]) == [5, 6, 3]
    assert not onnx_run.apart(env.run(flat, X), onnx_run.run_model(model, X))


def test_several_axes_are_open_where_they_are_named(tmp_path: Path) -> None:
    """Products of sizes, means over both, and numbers below the line of both."""
    env = environment()

    def step(ctx: Any, x: Any) -> Any:
        y = lg.reshape(x, (-1, 3)) @ ctx.variable("w")
        return y, lg.mean(y, axis=0), lg.mean(x), lg.sum(x, axis=1) / x.shape[0] ** 0.5

    model = onnx_open.written(env.compile(step), tmp_path, X, batch={"x": {0: "batch", 1: "time"}})
    assert shape(model.graph.input[0]) == ["batch", "time", 3]
    assert shape(model.graph.output[0]) == ["batch*time", 4]
    for n, time in [(5, 6), (1, 1), (2, 9), (64, 3)]:
        x = np.random.default_rng(n).standard_normal((n, time, 3)).astype(np.float32)
        assert not onnx_run.apart(env.run(step, x), onnx_run.run_model(model, x))


def test_arguments_in_a_dict_have_one_batch(tmp_path: Path) -> None:
    """They are the inputs of the model, all of one open size; what has no axes has no size."""
    env = lg.VariableEnvironment(seed=0)

    def step(ctx: Any, batch: Any, scale: Any) -> Any:
        return {"y": batch["a"] * scale + lg.sum(batch["b"], axis=1, keepdims=True)}

    def arrays(n: int) -> tuple[Any, ...]:
        rng = np.random.default_rng(n)
        a, b = (rng.standard_normal((n, k)).astype(np.float32) for k in (3, 2))
        return {"a": a, "b": b}, np.float32(2)

    model = onnx_open.written(env.compile(step), tmp_path, *arrays(4))
    for n in onnx_open.SIZES:
        batch, scale = arrays(n)
        expected = onnx_run.listed(env.run(step, batch, scale))
        assert not onnx_run.apart(expected, onnx_run.run_model(model, batch["a"], batch["b"], scale))


def test_arguments_without_a_common_axis_keep_their_sizes(tmp_path: Path) -> None:
    """Nothing says that one of them is a batch."""
    model = onnx_open.written(
        lg.VariableEnvironment().compile(lambda ctx, x, w: x @ w), tmp_path, X[0], np.eye(3, dtype=np.float32)
    )
    assert [shape(one) for one in model.graph.input] == [[6, 3], [3, 3]]


def odd(ctx: Any, x: Any) -> Any:
    """Something else for other batches."""
    return x * 2 if x.shape[0] % 2 else -x


def half(ctx: Any, x: Any) -> Any:
    """The first half of a batch."""
    return x[: x.shape[0] // 2]


def single(ctx: Any, x: Any) -> Any:
    """A row alone loses its axis."""
    return x[0] if x.shape[0] == 1 else x * 2


def pairs(ctx: Any, x: Any) -> Any:
    """Only of an even number of rows."""
    return lg.reshape(x, (-1, 2, 18))


def few(ctx: Any, x: Any) -> Any:
    """Something else for as few rows as are given, in the same shape."""
    return -x if x.shape[0] < 5 else x * 2


CLOSED = [odd, half, single, pairs, few]


@pytest.mark.parametrize("step", CLOSED, ids=[step.__name__ for step in CLOSED])
def test_a_size_that_cannot_be_open_is_kept_with_a_warning(step: Any, tmp_path: Path) -> None:
    """Or is an error, if it was asked for; then there is no file."""
    env, x = lg.VariableEnvironment(seed=0), X[:4]
    compiled = env.compile(step)
    with pytest.raises(lg.ExportError, match="with the size 'rows' open"):
        compiled.export(tmp_path / "model.onnx", x, batch="rows")
    assert not list(tmp_path.iterdir())
    with pytest.warns(UserWarning, match="batch=None says that this is meant"):
        model = onnx_open.written(compiled, tmp_path, x)
    assert shape(model.graph.input[0]) == [4, 6, 3]
    assert not onnx_run.apart([env.run(step, x)], onnx_run.run_model(model, x))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        onnx_open.written(compiled, tmp_path, x, batch=None)


def test_the_message_says_the_line_where_the_size_matters(tmp_path: Path) -> None:
    """And what is in the way there."""
    with pytest.raises(lg.ExportError) as caught:
        lg.VariableEnvironment().compile(odd).export(tmp_path / "model.onnx", X, batch="batch")
    said = str(caught.value)
    assert said.startswith("cannot export odd with the size 'batch' open")
    assert "the step does other things for other sizes" in said
    assert "test_onnx_batches.py" in said
    assert "return x * 2 if x.shape[0] % 2 else -x" in said


WRONG: dict[str, tuple[Any, str]] = {
    "a number": (3, "cannot export with batch=3"),
    "no name": ("my batch", "a size called 'my batch'"),
    "an argument that is not there": ({"z": {0: "n"}}, "there is no argument 'z'"),
    "an axis that is not there": ({"x": {3: "n"}}, "cannot export with axis 3 of 'x' open"),
    "an axis with two names": ({"x": {0: "n", -3: "m"}}, "axis 0 of 'x' has the names 'n' and 'm'"),
    "a list": ({"x": ["n"]}, "cannot export with batch="),
    "one name for two sizes": ({"x": {0: "n", 1: "n"}}, "the size 'n' is 5 and 6"),
    "four names": ({"x": {0: "a", 1: "b", 2: "c"}, "y": {0: "d"}}, "with 4 open sizes: there may be 3"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_setting_is_named(name: str, tmp_path: Path) -> None:
    """Before anything is written."""
    batch, said = WRONG[name]
    step = lg.VariableEnvironment().compile(lambda ctx, x, y: x + lg.sum(y))
    with pytest.raises(lg.ExportError) as caught:
        step.export(tmp_path / "model.onnx", X, X, batch=batch)
    assert said in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_an_export_compiles_nothing_and_changes_nothing(tmp_path: Path) -> None:
    """It writes the step for several sizes, and forgets them; draws and variables stay."""
    env = environment()
    step = env.compile(flat)
    step.export(tmp_path / "model.onnx", X)
    assert repr(step).endswith("0 signatures>")
    assert [v.path for v in env] == ["w"]


def test_a_variable_that_the_step_registers_stays(tmp_path: Path) -> None:
    """As after a call."""
    env = lg.VariableEnvironment(seed=0)

    def step(ctx: Any, x: Any) -> Any:
        if "late" not in [v.path for v in env]:
            env.name("late").set(np.ones(3, np.float32))
        return x * ctx.variable("late")

    compiled = env.compile(step)
    model = onnx_open.written(compiled, tmp_path, X)
    assert [v.path for v in env] == ["late"]
    assert not onnx_run.apart([compiled(X)], onnx_run.run_model(model, X))


def test_what_has_a_form_for_the_sizes_given_alone_is_exported_for_these(tmp_path: Path) -> None:
    """Square matrices need no basis to be completed, which has no form."""
    step = lg.VariableEnvironment().compile(lambda ctx, x: lg.linalg.svd(x).U)
    x = np.eye(3, dtype=np.float32) + 0.5
    with pytest.warns(UserWarning, match="takes arrays of these sizes alone"):
        (file,) = step.export(tmp_path / "model.onnx", x)
    assert file.exists()
    with pytest.raises(lg.ExportError, match="cannot export svd_full to ONNX"):
        step.export(tmp_path / "other.onnx", x[:2])


def test_matrices_of_an_open_size_are_factored(tmp_path: Path) -> None:
    """A Gaussian process over as many points as there are: loops take their number of turns from the size."""

    def step(ctx: Any, x: Any, y: Any) -> Any:
        k = lg.exp(-lg.sum(lg.square(x[:, None] - x), axis=-1)) + 0.1 * lg.eye(x.shape[0], dtype="float64")
        lower = lg.linalg.cholesky(k)
        return lg.linalg.solve(k, y), lg.linalg.solve_triangular(lower, y, lower=True), lg.linalg.slogdet(k)[1]

    compiled = lg.VariableEnvironment().compile(step)
    onnx_open.compare(
        compiled, tmp_path, lambda rng, n: (rng.standard_normal((n, 2)), rng.standard_normal(n)), compiled
    )


FEW: dict[str, Callable[..., Any]] = {
    "a part that is cut off": lambda x: lg.grad(lg.sum(x[:2] * x[:2]), x),
    "a slice of the second row": lambda x: lg.grad(lg.sum(x[1:3]), x),
}


@pytest.mark.parametrize("rows", [1, 4])
@pytest.mark.parametrize("name", FEW)
def test_numbers_that_have_another_form_for_one_row_are_seen(name: str, rows: int, tmp_path: Path) -> None:
    """As they would be wrong without a word: all is written alike, and results have the right shapes."""
    step = lg.VariableEnvironment().compile(lambda ctx, x: FEW[name](x))
    with pytest.raises(lg.ExportError, match=r"other things for batch=1|no simple function"):
        step.export(tmp_path / "model.onnx", np.ones((rows, 3), np.float32), batch="batch")


SMALL: dict[str, Callable[..., Any]] = {
    "numbers in equal steps": lambda x: lg.linspace(1, 3, x.shape[0]) + x[:, 0],
    "without the end": lambda x: lg.linspace(1, 3, x.shape[0], endpoint=False) + x[:, 0],
    "more places than rows": lambda x: lg.nonzero(x[:, 0] > 0, size=5, fill_value=9),
    "more values than rows": lambda x: lg.unique_all(lg.round(x[:, 0]), size=5),
    "variances": lambda x: lg.var(lg.concat([x, x]), axis=0, correction=1),
    "covariances": lambda x: lg.cov(lg.concat([x, x]).T),
}


@pytest.mark.parametrize("name", SMALL)
def test_few_rows_are_done_as_many_are(name: str, tmp_path: Path) -> None:
    """One, two and three, of which an exporter has seen one at most."""
    step = lg.VariableEnvironment().compile(lambda ctx, x: SMALL[name](x))
    model = onnx_open.written(step, tmp_path, X[:, 0], batch="batch")
    rng = np.random.default_rng(0)
    for n in (1, 2, 3, 6):
        x = rng.standard_normal((n, 3)).astype(np.float32)
        assert onnx_run.apart(onnx_run.listed(step(x)), onnx_run.run_model(model, x)) == [], n


def test_a_row_alone_that_is_spared_a_sum_is_no_reason(tmp_path: Path) -> None:
    """The gradient of what is repeated for every row is a sum over the rows, and for one row it is written without."""
    env = lg.VariableEnvironment(seed=0)
    env.name("b").set(np.zeros((1, 3), np.float32))

    def step(ctx: Any, x: Any) -> Any:
        return lg.grad(lg.sum(lg.square(x + ctx.variable("b"))), ctx.variable("b"))

    model = onnx_open.written(env.compile(step), tmp_path, X[0], batch="rows")
    for n in (1, 2, 6):
        assert not onnx_run.apart([env.run(step, X[0, :n])], onnx_run.run_model(model, X[0, :n]))


def test_a_placeholder_keeps_the_sizes_that_the_step_says(tmp_path: Path) -> None:
    """It is an input of the model, beside the arguments, of which none can be open with it."""

    def step(ctx: Any, x: Any) -> Any:
        return x * 2 + ctx.placeholder("shift", (6, 3))

    compiled, x = lg.VariableEnvironment().compile(step), X[0]
    with pytest.raises(lg.ExportError, match="'shift' is a placeholder, whose sizes the step says itself"):
        compiled.export(tmp_path / "model.onnx", x, batch={"shift": {0: "rows"}})
    model = onnx_open.written(compiled, tmp_path, x, batch=None)
    assert [(one.name, shape(one)) for one in model.graph.input] == [("x", [6, 3]), ("shift", [6, 3])]
    assert not onnx_run.apart([x * 3], onnx_run.run_model(model, x, x))


def test_a_table_is_an_argument_like_an_array(tmp_path: Path) -> None:
    """Its rows are the batch."""
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    env = environment()

    def step(ctx: Any, x: Any) -> Any:
        return x @ ctx.variable("w")

    table = pandas.DataFrame(X[0], columns=["a", "b", "c"])
    model = onnx_open.written(env.compile(step), tmp_path, table)
    assert shape(model.graph.output[0]) == ["batch", 4]
    assert not onnx_run.apart([env.run(step, table)], onnx_run.run_model(model, X[0]))


def test_a_step_of_mixed_precision_is_exported_with_its_halves(tmp_path: Path) -> None:
    """Operands of products are rounded there too: halves have three digits."""
    env = environment()
    step = env.compile(lambda ctx, x: lg.tanh(x @ ctx.variable("w")), precision="mixed")
    model = onnx_open.written(step, tmp_path, X)
    (found,) = onnx_run.run_model(model, X)
    np.testing.assert_allclose(found, step(X), rtol=0, atol=1e-3)
