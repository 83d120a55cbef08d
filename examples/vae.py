"""A variational autoencoder that draws handwritten digits, the wish at the end of the Rust crate autograd's report.

Kingma and Welling 2014, appendix C: an encoder of 784-256 units gives mean and logarithm of the variance of 16 hidden
numbers z, of which a draw, μ + σ·ε, goes through a decoder of 16-256-784; 30 epochs of Adam, whose rate falls along a
cosine. What is maximised is the evidence lower bound, ELBO = E[log p(x|z)] − KL(q(z|x) ‖ N(0, 1)), in nats an image.
A grey pixel counts as the probability that a black-and-white one is white, so the number is also a lower bound of the
log-likelihood of black-and-white images drawn with these probabilities.

    python examples/vae.py --data DIR
    python examples/vae.py --quick --mode run
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import lazygrad as lg
from common import Results, options, start
from data import mnist

PIXELS, WIDTH, HIDDEN = 784, 256, 16


class Autoencoder:
    """Two small networks, one each way."""

    def __init__(self, env: lg.VariableEnvironment) -> None:
        self.first = lg.nn.Linear(env, PIXELS, WIDTH, name="encoder")
        self.mean = lg.nn.Linear(env, WIDTH, HIDDEN, name="mean")
        self.log_variance = lg.nn.Linear(env, WIDTH, HIDDEN, name="log_variance")
        self.second = lg.nn.Linear(env, HIDDEN, WIDTH, name="decoder")
        self.pixels = lg.nn.Linear(env, WIDTH, PIXELS, name="pixels")

    def encode(self, x):
        """Mean and logarithm of the variance of the hidden numbers."""
        h = lg.nn.relu(self.first(x))
        return self.mean(h), self.log_variance(h)

    def decode(self, z):
        """Logits of the pixels."""
        return self.pixels(lg.nn.relu(self.second(z)))


def terms(model: Autoencoder, ctx: Any, x: Any) -> tuple[Any, Any]:
    """−log p(x|z) for one draw of z, and KL(q(z|x) ‖ N(0, 1)), both in nats an image."""
    mean, log_variance = model.encode(x)
    z = mean + lg.exp(0.5 * log_variance) * ctx.random.normal(mean.shape)
    missed = lg.sum(lg.nn.binary_cross_entropy_with_logits(model.decode(z), x), axis=1)
    divergence = 0.5 * lg.sum(lg.square(mean) + lg.exp(log_variance) - 1 - log_variance, axis=1)
    return missed, divergence


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Train, draw, and return the numbers."""
    given = options(__doc__, reads="mnist/*.gz, else fetched from OpenML", mode="compile").parse_args(argv)
    results = Results("vae", given)
    digits = mnist(given.data, given.quick)
    if given.quick:
        digits = digits._replace(train_x=digits.train_x[:1000])
    env = lg.VariableEnvironment(backend=given.backend, seed=given.seed)
    model = Autoencoder(env)
    epochs = 2 if given.quick else 30
    rate = lg.optim.schedules.Cosine(0.003, epochs * len(digits.train_x) // 100)
    adam = lg.optim.Adam(env, rate)

    def step(ctx, x, train):
        missed, divergence = terms(model, ctx, x)
        loss = lg.mean(missed + divergence)
        metrics = {"loss": loss, "reconstruction": lg.mean(missed), "divergence": lg.mean(divergence)}
        return {**metrics, "update": adam.minimize(loss)} if train else metrics

    history = lg.fit(
        env.compile(step) if given.mode == "compile" else step,
        digits.train_x,
        epochs=epochs,
        batch_size=100,
        validation=digits.test_x,
        callbacks=[lambda t: print(f"epoch {t.epoch}: test ELBO {-t.metrics['validation_loss']:.2f}", flush=True)],
        env=env,
    )
    results.number("test ELBO, nats an image", -history["validation_loss"][-1])
    results.number("test E[log p(x|z)], nats an image", -history["validation_reconstruction"][-1])
    results.number("test KL divergence, nats an image", history["validation_divergence"][-1])
    results.number("training ELBO in the last epoch", -history["loss"][-1])
    results.number("seconds to train", sum(history.seconds))
    results.number("seconds an epoch", np.median(history.seconds))
    shown = [epoch for epoch in (1, 2, 5, 10, 20, 30) if epoch <= epochs]
    columns = ["validation_loss", "validation_reconstruction", "validation_divergence"]
    results.table(
        "On the test images after an epoch, nats an image",
        ["epoch", "ELBO", "E[log p(x|z)]", "KL"],
        [[n, *(sign * history[name][n - 1] for name, sign in zip(columns, (-1, -1, 1), strict=True))] for n in shown],
    )

    def sample(ctx):
        return lg.nn.sigmoid(model.decode(ctx.random.normal((100, HIDDEN))))

    def reconstruct(ctx, x):
        return lg.nn.sigmoid(model.decode(model.encode(x)[0]))

    digits_of = [digits.test_x[digits.test_y == label][:2] for label in range(10)]
    originals = np.concatenate([pair[i : i + 1] for i in range(2) for pair in digits_of])
    draw(results, history, lg.to_numpy(env.run(sample)), originals, lg.to_numpy(env.run(reconstruct, originals)))
    return results.write()


def joined(images: Any, columns: int) -> Any:
    """Images of 28×28 side by side, as one picture."""
    rows = np.reshape(images, (-1, columns, 28, 28))
    return rows.swapaxes(1, 2).reshape(-1, columns * 28)


def draw(results: Results, history: lg.History, samples: Any, originals: Any, reconstructed: Any) -> None:
    """The figures of the report."""
    axes = results.figure(
        "samples", "Digits decoded from 100 draws of 16 independent normal numbers.", (5, 5)
    ).add_subplot()
    axes.imshow(joined(samples, 10), cmap="gray_r", vmin=0, vmax=1)
    axes.axis("off")

    caption = "Test images, two of each digit, each above what the decoder makes of its 16 hidden numbers."
    axes = results.figure("reconstructions", caption, (6.5, 2.9)).add_subplot()
    pairs = [images[i : i + 10] for i in (0, 10) for images in (originals, reconstructed)]
    axes.imshow(joined(np.concatenate(pairs), 10), cmap="gray_r", vmin=0, vmax=1)
    axes.set_xticks([])
    axes.set_yticks([14, 42, 70, 98], ["original", "decoded"] * 2)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)

    left, right = results.figure("history", "The two parts of the bound after every epoch.", (8, 3.4)).subplots(1, 2)
    epochs = range(1, history.epochs + 1)
    for name, label, style in [("loss", "training (while it learns)", "--"), ("validation_loss", "test", "-")]:
        left.plot(epochs, -np.array(history[name]), style, label=label)
    left.set(xlabel="epoch", ylabel="ELBO, nats an image")
    left.set_ylim(top=-min(history["validation_loss"]) + 5, bottom=-history["validation_loss"][0] - 10)
    right.plot(epochs, history["validation_reconstruction"], label="−E[log p(x|z)]")
    right.plot(epochs, history["validation_divergence"], label="KL")
    right.set(xlabel="epoch", ylabel="on the test images, nats an image", ylim=(0, None))
    for axes in (left, right):
        axes.legend(frameon=False)
        axes.xaxis.get_major_locator().set_params(integer=True)


if __name__ == "__main__":
    start(main)
