"""The flow of the Nile and the path of a ship, followed by Kalman filters whose noises are learned.

A state moves and is observed, both with noise: x' = F·x + w, w ~ N(0, Q), and y = H·x + v, v ~ N(0, R). The Kalman
filter goes through the observations, one turn of a loop each, and gives besides the state the likelihood of what was
observed. Its gradient goes back through the filter; `lg.optimize` finds the noises that make it largest, and second
derivatives say how sure they are. Two models: the *local level*, whose state is one number that wanders, for the flow
of the Nile at Aswan from 1871 to 1970 (Cobb 1978; Durbin and Koopman 2012, §2), where a dam was begun in 1898; and a
ship that is seen at noisy places, whose state is place and speed.

    python examples/kalman.py
    python examples/kalman.py --quick --mode run
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import Any

import numpy as np

import lazygrad as lg
from common import Results, options, runner, start

# The annual flow in 10⁸ m³. The record is in the public domain, and comes with R (`Nile`) and with statsmodels.
# fmt: off
NILE = np.array([
    1120, 1160, 963, 1210, 1160, 1160, 813, 1230, 1370, 1140, 995, 935, 1110, 994, 1020, 960, 1180, 799, 958, 1140,
    1100, 1210, 1150, 1250, 1260, 1220, 1030, 1100, 774, 840, 874, 694, 940, 833, 701, 916, 692, 1020, 1050, 969,
    831, 726, 456, 824, 702, 1120, 1100, 832, 764, 821, 768, 845, 864, 862, 698, 845, 744, 796, 1040, 759,
    781, 865, 845, 944, 984, 897, 822, 1010, 771, 676, 649, 846, 812, 742, 801, 1040, 860, 874, 848, 890,
    744, 749, 838, 1050, 918, 986, 797, 923, 975, 815, 1020, 906, 901, 1170, 912, 746, 919, 718, 714, 740,
], dtype=float)
# fmt: on
YEARS = np.arange(1871, 1971)
DAM = 1898
PUBLISHED = np.array([15099.0, 1469.1])  # variances of the observation and of the level, Durbin and Koopman, p. 37
TRUE = np.array([2.0, 0.05])  # of the ship: standard errors of a place that is seen, and of what turns it in a step
STEPS = 200


def filtered(model: Any, first: Any, ys: Any) -> tuple[Any, Any, Any]:
    """Means and covariances of the state, (T, n) and (T, n, n), and the log likelihood.

    Args:
        model: F, H, Q and R.
        first: mean and covariance of the state before the first observation moves it.
        ys: observations, (T, k).
    """
    f, h, q, r = model

    def turn(state, y):
        m, p = state
        m, p = f @ m, f @ p @ f.T + q
        error, s = y - h @ m, h @ p @ h.T + r
        gain = lg.linalg.solve(s, h @ p).T
        likely = -0.5 * (lg.linalg.slogdet(s)[1] + error @ lg.linalg.solve(s, error) + len(error) * np.log(2 * np.pi))
        m, p = m + gain @ error, p - gain @ h @ p
        return (m, p), (m, p, likely)

    _, (means, covariances, likely) = lg.scan(turn, first, ys)
    return means, covariances, lg.sum(likely)


def smoothed(model: Any, means: Any, covariances: Any) -> tuple[Any, Any]:
    """The same for a state that is known by all observations: backwards (Rauch, Tung and Striebel 1965)."""
    f, _, q, _ = model

    def turn(later, now):
        (m_later, p_later), (m, p) = later, now
        ahead = f @ p @ f.T + q
        gain = lg.linalg.solve(ahead, f @ p).T
        m, p = m + gain @ (m_later - f @ m), p + gain @ (p_later - ahead) @ gain.T
        return (m, p), (m, p)

    last = means[-1], covariances[-1]
    _, (ms, ps) = lg.scan(turn, last, (means[:-1], covariances[:-1]), reverse=True)
    return lg.concat([ms, means[-1:]]), lg.concat([ps, covariances[-1:]])


def level(logarithms: Any) -> Any:
    """The local level: the variances of the observation and of the level, by their logarithms."""
    one, (seen, moved) = lg.ones((1, 1), dtype="float64"), lg.unstack(lg.exp(logarithms))
    return one, one, moved * one, seen * one


def begun(logarithms: Any, ys: Any) -> Any:
    """The level after the first observation, if nothing was known before it."""
    return ys[0], lg.exp(logarithms[0]) * lg.ones((1, 1), dtype="float64")


def ship(logarithms: Any) -> Any:
    """Place and speed in two directions, of which the places are seen: standard errors by their logarithms."""
    seen, turned = lg.unstack(lg.exp(2 * logarithms))
    motion = np.eye(4) + np.eye(4, k=2)
    # The speed changes by a random amount, half of which the place has gone along within the step.
    way = np.concatenate([np.eye(2) / 2, np.eye(2)])
    return lg.asarray(motion), lg.asarray(np.eye(2, 4)), turned * (way @ way.T), seen * np.eye(2)


def voyage(rng: np.random.Generator, steps: int) -> tuple[Any, Any]:
    """Where a ship is, and where it is seen."""
    way = np.concatenate([np.eye(2) / 2, np.eye(2)])
    state, states = np.array([0.0, 0.0, 0.5, 0.2]), []
    for _ in range(steps):
        state = (np.eye(4) + np.eye(4, k=2)) @ state + way @ (TRUE[1] * rng.normal(size=2))
        states.append(state)
    places = np.array(states)[:, :2]
    return places, places + TRUE[0] * rng.normal(size=places.shape)


def fitted(env: Any, name: str, guess: Any, likelihood: Any, ys: Any, mode: str) -> tuple[Any, Any, float]:
    """The logarithms that make the observations likeliest, their covariance, and the log likelihood."""
    logarithms = env.name(name).set(guess)

    @env.compile
    def negative(ctx, ys):
        return -likelihood(ctx.variable(logarithms), ys) / len(ys)

    lg.optimize.minimize(negative, ys)

    def curvature(ctx, ys):
        x = ctx.variable(logarithms)
        value = likelihood(x, ys)
        return value, lg.hessian(value, x)

    value, hessian = runner(env, curvature, mode)(ys)
    return lg.to_numpy(env[name]), np.linalg.inv(-hessian), float(value)


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Learn the noises of both models, and follow their states."""
    given = options(__doc__, mode="compile").parse_args(argv)
    results = Results("kalman", given)
    env = lg.VariableEnvironment(backend=given.backend, seed=given.seed, dtype="float64")
    nile(env, results, given)
    tracked(env, results, given)
    return results.write()


def nile(env: Any, results: Results, given: Any) -> None:
    """The level of the Nile."""
    ys = NILE[:40, None] if given.quick else NILE[:, None]

    def likelihood(logarithms, ys):
        return filtered(level(logarithms), begun(logarithms, ys), ys[1:])[2]

    logarithms, covariance, likely = fitted(env, "level", np.log([10000.0, 10000.0]), likelihood, ys, given.mode)
    variances, errors = np.exp(logarithms), np.exp(logarithms) * np.sqrt(np.diag(covariance))
    theirs = statsmodels_level(ys[:, 0])
    beside = PUBLISHED if theirs is None else theirs
    source = "Durbin and Koopman" if theirs is None else "statsmodels"
    rows = [
        [name, *row]
        for name, *row in zip(
            ["of an observation", "of the level in a year"], variances, errors, PUBLISHED, beside, strict=True
        )
    ]
    results.table("Variances of the Nile's flow", ["", "learned", "standard error", "published", source], rows)
    results.number("Nile: variance of an observation", variances[0])
    results.number("Nile: variance of the level", variances[1])
    results.number("Nile: log likelihood", likely)

    def followed(ctx, logarithms, ys):
        model = level(logarithms)
        means, covariances, _ = filtered(model, begun(logarithms, ys), ys[1:])
        return smoothed(model, means, covariances)

    means, covariances = runner(env, followed, given.mode)(logarithms, ys)
    middle, width = means[:, 0], 1.96 * np.sqrt(covariances[:, 0, 0])
    years = YEARS[1 : len(ys)]
    results.number(
        "Nile: level before the dam less that after it", middle[years < DAM].mean() - middle[years > DAM].mean()
    )
    axes = results.figure("nile", "The flow of the Nile, and its level with 95% bands.").add_subplot()
    axes.set(xlabel="year", ylabel="flow (10⁸ m³)")
    axes.scatter(YEARS[: len(ys)], ys[:, 0], s=12, color="0.5", linewidths=0, label="observed")
    axes.plot(years, middle, color="tab:blue", label="level")
    axes.fill_between(years, middle - width, middle + width, color="tab:blue", alpha=0.2, linewidth=0)
    axes.axvline(DAM, color="tab:red", linestyle=":", label="the dam is begun")
    axes.legend(frameon=False)


def statsmodels_level(y: Any) -> Any:
    """What statsmodels makes of the same model, or None where it is not installed."""
    if importlib.util.find_spec("statsmodels") is None:
        return None
    from statsmodels.tsa.statespace.structural import UnobservedComponents

    model = UnobservedComponents(y, "local level", use_exact_diffuse=True)
    return model.fit(disp=False, pgtol=1e-9, factr=10.0, maxiter=500).params


def tracked(env: Any, results: Results, given: Any) -> None:
    """The path of the ship."""
    true, seen = voyage(np.random.default_rng(given.seed), 40 if given.quick else STEPS)
    first = np.array([*seen[0], 0, 0]), np.diag([10.0, 10.0, 1.0, 1.0])

    def likelihood(logarithms, ys):
        return filtered(ship(logarithms), (lg.asarray(first[0]), lg.asarray(first[1])), ys)[2]

    logarithms, covariance, likely = fitted(env, "ship", np.log([1.0, 0.3]), likelihood, seen, given.mode)
    found = np.exp(logarithms)
    errors = found * np.sqrt(np.diag(covariance))
    names = ["of a place that is seen", "of what turns the ship"]
    rows = [[name, *row] for name, *row in zip(names, TRUE, found, errors, strict=True)]
    results.table("Standard errors of the ship", ["", "true", "learned", "standard error"], rows)
    results.number("ship: log likelihood", likely)

    def followed(ctx, logarithms, ys):
        model = ship(logarithms)
        means, covariances, _ = filtered(model, (lg.asarray(first[0]), lg.asarray(first[1])), ys)
        return means, *smoothed(model, means, covariances)

    means, smooth, _ = runner(env, followed, given.mode)(logarithms, seen)
    for name, places in [("seen", seen), ("filtered", means[:, :2]), ("smoothed", smooth[:, :2])]:
        results.number(f"ship: distance from the true place, {name}", np.sqrt(np.mean(np.sum((places - true) ** 2, 1))))
    results.number("ship: largest deviation (standard errors)", np.max(np.abs(found - TRUE) / errors))
    axes = results.figure(
        "ship", "The path of a ship, where it was seen, and what the filter makes of it."
    ).add_subplot()
    axes.set(xlabel="east", ylabel="north")
    axes.scatter(*seen.T, s=8, color="0.6", linewidths=0, label="seen")
    axes.plot(*true.T, color="tab:blue", linewidth=3, alpha=0.4, label="true")
    axes.plot(*smooth[:, :2].T, color="tab:red", linewidth=1, label="smoothed")
    axes.legend(frameon=False)


if __name__ == "__main__":
    start(main)
