"""A recurrent network that writes like Shakespeare, one character at a time.

Trained on the first 90 % of 1.1 million characters of his plays (Karpathy's char-rnn): an embedding of 64, one LSTM of
128 and a dense layer, 15 epochs of Adam, gradients clipped to a length of 5. The text is read as 32 streams side by
side in windows of 64; the state goes on from window to window, gradients do not. What is held out is the last 10 %, in
streams too, without what does not fill a window in all of them. The measure is bits a character: −log₂ of the
probability that the network gave to the character that came. Beside it stand tables of counts of one, two and three
characters with one added to every count, which anyone can check.

It then writes text with a single step for one character: the state is an argument, so nothing is compiled twice.

    python examples/char_lstm.py --data DIR
    python examples/char_lstm.py --quick --mode run
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

import lazygrad as lg
from common import Results, options, start
from data import shakespeare

TEMPERATURE = 0.8


class Text:
    """A text as whole numbers, one a character, its last tenth held out."""

    def __init__(self, text: str) -> None:
        self.characters = sorted(set(text))
        codes = {character: code for code, character in enumerate(self.characters)}
        numbers = np.array([codes[character] for character in text])
        self.train, self.held_out = np.split(numbers, [9 * len(numbers) // 10])

    def spelled(self, codes: Sequence[Any]) -> str:
        """Codes as text."""
        return "".join(self.characters[int(code)] for code in codes)

    def counted(self, size: int) -> float:
        """Bits a held-out character of the counts of ``size`` characters in the training text, one added to each."""
        count = len(self.characters)
        grams = [
            sum(codes[i : len(codes) - size + 1 + i] * count ** (size - 1 - i) for i in range(size))
            for codes in (self.train, self.held_out)
        ]
        seen = np.bincount(grams[0], minlength=count**size).reshape(-1, count)
        chances = (seen + 1) / (seen.sum(axis=1, keepdims=True) + count)
        return float(-np.log2(chances.ravel()[grams[1]]).mean())


class Network:
    """Characters to logits of the characters that follow."""

    def __init__(self, env: lg.VariableEnvironment, characters: int, hidden: int) -> None:
        self.embedding = lg.nn.Embedding(env, characters, hidden // 2)
        self.lstm = lg.nn.LSTM(env, hidden // 2, hidden)
        self.out = lg.nn.Linear(env, hidden, characters, name="out")

    def __call__(self, x, state):
        h, state = self.lstm(self.embedding(x), state)
        return self.out(h), state

    def step(self, x, state):
        """One character alone."""
        h, state = self.lstm.step(self.embedding(x), state)
        return self.out(h), state


def drawn(ctx: Any, logits: Any) -> Any:
    """A code drawn with the probabilities softmax(logits / T): the first of exponential times with these rates."""
    return lg.argmax(logits / TEMPERATURE - lg.log(ctx.random.exponential(logits.shape)), axis=-1)


def ready(env: lg.VariableEnvironment, step: Callable[..., Any], mode: str) -> Callable[..., Any]:
    """The step as a function of its arrays. It waits for its native code, so that the same seed gives the same bits."""
    return env.compile(step, wait=True) if mode == "compile" else partial(env.run, step)


def windows(codes: Any, streams: int, width: int) -> Any:
    """Pairs of a window of every stream and the same window one character later, in the order of the text."""
    length = (len(codes) - 1) // streams // width * width
    x, y = (codes[i : i + streams * length].reshape(streams, -1, width).swapaxes(0, 1) for i in (0, 1))
    return list(zip(np.ascontiguousarray(x), np.ascontiguousarray(y), strict=True))


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Train, write a text, and return the numbers."""
    reads = "text/tinyshakespeare.txt, else fetched from the char-rnn repository"
    given = options(__doc__, reads=reads, mode="compile").parse_args(argv)
    results = Results("char_lstm", given)
    text = Text(shakespeare(given.data, given.quick))
    hidden, streams, width, epochs, rate = (32, 64, 8, 1, 0.02) if given.quick else (128, 32, 64, 15, 0.005)
    env = lg.VariableEnvironment(backend=given.backend, seed=given.seed)
    network = Network(env, len(text.characters), hidden)
    held_out = windows(text.held_out, streams, width)
    steps = len(windows(text.train, streams, width)) * epochs
    adam = lg.optim.Adam(env, lg.optim.schedules.Cosine(rate, steps))

    def measure_step(ctx, x, y, h, c):
        logits, state = network(x, (h, c))
        return lg.mean(lg.nn.cross_entropy(logits, y)) / math.log(2), state

    def train_step(ctx, x, y, h, c):
        bits, state = measure_step(ctx, x, y, h, c)
        variables = ctx.variables()
        grads = lg.optim.clip_by_global_norm(lg.grad(bits, variables), 5.0)
        return bits, state, adam.update(variables, grads)

    def write_step(ctx, x, h, c):
        logits, state = network.step(x, (h, c))
        return drawn(ctx, logits), state

    train, measure, write = (ready(env, step, given.mode) for step in (train_step, measure_step, write_step))
    nothing = [np.zeros((streams, hidden), "float32")] * 2
    learned, tested, spent, rng = [], [], 0.0, np.random.default_rng(given.seed)
    for epoch in range(1, epochs + 1):
        began, state = time.perf_counter(), nothing
        for x, y in windows(text.train[rng.integers(width) :], streams, width):  # other windows in every epoch
            bits, state, _ = train(x, y, *state)
            learned.append(float(bits))
        spent += time.perf_counter() - began
        found, state = [], nothing
        for x, y in held_out:
            bits, state = measure(x, y, *state)
            found.append(float(bits))
        tested.append(np.mean(found))
        print(f"epoch {epoch}: {tested[-1]:.4f} bits a held-out character", flush=True)

    counts = [text.counted(size) for size in (1, 2, 3)]
    results.number("held-out bits a character", tested[-1])
    results.number("training bits a character, last hundred steps", np.mean(learned[-100:]))
    results.number("held-out bits a character, counts of three", counts[2])
    results.number("seconds to train", spent)
    results.number("seconds an epoch", spent / epochs)
    results.number("seconds to train with 1,000 characters", 1000 * spent / (len(learned) * streams * width))

    began = time.perf_counter()
    state, codes = [array[:1] for array in nothing], [np.array([0])]  # the first character in order is a new line
    for _ in range(60 if given.quick else 800):
        code, state = write(codes[-1], *state)
        codes.append(lg.to_numpy(code))
    results.number("seconds to write 1,000 characters", 1000 * (time.perf_counter() - began) / (len(codes) - 1))
    finish(results, text.spelled(np.ravel(codes[1:])), [("LSTM", tested[-1], spent)], counts)
    curve(results, learned, tested, counts)
    return results.write()


def finish(results: Results, sample: str, rows: Sequence[Sequence[Any]], counts: Sequence[float]) -> None:
    """Print the text, keep it in a file, and compare the network with the counts."""
    print(f"\n{sample.strip()}\n")
    (results.folder / f"{results.name}_sample.txt").write_text(sample.strip() + "\n", encoding="utf-8")
    names = ["counts of single characters", "counts of two, one added", "counts of three, one added"]
    counted = [[name, bits, "-"] for name, bits in zip(names, counts, strict=True)]
    results.table("Bits a held-out character", ["", "bits", "seconds to train"], [*counted, *map(list, rows)])


def curve(results: Results, learned: Sequence[float], tested: Sequence[float], counts: Sequence[float]) -> None:
    """The figure of the training: what was learned at each step, and what was measured after each epoch."""
    axes = results.figure("loss", "Bits a character in training and on the text held out.").add_subplot(
        xlabel="epoch", ylabel="bits a character", ylim=(1.5, 5)
    )
    per_epoch = len(learned) // len(tested)
    many = max(1, per_epoch // 20)
    means = np.reshape(learned[: len(learned) // many * many], (-1, many)).mean(axis=1)
    axes.plot((np.arange(len(means)) + 0.5) * many / per_epoch, means, lw=1, label="training")
    axes.plot(range(1, len(tested) + 1), tested, ".-", label="held out")
    for bits, words, style in zip(counts[1:], ("two", "three"), ("--", ":"), strict=True):
        axes.axhline(bits, color="0.5", ls=style, lw=1, label=f"counts of {words} characters")
    axes.legend(frameon=False)


if __name__ == "__main__":
    start(main)
