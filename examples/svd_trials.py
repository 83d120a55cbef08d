"""Thousands of singular value decompositions of random matrices, each one checked.

Matrices of N(0, 1) numbers in float64, of sizes m and n drawn from 2 to 20, 2 to 200 and 200 to 300, are decomposed,
A = U Σ Vᵀ. A decomposition is wrong if any element of UᵀU − I, VᵀV − I or UΣVᵀ − A is not below ε; 1e-5 is the ε of
the report of ML Kit, whose own algorithm did not converge in 249 of its 10,000 trials. LAPACK says itself if it fails
to converge.

Matrices of the same shape are decomposed in one batch. Most shapes come only once, and a program that runs once is not
worth compiling: --mode compile does so for the two shapes of each series that have the most matrices.

    python examples/svd_trials.py
    python examples/svd_trials.py --quick --mode compile
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

import lazygrad as lg
from common import Results, options, start

# Trials, the least and the largest size, how many of ML Kit's trials did not converge.
SERIES = [(10_000, 2, 20, 249), (300, 2, 200, 1), (30, 200, 300, 0)]
EPSILONS = (1e-5, 1e-9)
COMPILED = 2  # shapes of a series that --mode compile compiles


def deviations(ctx: lg.Context, a: Any) -> Any:
    """For each matrix of a batch, the largest element of |UᵀU − I|, |VᵀV − I| and |UΣVᵀ − A|."""
    u, s, vh = lg.linalg.svd(a)
    k = s.shape[-1]
    left = u.mT @ u - lg.eye(u.shape[-1])
    right = vh @ vh.mT - lg.eye(vh.shape[-1])
    product = (u[..., :k] * s[:, None, :]) @ vh[:, :k] - a
    return lg.stack([lg.max(lg.abs(difference), axis=(1, 2)) for difference in (left, right, product)])


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Decompose, check, count; the numbers."""
    given = options(__doc__).parse_args(argv)
    results = Results("svd_trials", given)
    env = lg.VariableEnvironment(backend=given.backend, seed=given.seed, dtype="float64")
    rng = np.random.default_rng(given.seed)

    found, rows = [], []
    for trials, low, high, unconverged_there in SERIES:
        count = trials // 20 if given.quick else trials
        started = time.perf_counter()
        sizes, largest = decomposed(env, given.mode, list(batches(rng, count, low, high)))
        seconds = time.perf_counter() - started
        unconverged = int(np.isnan(largest).all(axis=0).sum())
        wrong = [int((~(largest < epsilon)).any(axis=0).sum()) - unconverged for epsilon in EPSILONS]
        rows.append([f"{low} to {high}", count, *wrong, unconverged, np.nanmax(largest), seconds])
        rows[-1].append(f"{unconverged_there} of {trials}")
        found.append((f"{low} to {high}", sizes, largest.max(axis=0)))
    header = ["sizes", "trials", "wrong at 1e-5", "wrong at 1e-9", "not converged", "largest error", "seconds"]
    results.table("Singular value decompositions", [*header, "ML Kit: not converged"], rows)
    for name, column in [("trials", 1), ("wrong at 1e-5", 2), ("wrong at 1e-9", 3), ("not converged", 4)]:
        results.number(name, sum(row[column] for row in rows))
    results.number("mean size", np.mean(np.concatenate([sizes for _, sizes, _ in found])))
    results.number("digits of the largest error", int(-np.log10(max(row[5] for row in rows))))
    results.number("seconds", sum(row[6] for row in rows))

    figure = results.figure("errors", "The largest error of every decomposition, far below both tolerances.")
    axes = figure.add_subplot(
        xscale="log",
        yscale="log",
        xlabel="size of the matrix, the geometric mean of m and n",
        ylabel="largest error of an element",
        title=f"{sum(row[1] for row in rows):,} random matrices, decomposed by lg.linalg.svd",
    )
    for (name, sizes, errors), colour in zip(found, ["tab:blue", "tab:orange", "tab:green"], strict=True):
        axes.scatter(sizes, errors, s=6, color=colour, alpha=0.5, linewidths=0, label=f"sizes {name}")
    for epsilon, style in zip(EPSILONS, ["--", ":"], strict=True):
        axes.axhline(epsilon, color="black", linestyle=style, linewidth=1, label=f"tolerance {epsilon:g}")
    axes.legend(ncols=5, loc="upper center", bbox_to_anchor=(0.5, -0.16), frameon=False, markerscale=3, fontsize=8)
    return results.write()


def batches(rng: Any, trials: int, low: int, high: int) -> Iterator[Any]:
    """So many random matrices, those of the same shape together in one array ``(count, m, n)``."""
    shapes, counts = np.unique(rng.integers(low, high, (trials, 2), endpoint=True), axis=0, return_counts=True)
    for (m, n), count in zip(shapes, counts, strict=True):
        yield rng.normal(size=(count, m, n))


def decomposed(env: lg.VariableEnvironment, mode: str, arrays: list[Any]) -> tuple[Any, Any]:
    """The sizes of all matrices and their deviations ``(3, trials)``, NaN where LAPACK did not converge."""
    run, compiled = partial(env.run, deviations), env.compile(deviations, wait=True)
    arrays = sorted(arrays, key=len, reverse=True)
    steps = [compiled if mode == "compile" and i < COMPILED else run for i in range(len(arrays))]
    sizes = [np.full(len(array), np.sqrt(array.shape[1] * array.shape[2])) for array in arrays]
    found = [attempted(step, array) for step, array in zip(steps, arrays, strict=True)]
    return np.concatenate(sizes), np.concatenate(found, axis=1)


def attempted(step: Callable[[Any], Any], array: Any) -> Any:
    """The deviations of a batch. If one of it does not converge, each is tried alone."""
    try:
        return lg.to_numpy(step(array))
    except np.linalg.LinAlgError:
        if len(array) == 1:
            return np.full((3, 1), np.nan)
        return np.concatenate([attempted(step, one[None]) for one in array], axis=1)


if __name__ == "__main__":
    start(main)
