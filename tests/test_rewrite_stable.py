"""Stabilisation: formulas as one writes them down give the true value and gradient; see ``formulas.py``."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from formulas import FORMULAS, WIDE, Formula, softmax
from scipy import special

import lazygrad as lg
from lazygrad import nn, plan
from lazygrad.rewrite import optimized, prune, share


def step_of(formula: Formula) -> Any:
    """The formula and the gradient of its sum."""

    def step(ctx: lg.Context, x: lg.Tensor) -> tuple[lg.Tensor, lg.Tensor]:
        y = formula.written(x)
        return y, lg.grad(y, x)

    return step


def is_close(expected: Any, actual: Any, error: float, floor: float = 0) -> bool:
    """Whether each element is right up to roundings of itself, and up to roundings of the largest."""
    # Below the smallest normal number a float32 has fewer digits than elsewhere.
    size = np.maximum(np.abs(expected), np.finfo(np.float32).tiny)
    bound = np.finfo(np.float32).eps * (error * size + floor * np.max(size))
    with np.errstate(invalid="ignore"):
        return bool(np.all(np.abs(expected - actual.astype("f8")) <= bound))


def has_value(formula: Formula, actual: Any) -> bool:
    """Whether this is the value of a formula."""
    return is_close(formula.value(formula.x.astype("f8")), actual, formula.error)


def has_gradient(formula: Formula, actual: Any) -> bool:
    """Whether this is the gradient of a formula."""
    return is_close(formula.gradient(formula.x.astype("f8")), actual, formula.error, formula.floor)


@pytest.fixture(params=FORMULAS, ids=lambda formula: formula.name)
def formula(request: pytest.FixtureRequest) -> Formula:
    """Each formula of the table."""
    found: Formula = request.param
    return found


def test_a_formula_fails_as_it_is_written(formula: Formula, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without passes float32 has no right answer: what follows is their merit."""
    monkeypatch.setattr(plan, "optimized", prune)
    value, gradient = lg.VariableEnvironment().run(step_of(formula), formula.x)
    wrong = [] if has_value(formula, value) else ["value"]
    wrong += [] if has_gradient(formula, gradient) else ["gradient"]
    assert formula.fails == " ".join(wrong)


@pytest.mark.parametrize("way", ["run", "compile"])
def test_a_formula_gives_the_true_value(formula: Formula, way: str) -> None:
    """Run at once, or compiled."""
    value, _ = ran(formula, way)
    assert has_value(formula, value), (formula.value(formula.x.astype("f8")), value)


@pytest.mark.parametrize("way", ["run", "compile"])
def test_a_formula_has_the_true_gradient(formula: Formula, way: str) -> None:
    """The gradient was written before anything was stabilised, and comes out right all the same."""
    _, gradient = ran(formula, way)
    assert has_gradient(formula, gradient), (formula.gradient(formula.x.astype("f8")), gradient)


def ran(formula: Formula, way: str) -> Any:
    """Value and gradient, of the second call, which runs what the first one prepared."""
    env = lg.VariableEnvironment()
    step = step_of(formula)
    call = env.compile(step) if way == "compile" else lambda x: env.run(step, x)
    call(formula.x)
    return call(formula.x)


def test_what_is_needed_besides_stays_as_it_is() -> None:
    """A part that the user asks for overflows, and the formula around it does not."""

    def step(ctx: lg.Context, x: lg.Tensor) -> Any:
        e = lg.exp(x)
        s = lg.sum(e, axis=1)
        return e, s, lg.log(s), e / s[:, None]

    e, s, y, p = lg.VariableEnvironment().run(step, WIDE)
    with np.errstate(over="ignore"):
        assert np.array_equal(np.exp(WIDE), e)
    assert np.isinf(s[1])
    assert np.allclose(special.logsumexp(WIDE, axis=1), y, rtol=1e-6)
    assert np.allclose(softmax(WIDE), p, rtol=1e-5)


@pytest.mark.parametrize("place", [0, 4])
def test_nan_reaches_what_it_reaches_in_a_formula_as_it_is_written(
    formula: Formula, place: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In value and gradient: what cancels takes no NaN with it. One that overflow makes is gone, others stay."""
    x = formula.x.copy()
    x.flat[place] = np.nan
    after = lg.VariableEnvironment().run(step_of(formula), x)
    # As it is written, in numbers that do not overflow: no NaN there comes from anywhere else.
    monkeypatch.setattr(plan, "optimized", prune)
    mild = (0.01 * x).astype("f8")
    before = lg.VariableEnvironment().run(step_of(formula), mild)
    for written, stable in zip(before, after, strict=True):
        assert np.array_equal(np.isnan(written), np.isnan(stable)), (written, stable)


HALVES = {
    "log of a sum": (lambda x: lg.log(lg.sum(lg.exp(x), axis=1)), lambda x: special.logsumexp(x, axis=1)),
    "log of a mean": (
        lambda x: lg.log(lg.mean(lg.exp(x), axis=1)),
        lambda x: special.logsumexp(x, axis=1) - np.log(x.shape[1]),
    ),
    "quotient": (lambda x: lg.exp(x) / lg.sum(lg.exp(x), axis=1, keepdims=True), softmax),
    "log of a quotient": (
        lambda x: lg.log(lg.exp(x) / lg.sum(lg.exp(x), axis=1, keepdims=True)),
        lambda x: special.log_softmax(x, axis=1),
    ),
    "gradient": (lambda x: lg.grad(lg.sum(lg.log(lg.sum(lg.exp(x), axis=1))), x), softmax),
}


@pytest.mark.parametrize("way", ["run", "compile"])
@pytest.mark.parametrize("name", HALVES)
def test_sums_of_halves_are_stabilised_through_their_casts(name: str, way: str) -> None:
    """They are taken in float32, and eˣ of halves overflows from 11.1 on."""
    written, true = HALVES[name]
    x = np.array([[10, 20, 19.5], [-30, -31, -29], [0, 1, 300]], "float16")
    env = lg.VariableEnvironment()

    def step(ctx: lg.Context, x: lg.Tensor) -> lg.Tensor:
        return written(x)

    y = env.compile(step, wait=True)(x) if way == "compile" else env.run(step, x)
    assert np.float16 == y.dtype
    # e^(x - m) and x - log Σ keep as many digits as the difference has behind the point.
    assert np.allclose(true(x.astype("f8")), y, rtol=16 * np.finfo("float16").eps, atol=2 * np.finfo("float16").eps)


def test_rows_of_infinities_keep_their_sums() -> None:
    """log Σeˣ of −∞ alone is −∞, with +∞ it is +∞, with NaN it is NaN."""
    x = np.array([[-np.inf, -np.inf], [np.inf, 0], [np.nan, 1], [-np.inf, 2]], "float32")
    y = lg.VariableEnvironment().run(lambda ctx, x: lg.log(lg.sum(lg.exp(x), axis=1)), x)
    assert np.array_equal(np.array([-np.inf, np.inf, np.nan, 2], "float32"), y, equal_nan=True)


def test_a_sum_of_nothing_is_left_alone() -> None:
    """There is no largest of no elements."""
    y = lg.VariableEnvironment().run(lambda ctx, x: lg.log(lg.sum(lg.exp(x), axis=1)), np.ones((2, 0), "float32"))
    assert np.array_equal(np.full(2, -np.inf, "float32"), y)


def test_a_sum_beside_another_axis_is_not_shifted() -> None:
    """eˣ over the sums of the columns, laid beside the rows: no largest element is that of both."""
    x = np.array([[0.1, 0.7], [0.4, 0.2]])

    def step(ctx: lg.Context, x: lg.Tensor) -> lg.Tensor:
        return lg.exp(x) / lg.reshape(lg.sum(lg.exp(x), axis=0), (2, 1))

    y = lg.VariableEnvironment(dtype="float64").run(step, x)
    assert np.allclose(np.exp(x) / np.sum(np.exp(x), axis=0)[:, None], y, rtol=1e-15)


def test_the_sums_of_a_square_are_not_taken_for_those_of_its_other_axis() -> None:
    """eˣ / Σeˣ without a kept axis divides columns by the sums of rows, as in NumPy, and so does its gradient."""
    x = np.array([[0.1, 0.7], [0.4, 0.2]])

    def step(ctx: lg.Context, x: lg.Tensor) -> Any:
        y = lg.exp(x) / lg.sum(lg.exp(x), axis=1)
        return y, lg.grad(y, x)

    y, gradient = lg.VariableEnvironment(dtype="float64").run(step, x)
    e = np.exp(x)
    assert np.allclose(e / np.sum(e, axis=1), y, rtol=1e-15)
    sums = np.sum(e, axis=1)
    assert np.allclose(e * (1 / sums - (np.sum(e, axis=0) / sums**2)[:, None]), gradient, rtol=1e-14)


def test_what_has_been_shifted_is_not_shifted_again() -> None:
    """The functions of the language, and the trick written by hand, stay as they are."""

    def by_hand(ctx: lg.Context, x: lg.Tensor) -> lg.Tensor:
        z = x - lg.max(x, axis=1, keepdims=True)
        return lg.log(lg.sum(lg.exp(z), axis=1))

    for step in (by_hand, lambda ctx, x: nn.log_softmax(x), lambda ctx, x: lg.logsumexp(x, axis=1)):
        graph = optimized(lg.VariableEnvironment().trace(step, WIDE))
        assert "log_of_sum_of_exps" not in graph.rewrites
        assert 1 == [node.op.name for node in graph.nodes].count("max")


def test_a_shift_by_the_largest_of_another_axis_is_not_enough() -> None:
    """A row far below the largest of all rows would be lost."""

    def step(ctx: lg.Context, x: lg.Tensor) -> lg.Tensor:
        return lg.log(lg.sum(lg.exp(x - lg.max(x)), axis=1))

    y = lg.VariableEnvironment().run(step, WIDE)
    assert np.allclose(special.logsumexp(WIDE.astype("f8"), axis=1) - 300, y, rtol=1e-6)


@pytest.mark.parametrize("f", [nn.sigmoid, nn.tanh], ids=["sigmoid", "tanh"])
def test_a_value_and_its_derivative_share_one_exponential(f: Any) -> None:
    """Of the argument one number is computed that is dear, and from it both."""

    def step(ctx: lg.Context, x: lg.Tensor) -> Any:
        y = f(x)
        return y, lg.grad(y, x)

    names = [node.op.name for node in share(optimized(lg.VariableEnvironment().trace(step, WIDE))).nodes]
    assert 1 == sum(name.endswith("_seed") and "_of_" not in name for name in names)
    assert not {"exp", "sigmoid", "tanh", "logistic_slope", "tanh_slope"} & set(names)


def test_the_derivative_of_sigmoid_as_one_writes_it_is_the_op() -> None:
    """σ·(1 − σ) loses all digits where σ is near 1."""

    def step(ctx: lg.Context, x: lg.Tensor) -> Any:
        y = nn.sigmoid(x)
        return y * (1 - y)

    y = lg.VariableEnvironment().run(step, WIDE)
    np.testing.assert_allclose(
        y, special.expit(WIDE.astype("f8")) * special.expit(-WIDE.astype("f8")), rtol=5e-7, atol=1e-45
    )


def test_a_second_derivative_is_finite_too() -> None:
    """Of log(1 + eˣ) it is σ·(1 − σ), for large x as well."""

    def step(ctx: lg.Context, x: lg.Tensor) -> lg.Tensor:
        return lg.grad(lg.grad(lg.log(1 + lg.exp(x)), x), x)

    y = lg.VariableEnvironment().run(step, WIDE)
    assert np.allclose(special.expit(WIDE.astype("f8")) * special.expit(-WIDE.astype("f8")), y, atol=1e-7)


# Many at once: sums that lie in every way beside a square, which would hide an exchange of its axes from shapes.


def random_step(seed: int) -> Any:
    """Products, quotients and sums of exponentials drawn at random, the gradient of the last, and of its logarithm."""

    def step(ctx: lg.Context, x: lg.Tensor, w: lg.Tensor) -> list[lg.Tensor]:
        rng = np.random.default_rng(seed)
        e = lg.exp(x)
        made = [e, lg.exp(-x), 1 + e, w, nn.sigmoid(x)]
        for _ in range(8):
            a, b = (made[i] for i in rng.integers(0, len(made), 2))
            kind = rng.integers(6)
            axis = int(rng.integers(2))
            if kind == 0:
                made.append(lg.broadcast_to(lg.sum(e, axis=axis, keepdims=bool(rng.integers(2))), (3, 3)))
            elif kind == 1:
                made.append(lg.broadcast_to(lg.reshape(lg.sum(e * w, axis=axis), [(3, 1), (1, 3)][axis]), (3, 3)))
            elif kind == 2:
                made.append(a * b)
            elif kind == 3:
                made.append(a / b)
            elif kind == 4:
                made.append(a / lg.sum(e, axis=axis, keepdims=True) * e)
            else:
                made.append(a + b)
        y = made[-1]
        return [y, lg.log(y), lg.grad(y, x), lg.grad(lg.log(y), x), lg.grad(lg.log(lg.sum(y * e, axis=0)), x)]

    return step


USED: set[str] = set()


@pytest.mark.parametrize("seed", range(150))
def test_where_nothing_overflows_nothing_changes(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step of exponentials in any order, in float64, as it is written and after all passes."""
    rng = np.random.default_rng(seed)
    arrays = rng.uniform(-1, 1, (3, 3)), rng.uniform(0.5, 2, (3, 3))
    env = lg.VariableEnvironment(dtype="float64")
    after = env.run(random_step(seed), *arrays)
    USED.update(share(optimized(env.trace(random_step(seed), *arrays))).rewrites)
    monkeypatch.setattr(plan, "optimized", prune)
    before = lg.VariableEnvironment(dtype="float64").run(random_step(seed), *arrays)
    for expected, actual in zip(before, after, strict=True):
        # What is differentiated is of size 1, so a gradient that is 0 is a difference of such numbers.
        assert np.all(np.abs(expected - actual) <= 1e-12 * max(1, np.max(np.abs(expected))))


def test_the_random_steps_meet_every_rule_for_products() -> None:
    """Else the test before would prove little."""
    if not USED:
        pytest.skip("the random steps ran in another process")
    rules = {"exp_times_quotient", "exps_over_their_sum", "log_of_sum_of_exps", "logistic_times_quotient"}
    assert rules - USED == set()
