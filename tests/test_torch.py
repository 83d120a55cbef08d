"""Weights under PyTorch's names: its formulas, written in NumPy, give with them what our layers give."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from snapshots import at, snapshot

import lazygrad as lg
from lazygrad import nn
from lazygrad.errors import DefinitionError, SpecError, VariableError

Weights = dict[str, Any]


def fresh() -> lg.VariableEnvironment:
    """An environment of float64, so that formulas agree closely."""
    return lg.VariableEnvironment(seed=0, dtype="float64")


def sigmoid(x: Any) -> Any:
    """1 / (1 + e⁻ˣ)."""
    return 1 / (1 + np.exp(-x))


def linear(w: Weights, name: str, x: Any) -> Any:
    """``torch.nn.Linear``: x·Aᵀ + b."""
    return x @ w[f"{name}weight"].T + w[f"{name}bias"]


def norm(w: Weights, name: str, x: Any) -> Any:
    """``torch.nn.LayerNorm`` over the last axis."""
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-5) * w[f"{name}weight"] + w[f"{name}bias"]


def attention(w: Weights, name: str, x: Any, heads: int) -> Any:
    """``torch.nn.MultiheadAttention`` with ``batch_first=True``."""
    q, k, v = np.split(x @ w[f"{name}in_proj_weight"].T + w[f"{name}in_proj_bias"], 3, axis=-1)
    q, k, v = (part.reshape(*part.shape[:2], heads, -1).transpose(0, 2, 1, 3) for part in (q, k, v))
    scores = np.exp(q @ k.transpose(0, 1, 3, 2) / np.sqrt(q.shape[-1]))
    y = (scores / scores.sum(-1, keepdims=True)) @ v
    return linear(w, f"{name}out_proj.", y.transpose(0, 2, 1, 3).reshape(x.shape))


def lstm(w: Weights, end: str, x: Any) -> Any:
    """One way of ``torch.nn.LSTM`` with ``batch_first=True``; its documentation's gates i, f, g, o."""
    h = c = np.zeros((x.shape[0], w["weight_hh" + end].shape[1]))
    outputs = []
    for t in range(x.shape[1]):
        both = x[:, t] @ w["weight_ih" + end].T + w["bias_ih" + end] + h @ w["weight_hh" + end].T + w["bias_hh" + end]
        i, f, g, o = np.split(both, 4, axis=-1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        outputs.append(h)
    return np.stack(outputs, axis=1)


def gru(w: Weights, end: str, x: Any) -> Any:
    """Likewise of ``torch.nn.GRU``, with r, z, n."""
    h = np.zeros((x.shape[0], w["weight_hh" + end].shape[1]))
    outputs = []
    for t in range(x.shape[1]):
        i_r, i_z, i_n = np.split(x[:, t] @ w["weight_ih" + end].T + w["bias_ih" + end], 3, axis=-1)
        h_r, h_z, h_n = np.split(h @ w["weight_hh" + end].T + w["bias_hh" + end], 3, axis=-1)
        r, z = sigmoid(i_r + h_r), sigmoid(i_z + h_z)
        h = (1 - z) * np.tanh(i_n + r * h_n) + z * h
        outputs.append(h)
    return np.stack(outputs, axis=1)


def rnn(w: Weights, end: str, x: Any) -> Any:
    """Likewise of ``torch.nn.RNN``."""
    h = np.zeros((x.shape[0], w["weight_hh" + end].shape[1]))
    outputs = []
    for t in range(x.shape[1]):
        h = np.tanh(
            x[:, t] @ w["weight_ih" + end].T + w["bias_ih" + end] + h @ w["weight_hh" + end].T + w["bias_hh" + end]
        )
        outputs.append(h)
    return np.stack(outputs, axis=1)


def both_ways(way: Callable[..., Any]) -> Callable[..., Any]:
    """Two layers in both directions."""

    def through(w: Weights, x: Any) -> Any:
        for layer in ("_l0", "_l1"):
            back = way(w, f"{layer}_reverse", x[:, ::-1])[:, ::-1]
            x = np.concatenate([way(w, layer, x), back], axis=-1)
        return x

    return through


def batch_norm(w: Weights, x: Any) -> Any:
    """``torch.nn.BatchNorm1d`` in use."""
    return (x - w["running_mean"]) / np.sqrt(w["running_var"] + 1e-5) * w["weight"] + w["bias"]


def block(w: Weights, x: Any) -> Any:
    """``torch.nn.TransformerEncoderLayer(norm_first=True, activation="gelu", batch_first=True)`` in use."""
    x = x + attention(w, "self_attn.", norm(w, "norm1.", x), 2)
    inner = linear(w, "linear1.", norm(w, "norm2.", x))
    from scipy.special import erf

    return x + linear(w, "linear2.", inner * 0.5 * (1 + erf(inner / np.sqrt(2))))


def conv(w: Weights, x: Any) -> Any:
    """``torch.nn.Conv2d``: cross-correlation."""
    windows = np.lib.stride_tricks.sliding_window_view(x, w["weight"].shape[2:], axis=(2, 3))
    return np.einsum("nchwij,ocij->nohw", windows, w["weight"]) + w["bias"][:, None, None]


def conv_transpose(w: Weights, x: Any) -> Any:
    """``torch.nn.ConvTranspose2d``: each pixel adds its multiple of a filter."""
    (rows, columns), (_, out, kh, kw) = x.shape[2:], w["weight"].shape
    y = np.zeros((x.shape[0], out, rows + kh - 1, columns + kw - 1))
    for i in range(rows):
        for j in range(columns):
            y[:, :, i : i + kh, j : j + kw] += np.einsum("nc,coij->noij", x[:, :, i, j], w["weight"])
    return y + w["bias"][:, None, None]


def group_norm(w: Weights, x: Any) -> Any:
    """``torch.nn.GroupNorm(2, 4)``."""
    parts = x.reshape(x.shape[0], 2, -1)
    normal = (parts - parts.mean(-1, keepdims=True)) / np.sqrt(parts.var(-1, keepdims=True) + 1e-5)
    return normal.reshape(x.shape) * w["weight"] + w["bias"]


def recurrent(kind: Any) -> Callable[[Any], Any]:
    """Makes a layer of two layers in both directions, which gives the outputs alone."""
    return lambda env: kind(env, 4, 3, layers=2, bidirectional=True)


LAYERS: dict[str, tuple[Callable[[Any], Any], Callable[..., Any], tuple[int, ...]]] = {
    "Linear": (lambda env: nn.Linear(env, 4, 3), lambda w, x: linear(w, "", x), (2, 4)),
    "Conv2d": (lambda env: nn.Conv2d(env, 2, 3, (2, 3)), conv, (2, 2, 4, 5)),
    "ConvTranspose2d": (lambda env: nn.ConvTranspose2d(env, 2, 3, (2, 3)), conv_transpose, (2, 2, 3, 4)),
    "BatchNorm": (lambda env: nn.BatchNorm(env, 4), batch_norm, (5, 4)),
    "LayerNorm": (lambda env: nn.LayerNorm(env, 4), lambda w, x: norm(w, "", x), (5, 4)),
    "GroupNorm": (lambda env: nn.GroupNorm(env, 4, 2), group_norm, (3, 4)),
    "Embedding": (lambda env: nn.Embedding(env, 6, 3), lambda w, x: w["weight"][x], ()),
    "RNN": (recurrent(nn.RNN), both_ways(rnn), (2, 5, 4)),
    "LSTM": (recurrent(nn.LSTM), both_ways(lstm), (2, 5, 4)),
    "GRU": (recurrent(nn.GRU), both_ways(gru), (2, 5, 4)),
    "MultiHeadAttention": (
        lambda env: nn.MultiHeadAttention(env, 4, 2), lambda w, x: attention(w, "", x, 2), (2, 3, 4),
    ),
    "TransformerBlock": (lambda env: nn.TransformerBlock(env, 4, 2, hidden=6), block, (2, 3, 4)),
}  # fmt: skip


def drawn(weights: Weights) -> Weights:
    """Other weights of the same names and shapes; all positive, as variances must be."""
    rng = np.random.default_rng(3)
    return {name: rng.uniform(0.1, 1, array.shape) for name, array in weights.items()}


def close(expected: Any, actual: Any) -> None:
    """To within rounding of float64."""
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-13)


def outputs(env: Any, layer: Any, x: Any) -> Any:
    """What a layer gives, without a state."""

    def step(ctx: Any, x: Any) -> Any:
        y = layer(x)
        return y[0] if isinstance(y, tuple) else y

    return env.run(step, x)


@pytest.mark.parametrize("kind", LAYERS)
def test_pytorchs_formula_gives_the_same_with_the_same_weights(kind: str) -> None:
    """With ours taken out, and with others put in: layouts, gates, biases and statistics are those of PyTorch."""
    make, formula, shape = LAYERS[kind]
    env = fresh()
    layer = make(env)
    x = np.random.default_rng(1).normal(size=shape) if shape else np.array([[0, 5], [3, 1]])
    weights = lg.torch.state_dict(layer)
    close(formula(weights, x), outputs(env, layer, x))
    others = drawn(weights)
    lg.torch.load_state_dict(layer, others)
    close(formula(others, x), outputs(env, layer, x))
    again = lg.torch.state_dict(layer)
    assert {name: a.shape for name, a in others.items()} == {name: a.shape for name, a in again.items()}
    close(formula(again, x), outputs(env, layer, x))
    assert all(array.flags.c_contiguous and array.flags.writeable for array in again.values())


def test_names_are_places_keys_and_attributes() -> None:
    """In a Sequential, a list, a dict, a layer of one's own, and any object with layers for attributes."""

    class Residual(nn.Layer):
        def __init__(self, env: Any, name: str | None = None) -> None:
            super().__init__(env, name)
            inside = self._namespace()
            self._variable("gain", (3,), nn.initializers.Ones())
            self.inner = self._part(nn.Linear(inside, 3, 3))
            self.blocks = [self._part(nn.LayerNorm(inside, 3)), self._part(nn.LayerNorm(inside, 3))]

        def __call__(self, x: Any) -> Any:
            return x + self.inner(x) * self.gain

    env = fresh()
    body = nn.Sequential(nn.Linear(env, 4, 3), nn.relu, nn.Sequential(Residual(env)))
    model = SimpleNamespace(body=body, heads={"a": nn.Linear(env, 3, 1, use_bias=False)}, env=env, name="x")
    names = ["body.0.weight", "body.0.bias", "body.2.0.gain", "body.2.0.inner.weight", "body.2.0.inner.bias"]
    names += [f"body.2.0.blocks.{i}.{kind}" for i in (0, 1) for kind in ("weight", "bias")]
    assert [*names, "heads.a.weight"] == list(lg.torch.state_dict(model))


class Held:
    """A layer that is an object of one's own, as the page on own layers makes one."""

    def __init__(self, env: Any, name: str) -> None:
        space = env.namespace(name)
        self.centre = space.name("centre").set(np.arange(2.0))
        self.widths = [space.name("wide").set(np.ones(1)), space.name("narrow").set(np.ones(1), trainable=False)]
        self.variables = [self.centre, *self.widths]
        self.owner: Any = None

    def __call__(self, x: Any) -> Any:
        return x - self.centre


def test_variables_and_layers_of_objects_of_ones_own_are_there() -> None:
    """Within a Sequential, within one another, in a layer that did not count them as parts, and in circles."""

    class Uncounted(nn.Layer):
        def __init__(self, env: Any) -> None:
            super().__init__(env)
            self.inner = nn.Linear(env, 1, 1, use_bias=False)
            self.loose = self._part(Held(env, "loose"))

    env = fresh()
    first, second = Held(env, "first"), Held(env, "second")
    first.owner, second.owner = second, first
    tied = SimpleNamespace(weight=nn.Linear(env, 2, 3, name="tied").weight.T)
    model = {"body": nn.Sequential(Held(env, "body"), nn.relu), "pair": first, "rest": Uncounted(env), "tied": tied}
    of = ["centre", "widths.0", "widths.1"]
    names = [f"{path}.{name}" for path in ("body.0", "pair", "pair.owner") for name in of]
    names += ["rest.inner.weight", *[f"rest.loose.{name}" for name in of], "tied.weight"]
    weights = lg.torch.state_dict(model)
    assert (names, (3, 2)) == (list(weights), weights["tied.weight"].shape)
    lg.torch.load_state_dict(model, {name: array + 1 for name, array in weights.items()})
    assert all(np.array_equal(array + 1, lg.torch.state_dict(model)[name]) for name, array in weights.items())


def test_no_weight_is_lost_in_silence() -> None:
    """Two of one name, and one that no attribute names, are told."""
    env = fresh()
    linear = nn.Linear(env, 1, 1)
    for model in ({"a": [linear], "a.0": linear}, {0: linear, "0": linear}):
        with pytest.raises(DefinitionError, match=r"two weights are called '(a\.)?0\.weight'\n\n.*\n\n    One of the"):
            lg.torch.state_dict(model)
    hidden = Held(env, "hidden")
    del hidden.widths
    for use in (lg.torch.state_dict, lambda model: lg.torch.load_state_dict(model, {}, strict=False)):
        with pytest.raises(DefinitionError, match=r"<Variable 'hidden/wide' .*> of .*Held .* has no name that PyTorch"):
            use([hidden])


def test_objects_that_refer_to_each_other_take_no_time() -> None:
    """Each in which there is nothing is looked through once."""
    env = fresh()
    grid = [SimpleNamespace(numbers=list(range(1000))) for _ in range(30)]
    for one, other in itertools.pairwise(grid):
        one.left = one.right = other
    chain = SimpleNamespace(next=None)
    for _ in range(5000):
        chain = SimpleNamespace(next=chain)
    model = SimpleNamespace(grid=grid, chain=chain, head=nn.Linear(env, 1, 1, use_bias=False))
    assert ["head.weight"] == list(lg.torch.state_dict(model))


def test_a_shared_variable_has_both_names_and_must_be_given_twice_the_same() -> None:
    """As a tied weight of PyTorch has; or once, if not strict."""
    env = fresh()
    table = nn.Embedding(env, 5, 3)
    model = {"table": table, "out": nn.Linear(env, 3, 5, weight=table.weight.T)}
    weights = lg.torch.state_dict(model)
    assert np.array_equal(weights["table.weight"], weights["out.weight"])
    new = np.arange(15.0).reshape(5, 3)
    lg.torch.load_state_dict(model, weights | {"table.weight": new, "out.weight": new})
    assert np.array_equal(new, env["embedding/weight"])
    lg.torch.load_state_dict(model, {"out.weight": new + 1, "out.bias": np.ones(5)}, strict=False)
    assert np.array_equal(new + 1, env["embedding/weight"])
    before = snapshot(env)
    with pytest.raises(SpecError, match=r"'out.weight': it is variable 'embedding/weight', as 'table.weight' is"):
        lg.torch.load_state_dict(model, weights | {"out.weight": new})
    assert before == snapshot(env)


class Tensor:
    """A double of PyTorch's: only what it has, and arrays do not."""

    def __init__(self, array: Any, dtype: str) -> None:
        self.array, self.dtype = array, dtype

    def detach(self) -> Tensor:
        return Tensor(self.array, "detached " + self.dtype)

    def cpu(self) -> Tensor:
        return Tensor(self.array, self.dtype.removeprefix("detached "))

    def float(self) -> Tensor:
        return Tensor(self.array, "torch.float32")

    def numpy(self) -> Any:
        assert self.dtype == "torch.float32"
        return self.array


@pytest.mark.parametrize("dtype", ["torch.float32", "torch.bfloat16", "torch.float8_e4m3fn", "torch.float8_e5m2"])
def test_tensors_are_brought_to_numpy(dtype: str) -> None:
    """Detached, from wherever they lie, of dtypes that NumPy lacks as float32; what BatchNorm counts is passed over."""
    env = lg.VariableEnvironment(seed=0)
    norm = nn.BatchNorm(env, 2)
    weights = {name: Tensor(np.float32([3, 4]), dtype) for name in lg.torch.state_dict(norm)}
    lg.torch.load_state_dict({"n": norm}, {f"n.{name}": value for name, value in weights.items()} | {
        "n.num_batches_tracked": Tensor(np.int64(7), "torch.int64")
    })  # fmt: skip
    assert [[3.0, 4.0]] * 4 == [array.tolist() for array in env.to_dict().values()]
    assert {"float32"} == {str(array.dtype) for array in env.to_dict().values()}


def test_a_tensor_that_is_no_array_is_refused() -> None:
    """Sparse, quantized, without numbers: PyTorch raises errors of many kinds."""
    env = lg.VariableEnvironment(seed=0)
    norm = nn.BatchNorm(env, 2)
    before = snapshot(env)
    for wrong in (
        TypeError("can't convert Sparse layout"),
        RuntimeError("conjugate bit"),
        NotImplementedError("no data"),
    ):

        class Wrong(Tensor):
            def detach(self, wrong: Exception = wrong) -> Tensor:
                raise wrong

        with pytest.raises(SpecError, match=rf"cannot load 'bias': it cannot be made an array\n\n.*\n\n.*: {wrong}\n"):
            lg.torch.load_state_dict(norm, {"bias": Wrong(np.ones(2), "x")}, strict=False)
    assert before == snapshot(env)


def test_weights_come_from_and_go_to_a_gpu(double: Any) -> None:
    """As arrays of NumPy's."""
    env = lg.VariableEnvironment(backend="cupy", seed=0)
    layer = nn.Linear(env, 2, 1)
    lg.torch.load_state_dict(layer, {"weight": env["linear/weight"].T, "bias": [3]})
    lg.torch.load_state_dict(layer, {"weight": [[1, 2]]}, strict=False)
    found = lg.torch.state_dict(layer)
    assert {np.ndarray} == {type(array) for array in found.values()}
    assert ([[1.0, 2.0]], [3.0]) == (found["weight"].tolist(), found["bias"].tolist())


def test_a_part_of_the_weights_leaves_the_others() -> None:
    """Where it is not strict."""
    env = fresh()
    model = nn.Sequential(nn.Linear(env, 2, 2, name="a"), nn.GRU(env, 2, 2, name="b"))
    before = env.to_dict()
    lg.torch.load_state_dict(model, {"0.bias": [1.0, 2.0], "1.bias_hh_l0": np.arange(6), "other": 3}, strict=False)
    after = env.to_dict()
    assert ([1.0, 2.0], [4.0, 5.0]) == (after["a/bias"].tolist(), after["b/candidate_bias"].tolist())
    close(before["b/bias"] + [0, 1, 2, 3, 0, 0], after["b/bias"])
    assert all(np.array_equal(before[name], after[name]) for name in ("a/weight", "b/weight", "b/recurrent"))


LOAD = "lg.torch.load_state_dict(model, given)"
WRONG: dict[str, tuple[Callable[[Weights], Any], type[Exception], str, str]] = {
    "missing": (
        lambda w: {k: v for k, v in w.items() if k != "0.bias"}, VariableError,
        "cannot load: there is no '0.bias'", "There are: '0.weight'.\n    Use strict=False to take only what fits.",
    ),
    "too many": (
        lambda w: w | {"0.biases": 1}, VariableError,
        "cannot load '0.biases': it is not here",
        "Did you mean '0.bias'?\n    Use strict=False to take only what fits.",
    ),
    "a transpose": (
        lambda w: w | {"0.weight": w["0.weight"].T}, SpecError, "cannot load '0.weight'",
        "here:   float64[3, 2]\n    given:  float64[2, 3]\n"
        "    Give weights of a network with the same layers, in PyTorch's layouts: (out, in).",
    ),
    "text": (
        lambda w: w | {"0.bias": ["a", "b", "c"]}, SpecError, "cannot load '0.bias'",
        "here:   float64[3]\n    given:  <U1[3]\n"
        "    Give weights of a network with the same layers, in PyTorch's layouts: (out, in).",
    ),
    "ragged lists": (
        lambda w: w | {"0.weight": [[1, 2], [3], [4]]}, SpecError, "cannot load '0.weight'",
        "here:   float64[3, 2]\n    given:  object[3]\n"
        "    Give weights of a network with the same layers, in PyTorch's layouts: (out, in).",
    ),
    "no mapping": (
        lambda w: list(w), DefinitionError, "cannot load weights from list",
        "Give what state_dict() returns: arrays or tensors by name.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_weights_that_do_not_fit_change_nothing(case: str) -> None:
    """The message names the weight, and what is here."""
    env = fresh()
    model = nn.Sequential(nn.Linear(env, 2, 3))
    change, kind, what, rest = WRONG[case]
    given = change(drawn(lg.torch.state_dict(model)))
    before = snapshot(env)
    with pytest.raises(kind) as caught:
        lg.torch.load_state_dict(model, given)
    assert f"{what}\n\n{at(test_weights_that_do_not_fit_change_nothing, LOAD)}\n\n    {rest}" == str(caught.value)
    assert before == snapshot(env)


@pytest.mark.parametrize("model", [nn.relu, None, [], lg.VariableEnvironment(seed=0)], ids=repr)
def test_what_has_no_layers_has_no_weights(model: Any) -> None:
    """Rather than an empty dict."""
    with pytest.raises(DefinitionError, match="there are no layers in"):
        lg.torch.state_dict(model)
