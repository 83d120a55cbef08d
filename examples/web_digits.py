"""Digits that a web page reads as they are drawn, in one file that fetches nothing.

784-128-10 with relu and dropout learns the digits of MNIST, each time moved by up to two pixels, as people do not draw
in the middle; with Adam, whose rate falls to 0, in batches of 128 for 15 epochs. The step that predicts is exported for
`wasm32`: a module of WebAssembly with the weights in it, which the page `web_digits.html` takes in as text. It opens
without a connection, on a phone too.

    python examples/web_digits.py --data DIR --page digits.html
    python examples/web_digits.py --quick --page digits.html
"""

from __future__ import annotations

import base64
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import lazygrad as lg
from common import Results, options, start
from data import Images, mnist

EPOCHS = 15
TEMPLATE = Path(__file__).with_suffix(".html")


def moved(images: Any, rng: np.random.Generator, most: int = 2) -> Any:
    """The images, each moved by up to ``most`` pixels across and up or down."""
    padded = np.pad(images.reshape(-1, 28, 28), ((0, 0), (most, most), (most, most)))
    rows, columns = (rng.integers(0, 2 * most + 1, (len(images), 1)) + np.arange(28) for _ in range(2))
    picked = padded[np.arange(len(images))[:, None, None], rows[:, :, None], columns[:, None, :]]
    return picked.reshape(len(images), 784)


def trained(env: lg.VariableEnvironment, digits: Images, epochs: int, given: Any) -> Any:
    """The network after its training, as a function of ``x`` and ``train``."""
    network = lg.nn.Sequential(
        lg.nn.Linear(env, 784, 128, name="hidden"),
        lg.nn.relu,
        lg.nn.Dropout(env, 0.1),
        lg.nn.Linear(env, 128, 10, name="out"),
    )
    steps = epochs * -(-len(digits.train_x) // 128)
    adam = lg.optim.Adam(env, lg.optim.schedules.Cosine(0.002, steps))

    def step(ctx: Any, x: Any, y: Any) -> Any:
        loss = lg.mean(lg.nn.cross_entropy(network(x, train=True), y))
        return loss, adam.minimize(loss)

    learn = env.compile(step) if given.mode == "compile" else step
    rng = np.random.default_rng(given.seed)
    for epoch in range(epochs):
        data = moved(digits.train_x, rng), digits.train_y
        history = lg.fit(learn, data, epochs=1, batch_size=128, seed=given.seed + epoch, env=env)
        print(f"epoch {epoch + 1}: loss {history['loss'][-1]:.4f}", flush=True)
    return network


def page(module: bytes, accuracy: float, count: int) -> str:
    """The page with a module of WebAssembly in it, which read so many of ``count`` digits."""
    text = TEMPLATE.read_text(encoding="utf-8").replace("@SIZE@", f"{len(module) / 1000:.0f}&nbsp;KB")
    text = text.replace("@ACCURACY@", f"{100 * accuracy:.1f}&nbsp;%").replace("@COUNT@", f"{count:,}")
    return text.replace("@WASM@", base64.b64encode(module).decode())


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Train, export, write the page, and return the numbers."""
    parser = options(__doc__, reads="mnist/*.gz, else fetched from OpenML", mode="compile")
    parser.add_argument("--page", type=Path, metavar="FILE", help="the page; it is kept with the results unless said")
    given = parser.parse_args(argv)
    results = Results("web_digits", given)
    digits = mnist(given.data, given.quick)
    env = lg.VariableEnvironment(backend=given.backend, seed=given.seed)
    network = trained(env, digits, 2 if given.quick else EPOCHS, given)

    @env.compile
    def predict(ctx: Any, x: Any) -> Any:
        return lg.nn.softmax(network(x))

    read = lg.to_numpy(predict(digits.test_x)).argmax(axis=1)
    accuracy = float(np.mean(read == digits.test_y))
    results.number("test accuracy", accuracy)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        predict.export(Path(folder, "predict"), digits.test_x[:1], target="wasm32")
        module = Path(folder, "predict.wasm").read_bytes()
    results.number("seconds to export", time.perf_counter() - began)
    results.number("bytes of WebAssembly", len(module))
    file = given.page or results.folder / "web_digits_page.html"
    file.write_text(page(module, accuracy, len(read)), encoding="utf-8")
    results.number("bytes of the page", file.stat().st_size)
    wrong = np.flatnonzero(read != digits.test_y)[:24]
    figure = results.figure("misread", "Digits of the test that it misreads: what it says, and what it is.", (7, 3))
    for axes in figure.subplots(3, 8).flat:
        axes.axis("off")
    for axes, i in zip(figure.axes, wrong, strict=False):
        axes.imshow(digits.test_x[i].reshape(28, 28), cmap="gray_r")
        axes.set_title(f"{read[i]}, not {digits.test_y[i]}", fontsize=8)
    return results.write()


if __name__ == "__main__":
    start(main)
