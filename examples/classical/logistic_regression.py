"""Logistic regression of ten digits: one softmax over all (Cox 1966), and ten models of one digit against all others.

With logits z = xᵀW + b both minimise ½ ‖W‖² + Σᵢ lossᵢ, by L-BFGS (Liu and Nocedal 1989), where

    softmax:            lossᵢ = log Σₖ exp zᵢₖ − zᵢ_yᵢ,
    one against all:    lossᵢ = Σₖ log(1 + exp(−sᵢₖ zᵢₖ)),     sᵢₖ = 1 if yᵢ = k, else −1.

The ten models share no weight, so that the sum of their losses is smallest where each of them is: one fit finds all.
SciPy's L-BFGS asks a compiled step for the loss and its gradient; scikit-learn's asks scikit-learn for them.

    python examples/classical/logistic_regression.py
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.optimize import minimize
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.multiclass import OneVsRestClassifier

import lazygrad as lg
from beside import Beside, host, start


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Fit both models in both ways; the numbers that were found."""
    run = Beside("logistic_regression", __doc__, argv)
    x, y = (array[:: 4 if run.quick else 1] for array in load_digits(return_X_y=True))
    x, test_x, y, test_y = train_test_split(x / 16, y, test_size=0.3, random_state=run.seed, stratify=y)
    signs = np.where(np.arange(10) == y[:, None], 1.0, -1.0)

    def softmax(z: lg.Tensor, y: lg.Tensor, signs: lg.Tensor) -> lg.Tensor:
        return lg.sum(lg.nn.cross_entropy(z, y))

    def one_against_all(z: lg.Tensor, y: lg.Tensor, signs: lg.Tensor) -> lg.Tensor:
        return lg.sum(lg.nn.softplus(-signs * z))

    def objective(losses: Any) -> Any:
        def step(ctx: lg.Context, flat: lg.Tensor, x: lg.Tensor, y: lg.Tensor, signs: lg.Tensor) -> Any:
            weights = lg.reshape(flat, (65, 10))
            loss = 0.5 * lg.sum(lg.square(weights[:64])) + losses(x @ weights[:64] + weights[64], y, signs)
            return loss, lg.grad(loss, flat)

        return run.step(step)

    steps = {"softmax": objective(softmax), "one against all": objective(one_against_all)}

    def fit(step: Any) -> Any:
        settings = {"gtol": 1e-5, "ftol": 0, "maxiter": 1000}
        function = lambda flat: tuple(host(found) for found in step(flat, x, y, signs))  # noqa: E731
        return minimize(function, np.zeros(650), jac=True, method="L-BFGS-B", options=settings).x.reshape(65, 10)

    def theirs() -> list[Any]:
        model = LogisticRegression(C=1.0, tol=1e-8, max_iter=1000)
        return [model.fit(x, y), OneVsRestClassifier(model).fit(x, y)]

    found, (other, others) = run.race(lambda: [fit(step) for step in steps.values()], theirs, repeats=3)
    coefficients = [other.coef_.T, np.column_stack([one.coef_[0] for one in others.estimators_])]
    figure = run.figure("weights", "Weights of each digit, red where ink speaks for it.", size=(9, 2.3))
    pictures = figure.subplots(2, 10)
    for name, w, theirs_w, model, row in zip(steps, found, coefficients, (other, others), pictures, strict=True):
        labels = np.argmax(test_x @ w[:64] + w[64], axis=1)
        run.agree(f"weights, {name}", w[:64], theirs_w, 1e-5)
        run.agree(f"labels of the test images, {name}", labels, model.predict(test_x), 0)
        run.number(f"accuracy on {len(test_y)} test images, {name}", np.mean(labels == test_y))
        row[0].set_ylabel(name.replace(" against", "\nagainst"), fontsize="small")
        for digit, axes in enumerate(row):
            axes.imshow(w[:64, digit].reshape(8, 8), cmap="RdBu_r", vmin=-3, vmax=3)
            axes.set(xticks=[], yticks=[], title=digit if name == "softmax" else None)
    return run.write()


if __name__ == "__main__":
    start(main)
