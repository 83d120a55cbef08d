"""Every name of the Rust crate autograd 2.0.0-rc3, and what it is called here.

``TENSOR_OPS`` has the free functions of the crate's ``tensor_ops``, ``METHODS`` those of a tensor,
``OBJECTS`` its types and what they offer. On the right stands an expression over ``lg``, the environment
``env``, the context ``ctx`` and a tensor ``x``; each is evaluated, and must exist. What is not offered is in
``NOT_OFFERED``, with the reason.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.graph.tensor import Array

TENSOR_OPS = {
    # gradients and control
    "grad": "lg.grad",
    "grad_with_default": "lg.grad",  # its third argument
    "jacobians": "lg.jacobian",
    "_hessian_vector_product": "lg.hessian_vector_product",
    "stop_gradient": "lg.stop_gradient",
    "control_dependencies": "lg.depends_on",
    "assign": "ctx.assign",
    "identity": "lg.identity",
    "nth_tensor": "lg.define.opaque",  # an op with several results returns a tuple
    "map": "lg.define.opaque",  # a kernel of the user's own; lg.hook only looks
    "convert_to_tensor": "ctx.constant",
    "scalar": "lg.asarray",
    "zeros": "lg.zeros",
    "ones": "lg.ones",
    # shape
    "shape": "x.shape",  # known while the graph is written, so not a tensor
    "size": "x.size",
    "rank": "x.ndim",
    "reshape": "lg.reshape",
    "flatten": "lg.flatten",
    "expand_dims": "lg.expand_dims",
    "squeeze": "lg.squeeze",
    "transpose": "lg.transpose",
    "tile": "lg.tile",
    "split": "lg.split",  # where to cut, not how long the pieces are
    "slice": "x.__getitem__",
    "concat": "lg.concat",
    "gather": "lg.take",
    "gather_common": "lg.take",
    "clip": "lg.clip",
    # element by element
    "sin": "lg.sin",
    "cos": "lg.cos",
    "tan": "lg.tan",
    "asin": "lg.asin",
    "acos": "lg.acos",
    "atan": "lg.atan",
    "sinh": "lg.sinh",
    "cosh": "lg.cosh",
    "tanh": "lg.tanh",
    "asinh": "lg.asinh",
    "acosh": "lg.acosh",
    "atanh": "lg.atanh",
    "sqrt": "lg.sqrt",
    "inv": "lg.reciprocal",
    "inv_sqrt": "lg.rsqrt",
    "square": "lg.square",
    "neg": "lg.negative",
    "abs": "lg.abs",
    "pow": "lg.pow",  # the exponent may be a tensor
    "exp": "lg.exp",
    "exp2": "lg.exp2",
    "exp10": "lg.exp10",
    "ln": "lg.log",
    "log2": "lg.log2",
    "log10": "lg.log10",
    "lgamma_f32": "lg.gammaln",
    "lgamma_f64": "lg.gammaln",
    "digamma_f32": "lg.digamma",
    "digamma_f64": "lg.digamma",
    "sign": "lg.sign",
    "floor": "lg.floor",
    "ceil": "lg.ceil",
    "sigmoid": "lg.nn.sigmoid",
    "relu": "lg.nn.relu",
    "softplus": "lg.nn.softplus",
    "elu": "lg.nn.elu",
    "leaky_relu": "lg.nn.leaky_relu",
    "add": "lg.add",
    "sub": "lg.subtract",
    "mul": "lg.multiply",
    "div": "lg.divide",
    "maximum": "lg.maximum",
    "minimum": "lg.minimum",
    "add_n": "lg.add_n",
    "equal": "lg.equal",
    "not_equal": "lg.not_equal",
    "greater": "lg.greater",
    "greater_equal": "lg.greater_equal",
    "lesser": "lg.less",
    "lesser_equal": "lg.less_equal",
    # reductions
    "sum_all": "lg.sum",
    "mean_all": "lg.mean",
    "reduce_sum": "lg.sum",
    "reduce_mean": "lg.mean",
    "reduce_prod": "lg.prod",
    "reduce_min": "lg.min",
    "reduce_max": "lg.max",
    "reduce_variance": "lg.var",
    "reduce_logsumexp": "lg.logsumexp",
    "argmin": "lg.argmin",
    "argmax": "lg.argmax",
    # neural networks
    "softmax": "lg.nn.softmax",
    "log_softmax": "lg.nn.log_softmax",
    "sigmoid_cross_entropy": "lg.nn.binary_cross_entropy_with_logits",
    "softmax_cross_entropy": "lg.nn.cross_entropy",
    "sparse_softmax_cross_entropy": "lg.nn.cross_entropy",
    "mean_squared_error": "lg.nn.mean_squared_error",
    "normalize": "lg.nn.normalize",
    "batch_norm": "lg.nn.batch_norm",
    "dropout": "lg.nn.dropout",
    "conv2d": "lg.nn.conv2d",
    "dilated_conv2d": "lg.nn.conv2d",
    "conv2d_transpose": "lg.nn.conv2d_transpose",
    "dilated_conv2d_transpose": "lg.nn.conv2d_transpose",
    "max_pool2d": "lg.nn.max_pool2d",
    # linear algebra
    "matmul": "lg.matmul",
    "tensordot": "lg.tensordot",
    "batch_matmul": "lg.matmul",
    "batch_matmul_t": "lg.matrix_transpose",  # of an operand of matmul
    # random numbers
    "standard_normal": "ctx.random.normal",
    "standard_uniform": "ctx.random.uniform",
    "random_normal": "ctx.random.normal",
    "random_uniform": "ctx.random.uniform",
    "bernoulli": "ctx.random.bernoulli",
    "random_exp": "ctx.random.exponential",  # its scale is 1 / lambda
    "random_gamma": "ctx.random.gamma",
    "log_normal": "ctx.random.log_normal",
}

# The crate has each of its random ops, and dropout, once more with a generator of the user's own.
WITH_GENERATOR = (
    "standard_normal",
    "standard_uniform",
    "random_normal",
    "random_uniform",
    "bernoulli",
    "random_exp",
    "random_gamma",
    "log_normal",
    "dropout",
)

NOT_OFFERED = {
    "setdiff1d": "the size of its result depends on the numbers; lg.isin says which elements are in the other set",
    **{f"{name}_rng": "the environment's seed is the one source of random numbers" for name in WITH_GENERATOR},
}

METHODS = {
    "reshape": "x.reshape",
    "flatten": "x.flatten",
    "squeeze": "lg.squeeze",
    "expand_dims": "lg.expand_dims",
    "transpose": "lg.transpose",
    "size": "x.size",
    "rank": "x.ndim",
    "shape": "x.shape",
    "reduce_sum": "x.sum",
    "reduce_mean": "x.mean",
    "reduce_prod": "lg.prod",
    "reduce_min": "x.min",
    "reduce_max": "x.max",
    "reduce_variance": "lg.var",
    "sum_all": "x.sum",
    "mean_all": "x.mean",
    "eval": "x.eval",
    "map": "lg.define.opaque",
    "access_elem": "x.reshape(-1)[0]",  # flat indexing is written so; x[i, j] is NumPy's
    "depends_on": "lg.depends_on",
    "show": "x.show",
    "show_prefixed": "x.show",
    "show_shape": "x.hook",
    "show_prefixed_shape": "x.hook",
    "print": "x.hook",
    "raw_hook": "x.hook",
    "register_hook": "x.hook",
    "id": "x.index",
    "graph": "x.graph",
    "num_inputs": "x.graph.nodes[x.index].inputs",
    "is_source": "x.graph.nodes[x.index].op",
    "placeholder_name": "x.graph.nodes[x.index].params",
}

OBJECTS = {
    "VariableEnvironment::new": "lg.VariableEnvironment",
    "env.name(..).set": "env.name('new').set",
    "env.namespace": "env.namespace('ns')",
    "env.default_namespace": "env.default_namespace()",
    "env.iter": "iter(env)",
    "env.run": "env.run",
    "env.save": "env.save",
    "env.load": "lg.VariableEnvironment.load",
    "env.initialize": "env.restore",
    "namespace.slot().name(..).set": "env.namespace('ns').name('new').set",
    "namespace.get_array_by_name": "env.namespace('ns')['v']",
    "namespace.current_var_names": "list(env.namespace('ns'))",
    "namespace.current_var_ids": "env.namespace('ns').variables()",
    "VariableID": "env.namespace('ns').variables()[0]",
    "Context::variable": "ctx.variable('ns/v')",
    "Context::variable_by_id": "ctx.variable(env.namespace('ns').variables()[0])",
    "Context::var_tensors_by_name": "ctx.variables('ns')",
    "Context::placeholder": "ctx.placeholder",
    "Context::evaluator": "ctx.evaluator()",
    "Evaluator::push": "ctx.evaluator().push",
    "Evaluator::extend": "ctx.evaluator().extend",
    "Evaluator::feed": "ctx.evaluator().feed",
    "Evaluator::run": "ctx.evaluator().run",
    "Feeder": "ctx.evaluator().feed",
    "Graph": "ctx.graph",
    "Tensor": "lg.Tensor",
    "EvalError": "lg.LazygradError",
    "OpError": "lg.SpecError",
    "Op": "lg.define.opaque",
    "optimizers::SGD": "lg.optim.SGD",
    "optimizers::MomentumSGD": "lg.optim.SGD",
    "optimizers::AdaGrad": "lg.optim.AdaGrad",
    "optimizers::Adam": "lg.optim.Adam",
    "Optimizer": "lg.optim.Optimizer",
    "Optimizer::get_update_op": "lg.optim.Optimizer.update",
    "optimizers::grad_helper": "lg.optim.Optimizer.minimize",
    "test_helper::check_theoretical_grads": "lg.testing.check_gradient",
    "ArrayRng": "np.random.default_rng",
}


def exists(expression: str) -> bool:
    """Whether the expression can be evaluated inside a step."""
    env = lg.VariableEnvironment()
    env.namespace("ns").name("v").set(np.ones((2, 2), np.float32))

    def step(ctx: Any) -> Any:
        found = eval(expression, {"lg": lg, "np": np, "env": env, "ctx": ctx, "x": ctx.variable("ns/v")})
        return found is not None

    return bool(env.run(step))


@pytest.mark.parametrize("name", TENSOR_OPS)
def test_tensor_op_has_a_counterpart(name: str) -> None:
    """What stands beside the crate's function exists."""
    assert exists(TENSOR_OPS[name])


@pytest.mark.parametrize("name", METHODS)
def test_method_of_a_tensor_has_a_counterpart(name: str) -> None:
    """What stands beside the crate's method exists."""
    assert exists(METHODS[name])


@pytest.mark.parametrize("name", OBJECTS)
def test_object_has_a_counterpart(name: str) -> None:
    """What stands beside the crate's type or member exists."""
    assert exists(OBJECTS[name])


def test_all_126_functions_of_the_crate_are_listed() -> None:
    """The crate has 126 free functions: each has a counterpart or a reason not to."""
    assert not TENSOR_OPS.keys() & NOT_OFFERED.keys()
    assert 126 == len(TENSOR_OPS) + len(NOT_OFFERED)


def test_what_is_not_offered_is_not_there() -> None:
    """No half-made counterpart hides under a name said not to be offered."""
    assert not [name for name in NOT_OFFERED if hasattr(lg, name) or hasattr(lg.nn, name)]


def test_setdiff1d_is_said_with_a_mask() -> None:
    """The elements of one array that are not in another, with the others put to a number of the user's choice."""
    a, b = np.array([4, 1, 3, 2, 3]), np.array([3, 5, 4])
    kept = lg.VariableEnvironment().run(lambda ctx, a, b: lg.where(lg.isin(a, b), -1, a), a, b)
    np.testing.assert_array_equal(kept, [-1, 1, -1, 2, -1])
    np.testing.assert_array_equal(np.unique(kept[kept >= 0]), np.setdiff1d(a, b))


@lg.define.opaque(shape=lambda x, f: x)
def mapped(xp: Any, x: Array, *, f: Any) -> Any:
    """A function of arrays, applied when it is evaluated: the crate's ``map``."""
    return f(x)


def test_map_is_an_op_of_the_users_own() -> None:
    """It applies any function of arrays; asking for its gradient is an error, not a silent zero."""
    env = lg.VariableEnvironment(dtype="float64")
    step = env.compile(lambda ctx, x: 2 * mapped(x, f=lambda a: np.sort(a)[::-1]))
    for _ in range(3):
        np.testing.assert_array_equal(step(np.array([1.0, 3.0, 2.0])), [6.0, 4.0, 2.0])
    with pytest.raises(lg.GradientError, match="cannot differentiate mapped with respect to 'x'"):
        env.run(lambda ctx, x: lg.grad(mapped(x, f=np.sort), x), np.ones(3))


@pytest.mark.parametrize(
    ("f", "at", "expected"),
    [
        (lambda x: lg.exp2(x), 3.0, 8.0),
        (lambda x: lg.exp10(x), 3.0, 1000.0),
        (lambda x: lg.rsqrt(x), 0.25, 2.0),
        (lambda x: lg.reciprocal(x), 8.0, 0.125),
        (lambda x: lg.log2(x), 8.0, 3.0),
        (lambda x: lg.log10(x), 100.0, 2.0),
        (lambda x: lg.gammaln(x), 5.0, np.log(24.0)),
        (lambda x: lg.digamma(x), 1.0, -0.5772156649015329),
        (lambda x: lg.nn.leaky_relu(x, 0.2), -5.0, -1.0),
        (lambda x: lg.floor(x), -1.5, -2.0),
        (lambda x: lg.ceil(x), -1.5, -1.0),
        (lambda x: lg.sign(x), -1.5, -1.0),
    ],
    ids=[
        "exp2",
        "exp10",
        "inv_sqrt",
        "inv",
        "log2",
        "log10",
        "lgamma",
        "digamma",
        "leaky_relu",
        "floor",
        "ceil",
        "sign",
    ],
)
def test_counterpart_of_a_function_without_a_value_check_has_its_value(f: Any, at: float, expected: float) -> None:
    """A known value, to the last bits."""
    found = lg.VariableEnvironment(dtype="float64").run(lambda ctx, x: f(x), np.float64(at))
    assert expected == pytest.approx(float(found), rel=1e-15)


@pytest.mark.parametrize("transposed", ["both", "left", "right", "none"])
def test_batch_matmul_t_is_a_product_with_transposes(transposed: str) -> None:
    """Either operand of a batched product may be transposed, as NumPy does it."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 3, 3)), rng.normal(size=(2, 3, 3))
    left, right = transposed in ("both", "left"), transposed in ("both", "right")

    def step(ctx: Any, a: Any, b: Any) -> Any:
        return (a.mT if left else a) @ (b.mT if right else b)

    expected = (a.swapaxes(1, 2) if left else a) @ (b.swapaxes(1, 2) if right else b)
    np.testing.assert_allclose(lg.VariableEnvironment().run(step, a, b), expected, rtol=1e-13)
