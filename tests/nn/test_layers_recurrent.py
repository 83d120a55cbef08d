"""Recurrent layers: lengths, several layers, both directions; beside loops in NumPy and beside PyTorch."""

import importlib.util

import numpy as np
import pytest
from layer_checks import both, check_slope, environment, numbers, scrambled
from test_layers_values import close, gru, lstm, rnn

import lazygrad as lg

nn = lg.nn
REFERENCES = {"RNN": rnn, "LSTM": lstm, "GRU": gru}
KINDS = pytest.mark.parametrize("kind", REFERENCES)
LENGTHS = np.array([5, 1, 3])


def made(kind, **settings):
    """A layer with numbers of its own everywhere, and a sequence."""
    env = environment()
    layer = getattr(nn, kind)(env, 4, 3, **settings)
    scrambled(env)
    return env, layer, numbers(3, 5, 4)


def parameters(layer, suffix):
    """The variables of one way through the sequence, by their names without its suffix."""
    names = ("weight", "recurrent", "bias", "candidate_bias")
    return {name: layer._own[name + suffix].value for name in names if name + suffix in layer._own}


def expected(kind, layer, x, lengths=None):
    """Outputs and states in NumPy, sequence by sequence, each cut off where it ends."""
    n, steps, _ = x.shape
    states, y = [], x
    for k in range(layer.layers):
        sides = []
        for back in (False, True)[: 1 + layer.bidirectional]:
            p = parameters(layer, (f"_l{k}" if k else "") + ("_reverse" if back else ""))
            out, ended = np.zeros((n, steps, 3)), []
            for i, length in enumerate(lengths if lengths is not None else [steps] * n):
                zero, own = np.zeros((1, 3)), y[i : i + 1, :length]
                begun = (zero, zero) if kind == "LSTM" else zero
                found, last = REFERENCES[kind](own[:, ::-1] if back else own, begun, p)
                out[i, :length] = found[0, ::-1] if back else found[0]
                ended.append(last if kind == "LSTM" else (last,))
            sides.append(out)
            states.append([np.concatenate(part) for part in zip(*ended, strict=True)])
        y = np.concatenate(sides, axis=-1)
    parts = [np.stack(part) for part in zip(*states, strict=True)]
    parts = [part[0] for part in parts] if len(states) == 1 else parts
    return y, tuple(parts) if kind == "LSTM" else parts[0]


def agree(expected, actual):
    """Outputs and states."""
    close(expected[0], actual[0])
    for a, b in zip(*[part if isinstance(part, tuple) else (part,) for part in (expected[1], actual[1])], strict=True):
        assert a.shape == b.shape
        close(a, b)


@KINDS
@pytest.mark.parametrize(("layers", "bidirectional"), [(1, False), (1, True), (2, False), (2, True)])
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "padded"])
def test_a_recurrent_layer_goes_through_layers_directions_and_lengths(kind, layers, bidirectional, lengths):
    """As each sequence does by itself, cut off where it ends."""
    env, layer, x = made(kind, layers=layers, bidirectional=bidirectional)
    wanted = expected(kind, layer, x, lengths)
    given = (x,) if lengths is None else (x, lengths)
    agree(wanted, both(env, lambda x, lengths=None: layer(x, lengths=lengths), *given))


@KINDS
def test_the_slope_through_padded_layers_of_both_directions_is_right(kind):
    """Along every variable and the input."""
    env, layer, x = made(kind, layers=2, bidirectional=True)
    check_slope(env, lambda x: layer(x, lengths=LENGTHS)[0], x)


@KINDS
def test_padding_takes_no_part(kind):
    """Neither in values nor in gradients, were it NaN; and its outputs are zeros."""
    env, layer, x = made(kind, bidirectional=True)
    filled = np.where(np.arange(5)[:, None] < LENGTHS[:, None, None], x, np.nan)

    def step(ctx, x):
        y, _ = layer(x, lengths=LENGTHS)
        return y, lg.grad(lg.sum(y**2), [x, *layer.variables])

    (y, slopes), (filled_y, filled_slopes) = env.run(step, x), env.run(step, filled)
    np.testing.assert_array_equal(y, filled_y)
    for a, b in zip(slopes, filled_slopes, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not y[1, 1:].any()


@KINDS
def test_a_state_goes_on_where_a_call_has_ended(kind):
    """Two halves of a sequence, through two layers, are as the whole."""
    env, layer, x = made(kind, layers=2)
    whole = env.run(lambda ctx, x: layer(x), x)

    def halves(ctx, x):
        first, state = layer(x[:, :2])
        second, state = layer(x[:, 2:], state)
        return lg.concat([first, second], axis=1), state

    agree(whole, env.run(halves, x))


@KINDS
def test_single_steps_go_through_all_layers(kind):
    """The state goes out of one step and into the next."""
    env, layer, x = made(kind, layers=2)
    whole, _ = env.run(lambda ctx, x: layer(x), x)
    state, step = None, env.compile(lambda ctx, x, state: layer.step(x, state), wait=True)
    for t in range(5):
        y, state = step(x[:, t], state)
        close(whole[:, t], y)


def test_the_variables_of_further_ways_are_named_as_in_pytorch():
    """The first have the names without an ending; a layer shows what it is made of."""
    env = environment()
    layer = nn.LSTM(env, 4, 3, layers=2, bidirectional=True)
    endings = ["", "_reverse", "_l1", "_l1_reverse"]
    expected = [name + ending for ending in endings for name in ("weight", "recurrent", "bias")]
    assert expected == [v.name for v in layer.variables]
    assert (6, 12) == layer.weight_l1.shape
    assert "<LSTM 'lstm' 4 → 3, 2 layers, both directions>" == repr(layer)


@pytest.mark.parametrize(
    ("settings", "call", "cure"),
    [
        ({}, {"lengths": [5.0, 1.0, 3.0]}, "lengths are 3 whole numbers, one a sequence."),
        ({}, {"lengths": [5, 1]}, "lengths are 3 whole numbers, one a sequence."),
        ({"layers": 2}, {"state": np.zeros((3, 3))}, "The state must have the shape [2, 3, 3]."),
    ],
)
def test_lengths_and_states_that_do_not_fit_are_refused(settings, call, cure):
    """With what they should be."""
    env, layer, x = made("GRU", **settings)
    with pytest.raises(lg.SpecError) as error:
        env.run(lambda ctx, x: layer(x, **{k: np.asarray(v) for k, v in call.items()})[0], x)
    assert str(error.value).endswith(f"    {cure}")


def test_a_step_of_a_layer_in_both_directions_is_refused():
    """It would have to begin at the end."""
    env, layer, x = made("RNN", bidirectional=True)
    with pytest.raises(lg.SpecError) as error:
        env.run(lambda ctx, x: layer.step(x)[0], x[:, 0])
    assert str(error.value).endswith("    What goes backwards has to begin at the end: call it whole.")


def test_a_number_of_layers_that_is_none_is_refused():
    """And nothing is registered."""
    env = environment()
    with pytest.raises(lg.SpecError) as error:
        nn.GRU(env, 4, 3, layers=0)
    assert "cannot make GRU" in str(error.value)
    assert not list(env)


def test_a_variable_is_shared_with_one_way_alone():
    """Of several it would be that of all."""
    env = environment()
    first = nn.RNN(env, 4, 3)
    with pytest.raises(lg.SpecError) as error:
        nn.RNN(env, 4, 3, bidirectional=True, weight=first.weight)
    assert str(error.value).endswith("weight is shared with one layer in one direction; here are 2.")


@pytest.mark.slow
@KINDS
@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed: a peer, no dependency")
def test_a_recurrent_layer_gives_what_that_of_pytorch_does(kind):
    """In float64: outputs, states and gradients of two layers in both directions over packed sequences."""
    import torch

    env, layer, x = made(kind, layers=2, bidirectional=True)
    theirs = getattr(torch.nn, kind)(4, 3, num_layers=2, bidirectional=True, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        for ending in ("", "_reverse", "_l1", "_l1_reverse"):
            p = parameters(layer, ending)
            end = ending if ending.startswith("_l1") else "_l0" + ending
            hidden_bias = np.zeros_like(p["bias"])
            if kind == "GRU":
                hidden_bias[-3:] = p["candidate_bias"]
            named = (("weight_ih", p["weight"].T), ("weight_hh", p["recurrent"].T), ("bias_ih", p["bias"]))
            for name, array in (*named, ("bias_hh", hidden_bias)):
                getattr(theirs, name + end).copy_(torch.from_numpy(array.copy()))
    given = torch.from_numpy(x).requires_grad_()
    packed = torch.nn.utils.rnn.pack_padded_sequence(given, torch.tensor(LENGTHS), True, enforce_sorted=False)
    y, last = theirs(packed)
    y, _ = torch.nn.utils.rnn.pad_packed_sequence(y, batch_first=True)
    torch.sum(y**2).backward()

    def step(ctx, x):
        y, state = layer(x, lengths=LENGTHS)
        return y, state, lg.grad(lg.sum(y**2), [x, layer.recurrent])

    ours, state, (slope, recurrent) = env.run(step, x)
    states = tuple(part.detach().numpy() for part in last) if kind == "LSTM" else last.detach().numpy()
    agree((y.detach().numpy(), states), (ours, state))
    close(given.grad.numpy(), slope)
    close(theirs.weight_hh_l0.grad.numpy().T, recurrent)
