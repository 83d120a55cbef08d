"""Layers one after another."""

import numpy as np
import pytest
from layer_checks import both, check_slope, environment, numbers

import lazygrad as lg

nn = lg.nn


def test_sequential_applies_layers_and_functions_in_order():
    """By both modes, with a gradient through all."""
    env = environment()
    model = nn.Sequential(nn.Linear(env, 4, 8), nn.tanh, lambda h: 2 * h, nn.Linear(env, 8, 2))
    x = numbers(3, 4)
    w, b, v, c = (v.value for v in model.variables)
    np.testing.assert_allclose(both(env, model, x), 2 * np.tanh(x @ w + b) @ v + c, rtol=1e-12)
    check_slope(env, model, x)


def test_train_goes_to_those_that_take_it():
    """Also through a Sequential within one, and not to those that do not."""
    seen = []

    def takes(x, train=False):
        seen.append(train)
        return x

    env = environment()
    model = nn.Sequential(nn.Dropout(env, 0.5), nn.Sequential(takes, nn.relu), takes)
    x = np.ones((50, 50))
    np.testing.assert_array_equal(x, env.run(lambda ctx, x: model(x), x))
    dropped = env.run(lambda ctx, x: model(x, train=True), x)
    assert {0.0, 2.0} == set(np.unique(dropped))
    assert [False, False, True, True] == seen


def test_sequential_of_nothing_is_the_input():
    """As a product of no factors is 1."""
    env = environment()
    np.testing.assert_array_equal(np.ones(3), env.run(lambda ctx, x: nn.Sequential()(x), np.ones(3)))


def test_a_layer_that_stands_twice_has_its_variables_once():
    """It shares its weights with itself."""
    env = environment()
    layer = nn.Linear(env, 3, 3)
    assert ["linear/weight", "linear/bias"] == [v.path for v in nn.Sequential(layer, nn.relu, layer).variables]


def test_sequential_shows_what_it_is_made_of():
    """Functions by name."""
    env = environment()
    shown = "<Sequential of <Linear 'linear' 4 → 2>, relu>"
    assert shown == repr(nn.Sequential(nn.Linear(env, 4, 2), nn.relu))


def test_a_layer_that_gives_more_than_a_tensor_is_refused():
    """With what to do."""
    env = environment()
    model = nn.Sequential(nn.LSTM(env, 3, 2), nn.relu)
    with pytest.raises(lg.SpecError) as error:
        env.run(lambda ctx, x: model(x), numbers(2, 4, 3))
    assert str(error.value).startswith("cannot go on after <LSTM 'lstm' 3 → 2>: it gave a tuple")
    assert str(error.value).endswith("such as lambda x: lstm(x)[0].")


@pytest.mark.parametrize("what", [nn.Linear, 3, None])
def test_what_is_no_layer_is_refused(what):
    """A class that was not called, and what can not be called."""
    with pytest.raises(lg.errors.DefinitionError, match="into Sequential, at place 1"):
        nn.Sequential(nn.relu, what)
