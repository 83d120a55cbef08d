"""The checks of the Rust crate autograd 2.0.0-rc3 of graphs, optimizers, variables; and its examples.

===============================  ======  ======================
file of the crate                checks  here
===============================  ======  ======================
``tests/test_core.rs``                3  ``CORE``
``tests/test_optimizers.rs``          3  ``OPTIMIZERS``
``src/graph.rs`` (unit)               1  ``GRAPH``
``src/tensor.rs`` (unit)              1  ``TENSOR``
``src/variable.rs`` (unit)            4  ``VARIABLE``
===============================  ======  ======================

The names of the tests begin with the crate's; the last test counts them. The examples of the crate
(``sine``, ``mlp_mnist``, ``cnn_mnist``, ``lstm_lm``, README) follow, on data that needs no network.

Where the check is not the crate's own:

- The crate's optimizer checks ask that one update raises nothing; here it equals the method's formula.
- ``test_too_many_nodes`` expects a panic above 500,000 nodes. There is no limit here: the same program
  ends, and its time grows no faster than its nodes.
- Ranks of nodes are checked on the order of the list, which is the order of a graph here.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.define import opaque
from lazygrad.graph.tensor import Array

# tests/test_core.rs
CORE = ("test_nth_tensor", "test_hook", "test_too_many_nodes")


def _cotangent(g: Any, y: Any, x: Any) -> Any:
    of_squares, of_sum = g
    return 2 * x * of_squares + of_sum


@opaque(shape=lambda x: [x, (1, x[1])], vjp=_cotangent)
def squares_and_column_sums(xp: Any, x: Array) -> Any:
    """The squares of a matrix, and the sums of its columns: an op with two results."""
    return xp.square(x), xp.sum(x, axis=0, keepdims=True)


def test_nth_tensor_an_op_of_a_user_may_have_several_results() -> None:
    """Each result of an op with two can be used by itself."""

    def step(ctx: Any) -> Any:
        squares, sums = squares_and_column_sums(ctx.constant([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]))
        assert [(2, 3), (1, 3)] == [squares.shape, sums.shape]
        return lg.exp(sums - 5.0), squares

    first, second = lg.VariableEnvironment(dtype="float64").run(step)
    np.testing.assert_allclose(first, np.exp([[0.0, 2.0, 4.0]]), rtol=1e-15)
    np.testing.assert_array_equal(second, [[1.0, 4.0, 9.0], [16.0, 25.0, 36.0]])


@pytest.mark.parametrize("used", ["first", "second", "both"])
def test_nth_tensor_has_gradients_through_every_result(used: str, check_gradients: Any) -> None:
    """A result that nothing depends on has a cotangent of zeros."""

    def f(x: Any) -> Any:
        squares, sums = squares_and_column_sums(x)
        return {"first": lg.exp(squares), "second": lg.exp(sums), "both": squares * sums}[used]

    check_gradients(f, np.random.default_rng(0).normal(size=(2, 3)))


def test_hook_shows_values_as_they_are_evaluated(capsys: pytest.CaptureFixture[str]) -> None:
    """``show`` prints, with a label or without, ``hook`` gets the array, and neither changes a value."""
    shapes = []

    def step(ctx: Any) -> Any:
        a = lg.ones((4, 2)).show()
        b = lg.zeros((2, 3)).hook(lambda array: shapes.append(array.shape))
        return (a @ b).show("product")

    value = lg.VariableEnvironment().run(step)
    np.testing.assert_array_equal(value, np.zeros((4, 3)))
    assert f"{np.ones((4, 2))}\nproduct: {np.zeros((4, 3))}\n" == capsys.readouterr().out
    assert [(2, 3)] == shapes


def test_hook_is_called_also_if_its_value_is_not_needed() -> None:
    """Otherwise than in the crate, a hook written as a statement happens in the run."""
    called: list[Any] = []

    def step(ctx: Any) -> Any:
        lg.ones(3).hook(called.append)
        return lg.zeros(3)

    lg.VariableEnvironment().run(step)
    assert [[1.0, 1.0, 1.0]] == [array.tolist() for array in called]


def test_hook_lets_the_gradient_pass(check_gradients: Any) -> None:
    """The gradient of a hooked and shown tensor is that of the tensor."""
    check_gradients(lambda x: lg.square(lg.exp(x).hook(lambda array: None)), [0.1, -0.4])


def test_hook_readme_derivatives(capsys: pytest.CaptureFixture[str]) -> None:
    """The README's z = 2x² + 3y + 1: ∂z/∂y = 3 and ∂²z/∂x² = 4 with nothing fed, ∂z/∂x = 8 at x = 2."""

    def step(ctx: Any) -> Any:
        x, y = ctx.placeholder("x", ()), ctx.placeholder("y", ())
        z = 2.0 * x * x + 3.0 * y + 1.0
        by_y, by_x = lg.grad(z, y), lg.grad(z, x)
        at_two = ctx.evaluator().push(by_x).feed(x, np.float32(2.0)).run()
        return [by_y.eval(), *at_two, lg.grad(by_x, x).eval()]

    assert [3.0, 8.0, 4.0] == lg.VariableEnvironment().run(step)


def _write_many(ctx: Any, count: int) -> Any:
    for _ in range(count):
        x = ctx.placeholder("x", (3,))
        z = 2.0 * x / 2.0 / 2.0
        g = lg.grad(z, x)
    return g


@pytest.mark.slow
def test_too_many_nodes_are_no_error() -> None:
    """The program that the crate refuses, 10,000 gradients in one graph, gives its gradient."""

    def step(ctx: Any) -> Any:
        g = _write_many(ctx, 10_000)
        assert len(ctx.graph) > 90_000
        return g

    np.testing.assert_array_equal(lg.VariableEnvironment().run(step), np.full(3, 0.5, np.float32))


@pytest.mark.slow
def test_too_many_nodes_take_time_in_proportion() -> None:
    """Eight times the gradients in one graph take less than sixteen times as long."""

    def seconds(count: int) -> float:
        def step(ctx: Any) -> Any:
            start = time.process_time()
            _write_many(ctx, count)
            taken.append(time.process_time() - start)
            return lg.zeros(())

        taken: list[float] = []
        for _ in range(3):
            lg.VariableEnvironment().trace(step)
        return min(taken)

    assert seconds(2000) < 16 * seconds(250)


# tests/test_optimizers.rs: the program, and one update by the method's formula.
X, LABELS = np.array([[0.1, 0.2], [0.2, 0.1]]), np.array([1, 0])
W, B = np.array([[0.3, -0.8], [1.1, 0.5]]), np.zeros((1, 2))


def _loss_and_gradients(w: Any, b: Any) -> tuple[float, list[Any]]:
    """The mean cross entropy of softmax(xw + b), and its gradients, by hand."""
    z = X @ w + b
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    onehot = np.eye(2)[LABELS]
    error = (p - onehot) / 2
    return float(-(onehot * np.log(p)).sum() / 2), [X.T @ error, error.sum(axis=0, keepdims=True)]


def _adam(ps: list[Any], gs: list[Any], state: dict[str, Any], t: int) -> list[Any]:
    new = []
    for i, (p, g) in enumerate(zip(ps, gs, strict=True)):
        m = state[f"m{i}"] = 0.9 * state.get(f"m{i}", 0.0) + 0.1 * g
        v = state[f"v{i}"] = 0.999 * state.get(f"v{i}", 0.0) + 0.001 * g * g
        new.append(p - 0.001 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8))
    return new


def _adagrad(ps: list[Any], gs: list[Any], state: dict[str, Any], t: int) -> list[Any]:
    new = []
    for i, (p, g) in enumerate(zip(ps, gs, strict=True)):
        h = state[f"h{i}"] = state.get(f"h{i}", 0.0) + g * g
        new.append(p - 0.01 * g / (np.sqrt(h) + 1e-7))
    return new


def _momentum(ps: list[Any], gs: list[Any], state: dict[str, Any], t: int) -> list[Any]:
    new = []
    for i, (p, g) in enumerate(zip(ps, gs, strict=True)):
        v = state[f"v{i}"] = 0.9 * state.get(f"v{i}", 0.0) - 0.01 * g
        new.append(p + v)
    return new


Method = Callable[[list[Any], list[Any], dict[str, Any], int], list[Any]]
OPTIMIZERS: dict[str, tuple[Callable[[Any], Any], Method]] = {
    "test_adam": (lambda env: lg.optim.Adam(env), _adam),
    "test_adagrad": (lambda env: lg.optim.AdaGrad(env), _adagrad),
    "test_momentum": (lambda env: lg.optim.SGD(env, 0.01, momentum=0.9), _momentum),
}


@pytest.mark.parametrize("way", ["run", "compile"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer_updates_are_those_of_its_formula(name: str, way: str) -> None:
    """With the crate's defaults five updates equal those computed by hand, and so does the loss before each."""
    make, method = OPTIMIZERS[name]
    env = lg.VariableEnvironment(dtype="float64")
    env.name("w").set(W)
    env.name("b").set(B)
    optimizer = make(env)

    def step(ctx: Any) -> Any:
        w, b = ctx.variable("w"), ctx.variable("b")
        loss = lg.mean(lg.nn.cross_entropy(ctx.constant(X) @ w + b, LABELS), axis=0)
        return loss, optimizer.update([w, b], lg.grad(loss, [w, b]))

    call = env.compile(step) if way == "compile" else lambda: env.run(step)
    parameters: list[Any] = [W, B]
    state: dict[str, Any] = {}
    for t in range(1, 6):
        expected, gradients = _loss_and_gradients(*parameters)
        parameters = method(parameters, gradients, state, t)
        loss, _ = call()
        assert expected == pytest.approx(float(loss), rel=1e-12)
        np.testing.assert_allclose(env["w"], parameters[0], rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(env["b"], parameters[1], rtol=1e-12, atol=1e-15)


# src/graph.rs
GRAPH = ("test_mixed_graph",)


def test_mixed_graph_is_an_error() -> None:
    """A tensor of one environment's step cannot be added to one of another's that is written inside it."""

    def outer(ctx: Any) -> Any:
        a = lg.zeros(1)

        def inner(ctx: Any) -> Any:
            return a + lg.zeros(1)

        return lg.VariableEnvironment().run(inner)

    with pytest.raises(lg.GraphError, match="cannot use tensors of two graphs together"):
        lg.VariableEnvironment().run(outer)


# src/tensor.rs
TENSOR = ("test_topological_ranks",)


def test_topological_ranks_every_node_comes_after_its_operands() -> None:
    """In the list of a step with gradients and updates each node has only earlier ones as operands."""
    env = lg.VariableEnvironment()
    env.name("w").set(np.ones((2, 2), np.float32))
    sgd = lg.optim.SGD(env, 0.1)

    def step(ctx: Any) -> Any:
        w = ctx.variable("w")
        return sgd.minimize(lg.sum(lg.square(lg.exp(w) @ w)))

    graph = env.trace(step)
    assert len(graph) > 10
    assert all(operand < i for i, node in enumerate(graph.nodes) for operand in node.inputs)


# src/variable.rs
VARIABLE = ("test_env_iteration", "test_namespace_iteration", "test_save_and_load", "test_save_and_initialize")


def _filled() -> lg.VariableEnvironment:
    """Two variables in the default namespace and one in another."""
    rng = np.random.default_rng(0)
    env = lg.VariableEnvironment(dtype="float64")
    env.name("a").set(rng.normal(size=(2, 3)))
    env.namespace("my_ns").name("a").set(rng.normal(size=(3,)))
    env.name("b").set(rng.normal(size=(2, 3)))
    return env


def test_env_iteration_is_in_order_of_registration() -> None:
    """Iterating an environment gives its variables, oldest first."""
    env = _filled()
    assert ["a", "my_ns/a", "b"] == [variable.path for variable in env]
    np.testing.assert_array_equal([v.value for v in env][2], env["b"])


def test_namespace_iteration_gives_only_its_own() -> None:
    """A namespace has its own names and arrays; the default one has those without a namespace."""
    env = _filled()
    assert ["a", "b"] == list(env.default_namespace())
    assert ["a"] == list(env.namespace("my_ns"))
    np.testing.assert_array_equal(env.namespace("my_ns")["a"], env["my_ns/a"])
    assert ["", "my_ns"] == [namespace.path for namespace in env.namespaces()]


def test_namespace_iteration_in_a_step_gives_tensors() -> None:
    """``ctx.variables`` gives the tensors of a namespace; the same variable asked for twice is one tensor."""
    env = _filled()

    def step(ctx: Any) -> Any:
        assert [ctx.variable("a"), ctx.variable("b")] == ctx.variables("")
        assert [ctx.variable("my_ns/a")] == ctx.variables("my_ns")
        return lg.sum(ctx.variable("my_ns/a"))

    assert float(env.run(step)) == pytest.approx(env["my_ns/a"].sum(), rel=1e-15)


def test_save_and_load_give_back_every_bit(tmp_path: Path) -> None:
    """The loaded environment has the same variables in the same order, bit for bit; the crate allows 1e-6."""
    env = _filled()
    env.save(tmp_path / "model.json")
    loaded = lg.VariableEnvironment.load(tmp_path / "model.json")
    assert [v.path for v in env] == [v.path for v in loaded]
    for variable in env:
        np.testing.assert_array_equal(loaded[variable.path], variable.value)
        assert variable.dtype == loaded[variable.path].dtype


def test_save_and_initialize_inside_ten_runs(tmp_path: Path) -> None:
    """An environment can be saved while a step is written, and takes the file's numbers back."""
    env = _filled()
    before = {v.path: v.value for v in env}

    def step(ctx: Any) -> Any:
        ctx.env.save(tmp_path / "model.json")
        return ctx.variable("a") + ctx.variable("b")

    for _ in range(10):
        env.run(step)
    for path, array in before.items():
        env[path] = array + 1.0
    env.restore(tmp_path / "model.json")
    for path, array in before.items():
        np.testing.assert_array_equal(env[path], array)


def test_every_core_check_of_the_crate_is_here() -> None:
    """The numbers of checks are those of the table above, and each stands under its name."""
    assert [3, 3, 1, 1, 4] == [len(table) for table in (CORE, OPTIMIZERS, GRAPH, TENSOR, VARIABLE)]
    for own in CORE + GRAPH + TENSOR + VARIABLE:
        assert any(name.startswith(f"{own}_") for name in globals()), own


# The examples.


def test_example_sine_learns_from_the_first_epochs() -> None:
    """The crate's sine.rs, 1-64-64-1 by Adam: after its 500 epochs a third of the variance of sin x is explained.

    The crate states no number. Without biases, as it is written there, the network learns no faster.
    """
    env = lg.VariableEnvironment(seed=0)
    rng = np.random.default_rng(0)
    for name, rows, columns in (("w1", 1, 64), ("w2", 64, 64), ("w3", 64, 1)):
        limit = np.sqrt(6 / rows)  # what the crate calls Glorot's
        env.name(name).set(rng.uniform(-limit, limit, size=(rows, columns)).astype(np.float32))
    adam = lg.optim.Adam(env)

    @env.compile
    def step(ctx: Any) -> Any:
        x = ctx.random.uniform((50, 1), 0.0, 10.0)
        h = lg.tanh(x @ ctx.variable("w1"))
        y = lg.tanh(h @ ctx.variable("w2")) @ ctx.variable("w3")
        loss = lg.mean(lg.square(y - lg.sin(x)))
        return loss, adam.minimize(loss)

    losses = [float(step()[0]) for _ in range(500)]
    of_the_mean = 0.443  # ½ − sin 20 / 40 − ((1 − cos 10) / 10)²
    assert np.mean(losses[400:]) < 2 / 3 * of_the_mean


def test_example_mlp_mnist_classifies_digits() -> None:
    """The crate's mlp_mnist.rs, softmax regression by Adam in batches of 200, on scikit-learn's digits: over 0.9."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    mixed = np.random.default_rng(0).permutation(len(labels))  # the file is in order of writers
    images, labels = (images[mixed] / 16).astype(np.float32), labels[mixed]
    env = lg.VariableEnvironment(seed=0)
    env.name("w").set(np.zeros((64, 10), np.float32))
    env.name("b").set(np.zeros((1, 10), np.float32))
    adam = lg.optim.Adam(env, learning_rate=0.01)

    @env.compile
    def train(ctx: Any, x: Any, y: Any) -> Any:
        loss = lg.mean(lg.nn.cross_entropy(x @ ctx.variable("w") + ctx.variable("b"), y))
        return loss, adam.minimize(loss)

    @env.compile
    def accuracy(ctx: Any, x: Any, y: Any) -> Any:
        guess = lg.argmax(x @ ctx.variable("w") + ctx.variable("b"), axis=-1)
        return lg.mean(lg.equal(guess, y).astype("float32"))

    order = np.random.default_rng(1)
    for _ in range(30):
        for batch in np.split(order.permutation(1400), 7):
            train(images[batch], labels[batch])
    assert float(accuracy(images[1400:], labels[1400:])) > 0.9


def test_example_cnn_mnist_gradients(check_gradients: Any) -> None:
    """The crate's cnn_mnist.rs in small: conv 3 × 3, bias, relu, pool, twice, and a dense layer."""
    rng = np.random.default_rng(0)
    images, labels = rng.normal(size=(2, 1, 8, 8)), np.array([0, 2])

    def loss(w1: Any, b1: Any, w2: Any, b2: Any, w3: Any) -> Any:
        h: Any = images
        for w, b in ((w1, b1), (w2, b2)):
            h = lg.nn.max_pool2d(lg.nn.relu(lg.nn.conv2d(h, w, padding=1) + b), 2, stride=2)
        return lg.nn.cross_entropy(h.reshape(2, -1) @ w3, labels)

    shapes = [(2, 1, 3, 3), (1, 2, 8, 8), (3, 2, 3, 3), (1, 3, 4, 4), (12, 3)]
    check_gradients(loss, *[rng.normal(size=shape) for shape in shapes])


SENTENCES = np.array([[2, 3, 1], [3, 0, 1]])


def _lstm_loss(table: Any, wx: Any, wh: Any, b: Any, w_pred: Any) -> Any:
    """The crate's lstm_lm.rs: state 4, vocabulary 5; the loss of guessing each next word of two sentences."""
    h: Any = np.zeros((2, 4))
    cell: Any = np.zeros((2, 4))
    losses = []
    for place in range(SENTENCES.shape[1] - 1):
        x = lg.take(table, SENTENCES[:, place], axis=0)
        i, f, c, o = lg.split(x @ wx + lg.matmul(h, wh) + b, 4, axis=1)
        cell = lg.nn.sigmoid(f) * cell + lg.nn.sigmoid(i) * lg.tanh(c)
        h = lg.nn.sigmoid(o) * lg.tanh(cell)
        losses.append(lg.nn.cross_entropy(h @ w_pred, SENTENCES[:, place + 1]))
    return lg.add_n(losses)


@pytest.mark.slow
def test_example_lstm_lm_gradients_of_all_parameters(check_gradients: Any) -> None:
    """The gradients of all five parameters are those of central differences; the crate's scale is 0.01."""
    rng = np.random.default_rng(0)
    shapes = [(5, 4), (4, 16), (4, 16), (1, 16), (4, 5)]
    check_gradients(_lstm_loss, *[0.01 * rng.normal(size=shape) for shape in shapes])
    check_gradients(_lstm_loss, *[rng.normal(size=shape) for shape in shapes])


def test_example_of_the_readme_has_all_second_derivatives() -> None:
    """The Hessian of z = 2x² + 3y + 1 is [[4, 0], [0, 0]], in whatever order the derivatives are taken."""

    def step(ctx: Any, x: Any, y: Any) -> Any:
        z = 2.0 * x * x + 3.0 * y + 1.0
        return [lg.grad(lg.grad(z, a), b) for a, b in itertools.product((x, y), repeat=2)]

    assert [4.0, 0.0, 0.0, 0.0] == lg.VariableEnvironment().run(step, np.float64(2.0), np.float64(-1.0))
