"""Learning rates for parts of a network, weight decay for some variables, and what is frozen, in every optimizer."""

from __future__ import annotations

import numpy as np
import pytest
from optimizer_checks import DECAYING, KINDS, runner
from snapshots import snapshot

import lazygrad as lg
from lazygrad.optim import schedules
from lazygrad.optim.groups import names

START = np.array([[1.0, -2.0], [0.5, 3.0]])
GRADS = [np.array([[1.0, 0.5], [-0.25, 2.0]]), np.array([[-0.5, 0.25], [1.0, -1.0]])]
PATHS = ["body/weight", "body/bias", "head/weight", "head/bias"]


def made(dtype="float64"):
    """An environment with a body and a head, each with a weight and a bias, all of the same numbers."""
    env = lg.VariableEnvironment(dtype="float64")
    for path in PATHS:
        env.name(path).set((START if path.endswith("weight") else START[0]).astype(dtype))
    return env


def trained(env, optimizer, way="run", paths=PATHS):
    """The variables after an update a gradient."""

    def step(ctx, g):
        return optimizer.update(paths, [g if path.endswith("weight") else g[0] for path in paths])

    run = runner(env, step, way)
    for g in GRADS:
        run(g)
    return {path: env[path] for path in PATHS}


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("head", "head/weight", True),
        ("head", "network/head/bias", True),
        ("weight", "head/weight", True),
        ("head/weight", "network/head/weight", True),
        ("head/weight", "head/bias", False),
        ("head", "heads/weight", False),
        ("head*", "heads/weight", True),
        ("conv*", "a/conv_1/weight", True),
        ("network/weight", "network/head/weight", False),
        ("*", "w", True),
        ("a/b", "b", False),
    ],
)
def test_a_rule_is_words_of_a_path(pattern, path, expected):
    """Whole words that follow each other, or with a star a part of one."""
    assert expected is names(pattern, path)


@pytest.mark.parametrize("name", KINDS)
def test_a_part_has_a_rate_of_its_own(name):
    """It moves as with an optimizer of that rate, the rest as before."""
    env = made()
    both = trained(env, KINDS[name](env, rates={"head": 0.02}))
    slow = made()
    optimizer = KINDS[name](slow)
    optimizer.learning_rate = 0.02
    slowly, quickly = trained(slow, optimizer), trained(other := made(), KINDS[name](other))
    for path in PATHS:
        expected = (slowly if path.startswith("head") else quickly)[path]
        np.testing.assert_array_equal(expected, both[path])


@pytest.mark.parametrize("way", ["run", "compile"])
def test_rates_are_numbers_of_numpy_schedules_and_for_single_names(way):
    """The first name that fits holds, in run and compile, and half and single precision."""
    rates = {"head/bias": schedules.Piecewise((1,), (0.5, 0.25)), "head": np.float32(0.5), "bias": np.int64(0)}
    for dtype in ("float16", "float32", "float64"):
        env = made(dtype)
        sgd = lg.optim.SGD(env, schedules.Constant(1.0), rates=rates)
        moved = trained(env, sgd, way)
        total = GRADS[0] + GRADS[1]
        expected = {
            "body/weight": START - total,
            "body/bias": START[0],
            "head/weight": START - 0.5 * total,
            "head/bias": START[0] - 0.5 * GRADS[0][0] - 0.25 * GRADS[1][0],
        }
        for path in PATHS:
            assert dtype == moved[path].dtype
            np.testing.assert_array_equal(expected[path], moved[path])


def test_a_rate_is_set_without_tracing_again_and_saved(tmp_path):
    """As a learning rate is; a schedule in its place is traced once more."""
    env = made()
    sgd = lg.optim.SGD(env, 1.0, rates={"head": 0.5})
    traces = []

    @env.compile
    def step(ctx):
        traces.append(1)
        return sgd.update(["head/bias"], [np.ones(2)])

    for rate in (0.25, np.float32(0.125), schedules.Constant(2.0), 0.5):
        sgd.rates["head"] = rate
        before = env["head/bias"]
        step()
        moved = rate.rate if isinstance(rate, schedules.Constant) else rate
        np.testing.assert_array_equal(before - moved, env["head/bias"])
    assert 3 == len(traces)
    assert {"head": 0.5} == dict(sgd.rates)
    sgd.rates["head"] = schedules.Exponential(1.0, 0.5)
    assert 0.0625 == sgd.rates.current("head")
    sgd.rates["head"] = 0.0625
    assert 0.0625 == sgd.rates.current("head")
    env.save(tmp_path / "env.json")
    loaded = lg.VariableEnvironment.load(tmp_path / "env.json")
    assert 0.0625 == lg.optim.SGD(loaded, 1.0, rates={"head": 0.5}).rates["head"]


RULES = ["weight", ["body/weight", "head/weight"], ("w*",), lambda v: len(v.shape) > 1]


@pytest.mark.parametrize(
    ("name", "rule"), [*((name, "weight") for name in DECAYING), *(("Lion", r) for r in RULES[1:])]
)
def test_only_what_a_rule_names_decays(name, rule):
    """The others move as without weight decay: by names, or by a function of the variable."""
    env = made()
    some = trained(env, KINDS[name](env, weight_decay=0.5, decay=rule))
    all_, none = (trained(e := made(), KINDS[name](e, weight_decay=w)) for w in (0.5, 0.0))
    for path in PATHS:
        np.testing.assert_array_equal((all_ if path.endswith("weight") else none)[path], some[path])
        assert not np.array_equal(all_[path], none[path])


@pytest.mark.parametrize("way", ["run", "compile"])
def test_rates_and_decay_go_together(way):
    """AdamW's decay is in proportion to the rate of the part."""
    env = made()
    adamw = lg.optim.AdamW(env, 0.1, weight_decay=0.5, rates={"head": 0.01}, decay="weight")
    moved = trained(env, adamw, way)
    for part, rate in (("body", 0.1), ("head", 0.01)):
        for own, weight_decay in (("weight", 0.5), ("bias", 0.0)):
            alone = made()
            expected = trained(alone, lg.optim.AdamW(alone, rate, weight_decay=weight_decay))
            np.testing.assert_allclose(expected[f"{part}/{own}"], moved[f"{part}/{own}"], rtol=1e-14)


def test_a_layer_and_a_variable_stand_for_their_paths():
    """In rates and in decay, also where a layer could be called."""
    env = lg.VariableEnvironment(seed=0)
    body, head = lg.nn.Linear(env, 2, 2, name="body"), lg.nn.Linear(env, 2, 1, name="head")
    given = {head.bias: 0.25, head: 0.5, body.weight: 0.125}
    sgd = lg.optim.SGD(env, 1.0, weight_decay=0.5, rates=given, decay=head)
    assert {"head/bias": 0.25, "head": 0.5, "body/weight": 0.125} == dict(sgd.rates)
    sgd.rates[head] = 0.0625
    assert 0.0625 == sgd.rates[head] == sgd.rates.current(head) == sgd.rates["head"]
    before = {v.path: v.value for v in [*body.variables, *head.variables]}
    env.run(lambda ctx: sgd.update(list(before), [np.zeros(a.shape) for a in before.values()]))
    np.testing.assert_allclose(before["head/weight"] * (1 - 0.0625 / 2), env["head/weight"], rtol=1e-6)
    np.testing.assert_array_equal(before["body/weight"], env["body/weight"])
    assert ("body/weight",) == lg.optim.SGD(env, decay=[body.weight])._decay


def test_a_users_optimizer_has_rates_and_decay():
    """They are the base's; where a variable does not decay there is no such setting."""

    class Plain(lg.optim.Optimizer):
        def step(self, p, g, state, settings):
            return p - settings["learning_rate"] * (g + settings.get("weight_decay", 0) * p), {}

    env = made()
    settings = {"learning_rate": 1.0, "weight_decay": 0.5}
    moved = trained(env, Plain(env, settings, rates={"head": 0.0}, decay="weight"))
    same = made()
    expected = trained(same, lg.optim.SGD(same, 1.0, weight_decay=0.5))
    np.testing.assert_array_equal(expected["body/weight"], moved["body/weight"])
    np.testing.assert_array_equal(START[0] - GRADS[0][0] - GRADS[1][0], moved["body/bias"])
    np.testing.assert_array_equal(START, moved["head/weight"])


@pytest.mark.parametrize("way", ["run", "compile"])
@pytest.mark.parametrize(
    ("given", "what", "near"),
    [
        ({"rates": {"haed": 0.1}}, "rates of 'sgd' names no variable: 'haed'", "head"),
        (
            {"rates": {"head": 0.1, "body/wieght": 0.1}},
            "rates of 'sgd' names no variable: 'body/wieght'",
            "body/weight",
        ),
        ({"weight_decay": 0.1, "decay": ["weight", "biass"]}, "decay of 'sgd' names no variable: 'biass'", "bias"),
        ({"rates": {"learning_rate": 0.1}}, "rates of 'sgd' names no variable: 'learning_rate'", ""),
    ],
)
def test_a_rule_that_names_nothing_is_an_error(given, what, near, way):
    """With the names that are near; the environment is as before. The state of optimizers does not count."""
    env = made()
    sgd = lg.optim.SGD(env, 1.0, **given)
    before = snapshot(env)
    with pytest.raises(lg.VariableError) as refused:
        runner(env, lambda ctx: sgd.update(PATHS[:1], [START]), way)()
    assert what == str(refused.value).splitlines()[0]
    assert repr(near)[:-1] in str(refused.value).splitlines()[-1]
    assert "A rule gives words of a path" in str(refused.value)
    assert before == snapshot(env)


@pytest.mark.parametrize(
    ("given", "kind", "what"),
    [
        ({"rates": 0.1}, lg.SpecError, "cannot use 0.1 as rates"),
        ({"rates": {1: 0.1}}, lg.SpecError, "cannot use {1: 0.1} as rates"),
        ({"rates": {"head": -1.0}}, lg.SpecError, "cannot use -1.0 as learning_rate"),
        ({"rates": {"head": "fast"}}, lg.SpecError, "cannot use 'fast' as learning_rate"),
        ({"rates": {"a//b": 0.1}}, lg.VariableError, "cannot use 'a//b' as a name"),
        ({"decay": 3}, lg.SpecError, "cannot use 3 as decay"),
        ({"decay": [len]}, lg.SpecError, "cannot use [<built-in function len>] as decay"),
        ({"decay": ""}, lg.VariableError, "cannot use '' as a name"),
    ],
)
def test_rules_of_another_kind_are_refused(given, kind, what):
    """When the optimizer is made; nothing is left behind."""
    env = made()
    before = snapshot(env)
    with pytest.raises(kind) as refused:
        lg.optim.SGD(env, 1.0, **given)
    assert what == str(refused.value).splitlines()[0]
    assert before == snapshot(env)


def test_a_rate_is_set_only_for_a_name_that_was_given():
    """A new part would need another trace."""
    env = made()
    sgd = lg.optim.SGD(env, 1.0, rates={"head": 0.5})
    with pytest.raises(lg.VariableError) as refused:
        sgd.rates["haed"] = 0.1
    assert "there is no rate for 'haed'" == str(refused.value).splitlines()[0]
    with pytest.raises(lg.SpecError):
        sgd.rates["head"] = -1
    assert {"head": 0.5} == dict(sgd.rates)
    assert "{'head': 0.5}" == repr(sgd.rates)


@pytest.mark.parametrize(
    ("name", "way"), [*((name, "run") for name in KINDS), ("Adam", "compile"), ("Muon", "compile")]
)
def test_every_optimizer_leaves_a_frozen_variable_alone(name, way):
    """Its state too, by minimize and by a list; what is thawed goes on."""
    env = made()
    optimizer = KINDS[name](env)
    frozen = [v for v in env if v.path.startswith("body")]
    for v in frozen:
        v.trainable = False

    def step(ctx):
        loss = sum(lg.sum(lg.square(ctx.variable(path))) for path in PATHS)
        return loss, optimizer.minimize(loss)

    run = runner(env, step, way)
    run()
    run()
    assert all(np.array_equal(env[v.path], START if v.path.endswith("weight") else START[0]) for v in frozen)
    assert not [v.path for v in env if v.path.startswith(f"{optimizer.name}/body")]
    assert not np.array_equal(START, env["head/weight"])
    frozen[0].trainable = True
    run()
    assert not np.array_equal(START, env["body/weight"])
    np.testing.assert_array_equal(START[0], env["body/bias"])


def test_fit_leaves_a_frozen_layer_alone():
    """It trains the rest, and the running statistics are no weights."""
    env = lg.VariableEnvironment(seed=0)
    encoder = lg.nn.Sequential(lg.nn.Linear(env, 2, 4), lg.nn.BatchNorm(env, 4))
    head = lg.nn.Linear(env, 4, 1, name="head")
    encoder.trainable = False
    adam = lg.optim.AdamW(env, 0.1)

    @env.compile
    def step(ctx, x, y):
        loss = lg.mean(lg.square(head(encoder(x)) - y))
        return loss, adam.minimize(loss)

    before = {v.path: v.value for v in env if v.path in {u.path for u in encoder.variables}}
    x = np.random.default_rng(0).normal(size=(16, 2)).astype("float32")
    history = lg.fit(step, (x, x[:, :1]), epochs=5, batch_size=8)
    assert history["loss"][-1] < history["loss"][0]
    for path, array in before.items():
        np.testing.assert_array_equal(array, env[path])
    encoder.trainable = True
    assert [True, True, True, True, False, False] == [v.trainable for v in encoder.variables]
