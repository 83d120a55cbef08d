"""Photographs compressed by the singular value decomposition, and how fast it is.

The red, green, blue and alpha of an image, m rows and n columns each, are four matrices A = U Σ Vᵀ of numbers from 0
to 1. With the k largest singular values alone, k + k·m + k·n numbers stand for the m·n of a channel, and no other
matrix of rank k is nearer to A (Eckart and Young 1936). Two sizes and every k of theirs are those of the report of
ML Kit, whose decompositions took 1 m 15 s and 20 m 50 s; a third image has 12 million pixels. The photographs are
resized to these.

    python examples/image_compression.py --data DIR
    python examples/image_compression.py --image photograph.jpg --mode compile
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import lazygrad as lg
from common import Results, options, start
from data import image

# The photograph, its size, every k, and the seconds that ML Kit needed.
PHOTOGRAPHS = [
    ("coffee", (240, 320), (100, 50, 10), "75"),
    ("chelsea", (480, 640), (150, 50, 7), "1250"),
    ("coffee", (3000, 4000), (500, 100, 20), "not in 12 hours (4K)"),
]


def decompose(ctx: lg.Context, channels: Any) -> Any:
    """U, σ and Vᵀ of every channel, in one op."""
    return tuple(lg.linalg.svd(channels, full_matrices=False))


def restore(ctx: lg.Context, u: Any, s: Any, vh: Any, channels: Any) -> Any:
    """The channels from k singular values and vectors, and the root mean square error over red, green and blue."""
    restored = (u * s[:, None, :]) @ vh
    return restored, lg.sqrt(lg.mean(lg.square(restored - channels)[:3]))


def ratio(k: int, m: int, n: int) -> float:
    """The numbers kept for each number of a channel."""
    return (k + k * m + k * n) / (m * n)


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Compress the photographs; the numbers."""
    parser = options(__doc__, reads="images/coffee.png and images/chelsea.png")
    parser.add_argument("--image", type=Path, metavar="FILE", help="compress this photograph of yours")
    given = parser.parse_args(argv)
    results = Results("image_compression", given)
    env = lg.VariableEnvironment(backend=given.backend, seed=given.seed, dtype="float64")

    rows, drawn = [], []
    for name, channels, ks, seconds_there in photographs(given):
        m, n = channels.shape[1:]
        step = prepared(env, decompose, given.mode, channels)
        started = time.perf_counter()
        u, s, vh = lg.to_numpy(step(channels))
        seconds = time.perf_counter() - started
        results.number(f"seconds for the decompositions of {m}×{n}", seconds)
        drawn.append((f"{name}, {m}×{n}: the original", channels))
        for k in ks:
            parts = u[..., :k], s[..., :k], vh[:, :k], channels
            restored, error = lg.to_numpy(prepared(env, restore, given.mode, *parts)(*parts))
            results.number(f"root mean square error of {m}×{n}, k = {k}", error)
            size = f"{100 * ratio(k, m, n):.1f} %"
            rows.append([f"{name} {m}×{n}", k, size, error, f"{-20 * np.log10(error):.1f}", seconds, seconds_there])
            drawn.append((f"k = {k}, {size}", restored))
    header = ["image", "k", "size", "error (RMS)", "PSNR (dB)", "seconds for the SVDs", "seconds of ML Kit"]
    results.table("Compressed photographs", header, rows)

    # The third image is the first one enlarged; a figure has no room for its pixels.
    draw(results, [(title, channels) for title, channels in drawn if given.image or channels.shape[1] < 1000])
    return results.write()


def photographs(given: Any) -> list[tuple[str, Any, Sequence[int], str]]:
    """For each photograph its name, its channels ``(4, m, n)``, every k, and ML Kit's time."""
    if given.image:
        with Image.open(given.image) as file:
            channels = np.moveaxis(np.asarray(file.convert("RGBA"), np.float64) / 255, 2, 0)
        least = min(channels.shape[1:])
        ks = sorted({max(1, round(least * part)) for part in (0.3, 0.1, 0.02)}, reverse=True)
        return [(given.image.stem, channels, ks, "")]
    wanted = PHOTOGRAPHS[:2] if given.quick else PHOTOGRAPHS
    names = [name if given.data else "china" for name, *_ in wanted]
    return [
        (name, resized(image(given.data, photograph), size), ks, seconds)
        for name, (photograph, size, ks, seconds) in zip(names, wanted, strict=True)
    ]


def resized(pixels: Any, size: tuple[int, int]) -> Any:
    """The middle of a photograph in the proportions of ``size`` and of that size, as channels; alpha is 1."""
    rows, columns = pixels.shape[:2]
    height, width = size
    scale = min(rows / height, columns / width)
    top, left = (rows - scale * height) / 2, (columns - scale * width) / 2
    box = (left, top, left + scale * width, top + scale * height)
    picture = Image.fromarray(np.round(255 * pixels).astype(np.uint8)).convert("RGBA")
    picture = picture.resize((width, height), Image.Resampling.LANCZOS, box)
    return np.moveaxis(np.asarray(picture, np.float64) / 255, 2, 0)


def prepared(env: lg.VariableEnvironment, step: Callable[..., Any], mode: str, *arrays: Any) -> Callable[..., Any]:
    """The step, compiled beforehand in compile mode, so that only the decomposition is timed."""
    if mode == "run":
        return partial(env.run, step)
    compiled = env.compile(step, wait=True)
    compiled.prepare(*arrays)
    return compiled


def draw(results: Results, drawn: list[tuple[str, Any]]) -> None:
    """A row for each photograph: the original, then what is restored from fewer and fewer numbers."""
    rows = sum("original" in title for title, _ in drawn)
    columns = len(drawn) // rows
    caption = "The photographs, and what remains of them with fewer singular values."
    figure = results.figure("images", caption, size=(3.2 * columns, 2.8 * rows))
    for i, (title, channels) in enumerate(drawn):
        axes = figure.add_subplot(rows, columns, i + 1, title=title)
        axes.imshow(np.moveaxis(np.clip(channels, 0, 1), 0, 2))
        axes.set_axis_off()


if __name__ == "__main__":
    start(main)
