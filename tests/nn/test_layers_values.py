"""Values of layers against their formulas in NumPy."""

import numpy as np
import pytest
import scipy.special as special
from layer_checks import both, environment, numbers, scrambled

import lazygrad as lg

nn = lg.nn


def close(expected, actual):
    """To a few roundings of float64."""
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-12)


def parameters(layer):
    """The arrays of a layer's own variables by name."""
    return {v.name: v.value for v in layer.variables}


def sigmoid(x):
    """1 / (1 + e⁻ˣ)."""
    return special.expit(x)


def test_linear_is_x_w_plus_b():
    """Over the last axis, whatever stands in front."""
    env = environment()
    layer, x = nn.Linear(env, 4, 3), numbers(2, 5, 4)
    p = parameters(layer) if scrambled(env) else {}
    close(x @ p["weight"] + p["bias"], both(env, layer, x))


def test_linear_without_bias_has_none():
    """One variable, and no sum."""
    env = environment()
    layer, x = nn.Linear(env, 4, 3, use_bias=False), numbers(2, 4)
    assert ["linear/weight"] == [v.path for v in layer.variables]
    close(x @ env["linear/weight"], both(env, layer, x))


def test_conv2d_slides_its_filters():
    """Window by window, with stride and padding."""
    env = environment()
    layer, x = nn.Conv2d(env, 2, 3, 2, stride=2, padding=1), numbers(2, 2, 4, 6)
    scrambled(env)
    w, b = env["conv2d/weight"], env["conv2d/bias"]
    padded = np.pad(x, [(0, 0), (0, 0), (1, 1), (1, 1)])
    expected = np.zeros((2, 3, 3, 4))
    for i in range(3):
        for j in range(4):
            window = padded[:, :, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
            expected[:, :, i, j] = np.einsum("nchw,ochw->no", window, w) + b
    close(expected, both(env, layer, x))


def test_conv_transpose2d_lays_its_filters():
    """Every pixel lays a filter; where they overlap they add up."""
    env = environment()
    layer, x = nn.ConvTranspose2d(env, 2, 3, 3, stride=2, padding=1, output_padding=1), numbers(2, 2, 3, 4)
    scrambled(env)
    w, b = env["conv_transpose2d/weight"], env["conv_transpose2d/bias"]
    whole = np.zeros((2, 3, 8, 10))
    for i in range(3):
        for j in range(4):
            whole[:, :, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3] += np.einsum("nc,cohw->nohw", x[:, :, i, j], w)
    close(whole[:, :, 1:7, 1:9] + b[:, None, None], both(env, layer, x))


@pytest.mark.parametrize(("kind", "combine"), [("MaxPool2d", np.max), ("AvgPool2d", np.mean), ("SumPool2d", np.sum)])
def test_pools_take_one_number_a_window(kind, combine):
    """Windows side by side, if no stride is given."""
    env = environment()
    layer, x = getattr(nn, kind)(env, 2), numbers(2, 3, 4, 6)
    expected = combine(x.reshape(2, 3, 2, 2, 3, 2), axis=(3, 5))
    close(expected, both(env, layer, x))
    assert [] == layer.variables


def test_layer_norm_normalises_the_last_axes():
    """Then scales and shifts."""
    env = environment()
    layer, x = nn.LayerNorm(env, (3, 2), eps=1e-3), numbers(4, 3, 2)
    p = parameters(layer) if scrambled(env) else {}
    mean, variance = x.mean((1, 2), keepdims=True), x.var((1, 2), keepdims=True)
    close((x - mean) / np.sqrt(variance + 1e-3) * p["scale"] + p["shift"], both(env, layer, x))


def test_group_norm_normalises_groups_of_channels():
    """Over all places."""
    env = environment()
    layer, x = nn.GroupNorm(env, 4, 2), numbers(3, 4, 5)
    p = parameters(layer) if scrambled(env) else {}
    apart = x.reshape(3, 2, 10)
    normal = (apart - apart.mean(-1, keepdims=True)) / np.sqrt(apart.var(-1, keepdims=True) + 1e-5)
    close(normal.reshape(x.shape) * p["scale"][:, None] + p["shift"][:, None], both(env, layer, x))


def test_embedding_takes_rows():
    """Of labels in any shape."""
    env = environment()
    layer, x = nn.Embedding(env, 7, 3), np.array([[0, 6], [2, 2]])
    np.testing.assert_array_equal(env["embedding/weight"][x], both(env, layer, x))


def test_dropout_drops_in_training_alone():
    """Without train it is the input itself; with it what is kept is made larger."""
    env = environment()
    layer, x = nn.Dropout(env, 0.25), np.ones((100, 100))
    np.testing.assert_array_equal(x, env.run(lambda ctx, x: layer(x), x))
    first, second = (env.run(lambda ctx, x: layer(x, train=True), x) for _ in range(2))
    assert {0.0, 1 / 0.75} == set(np.unique(first))
    # Of 10,000 the part that is dropped has a standard deviation of 0.0043.
    assert abs(np.mean(first == 0) - 0.25) < 0.02
    assert not np.array_equal(first, second)


def rnn(x, h, p):
    """Step by step."""
    ys = []
    for t in range(x.shape[1]):
        h = np.tanh(x[:, t] @ p["weight"] + h @ p["recurrent"] + p["bias"])
        ys.append(h)
    return np.stack(ys, 1), h


def lstm(x, state, p):
    """Step by step, the gates in the order i, f, g, o."""
    (h, c), ys = state, []
    for t in range(x.shape[1]):
        i, f, g, o = np.split(x[:, t] @ p["weight"] + h @ p["recurrent"] + p["bias"], 4, axis=-1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        ys.append(h)
    return np.stack(ys, 1), (h, c)


def gru(x, h, p):
    """Step by step, the gates in the order r, z, n."""
    ys = []
    for t in range(x.shape[1]):
        a, b = np.split(x[:, t] @ p["weight"] + p["bias"], 3, axis=-1), np.split(h @ p["recurrent"], 3, axis=-1)
        r, z = sigmoid(a[0] + b[0]), sigmoid(a[1] + b[1])
        h = (1 - z) * np.tanh(a[2] + r * (b[2] + p["candidate_bias"])) + z * h
        ys.append(h)
    return np.stack(ys, 1), h


RECURRENT = pytest.mark.parametrize(("kind", "reference"), [("RNN", rnn), ("LSTM", lstm), ("GRU", gru)])


def start(kind, n=2, hidden=3):
    """A state that is not zero."""
    h, c = numbers(n, hidden, seed=5), numbers(n, hidden, seed=6)
    return (h, c) if kind == "LSTM" else h


@RECURRENT
def test_a_recurrent_layer_goes_step_by_step(kind, reference):
    """Outputs and state after the last step, from a given state."""
    env = environment()
    layer, x = getattr(nn, kind)(env, 4, 3), numbers(2, 5, 4)
    scrambled(env)
    expected, actual = reference(x, start(kind), parameters(layer)), both(env, layer, x, start(kind))
    close(expected[0], actual[0])
    for a, b in zip(np.atleast_3d(expected[1]), np.atleast_3d(actual[1]), strict=True):
        close(a, b)


@RECURRENT
def test_a_recurrent_layer_starts_from_zeros(kind, reference):
    """If no state is given."""
    env = environment()
    layer, x = getattr(nn, kind)(env, 4, 3), numbers(2, 5, 4)
    zeros = np.zeros((2, 3))
    expected = reference(x, (zeros, zeros) if kind == "LSTM" else zeros, parameters(layer))
    close(expected[0], both(env, layer, x)[0])


@RECURRENT
def test_single_steps_give_what_the_sequence_gives(kind, reference):
    """The state goes out of one run and into the next."""
    env = environment()
    layer, x = getattr(nn, kind)(env, 4, 3), numbers(2, 5, 4)
    whole, _ = env.run(lambda ctx, x: layer(x), x)
    state, step = None, env.compile(lambda ctx, x, state: layer.step(x, state), wait=True)
    for t in range(5):
        y, state = step(x[:, t], state)
        close(whole[:, t], y)


@RECURRENT
def test_a_recurrent_layer_is_drawn_as_that_of_pytorch(kind, reference):
    """Uniform from −1/√hidden to 1/√hidden, biases too."""
    env = environment()
    getattr(nn, kind)(env, 50, 100)
    for v in env:
        assert 0.09 < np.abs(v.value).max() <= 0.1


@pytest.mark.parametrize(
    ("kind", "state", "cure"),
    [
        ("RNN", np.zeros((2, 4)), "The state must have the shape [2, 3]."),
        ("GRU", np.zeros(3), "The state must have the shape [2, 3]."),
        ("LSTM", np.zeros((2, 3)), "The state is a tuple of output h and cell c."),
        ("LSTM", (np.zeros((2, 3)), np.zeros((1, 3))), "The cell c must have the shape [2, 3]."),
    ],
)
def test_a_state_of_another_shape_is_refused(kind, state, cure):
    """With what it should be."""
    env = environment()
    layer = getattr(nn, kind)(env, 4, 3)
    with pytest.raises(lg.SpecError) as error:
        env.run(lambda ctx, x, s: layer(x, s)[0], numbers(2, 5, 4), state)
    assert str(error.value).endswith(f"    {cure}")


def attention(layer, x, source, sees=None):
    """Head by head."""
    q, k, v = (
        given @ part.variables[0].value + part.variables[1].value
        for part, given in ((layer.query, x), (layer.key, source), (layer.value, source))
    )
    heads, d = layer.heads, layer.width // layer.heads
    y = np.zeros_like(x)
    for head in range(heads):
        part = slice(head * d, (head + 1) * d)
        scores = q[..., part] @ np.swapaxes(k[..., part], -1, -2) / np.sqrt(d)
        scores = scores if sees is None else np.where(sees, scores, -np.inf)
        y[..., part] = special.softmax(scores, axis=-1) @ v[..., part]
    return y @ layer.out.variables[0].value + layer.out.variables[1].value


def test_attention_divides_the_features_among_its_heads():
    """To itself, to another sequence, with the order in time, with a mask."""
    env = environment()
    layer = nn.MultiHeadAttention(env, 6, 3)
    scrambled(env)
    x, source = numbers(2, 4, 6), numbers(2, 5, 6)
    close(attention(layer, x, x), both(env, layer, x))
    close(attention(layer, x, source), both(env, layer, x, source))
    close(attention(layer, x, x, np.tri(4) > 0), both(env, lambda x: layer(x, causal=True), x))
    sees = (numbers(4, 5) > 0) | (np.arange(5) == 1)
    close(attention(layer, x, source, sees), both(env, lambda x, s, m: layer(x, s, mask=m), x, source, sees))


def test_a_transformer_block_adds_to_what_it_normalises():
    """Attention first, then the two products; the norms stand in front."""
    env = environment()
    block, x = nn.TransformerBlock(env, 4, 2, hidden=5, causal=True, name="b"), numbers(2, 3, 4)
    scrambled(env)

    def norm(x, name):
        mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
        return (x - mean) / np.sqrt(variance + 1e-5) * env[f"b/{name}/scale"] + env[f"b/{name}/shift"]

    normal = norm(x, "attention_norm")
    y = x + attention(block.attention, normal, normal, np.tri(3) > 0)
    wide = norm(y, "expand_norm") @ env["b/expand/weight"] + env["b/expand/bias"]
    y = y + wide * special.ndtr(wide) @ env["b/contract/weight"] + env["b/contract/bias"]
    close(y, both(env, block, x))


def test_a_transformer_block_drops_in_training_alone():
    """From what is added, with its own rate."""
    env = environment()
    block, x = nn.TransformerBlock(env, 4, 2, rate=0.5), numbers(2, 3, 4)
    plain, trained = (env.run(lambda ctx, x, train: block(x, train), x, train) for train in (False, True))
    np.testing.assert_array_equal(plain, env.run(lambda ctx, x: block(x), x))
    assert not np.array_equal(plain, trained)
