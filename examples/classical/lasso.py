"""Lasso and elastic net by accelerated proximal gradient (FISTA, Beck and Teboulle 2009), for 40 penalties at once.

    f(w) = ‖Xw − y‖² / 2n + a (1 − r)/2 ‖w‖²,     minimise f(w) + a r ‖w‖₁,

with r = 1 for the lasso (Tibshirani 1996) and less for the elastic net (Zou and Hastie 2005). The gradient is taken of
the smooth part f; the other part pulls every weight towards zero and stops there:

    w⁺ = S(v − t ∇f(v), t a r),   S(u, c) = sign(u) max(|u| − c, 0),   v⁺ = w⁺ + k/(k + 3) (w⁺ − w),

with t = 1/L, L the largest eigenvalue of ∇²f; k begins anew where momentum points uphill (O'Donoghue and Candès 2015).
Each penalty has a column of w; scikit-learn goes from one penalty to the next by coordinate descent.

    python examples/classical/lasso.py
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.linear_model import enet_path

import lazygrad as lg
from beside import Beside, host, start

UNROLLED = 20  # iterations in one run of the compiled step
RATIOS = {"lasso": 1.0, "elastic net": 0.5}


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Fit both; the numbers that were found."""
    run = Beside("lasso", __doc__, argv)
    data = load_diabetes()
    x, y = data.data / data.data.std(axis=0), data.target - data.target.mean()
    gram, xy = x.T @ x / len(y), (x.T @ y / len(y))[:, None]
    largest, zeros = np.linalg.eigvalsh(gram)[-1], np.zeros((len(xy), 40))
    penalties = {name: np.abs(xy).max() / r * np.logspace(0, -3, 40) for name, r in RATIOS.items()}

    def iterations(ctx: lg.Context, w: lg.Tensor, v: lg.Tensor, k: lg.Tensor, a: lg.Tensor, r: lg.Tensor) -> Any:
        t, start = 1 / (largest + a * (1 - r)), w
        for _ in range(UNROLLED):
            f = lg.sum(0.5 * v * (gram @ v) - xy * v + 0.5 * a * (1 - r) * v * v)
            u = v - t * lg.grad(f, v)
            moved = lg.sign(u) * lg.maximum(lg.abs(u) - t * a * r, 0.0)
            uphill = lg.sum((v - moved) * (moved - w), axis=0) > 0
            k = lg.where(uphill, 0.0, k + 1.0)
            v, w = moved + k / (k + 3) * (moved - w), moved
        return w, v, k, lg.max(lg.abs(w - start))

    step = run.step(iterations)

    def ours() -> dict[str, Any]:
        found = {}
        for name, r in RATIOS.items():
            w, v, k, change = zeros, zeros, zeros[0], np.inf
            while change > 1e-8:
                w, v, k, change = step(w, v, k, penalties[name], np.float64(r))
            found[name] = host(w)
        return found

    def theirs() -> dict[str, Any]:
        settings = {"tol": 1e-12, "max_iter": 100_000}
        return {name: enet_path(x, y, l1_ratio=r, alphas=penalties[name], **settings)[1] for name, r in RATIOS.items()}

    found, others = run.race(ours, theirs)
    figure = run.figure("path", "Weights for each penalty: from the left they become zero one after another.", (9, 3.6))
    for axes, name in zip(figure.subplots(1, 2, sharey=True), RATIOS, strict=True):
        run.agree(f"weights of the {name}", found[name], others[name], 1e-6)
        run.number(f"weights of the {name} that are zero, of 400", (found[name] == 0).sum())
        run.number(f"smallest penalty with five weights, {name}", penalties[name][(found[name] != 0).sum(0) <= 5].min())
        axes.plot(penalties[name], found[name].T, label=data.feature_names)
        axes.set(xscale="log", xlabel="penalty", ylabel="weight", title=f"{name.capitalize()} on diabetes progression")
    axes.legend(ncols=2, frameon=False, fontsize="small")
    return run.write()


if __name__ == "__main__":
    start(main)
