"""Eight schools by Hamiltonian Monte Carlo: many chains and many transitions in one step.

In each of eight schools a coaching programme was seen to have an effect on test scores, with a standard error (Rubin
1981). How large is the effect on average, μ, and how much does it differ from school to school, τ? A transition draws
momenta, goes along a trajectory of leapfrog turns, and accepts or refuses its end (Neal 2011). The turns are a loop,
and so are the transitions: the draws of each are fresh, and all chains go side by side as rows of an array. The effects
are sampled as μ + τ·η, *non-centred*, which spares the sampler a narrow funnel (Betancourt and Girolami 2015).

    python examples/hmc.py
    python examples/hmc.py --quick --mode run
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

import lazygrad as lg
from common import Results, options, progress, runner, start

EFFECT = np.array([28.0, 8, -3, 7, -1, 1, 18, 12])
ERROR = np.array([15.0, 10, 16, 11, 9, 11, 10, 18])
SIZE, TURNS = 0.35, 12  # of a leapfrog turn, and how many are a trajectory
CHAINS, WARM, DRAWS, BLOCK = 64, 200, 1000, 50
# Means and standard deviations of the posterior with the priors μ ~ N(0, 5) and τ ~ half-Cauchy(0, 5), by
# quadrature over μ and log τ. The reference draws of posteriordb, eight_schools_noncentered, have means 4.4 and 3.6.
EXACT = {"mu": (4.397, 3.318), "tau": (3.598, 3.220), "school A": (6.212, 5.593), "school C": (3.927, 5.263)}


def log_density(q: Any) -> Any:
    """Of μ, log τ and eight η, one row a chain."""
    mu, log_tau, eta = q[:, :1], q[:, 1:2], q[:, 2:]
    tau = lg.exp(log_tau)
    prior = lg.stats.norm.logpdf(mu, 0, 5) + lg.stats.halfcauchy.logpdf(tau, 0, 5) + log_tau
    schools = lg.stats.norm.logpdf(eta) + lg.stats.norm.logpdf(EFFECT, mu + tau * eta, ERROR)
    return prior[:, 0] + lg.sum(schools, axis=1)


def slope(q: Any) -> Any:
    """The gradient of the logarithm of the density."""
    return lg.grad(log_density(q), q)


def leapfrog(q: Any, p: Any) -> tuple[Any, Any]:
    """The end of a trajectory: half a turn of the momenta, whole turns of both, and half a turn back."""

    def turn(_, state):
        q, p = state
        q = q + SIZE * p
        return q, p + SIZE * slope(q)

    q, p = lg.fori_loop(0, TURNS, turn, (q, p + SIZE / 2 * slope(q)))
    return q, p - SIZE / 2 * slope(q)


def transitions(ctx: Any, q: Any, count: int) -> tuple[Any, Any, Any]:
    """The last states of all chains, the states after each transition, and how many were accepted."""

    def transition(q, _):
        p = ctx.random.normal(q.shape)
        end, q_end, p_end = lg.log(ctx.random.uniform(q.shape[:1])), *leapfrog(q, p)
        gained = log_density(q_end) - log_density(q) + (lg.sum(p**2, axis=1) - lg.sum(p_end**2, axis=1)) / 2
        accepted = end < gained
        q = lg.where(accepted[:, None], q_end, q)
        return q, (q, lg.mean(lg.astype(accepted, "float64")))

    last, (states, rates) = lg.scan(transition, q, length=count)
    return last, states, lg.mean(rates)


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Sample, compare with the published posterior, and say whether the chains agree."""
    given = options(__doc__, mode="compile").parse_args(argv)
    results = Results("hmc", given)
    env = lg.VariableEnvironment(backend=given.backend, seed=given.seed, dtype="float64")
    chains, warm, draws, block = (8, 10, 20, 5) if given.quick else (CHAINS, WARM, DRAWS, BLOCK)
    q = env.name("q").set(np.random.default_rng(given.seed).normal(size=(chains, 2 + len(EFFECT))))

    def sample(ctx):
        last, states, rate = transitions(ctx, ctx.variable(q), block)
        return states, rate, ctx.assign(q, last)

    run = runner(env, sample, given.mode)
    began = time.perf_counter()
    blocks = [run() for _ in progress((warm + draws) // block, "block")]
    results.number("seconds to sample", time.perf_counter() - began)
    states, rate = np.concatenate([block[0] for block in blocks]), np.mean([block[1] for block in blocks])
    mu, tau = states[warm:, :, 0], np.exp(states[warm:, :, 1])
    schools = mu[..., None] + tau[..., None] * states[warm:, :, 2:]
    found = {"mu": mu, "tau": tau, "school A": schools[..., 0], "school C": schools[..., 2]}
    rows = [[name, x.mean(), x.std(), *EXACT[name], split_r_hat(x), effective(x)] for name, x in found.items()]
    header = ["", "mean", "deviation", "exact mean", "exact deviation", "R̂", "effective draws"]
    results.table(f"Posterior of {chains} chains, {draws} draws each", header, rows)
    results.number("accepted", float(rate))
    results.number("mean of mu", mu.mean())
    results.number("mean of tau", tau.mean())
    results.number("largest R̂", max(row[5] for row in rows))
    off = [abs(row[1] - row[3]) / (row[2] / np.sqrt(row[6])) for row in rows]
    results.number("largest distance from an exact mean (standard errors)", max(off))

    figure = results.figure(
        "posterior", "Draws of log τ and η of school A; the effects that were seen, and learned.", (9, 4)
    )
    left, right = figure.subplots(1, 2)
    left.scatter(states[warm:, :, 2].ravel()[::8], states[warm:, :, 1].ravel()[::8], s=1, alpha=0.3, linewidths=0)
    left.set(xlabel="η of school A", ylabel="log τ")
    places = np.arange(len(EFFECT))
    right.errorbar(places - 0.1, EFFECT, ERROR, fmt="o", color="0.6", label="seen")
    right.errorbar(places + 0.1, schools.mean((0, 1)), schools.std((0, 1)), fmt="o", color="tab:red", label="learned")
    right.axhline(mu.mean(), color="tab:blue", linewidth=1, label="mean of μ")
    right.set(xlabel="school", ylabel="effect", xticks=places, xticklabels=list("ABCDEFGH"))
    right.legend(frameon=False)
    return results.write()


def split_r_hat(x: Any) -> float:
    """How much wider all draws (draws, chains) are than those of half a chain (Gelman et al. 2013, §11.4)."""
    half = len(x) // 2
    parts = np.concatenate([x[:half], x[half : 2 * half]], axis=1)
    within, between = parts.var(0, ddof=1).mean(), parts.mean(0).var(ddof=1)
    return float(np.sqrt(((half - 1) / half * within + between) / within))


def effective(x: Any) -> float:
    """How many independent draws know the mean as well, by the variance of the means of chains in eight parts."""
    parts = np.array_split(x, min(8, len(x) // 2))
    means = np.concatenate([part.mean(0) for part in parts])
    return float(min(x.size, x.var() / means.var(ddof=1) * len(means)))


if __name__ == "__main__":
    start(main)
