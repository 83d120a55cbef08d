"""The compression of photographs: its ratios, its errors, and a user's own photograph."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import lazygrad as lg

Numbers = Callable[..., dict[str, float]]


@pytest.fixture
def photograph(tmp_path: Path) -> Any:
    """A file of 20×30 random pixels, their alpha random too; its channels."""
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 4), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photograph.png")
    return np.moveaxis(pixels, 2, 0) / 255


@pytest.mark.parametrize(
    ("m", "n", "ratios"),
    [(240, 320, {100: 73.0, 50: 36.5, 10: 7.3}), (480, 640, {150: 54.7, 50: 18.2, 7: 2.6})],
)
def test_the_ratios_are_those_of_the_report(
    m: int, n: int, ratios: dict[int, float], example: Callable[[str], Any]
) -> None:
    """ML Kit's table for both of its images, in per cent."""
    assert ratios == {k: round(100 * example("image_compression").ratio(k, m, n), 1) for k in ratios}


def test_the_error_is_what_the_values_left_out_say(example: Callable[[str], Any], photograph: Any) -> None:
    """Eckart and Young: the squared error is the sum of the squares of the singular values that are left out."""
    module, env = example("image_compression"), lg.VariableEnvironment(dtype="float64")
    u, s, vh = env.run(module.decompose, photograph)
    _, error = env.run(module.restore, u[..., :5], s[..., :5], vh[:, :5], photograph)
    assert error == pytest.approx(np.sqrt(np.square(s[:3, 5:]).sum() / (3 * 20 * 30)), rel=1e-12)


@pytest.mark.slow
def test_run_and_compile_give_the_same_numbers(numbers: Numbers) -> None:
    """The mode changes how a step is run, and nothing else."""
    run, compiled = (numbers("image_compression", "--mode", mode) for mode in ("run", "compile"))
    assert run == pytest.approx(compiled, rel=1e-9)


def test_fewer_singular_values_make_a_larger_error(numbers: Numbers) -> None:
    """For both photographs."""
    found = numbers("image_compression")
    for size, ks in [("240×320", (100, 50, 10)), ("480×640", (150, 50, 7))]:
        errors = [found[f"root mean square error of {size}, k = {k}"] for k in ks]
        assert 0 < errors[0] < errors[1] < errors[2] < 0.2


def test_a_photograph_of_the_user_is_compressed(numbers: Numbers, photograph: Any, tmp_path: Path) -> None:
    """It keeps its size, and every k is a part of it."""
    found = numbers("image_compression", "--image", "photograph.png")
    assert {f"root mean square error of 20×30, k = {k}" for k in (6, 2, 1)} == found.keys()
    assert (tmp_path / "results" / "image_compression_images.png").read_bytes().startswith(b"\x89PNG")


def test_a_resized_photograph_is_not_distorted(example: Callable[[str], Any]) -> None:
    """What is too wide is cut at both sides: the middle column stays, the outer ones go."""
    wide = np.zeros((10, 40, 3))
    wide[:, 15:25, 0] = 1
    channels = example("image_compression").resized(wide, (10, 10))
    assert [1.0, 0.0, 0.0, 1.0] == channels.mean(axis=(1, 2)).tolist()


def test_a_file_that_is_no_photograph_is_named(example: Callable[[str], Any], tmp_path: Path) -> None:
    """The message is Pillow's, and says which file it is."""
    (tmp_path / "notes.txt").write_text("no photograph")
    with pytest.raises(OSError, match=r"notes\.txt"):
        example("image_compression").main(["--quick", "--image", "notes.txt"])
