"""What the tests of layers share: a layer in both modes, and its slope against a difference quotient."""

import numpy as np

import lazygrad as lg


def numbers(*shape, seed=0):
    """Normal numbers, the same in every run; of another shape they are others."""
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def environment(seed=0):
    """One that computes in float64."""
    return lg.VariableEnvironment(seed=seed, dtype="float64")


def scrambled(env):
    """The environment with other numbers in every variable, so that no 0 and no 1 hides a mistake."""
    for v in env:
        env[v.path] = numbers(*v.shape, seed=len(v.path)) * 0.5 + (1 if "variance" in v.path else 0)
        if "variance" in v.path:
            env[v.path] = np.abs(env[v.path]) + 0.5
    return env


def both(env, f, *arrays):
    """What ``f`` gives by env.run, once it is known that env.compile gives the same."""

    def step(ctx, *xs):
        return f(*xs)

    result = env.run(step, *arrays)
    compiled = env.compile(step, wait=True)
    for other in (compiled(*arrays), compiled(*arrays)):
        for a, b in zip(flat(result), flat(other), strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_allclose(b, a, rtol=1e-12, atol=1e-12)
    return result


def flat(ys):
    """The arrays in nested tuples."""
    return [y for part in ys for y in flat(part)] if isinstance(ys, (tuple, list)) else [ys]


def check_slope(env, f, x):
    """Compare the gradient with a difference quotient, along a direction of ``x`` and all trainable variables."""
    h = 1e-5
    names = [v.path for v in env if v.trainable]
    moved = x.dtype.kind == "f"

    def value(ctx, x):
        return lg.sum(lg.sin(f(x)))

    def slopes(ctx, x):
        wrt = [ctx.variable(name) for name in names] + ([x] if moved else [])
        return lg.grad(value(ctx, x), wrt)

    start = {name: env[name] for name in names}
    ways = [numbers(*array.shape, seed=7) for array in [*start.values(), *([x] if moved else [])]]
    found = {mode: sum(np.sum(g * way) for g, way in zip(run(slopes, x), ways, strict=True)) for mode, run in (
        ("run", env.run), ("compile", lambda step, x: env.compile(step, wait=True)(x)))}  # fmt: skip
    ends = []
    for sign in (1, -1):
        for (name, array), way in zip(start.items(), ways, strict=False):
            env[name] = array + sign * h * way
        ends.append(env.run(value, x + sign * h * ways[-1] if moved else x))
    for name, array in start.items():
        env[name] = array
    expected = (ends[0] - ends[1]) / (2 * h)
    for mode, slope in found.items():
        np.testing.assert_allclose(slope, expected, rtol=1e-6, atol=1e-7, err_msg=mode)
