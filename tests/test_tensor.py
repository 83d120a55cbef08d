"""Tensors as their user holds them: compared by elements, hashed by what they are."""

import numpy as np
import pytest

import lazygrad as lg

X = np.array([1.0, np.nan, 3.0], "float32")
OTHERS = {
    "a number": 1,
    "a number of NumPy": np.float32(3.0),
    "an array": np.array([1.0, 2.0, 3.0], "float32"),
    "a list": [1.0, 2.0, 3.0],
    "an array of one": np.array([3.0], "float32"),
}


def both(step, *args):
    """What a step returns when it is run; that of the compiled step must be the same."""
    env = lg.VariableEnvironment(seed=1)
    got = env.run(step, *args)
    compiled = env.compile(step, wait=True)(*args)
    assert [a.tolist() for a in got] == [a.tolist() for a in compiled]
    return got


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_equals_and_differs_compare_elements_with_anything_on_either_side(other):
    """What a comparison gives is what NumPy gives for the arrays."""
    got = both(lambda ctx, x: [x == other, other == x, x != other, other != x], X)
    wanted = [np.asarray(other) == X, np.asarray(other) != X]
    assert [w.tolist() for w in wanted for _ in range(2)] == [g.tolist() for g in got]


def test_two_tensors_are_compared_by_elements():
    """The same node, computed twice, and a view of it all compare as their elements do."""
    same, again, reverse = both(lambda ctx, x: [x == x, x + 1 == x + 1, x == x[::-1]], X)
    assert [True, False, True] == same.tolist() == again.tolist()
    assert [False, False, False] == reverse.tolist()


def test_what_is_no_number_is_found_by_comparing_with_itself():
    """``where(x != x, 0, x)`` replaces NaN, and passes the gradient to the rest."""

    def step(ctx, x):
        y = lg.where(x != x, 0, x)
        return [y, lg.grad(y, x)]

    y, g = both(step, X)
    assert [[1, 0, 3], [1, 0, 1]] == [y.tolist(), g.tolist()]


def test_a_tensor_is_found_in_a_dict_and_a_set_by_identity():
    """Two tensors of equal elements are two keys, and the variable is one tensor however often it is asked for."""
    env = lg.VariableEnvironment()
    env.name("w").set(X)

    def step(ctx):
        w = ctx.variable("w")
        a, b = w + 1, w + 1
        known = {a: "a", b: "b", w: "w"}
        assert ("a", "b", "w") == (known[a], known[b], known[ctx.variable("w")])
        assert len({a, b, a, w}) == 3
        return w

    env.run(step)
    env.compile(step)()


def test_what_has_no_elements_is_never_equal():
    """A tensor beside None, a name or a type is another thing, as in Python, and no error."""

    def step(ctx, x):
        for other in (None, "auto", int, {}, object()):
            assert [False, False] == [x == other, other == x]
            assert [True, True] == [x != other, other != x]
        return [x[::2]]

    both(step, X)


@pytest.mark.parametrize("used", [lambda x: bool(x == x), lambda x: x in [x + 1], lambda x: [x] == [x + 1]])
def test_a_comparison_has_no_truth_while_the_graph_is_written(used):
    """A comparison used as a condition, also by a list that looks for its items, says what to write."""
    with pytest.raises(lg.TraceError, match=r"cannot turn bool\[3\] into a bool: .*[\s\S]*Write lg.where\("):
        lg.VariableEnvironment().run(lambda ctx, x: used(x), X)


def test_shapes_that_do_not_fit_are_refused():
    """Elements of arrays that do not broadcast cannot be compared: an error, not False."""
    with pytest.raises(lg.SpecError, match=r"cannot equal float32\[3\] and float32\[2\]"):
        lg.VariableEnvironment().run(lambda ctx, x: x == x[:2], X)


def test_an_optimizer_finds_a_variable_that_is_named_twice():
    """The same variable by its name and by its tensor is one, and is refused."""
    env = lg.VariableEnvironment()
    env.name("w").set(np.ones(3))
    sgd = lg.optim.SGD(env, 0.1)

    def step(ctx):
        w = ctx.variable("w")
        return sgd.update(["w", w], [w, w])

    with pytest.raises(lg.GraphError, match="cannot update variable 'w' twice"):
        env.run(step)
    assert [1, 1, 1] == env["w"].tolist()
