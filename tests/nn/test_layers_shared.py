"""Layers that share a variable, and layers frozen as a whole."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from snapshots import snapshot

import lazygrad as lg
from lazygrad import nn

LABELS = np.array([0, 2, 2, 4])


def tied(env=None):
    """An embedding, and a layer that gives scores with the same vectors."""
    env = env or lg.VariableEnvironment(seed=0, dtype="float64")
    embedding = nn.Embedding(env, 5, 3)
    return env, embedding, nn.Linear(env, 3, 5, weight=embedding.weight.T)


def loss_of(embedding, scores):
    """A step that scores the labels themselves."""
    return lambda labels: lg.mean(nn.cross_entropy(scores(embedding(labels)), labels))


@pytest.mark.parametrize("compiled", [False, True])
def test_a_shared_weight_is_used_transposed_and_its_gradient_is_the_sum(compiled):
    """As of two weights whose gradients are added up by hand."""
    env, embedding, scores = tied()
    apart = lg.VariableEnvironment(dtype="float64")
    one, other = nn.Embedding(apart, 5, 3), nn.Linear(apart, 3, 5)
    apart["embedding/weight"], apart["linear/weight"] = env["embedding/weight"], env["embedding/weight"].T

    def step(ctx, labels):
        loss = loss_of(embedding, scores)(labels)
        return loss, lg.grad(loss, embedding.weight), lg.grad(loss, scores.weight)

    def by_hand(ctx, labels):
        loss = loss_of(one, other)(labels)
        return loss, lg.grad(loss, one.weight) + lg.grad(loss, other.weight).T

    got = (env.compile(step, wait=True) if compiled else lambda x: env.run(step, x))(LABELS)
    expected = apart.run(by_hand, LABELS)
    np.testing.assert_allclose(expected[0], got[0], rtol=1e-14)
    np.testing.assert_allclose(expected[1], got[1], rtol=1e-13)
    np.testing.assert_array_equal(got[1], got[2])


def test_a_shared_variable_is_registered_saved_and_trained_once(tmp_path):
    """It is the owner's; lists of variables have it once, and two lists joined are no error."""
    env, embedding, scores = tied()
    assert ["embedding/weight", "linear/bias"] == [v.path for v in env]
    assert scores.weight is embedding.weight
    assert ["embedding/weight", "linear/bias"] == [v.path for v in nn.Sequential(embedding, scores).variables]
    sgd = lg.optim.SGD(env, 0.5)
    apart = env.copy()

    def step(given):
        def trained(ctx, labels):
            loss = loss_of(embedding, scores)(labels)
            return sgd.minimize(loss, given)

        return trained

    env.run(step([*embedding.variables, *scores.variables]), LABELS)
    first = env["embedding/weight"]
    assert not np.array_equal(apart["embedding/weight"], first)
    env["embedding/weight"], env["linear/bias"] = apart["embedding/weight"], apart["linear/bias"]
    env.run(step(None), LABELS)
    np.testing.assert_array_equal(first, env["embedding/weight"])
    env["embedding/weight"], env["linear/bias"] = apart["embedding/weight"], apart["linear/bias"]

    def by_gradients(ctx, labels):
        given = {"in": embedding.variables, "out": scores.variables}
        return sgd.update(given, lg.grad(loss_of(embedding, scores)(labels), given))

    env.run(by_gradients, LABELS)
    np.testing.assert_array_equal(first, env["embedding/weight"])
    env.save(tmp_path / "env.json")
    loaded, again, more = tied(lg.VariableEnvironment.load(tmp_path / "env.json"))
    np.testing.assert_array_equal(
        env.run(lambda ctx, x: scores(embedding(x)), LABELS), loaded.run(lambda ctx, x: more(again(x)), LABELS)
    )


def test_a_bias_and_a_weight_as_it_is_can_be_shared():
    """Of layers of one kind, and of others that take an initialiser; a frozen one stays frozen."""
    env = lg.VariableEnvironment(seed=0)
    one = nn.Linear(env, 3, 3)
    one.weight.trainable = False
    other = nn.Linear(env, 3, 3, weight=one.weight, bias=one.bias)
    zeros = nn.initializers.Zeros()
    cell = nn.GRU(env, 2, 3, bias=zeros)
    shared = nn.GRU(env, 2, 3, bias=zeros, weight=cell.weight, recurrent=cell.recurrent)
    assert ["gru_1/bias", "gru_1/candidate_bias"] == [v.path for v in env if v.path.startswith("gru_1")]
    assert not other.weight.trainable
    x = np.ones((2, 4, 2), "float32")
    a, b = env.run(lambda ctx, x: (cell(x)[0], shared(x)[0]), x)
    np.testing.assert_array_equal(a, b)
    x = np.ones((2, 3), "float32")
    a, b = env.run(lambda ctx, x: (one(x), other(x)), x)
    np.testing.assert_array_equal(a, b)


def test_copies_share_among_themselves():
    """Copied and pickled together with the environment."""
    env, embedding, scores = tied()
    for copied in (copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))):
        env_2, embedding_2, scores_2 = copied((env, embedding, scores))
        assert scores_2.weight is embedding_2.weight is not embedding.weight
        step = (lambda e, s: lambda ctx, x: s(e(x)))(embedding_2, scores_2)
        np.testing.assert_array_equal(env.run(lambda ctx, x: scores(embedding(x)), LABELS), env_2.run(step, LABELS))


def test_what_cannot_be_shared_is_refused():
    """Another shape, with the hint to transpose; another environment; more axes than two. Nothing is left behind."""
    env, embedding, _ = tied()
    before = snapshot(env), dict(env._store.layers)
    other = lg.VariableEnvironment(seed=0, dtype="float64")
    theirs = nn.Embedding(other, 5, 3).weight
    kernel = nn.Conv2d(other, 1, 1, 3).weight
    with pytest.raises(lg.SpecError) as refused:
        nn.Linear(env, 3, 5, weight=embedding.weight)
    assert "cannot share variable 'embedding/weight'" == str(refused.value).splitlines()[0]
    assert "wanted:  float64[3, 5]" in str(refused.value)
    assert str(refused.value).endswith("Give its transpose, .T.")
    with pytest.raises(lg.SpecError) as refused:
        nn.Linear(env, 3, 4, weight=embedding.weight.T)
    assert "Give its transpose" not in str(refused.value)
    with pytest.raises(lg.VariableError) as refused:
        nn.Linear(env, 3, 5, weight=theirs.T)
    assert "it is of another" in str(refused.value)
    with pytest.raises(lg.SpecError) as refused:
        nn.Linear(env, 5, 3, weight=embedding)
    assert str(refused.value).endswith("Give one of its variables, such as layer.weight, to share it.")
    with pytest.raises(lg.SpecError) as refused:
        kernel.T  # noqa: B018
    assert str(refused.value).startswith("cannot transpose <Variable 'conv2d/weight'")
    assert before == (snapshot(env), dict(env._store.layers))
    assert embedding.weight is embedding.weight.T.T
    assert "<Variable 'embedding/weight' float64[5, 3]>.T" == repr(embedding.weight.T)


def test_a_layer_is_frozen_as_a_whole():
    """With the layers in it; thawed, what it learns is trainable again, and its running statistics are not."""
    env = lg.VariableEnvironment(seed=0)
    block = nn.TransformerBlock(env, 4, 2)
    network = nn.Sequential(block, nn.relu, nn.Sequential(nn.BatchNorm(env, 4)), nn.Linear(env, 4, 1))
    learned = [v for v in network.variables if v.trainable]
    assert network.trainable
    network[:3].trainable = False
    assert ["linear/weight", "linear/bias"] == [v.path for v in network.variables if v.trainable]
    assert not block.trainable
    assert network.trainable
    network.trainable = True
    assert learned == [v for v in network.variables if v.trainable]
    with pytest.raises(lg.SpecError):
        network.trainable = "no"
    with pytest.raises(lg.SpecError):
        block.trainable = 0
    assert learned == [v for v in network.variables if v.trainable]
