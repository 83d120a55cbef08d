"""What a step does beside computing what it returns: values it shows, and updates that nobody makes."""

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.define import opaque

pytestmark = pytest.mark.usefixtures("native")

X = np.array([1.0, 2.0, 3.0], "float32")


@pytest.fixture
def env():
    """An environment with one variable, w."""
    env = lg.VariableEnvironment(seed=0)
    env.name("w").set(np.ones(3, "float32"))
    return env


def times(env, step):
    """Ways to call a step: run, compiled on NumPy, and native."""
    compiled, native = env.compile(step), env.compile(step, wait=True)
    compiled(X)
    compiled.cancel()
    native(X)
    assert native.is_native
    return {"run": lambda x: env.run(step, x), "numpy": compiled, "native": native}


def test_what_is_shown_as_a_statement_is_shown_in_order_and_once(env, capsys):
    """Between values that are used and values that are not, beside a gradient, and before an update."""
    heard = []
    sgd = lg.optim.SGD(env, 0.0)

    def step(ctx, x):
        w = ctx.variable("w")
        (x * 2).show("twice")
        loss = lg.sum(lg.square(w * x)).show("loss")
        lg.exp(x - x).hook(lambda array: heard.append(array.tolist()))
        lg.grad(loss, w).show("gradient")
        x.show("x")
        x.show("x")
        return loss + 1, sgd.minimize(loss)

    shown = "twice: [2. 4. 6.]\nloss: 14.0\ngradient: [ 2.  8. 18.]\nx: [1. 2. 3.]\nx: [1. 2. 3.]\n"
    for name, call in times(env, step).items():
        capsys.readouterr()
        heard.clear()
        for _ in range(4):
            assert (15.0, None) == call(X), name
            assert shown == capsys.readouterr().out, name
        assert [[1, 1, 1]] * 4 == heard, name


def test_an_op_of_ones_own_that_is_not_pure_happens_as_a_statement(env):
    """Once in every run, in order with what is shown, though nothing reads its result; a pure one does not."""
    heard = []

    @opaque(shape=lambda x: x, pure=False)
    def noted(xp, x):
        """x, after noting it."""
        heard.append(("noted", x.tolist()))
        return x

    @opaque(shape=lambda x: x)
    def unread(xp, x):
        """x, after noting it, though it is said to be pure."""
        heard.append(("unread", x.tolist()))
        return x

    def step(ctx, x):
        noted(x * 2)
        unread(x)
        x.hook(lambda array: heard.append(("hook", array.tolist())))
        noted(x)
        return lg.sum(x)

    for name, call in times(env, step).items():
        for _ in range(3):
            heard.clear()
            assert call(X) == 6.0, name
            assert [("noted", [2, 4, 6]), ("hook", [1, 2, 3]), ("noted", [1, 2, 3])] == heard, name


@pytest.mark.parametrize("returned", [None, 5, ()])
def test_a_step_may_do_nothing_but_show(env, capsys, returned):
    """It has something to do, and returns what it returned."""

    def step(ctx, x):
        lg.sum(x).show("sum")
        return returned

    for call in times(env, step).values():
        capsys.readouterr()
        assert [returned, returned] == [call(X), call(X)]
        assert "sum: 6.0\nsum: 6.0\n" == capsys.readouterr().out


def test_what_is_shown_is_shown_by_the_first_evaluation_after_it(env, capsys):
    """And by no other; what needs a placeholder waits until that is fed."""

    def step(ctx, x):
        p = ctx.placeholder("p", ())
        p.show("p")
        x.show("x")
        print("sum", lg.sum(x).eval())
        (x + 1).show("more")
        for _ in range(2):
            print("run", *ctx.evaluator().push(p * 2).feed("p", 3.0).run())
        (x + 2).show("last")
        return x

    env.run(step, X)
    expected = "x: [1. 2. 3.]|sum 6.0|p: 3.0|more: [2. 3. 4.]|run 6.0|run 6.0|last: [3. 4. 5.]|"
    assert expected.replace("|", "\n") == capsys.readouterr().out


def test_a_placeholder_that_is_only_shown_must_be_fed(env):
    """In the end there is nothing that it could wait for."""

    def step(ctx):
        ctx.placeholder("p", ()).show("p")
        return ctx.variable("w")

    with pytest.raises(lg.FeedError, match="placeholder 'p' has no array"):
        env.run(step)


def test_a_hook_that_fails_changes_nothing(env):
    """It is part of the run, whose updates are made when all has been computed."""

    def step(ctx, x):
        x.hook(lambda array: 1 / 0)
        return ctx.assign("w", x)

    for call in (lambda: env.run(step, X), lambda: env.compile(step)(X), lambda: env.compile(step, wait=True)(X)):
        with pytest.raises(ZeroDivisionError):
            call()
        assert [1, 1, 1] == env["w"].tolist()


UNASKED = {
    "ctx.assign": lambda ctx, loss, env: ctx.assign("w", ctx.variable("w") + 1),
    "minimize": lambda ctx, loss, env: lg.optim.SGD(env, 0.1, name="sgd").minimize(loss),
    "lg.group": lambda ctx, loss, env: lg.group(ctx.assign("w", loss * X), ctx.assign("v", loss)),
}


@pytest.mark.parametrize("write", UNASKED.values(), ids=UNASKED)
@pytest.mark.parametrize("returned", ["the loss", "another update", "a number"])
def test_an_update_that_is_neither_returned_nor_pushed_is_an_error(env, write, returned):
    """Whatever else the step returns; nothing changes, and nothing stays registered."""
    env.name("v").set(0.0)
    env.name("other").set(0.0)

    def step(ctx, x):
        loss = lg.sum(ctx.variable("w") * x)
        write(ctx, loss, env)
        return {"the loss": loss, "another update": ctx.assign("other", 1), "a number": 1}[returned]

    for call in (env.run, lambda step, x: env.compile(step)(x), env.trace):
        with pytest.raises(lg.GraphError, match="writes an update, and neither returns nor pushes it"):
            call(step, X)
        assert {"w": [1, 1, 1], "v": 0, "other": 0} == {v.path: v.value.tolist() for v in env}


def test_the_error_says_where_the_update_is_written(env):
    """And of what."""

    def step(ctx, x):
        loss = lg.sum(ctx.variable("w") * x)
        ctx.assign("w", x + loss)
        return loss

    with pytest.raises(lg.GraphError) as caught:
        env.run(step, X)
    line = step.__code__.co_firstlineno + 2
    assert str(caught.value) == (
        "the step writes an update, and neither returns nor pushes it\n\n"
        f'    ctx.assign("w", x + loss)                       tests/test_effects.py:{line}, in step\n\n'
        "    update:  of 'w'\n"
        "    Nothing would change it.\n"
        "    Return it with the rest, such as `return loss, update`, or push it; do not write one that is not wanted."
    )


def test_an_update_that_is_pushed_need_not_be_returned(env):
    """It has happened by then; and one that is pushed twice happens twice."""

    def step(ctx, x):
        update = ctx.assign("w", ctx.variable("w") + 1)
        for _ in range(2):
            ctx.evaluator().push(update).run()
        return 7

    assert 7 == env.run(step, X)
    assert [3, 3, 3] == env["w"].tolist()
