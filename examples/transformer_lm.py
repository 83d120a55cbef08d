"""A small transformer that writes like Shakespeare, one character at a time.

The text, the hold-out and the measure are those of char_lstm.py. The network is a decoder alone (Radford et al. 2018):
learned positions, three blocks of width 128 that attend to earlier characters only, a norm, a dense layer; dropout 0.1;
six epochs of AdamW in batches of 8 windows of 128, at a rate that warms up and then falls along a cosine. Windows do
not overlap, and the first characters of each are guessed with little before them; so what is held out is also measured
in windows that overlap by half, of which only the second half counts. Windows that do not fill a batch are left out.

It then writes text in a window of fixed length: the place of the last character is an argument, and what stands behind
it is never seen, so nothing is compiled twice.

    python examples/transformer_lm.py --data DIR
    python examples/transformer_lm.py --quick --mode run
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

import lazygrad as lg
from char_lstm import Text, curve, drawn, finish, ready
from common import Results, options, start
from data import shakespeare

DROPPED = 0.1


class Network:
    """Windows of characters to logits of the characters that follow each."""

    def __init__(
        self, env: lg.VariableEnvironment, characters: int, context: int, width: int, blocks: int, heads: int
    ) -> None:
        # With 0.02, as in GPT, the quick run ends at 4.7 bits a character; with 0.5 at 4.2.
        initial = lg.nn.initializers.Normal(0, 0.5)
        self.embedding = lg.nn.Embedding(env, characters, width, weight=initial)
        self.positions = lg.nn.Embedding(env, context, width, weight=initial, name="positions")
        self.blocks = [
            lg.nn.TransformerBlock(env, width, heads, rate=DROPPED, causal=True, name=f"block_{number}")
            for number in range(1, blocks + 1)
        ]
        self.norm = lg.nn.LayerNorm(env, width, name="norm")
        self.out = lg.nn.Linear(env, width, characters, name="out")

    def __call__(self, x, train=False):
        x = self.embedding(x) + self.positions(lg.arange(x.shape[1]))
        x = lg.nn.dropout(x, DROPPED, train)
        for block in self.blocks:
            x = block(x, train)
        return self.out(self.norm(x))

    def attention(self, x):
        """What every head of every block looks at: (block, head, position that looks, position looked at)."""
        x, found = self.embedding(x) + self.positions(lg.arange(x.shape[1])), []
        for block in self.blocks:
            inner, h = block.attention, block.attention_norm(x)
            q, k = (
                lg.permute_dims(lg.reshape(part(h)[0], (x.shape[1], inner.heads, -1)), (1, 0, 2))
                for part in (inner.query, inner.key)
            )
            scores = q @ lg.matrix_transpose(k) / math.sqrt(q.shape[-1])
            found.append(lg.nn.softmax(lg.where(lg.tril(lg.ones_like(scores)) > 0, scores, -1e9)))
            x = block(x)
        return lg.stack(found)


def windows(codes: Any, context: int, stride: int) -> tuple[Any, Any]:
    """Windows of the text, and the same ones one character later."""
    every = np.lib.stride_tricks.sliding_window_view(codes, context + 1)[::stride]
    return every[:, :-1], every[:, 1:]


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Train, write a text, and return the numbers."""
    reads = "text/tinyshakespeare.txt, else fetched from the char-rnn repository"
    given = options(__doc__, reads=reads, mode="compile").parse_args(argv)
    results = Results("transformer_lm", given)
    text = Text(shakespeare(given.data, given.quick))
    sizes = (32, 32, 1, 25, 1, 0.02) if given.quick else (128, 128, 3, 8, 6, 0.003)
    context, width, blocks, batch, epochs, rate = sizes
    env = lg.VariableEnvironment(backend=given.backend, seed=given.seed)
    network = Network(env, len(text.characters), context, width, blocks, heads=4)
    steps = (len(text.train) // context - 2) // batch  # an epoch has windows that begin elsewhere
    total, warm = epochs * steps, epochs * steps // 20
    schedule = lg.optim.schedules.WarmUp(warm, lg.optim.schedules.Cosine(rate, total - warm))
    adam = lg.optim.AdamW(env, schedule, betas=(0.9, 0.99), weight_decay=0.1)

    def train_step(ctx, x, y):
        bits = lg.mean(lg.nn.cross_entropy(network(x, train=True), y)) / math.log(2)
        return bits, adam.minimize(bits)

    def measure_step(ctx, x, y):
        return lg.mean(lg.nn.cross_entropy(network(x), y), axis=0) / math.log(2)

    def write_step(ctx, x, last):
        return drawn(ctx, lg.take(network(x)[0], last, axis=0))

    train, measure, write = (ready(env, step, given.mode) for step in (train_step, measure_step, write_step))

    def held_out(stride: int) -> Any:
        """Bits a character at every position of a window; a last batch that is not full is left out."""
        pairs = lg.batches(windows(text.held_out, context, stride), batch, shuffle=False)
        return np.mean([measure(x, y) for x, y in pairs if len(x) == batch], axis=0)

    learned, tested, spent, rng = [], [], 0.0, np.random.default_rng(given.seed)
    for epoch in range(1, epochs + 1):
        began = time.perf_counter()
        pairs = [part[: steps * batch] for part in windows(text.train[rng.integers(context) :], context, context)]
        for x, y in lg.batches(pairs, batch, seed=given.seed, epoch=epoch):
            bits, _ = train(x, y)
            learned.append(float(bits))
        spent += time.perf_counter() - began
        tested.append(held_out(context).mean())
        print(f"epoch {epoch}: {tested[-1]:.4f} bits a held-out character", flush=True)

    counts = [text.counted(size) for size in (1, 2, 3)]
    longer = held_out(context // 2)[context // 2 :].mean()
    results.number("held-out bits a character", tested[-1])
    results.number(f"held-out bits a character after {context // 2} others or more", longer)
    results.number("training bits a character, last hundred steps", np.mean(learned[-100:]))
    results.number("held-out bits a character, counts of three", counts[2])
    results.number("parameters", sum(v.value.size for v in env if v.trainable))
    results.number("seconds to train", spent)
    results.number("seconds an epoch", spent / epochs)
    results.number("seconds to train with 1,000 characters", 1000 * spent / (total * batch * context))

    began, codes = time.perf_counter(), [0]  # the first character in order is a new line
    for _ in range(40 if given.quick else 800):
        seen = codes[-context:]
        window = np.array([seen + [0] * (context - len(seen))])
        codes.append(int(write(window, np.array(len(seen) - 1))))
    results.number("seconds to write 1,000 characters", 1000 * (time.perf_counter() - began) / (len(codes) - 1))
    rows = [
        ["transformer, windows apart", tested[-1], spent],
        [f"transformer, {context // 2} characters before or more", longer, spent],
    ]
    finish(results, text.spelled(codes[1:]), rows, counts)
    curve(results, learned, tested, counts)
    look(results, text, env.run(lambda ctx, x: network.attention(x), text.held_out[None, :24]))
    return results.write()


def look(results: Results, text: Text, weights: Any) -> None:
    """The figure of what the heads of the first and the last block look at."""
    caption = "Where each head looks, at the start of the text held out: a row is a character that looks back."
    letters = ["␣" if c == " " else repr(c)[1:-1] for c in text.spelled(text.held_out[: weights.shape[-1]])]
    rows = {"first block": weights[0], "last block": weights[-1]} if len(weights) > 1 else {"block": weights[0]}
    figure = results.figure("attention", caption, (12, 3.5 * len(rows)))
    panels = figure.subplots(len(rows), weights.shape[1], squeeze=False)
    for line, (name, heads) in zip(panels, rows.items(), strict=True):
        for head, (axes, weight) in enumerate(zip(line, heads, strict=True), start=1):
            axes.imshow(weight, cmap="Blues", vmin=0, vmax=1)
            axes.set(title=f"{name}, head {head}", xticks=[], yticks=[])
        line[0].set_yticks(range(len(letters)), letters, fontsize=8, family="monospace")
        line[0].tick_params(length=0)
    for axes in panels[-1]:
        axes.set_xticks(range(len(letters)), letters, fontsize=8, family="monospace")
        axes.tick_params(length=0)


if __name__ == "__main__":
    start(main)
