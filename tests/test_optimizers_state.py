"""Where the state of optimizers lives, under which names, and which variables they move."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from optimizer_formulas import adam
from snapshots import snapshot

import lazygrad as lg
from lazygrad.optim import schedules


def test_state_lives_in_the_namespace_of_the_optimizer_and_is_not_trainable() -> None:
    """Settings, step count, and one variable a slot and parameter, of its shape and dtype."""
    env = lg.VariableEnvironment()
    env.namespace("layer").name("w").set(np.ones((2, 3), "float64"))
    optimizer = lg.optim.Adam(env)
    env.run(lambda ctx: optimizer.minimize(lg.sum(ctx.variable("layer/w"))))
    state = [v for v in env if v.path.startswith("adam/")]
    assert [v.path for v in state] == [
        "adam/step",
        "adam/learning_rate",
        "adam/beta1",
        "adam/beta2",
        "adam/eps",
        "adam/layer/w/m",
        "adam/layer/w/v",
    ]
    assert not any(v.trainable for v in state)
    assert [(v.shape, v.dtype) for v in state[-2:]] == [((2, 3), np.dtype("float64"))] * 2
    assert env.run(lambda ctx: ctx.variables())[0].shape == (2, 3)


def test_optimizers_of_one_class_get_names_of_their_own() -> None:
    """The second is numbered; a name of one's own is kept, and may be given only once."""
    env = lg.VariableEnvironment()
    names = [lg.optim.Adam(env).name, lg.optim.Adam(env).name, lg.optim.AdamW(env).name, lg.optim.Adam(env).name]
    assert names == ["adam", "adam_1", "adamw", "adam_2"]
    assert lg.optim.Adam(env, name="slow").name == "slow"
    assert lg.optim.Adam(env, name="groups/fast").name == "groups/fast"
    with pytest.raises(lg.DefinitionError):
        lg.optim.Lion(env, name="slow")


def test_two_optimizers_keep_their_state_apart() -> None:
    """Each its own moments and count, in one environment and one step."""
    env = lg.VariableEnvironment(dtype="float64")
    env.name("a").set([1.0])
    env.name("b").set([1.0])
    one, two = lg.optim.Adam(env, 0.1), lg.optim.Adam(env, 0.2)

    def step(ctx: lg.Context) -> Any:
        loss = lg.sum(lg.square(ctx.variable("a")) + lg.square(ctx.variable("b")))
        return one.minimize(loss, ["a"]), two.minimize(loss, ["b"])

    for _ in range(3):
        env.run(step)
    env.run(lambda ctx: one.minimize(lg.sum(lg.square(ctx.variable("a"))), ["a"]))
    assert (one.step_count, two.step_count) == (4, 3)
    a, b = adam(np.array([1.0]), 0.1), adam(np.array([1.0]), 0.2)
    x, y = next(a), next(b)
    for k in range(4):
        x = a.send(2 * x)
        y = b.send(2 * y) if k < 3 else y
    np.testing.assert_allclose(env["a"], x, rtol=1e-13)
    np.testing.assert_allclose(env["b"], y, rtol=1e-13)


def test_an_optimizer_that_could_not_be_made_leaves_no_name_behind() -> None:
    """The next one gets the name."""
    env = lg.VariableEnvironment()
    before = snapshot(env)
    for bad in (lambda: lg.optim.Adam(env, "x"), lambda: lg.optim.Adam(env, betas=(0.9, 2.0))):  # type: ignore[arg-type]
        with pytest.raises(lg.SpecError):
            bad()
        assert snapshot(env) == before
    assert lg.optim.Adam(env).name == "adam"


def test_minimize_takes_all_trainable_variables() -> None:
    """Frozen ones, and the state of optimizers, stay."""
    env = lg.VariableEnvironment()
    env.name("w").set(np.ones(2, "float32"))
    env.name("frozen").set(np.ones(2, "float32"), trainable=False)
    env.namespace("deep").name("v").set(np.ones(2, "float32"))
    optimizer = lg.optim.SGD(env, 0.5)

    def loss(ctx: lg.Context) -> lg.Tensor:
        return lg.sum(ctx.variable("w") * ctx.variable("frozen") * ctx.variable("deep/v"))

    env.run(lambda ctx: optimizer.minimize(loss(ctx)))
    assert [env[n].tolist() for n in ("w", "frozen", "deep/v")] == [[0.5, 0.5], [1.0, 1.0], [0.5, 0.5]]
    env.run(lambda ctx: optimizer.minimize(loss(ctx), ["frozen"]))
    assert [env[n].tolist() for n in ("w", "frozen", "deep/v")] == [[0.5, 0.5], [0.875, 0.875], [0.5, 0.5]]


def test_variables_may_be_given_as_tensors_names_or_variables() -> None:
    """Also one alone, without a list."""
    env = lg.VariableEnvironment()
    w = env.name("w").set(np.ones(2, "float32"))
    optimizer = lg.optim.SGD(env, 1.0)
    given: list[Callable[[lg.Context], Any]] = [
        lambda ctx: [ctx.variable("w")],
        lambda ctx: ["w"],
        lambda ctx: [w],
        lambda ctx: ctx.variable("w"),
        lambda ctx: "w",
        lambda ctx: w,
    ]
    for k, choose in enumerate(given):
        env.run(lambda ctx, choose=choose: optimizer.minimize(lg.sum(ctx.variable("w")), choose(ctx)))
        assert env["w"].tolist() == [-k, -k]
    env.run(lambda ctx: optimizer.update("w", np.full(2, 0.5)))
    assert env["w"].tolist() == [-5.5, -5.5]


def test_a_variable_that_the_loss_does_not_depend_on_gets_zero_gradient() -> None:
    """SGD leaves it; weight decay still shrinks it."""
    env = lg.VariableEnvironment(dtype="float64")
    env.name("a").set([1.0])
    env.name("b").set([1.0])
    optimizer = lg.optim.SGD(env, 0.5, weight_decay=0.5)
    env.run(lambda ctx: optimizer.minimize(lg.sum(ctx.variable("a"))))
    assert (env["a"].tolist(), env["b"].tolist()) == ([0.25], [0.75])


def test_a_gradient_of_another_dtype_is_cast() -> None:
    """The parameter and its state keep theirs."""
    env = lg.VariableEnvironment()
    env.name("w").set(np.ones(2, "float32"))
    optimizer = lg.optim.Adam(env)
    env.run(lambda ctx: optimizer.update(["w"], [np.ones(2, "float64")]))
    assert {str(v.dtype) for v in env if v.path in ("w", "adam/w/m", "adam/w/v")} == {"float32"}


def test_settings_are_kept_in_double_precision() -> None:
    """β₂ᵗ near 1 would lose all digits in float32: after 10⁵ steps the rate is still right."""
    env = lg.VariableEnvironment()
    env.name("w").set(np.zeros(1, "float32"))
    optimizer = lg.optim.Adam(env, 0.1)
    env.run(lambda ctx: optimizer.update(["w"], [np.ones(1, "float32")]))
    np.testing.assert_allclose(env["w"], [-0.1], rtol=1e-6)
    env["adam/step"] = 99_999
    env["adam/w/m"] = [1.0]
    env["adam/w/v"] = [1.0]
    env["w"] = [0.0]
    env.run(lambda ctx: optimizer.update(["w"], [np.ones(1, "float32")]))
    np.testing.assert_allclose(env["w"], [-0.1], rtol=1e-6)


def test_a_new_optimizer_goes_on_from_saved_state(tmp_path: Any) -> None:
    """Step count, moments and settings come from the file, and the numbers go on to the bit."""
    path = tmp_path / "env.json"

    def training(env: lg.VariableEnvironment, optimizer: lg.optim.Optimizer) -> Callable[..., Any]:
        def step(ctx: lg.Context) -> Any:
            x = ctx.random.normal((4, 2))
            return optimizer.minimize(lg.mean(lg.square(x @ ctx.variable("w") - 1.0)))

        return step

    env = lg.VariableEnvironment(seed=2)
    env.name("w").set(np.ones((2, 1), "float32"))
    first = lg.optim.Adam(env, 0.1)
    step = training(env, first)
    for _ in range(3):
        env.run(step)
    first.learning_rate = 0.05
    env.save(path)
    loaded = lg.VariableEnvironment.load(path)
    second = lg.optim.Adam(loaded)
    assert (second.name, second.step_count, second.learning_rate) == ("adam", 3, 0.05)
    again = training(loaded, second)
    for _ in range(3):
        env.run(step)
        loaded.run(again)
    assert snapshot(loaded) == snapshot(env)


def test_an_optimizer_of_ones_own_is_one_formula() -> None:
    """A subclass writes the update of one parameter, and has state, settings and schedules."""

    class Heavy(lg.optim.Optimizer):
        slots = ("u",)

        def __init__(self, env: lg.VariableEnvironment, learning_rate: Any) -> None:
            super().__init__(env, {"learning_rate": learning_rate, "mass": -0.5})

        def step(self, p: Any, g: Any, state: Any, settings: Any) -> Any:
            u = settings["mass"].astype(p.dtype) * state["u"] + g * settings["t"].astype(p.dtype)
            return p - settings["learning_rate"].astype(p.dtype) * u, {"u": u}

    env = lg.VariableEnvironment(dtype="float64")
    env.name("p").set([0.0])
    optimizer = Heavy(env, schedules.Piecewise((1,), (1.0, 2.0)))
    for expected in (-1.0, -1.0 - 2 * 1.5):
        env.run(lambda ctx: optimizer.update(["p"], [np.ones(1)]))
        assert env["p"].tolist() == [expected]
    assert env["heavy/p/u"].tolist() == [1.5]


@pytest.mark.parametrize("wrap", [lambda adam: adam, lambda adam: lg.optim.accumulate(adam, 2)])
def test_an_attribute_of_another_library_is_answered(wrap: Callable[..., Any]) -> None:
    """Read or set: it would do nothing. One that is near is named; a user's own optimizer may have any."""
    env = lg.VariableEnvironment()
    optimizer = wrap(lg.optim.Adam(env))
    for name, cure in {"lr": "optimizer.learning_rate", "minimise": "'minimize'", "state_dict": "env.save"}.items():
        with pytest.raises(AttributeError) as refused:
            getattr(optimizer, name)
        assert f"no attribute '{name}'" in str(refused.value)
        assert cure in str(refused.value).splitlines()[-1]
    with pytest.raises(AttributeError) as refused:
        optimizer.lr = 0.1
    assert str(refused.value).endswith("Write optimizer.learning_rate.")
    assert not hasattr(optimizer, "__len__")

    class Own(lg.optim.Optimizer):
        """One with an attribute of its own."""

    own = Own(env, {"learning_rate": 0.1})
    own.lr = 0.5
    assert 0.5 == own.lr
