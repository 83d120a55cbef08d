"""The length and the friction of a pendulum, learned from noisy observations of its angle.

θ″ = −(g/ℓ) sin θ − γ θ′ is solved by the classical Runge–Kutta method, whose steps are turns of one loop of the graph.
The gradient of the squared error goes back through the integrator, and Adam moves the logarithms of ℓ and γ, so that
both stay positive. Four swings are observed, each released at rest from another angle. Derivatives of the trajectory
then say how sure the answer is: the covariance of (ℓ, γ) is σ²(JᵀJ)⁻¹ for noise of variance σ².

    python examples/physics.py
    python examples/physics.py --quick --mode compile
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import lazygrad as lg
from common import Results, options, progress, runner, start

G = 9.81  # m/s²
STEP = 0.1  # s
STEPS = 30
TRUE = np.array([1.3, 0.25])  # ℓ in m, γ in 1/s
GUESS = np.array([0.8, 0.6])
ANGLES = np.array([0.3, 0.8, 1.4, 2.0])  # where the pendulum is released, in rad
NOISE = 0.05  # rad


def trajectory(angle: Any, parameters: Any) -> Any:
    """The angles at the times 0, STEP, … of a pendulum released at rest: ``(STEPS + 1, *angle.shape)``."""
    length, friction = parameters[0], parameters[1]

    def slope(time, state):
        acceleration = -G / length * lg.sin(state["angle"]) - friction * state["speed"]
        return {"angle": state["speed"], "speed": acceleration}

    start = {"angle": angle, "speed": lg.zeros_like(angle)}
    return lg.integrate.rk4(slope, start, STEP * np.arange(STEPS + 1))["angle"]


def loss(angle: Any, logarithms: Any, observed: Any) -> Any:
    """The mean squared error of the angles, for the logarithms of ℓ and γ."""
    return lg.mean(lg.square(trajectory(angle, lg.exp(logarithms)) - observed))


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Observe, learn, and say how sure the answer is; the numbers."""
    given = options(__doc__).parse_args(argv)
    results = Results("physics", given)
    env = lg.VariableEnvironment(backend=given.backend, seed=given.seed, dtype="float64")
    rng = np.random.default_rng(given.seed)

    def swing(ctx, angle, parameters):
        return trajectory(angle, parameters)

    true = lg.to_numpy(env.run(swing, ANGLES, TRUE))
    observed = true + NOISE * rng.normal(size=true.shape)

    logarithms = env.name("logarithms").set(np.log(GUESS))
    updates = 20 if given.quick else 300
    adam = lg.optim.Adam(env, learning_rate=lg.optim.schedules.Cosine(0.05, updates))

    def train_step(ctx, angle, observed):
        error = loss(angle, ctx.variable(logarithms), observed)
        return error, adam.minimize(error)

    step = runner(env, train_step, given.mode)
    losses = [float(step(ANGLES, observed)[0]) for _ in progress(updates)]
    found = np.exp(lg.to_numpy(env["logarithms"]))

    def derivatives(ctx, angle, parameters):
        return lg.jacobian(trajectory(angle, parameters), parameters)

    j = lg.to_numpy(env.run(derivatives, ANGLES, found)).reshape(-1, 2)
    uncertain = NOISE * np.sqrt(np.diag(np.linalg.inv(j.T @ j)))
    rows = [
        [name, *row] for name, *row in zip(["length (m)", "friction (1/s)"], TRUE, GUESS, found, uncertain, strict=True)
    ]
    results.table("What was learned", ["", "true", "at the beginning", "learned", "standard error"], rows)
    results.number("length (m)", found[0])
    results.number("friction (1/s)", found[1])
    results.number("largest deviation (standard errors)", np.max(np.abs(found - TRUE) / uncertain))
    results.number("loss", losses[-1])
    results.number("variance of the noise", NOISE**2)

    figure = results.figure("swings", "Observed angles, and the swings of the pendulum before and after.", (9, 5))
    times = STEP * np.arange(STEPS + 1)
    before, after = (lg.to_numpy(env.run(swing, ANGLES, parameters)) for parameters in (GUESS, found))
    for i, angle in enumerate(ANGLES):
        axes = figure.add_subplot(2, 2, i + 1, title=f"released at {angle} rad")
        axes.set(xlabel="time (s)" if i > 1 else "", ylabel="angle (rad)" if i % 2 == 0 else "")
        axes.scatter(times, observed[:, i], s=10, color="0.6", linewidths=0, label="observed")
        axes.plot(times, before[:, i], color="tab:orange", linestyle="--", label="at the beginning")
        axes.plot(times, true[:, i], color="tab:blue", linewidth=3, alpha=0.4, label="true")
        axes.plot(times, after[:, i], color="tab:red", linewidth=1, label="learned")
    figure.legend(*axes.get_legend_handles_labels(), ncols=4, loc="outside lower center", frameon=False)
    return results.write()


if __name__ == "__main__":
    start(main)
