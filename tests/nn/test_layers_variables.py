"""The variables of layers: by name, in lists that optimizers are given, and frozen."""

import copy
import pickle

import numpy as np
import pytest

import lazygrad as lg

nn = lg.nn
X = np.linspace(-1, 1, 12, dtype="float32").reshape(4, 3)


def made():
    """An environment, and a network that has running statistics."""
    env = lg.VariableEnvironment(seed=0)
    return env, nn.Sequential(nn.Linear(env, 3, 4), nn.BatchNorm(env, 4), nn.relu, nn.Linear(env, 4, 1))


def test_a_layer_has_its_variables_by_name():
    """Those of a part through the part; what it has not is told with what there is."""
    env, network = made()
    assert [v for layer in (network[0], network[3]) for v in (layer.weight, layer.bias)] == [
        v for v in network.variables if "norm" not in v.path
    ]
    heads = nn.MultiHeadAttention(env, 4, 2)
    assert "multi_head_attention/query/weight" == heads.query.weight.path
    assert {"weight", "bias", "variables"} <= set(dir(network[0]))
    assert not hasattr(nn.Linear(env, 2, 2, use_bias=False), "bias")
    with pytest.raises(AttributeError) as refused:
        network[0].wieght  # noqa: B018
    assert "<Linear 'linear' 3 → 4> has no attribute 'wieght'" in str(refused.value)
    assert str(refused.value).endswith("Did you mean 'weight'?")


def test_a_layer_with_variables_by_name_is_copied_and_pickled():
    """As one whose attributes are looked up in what is not there yet."""
    _, network = made()
    for layer in (copy.deepcopy(network), pickle.loads(pickle.dumps(network[0])), copy.copy(network[0])):
        first = layer[0] if isinstance(layer, nn.Sequential) else layer
        np.testing.assert_array_equal(network[0].weight.value, first.weight.value)


def test_a_variable_of_a_layer_is_not_overwritten_by_an_attribute():
    """It would change nothing that the layer computes."""
    env, network = made()
    before = env["linear/weight"]
    with pytest.raises(lg.VariableError) as refused:
        network[0].weight = np.zeros((3, 4))
    assert "cannot set 'weight' of <Linear 'linear' 3 → 4>: it is a variable of the layer" in str(refused.value)
    assert str(refused.value).endswith("Write env['linear/weight'] = array to give it new numbers.")
    np.testing.assert_array_equal(before, network[0].weight.value)


def test_sequential_is_a_sequence_of_its_layers():
    """Places from either end, slices, the length, iteration; an empty one is no falsehood."""
    _, network = made()
    assert 4 == len(network)
    assert list(network.layers) == list(network) == [network[i] for i in range(4)]
    assert network[3] is network[-1]
    assert isinstance(network[:2], nn.Sequential)
    assert network[0].variables + network[1].variables == network[:2].variables
    assert bool(nn.Sequential())
    with pytest.raises(IndexError):
        network[4]


def train(env, network, optimizer, update, compiled):
    """One step; what the variables were before and are after."""

    def step(ctx, x):
        loss = lg.mean(lg.square(network(x, train=True) - 1))
        return loss, update(ctx, optimizer, loss), ctx.updates()

    before = {v.path: v.value for v in network.variables}
    (env.compile(step) if compiled else lambda x: env.run(step, x))(X)
    return before, {v.path: v.value for v in network.variables}


UPDATES = {
    "minimize": lambda network: lambda ctx, o, loss: o.minimize(loss, network.variables),
    "update": lambda network: lambda ctx, o, loss: o.update(network.variables, lg.grad(loss, network.variables)),
    "nested": lambda network: (
        lambda ctx, o, loss: o.update(
            {"a": network[0].variables, "b": (network[1:].variables,)},
            lg.grad(loss, {"b": (network[1:].variables,), "a": network[0].variables}),
        )
    ),
    "all": lambda network: lambda ctx, o, loss: o.minimize(loss, list(ctx.env)),
    "none": lambda network: lambda ctx, o, loss: o.minimize(loss),
}


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", UPDATES)
def test_an_optimizer_leaves_running_statistics_alone(name, compiled):
    """Given all variables of a network it moves those that are trainable; BatchNorm moves its own."""
    results = []
    for chosen in (name, "none"):
        env, network = made()
        results.append(train(env, network, lg.optim.AdamW(env, 0.1), UPDATES[chosen](network), compiled)[1])
        assert not [v.path for v in env if v.path.startswith("adamw/batch_norm/mean")]
    for path, expected in results[1].items():
        np.testing.assert_array_equal(expected, results[0][path], err_msg=path)


@pytest.mark.parametrize("name", UPDATES)
def test_a_frozen_variable_is_not_trained_until_it_is_thawed(name):
    """A compiled step is traced anew for each answer; the state of the optimizer waits."""
    env, network = made()
    optimizer = lg.optim.SGD(env, 0.1)

    @env.compile
    def step(ctx, x):
        loss = lg.mean(lg.square(network(x, train=True) - 1))
        return loss, UPDATES[name](network)(ctx, optimizer, loss), ctx.updates()

    def moved():
        before = {v.path: v.value for v in network.variables}
        step(X)
        step(X)
        return {v.path for v in network.variables if not np.array_equal(before[v.path], v.value)}

    own = {v.path for v in network.variables}
    assert {"linear/weight", "linear_1/weight", "batch_norm/mean"} <= moved()
    network[0].weight.trainable = network[0].bias.trainable = False
    assert {"linear/weight", "linear/bias"} & own == own - moved() - {"batch_norm/shift", "batch_norm/scale"}
    network[0].weight.trainable = True
    assert "linear/weight" in moved()


def test_a_variable_that_is_named_is_moved_though_it_is_frozen():
    """By its name, or as the tensor of it."""
    env = lg.VariableEnvironment()
    w = env.name("w").set([1.0], trainable=False)
    sgd = lg.optim.SGD(env, 0.25)
    env.run(lambda ctx: sgd.minimize(lg.sum(ctx.variable(w)), ["w"]))
    env.run(lambda ctx: sgd.minimize(lg.sum(ctx.variable(w)), [ctx.variable(w)]))
    assert [0.5] == w.value.tolist()


@pytest.mark.parametrize("verb", ["minimize", "update"])
def test_there_must_be_a_trainable_one_among_the_variables(verb):
    """Else nothing would be trained, without a word."""
    env = lg.VariableEnvironment()
    w = env.name("w").set([1.0], trainable=False)
    sgd = lg.optim.SGD(env, 0.25)

    def step(ctx):
        loss = lg.sum(ctx.variable(w))
        return sgd.minimize(loss, [w]) if verb == "minimize" else sgd.update([w], lg.grad(loss, [w]))

    with pytest.raises(lg.GradientError) as refused:
        env.run(step)
    assert f"cannot {verb}: none of the 1 variables is trainable" == str(refused.value).splitlines()[0]
    cure = "Set variable.trainable = True, or give the variable's name, ctx.variable(name), to move it all the same."
    assert str(refused.value).endswith(cure)
    assert [1.0] == w.value.tolist()


def test_a_frozen_layer_is_made_again_from_its_file(tmp_path):
    """It stays frozen, and the file is no obstacle."""
    env = lg.VariableEnvironment(seed=0)
    nn.Linear(env, 3, 4).weight.trainable = False
    env.save(tmp_path / "w.json")
    loaded = lg.VariableEnvironment.load(tmp_path / "w.json")
    layer = nn.Linear(loaded, 3, 4)
    assert [False, True] == [layer.weight.trainable, layer.bias.trainable]


def test_trainable_is_true_or_false_and_not_set_in_a_step():
    """What is refused leaves it as it was."""
    env = lg.VariableEnvironment()
    w = env.name("w").set([1.0])
    with pytest.raises(lg.SpecError) as refused:
        w.trainable = "no"
    assert str(refused.value).startswith("cannot use 'no' as trainable")

    def step(ctx):
        w.trainable = False
        return ctx.variable(w)

    with pytest.raises(lg.GraphError) as refused:
        env.run(step)
    assert str(refused.value).startswith("cannot freeze <Variable 'w' float32[1]>: a step is being written")
    assert w.trainable
    w.trainable = np.False_
    assert w.trainable is False


def test_variables_of_another_environment_are_refused():
    """Those of the same name would be taken for them."""
    (env, network), (_, other) = made(), made()
    sgd = lg.optim.SGD(env, 0.1)
    with pytest.raises(lg.GraphError) as refused:
        env.run(lambda ctx: sgd.minimize(lg.sum(network(ctx.constant(X))), other.variables))
    assert str(refused.value).startswith(
        "cannot update <Variable 'linear/weight' float32[3, 4]>: it is of another environment"
    )
    with pytest.raises(lg.GradientError) as refused:
        env.run(lambda ctx: lg.grad(lg.sum(network(ctx.constant(X))), other.variables))
    assert str(refused.value).startswith(
        "cannot differentiate: <Variable 'linear/weight' float32[3, 4]> is of another environment"
    )
