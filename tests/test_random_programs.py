"""Random programs: lazygrad, run in every way there is, beside plain NumPy; see ``programs.py``.

Programs are of three families. *Exact* ones compute with small whole numbers in every dtype, where no order of
summation rounds: everything must agree bit for bit, whatever lies in which memory. *Smooth* ones compute with
real numbers, where NumPy itself rounds otherwise in another memory layout: they must agree to rounding, and
their gradients with difference quotients. *Wild* ones compute with what wraps, overflows and is no number, see
``wild_programs.py``; they are tried on a double of CuPy too.

As many as one likes are tried by::

    LAZYGRAD_PROGRAMS=20000 python -m pytest -n auto tests/test_random_programs.py
"""

from __future__ import annotations

import functools
import os
import warnings

import numpy as np
import pytest
from hypothesis import Phase, given, seed, settings
from hypothesis import strategies as st
from programs import TWIN, exact_program, small, smooth_program, usable
from wild_programs import updated, wild, wild_program

import lazygrad as lg
from lazygrad.engine.agreement import NUDGES, disagreement, nudge
from lazygrad.engine.runner import interpret
from lazygrad.testing import check_gradient

PARTS = 8  # of the programs of each family, so that several processes can share them
# All programs, of fifteen eight exact, three smooth and four wild; more of them where native code is what is tested.
PROGRAMS = int(os.environ.get("LAZYGRAD_PROGRAMS", 2400 if os.environ.get("LAZYGRAD_CHECK") == "1" else 1200))
EXACT, SMOOTH, WILD = (-(-PROGRAMS * share // (15 * PARTS)) for share in (8, 3, 4))


def reference(program, function, state, arguments):
    """What the program must return and what the variables must become; None if sums would round."""
    with np.errstate(all="ignore"):
        values = dict(zip(program.names, function(TWIN, *state, *arguments), strict=True))
    if not all(usable(v) for v in values.values()):
        return None
    new = list(state)
    for k, name in program.updates.items():
        new[k] = np.asarray(values[name]).astype(state[k].dtype)
    return [np.asarray(values[name]) for name in program.outputs], new


def step_of(program, function):
    """The program as a step of an environment with the variables ``a``, ``b``, ``c``."""

    def step(ctx, *arguments):
        read = [ctx.variable("abc"[k]) for k in range(len(program.variables))]
        values = dict(zip(program.names, function(lg, *read, *arguments), strict=True))
        updates = [ctx.assign("abc"[k], values[name]) for k, name in program.updates.items()]
        return [values[name] for name in program.outputs], updates

    return step


def same(expected, actual):
    """Bit for bit, but that 0.0 equals -0.0: which of them a sum of signed zeros gives depends on its order."""
    assert (expected.shape, expected.dtype) == (actual.shape, actual.dtype)
    assert np.array_equal(expected, actual), (expected, actual)


def check_exact(program, runs=4):
    """Four runs in a row by ``env.run`` and by ``env.compile``, each on new arguments and the state so far."""
    function = program.function()
    for compiled in (False, True):
        env = lg.VariableEnvironment(seed=0, dtype="float64")
        for k, value in enumerate(program.variables):
            env.name("abc"[k]).set(value)
        step = step_of(program, function)
        call = env.compile(step) if compiled else lambda *args, env=env, step=step: env.run(step, *args)
        rng = np.random.default_rng(7)
        state, arguments, given = program.variables, program.arguments, []
        for _ in range(runs):
            expected = reference(program, function, state, arguments)
            if expected is None:
                break
            before = [a.copy() for a in arguments]
            values, _ = call(*arguments)
            outputs, state = expected
            for want, got in zip(outputs, values, strict=True):
                same(want, got)
            for k, want in enumerate(state):
                same(want, env["abc"[k]])
            for want, got in zip(before, arguments, strict=True):
                same(want, got)
            given.append((outputs, values))
            arguments = [small(rng, a.shape, a.dtype) for a in arguments]
        for outputs, values in given:  # what a run returned, no later run has changed
            for want, got in zip(outputs, values, strict=True):
                same(want, got)


def close(expected, actual, roundings=64):
    """Up to ``roundings`` units of the largest element: some ten ops, each rounding once; most programs need none."""
    expected, actual = np.asarray(expected), np.asarray(actual)
    assert (expected.shape, expected.dtype) == (actual.shape, actual.dtype)
    scale = max(1.0, float(np.max(np.abs(expected), initial=0)))
    assert np.all(np.abs(expected - actual) <= roundings * np.finfo(expected.dtype).eps * scale), (expected, actual)


def check_smooth(program):
    """Values, and the gradient of a number made of them, run in every way, and beside difference quotients."""
    for dtype in ("float64", "float32"):
        check_rounding(program, dtype)
    if any(a.size for a in program.arguments):
        function = program.function()
        chosen = [program.names.index(name) for name in program.outputs]
        check_gradient(lambda *xs: [function(lg, *xs)[k] for k in chosen], *program.arguments, order=1)


def check_rounding(program, dtype):
    """Values beside NumPy's, and the gradient of a scalar made of them, run in every way."""
    function = program.function()
    arguments = [a.astype(dtype) for a in program.arguments]
    with np.errstate(all="ignore"):
        values = dict(zip(program.names, function(TWIN, *arguments), strict=True))
    expected = [np.asarray(values[name]) for name in program.outputs]

    def step(ctx, *xs):
        values = dict(zip(program.names, function(lg, *xs), strict=True))
        outputs = [values[name] for name in program.outputs]
        total = lg.add_n([lg.sum(lg.sin(y)) for y in outputs])
        return outputs, lg.grad(total, list(xs))

    env = lg.VariableEnvironment(dtype=dtype)
    compiled = env.compile(step)
    results = [env.run(step, *arguments), env.run(step, *arguments), *(compiled(*arguments) for _ in range(3))]
    for number, (outputs, grads) in enumerate(results):
        if number > 1 and compiled.is_native:
            close_to_native(env, compiled, arguments, [*outputs, *grads], [*expected, *results[0][1]])
            continue
        for want, got in zip(expected, outputs, strict=True):
            close(want, got)
        for want, got in zip(results[0][1], grads, strict=True):
            close(want, got)


def close_to_native(env, compiled, arguments, native, expected):
    """Native code rounds otherwise than NumPy in every op: what moving last bits changes, it may change too."""
    if any(disagreement(got, want) for got, want in zip(native, expected, strict=True)):
        rng = np.random.default_rng(0)
        nudged = []
        plan = compiled.plan
        names = sorted(plan.placeholders)
        bound = {plan.placeholders[name]: arguments[int(name.removeprefix("argument"))] for name in names}
        bound.update({i: compiled._last.constants[number] for i, number in plan.constants.items()})
        for _ in range(NUDGES):
            arrays = interpret(plan, env._store.backend, bound, env._store.drawing, lambda array: nudge(array, rng))
            nudged.append([arrays[i] for i in plan.values])
        for got, want, *others in zip(native, expected, *nudged, strict=True):
            assert disagreement(got, want, others) is None, (got, want)


def same_wild(expected, actual, rough):
    """Bit for bit, but for the sign of 0; if it is rough, as near as a function of its own rounding comes."""
    assert (expected.shape, expected.dtype) == (actual.shape, actual.dtype), (expected, actual)
    if expected.dtype.kind != "f":
        assert np.array_equal(expected, actual), (expected, actual)
    elif not rough:
        assert np.array_equal(expected, actual, equal_nan=True), (expected, actual)
    else:
        with np.errstate(all="ignore"):
            near = np.isclose(expected, actual, rtol=64 * float(np.finfo(expected.dtype).eps), atol=0, equal_nan=True)
            tiny = np.abs(expected) < 8 * np.finfo(expected.dtype).tiny
            assert np.all(near | (tiny & (np.abs(actual) < 8 * np.finfo(expected.dtype).tiny))), (expected, actual)


def check_wild(program, runs=3):
    """Runs in a row by ``env.run``, by native code and on a double of CuPy, each on new arguments."""
    function = program.function()
    step = step_of(program, function)
    for way in ("run", "compile", "cupy"):
        env = lg.VariableEnvironment(seed=0, dtype="float64", backend="cupy" if way == "cupy" else "numpy")
        for k, value in enumerate(program.variables):
            env.name("abc"[k]).set(value)
        call = env.compile(step, wait=True) if way == "compile" else functools.partial(env.run, step)
        rng = np.random.default_rng(7)
        state, arguments = program.variables, program.arguments
        for _ in range(runs):
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                expected = dict(zip(program.names, function(TWIN, *state, *arguments), strict=True))
                state = [updated(expected[program.updates.get(k, f"v{k}")], v) for k, v in enumerate(state)]
            values, _ = call(*arguments)
            for name, got in zip(program.outputs, values, strict=True):
                same_wild(np.asarray(expected[name]), on_host(got), name in program.rough)
            for k, want in enumerate(state):
                same_wild(want, on_host(env["abc"[k]]), program.updates.get(k) in program.rough)
            arguments = [wild(rng, a.shape, a.dtype) for a in arguments]


def on_host(array):
    """An array of the double of CuPy as one of NumPy."""
    return array.get() if hasattr(array, "get") else array


def checked(program, check):
    """Run a check; if it fails, show the smallest part of the program for which it does."""
    try:
        check(program)
    except Exception:
        for smaller in program.parts():
            try:
                check(smaller)
            except Exception as reason:
                raise AssertionError(f"{smaller!r}\n{reason}") from reason
        raise


# Shrinking the seed of a program would not make it smaller: ``checked`` does.
PHASES = [Phase.generate]


@pytest.mark.thinned(8)
@pytest.mark.parametrize("part", range(PARTS))
def test_an_exact_program_gives_numpys_numbers_in_every_way_it_can_be_run(part):
    """Values, updates and arguments agree bit for bit, and no later run changes what was returned."""

    @seed(part)
    @settings(max_examples=EXACT, phases=PHASES)
    @given(st.randoms(use_true_random=True))
    def check(random):
        checked(exact_program(random), check_exact)

    check()


@pytest.mark.thinned(8)
@pytest.mark.parametrize("part", range(PARTS))
def test_a_smooth_program_gives_numpys_numbers_and_the_gradient_of_difference_quotients(part):
    """Values and gradients agree to rounding however it is run, and with central differences in float64."""

    @seed(part)
    @settings(max_examples=SMOOTH, phases=PHASES)
    @given(st.randoms(use_true_random=True))
    def check(random):
        checked(smooth_program(random), check_smooth)

    check()


@pytest.mark.thinned(8)
@pytest.mark.parametrize("part", range(PARTS))
def test_a_wild_program_gives_numpys_numbers_in_every_way_it_can_be_run(part, double):
    """Whole numbers wrap, and NaN, infinities and denormals go where NumPy has them go."""

    @seed(part)
    @settings(max_examples=WILD, phases=PHASES)
    @given(st.randoms(use_true_random=True))
    def check(random):
        checked(wild_program(random), check_wild)

    check()
