"""Examples that make new digits and new text."""

from __future__ import annotations

import functools
import importlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import lazygrad as lg

Numbers = Callable[..., dict[str, float]]
EXAMPLES = Path(__file__).parents[2] / "examples"


class Kept(NamedTuple):
    """What a quick compiled run left."""

    numbers: dict[str, float]  # without the times
    folder: Path


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Kept]:
    """A function that runs an example quickly under compile, once for all tests."""

    @functools.cache
    def run(name: str) -> Kept:
        folder = tmp_path_factory.mktemp(name)
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(str(EXAMPLES))
            found = importlib.import_module(name).main(["--quick", "--save", str(folder)])
        return Kept({key: value for key, value in found.items() if "seconds" not in key}, folder)

    return run


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vae", "char_lstm", "transformer_lm"])
def test_run_and_compile_give_the_same_numbers(name: str, numbers: Numbers, kept: Callable[[str], Kept]) -> None:
    """The mode changes how a step is run, and nothing else: draws are the same too."""
    assert numbers(name, "--mode", "run") == pytest.approx(kept(name).numbers, rel=1e-4)


def test_the_bound_is_what_is_explained_less_what_the_hidden_numbers_cost(kept: Callable[[str], Kept]) -> None:
    """ELBO = E[log p(x|z)] − KL, and it has left behind the 784·ln 2 = 543 nats of a network that knows nothing."""
    found = kept("vae").numbers
    bound = found["test E[log p(x|z)], nats an image"] - found["test KL divergence, nats an image"]
    assert found["test ELBO, nats an image"] == pytest.approx(bound, abs=1e-3)
    assert bound > -300


def test_the_divergence_is_that_of_two_normal_distributions(example: Callable[[str], Any]) -> None:
    """KL(N(μ, σ²) ‖ N(0, 1)) = (μ² + σ² − 1 − ln σ²) / 2, summed over the hidden numbers."""
    vae = example("vae")
    env = lg.VariableEnvironment(seed=0)
    model = vae.Autoencoder(env)
    for name, value in {"mean": 3.0, "log_variance": math.log(4)}.items():
        env[f"{name}/weight"] = np.zeros((vae.WIDTH, vae.HIDDEN))
        env[f"{name}/bias"] = np.full(vae.HIDDEN, value)
    _, divergence = env.run(lambda ctx, x: vae.terms(model, ctx, x), np.zeros((2, vae.PIXELS), "float32"))
    assert divergence.tolist() == pytest.approx([16 * (9 + 4 - 1 - math.log(4)) / 2] * 2, rel=1e-6)


def test_the_counts_give_the_bits_of_a_text_that_can_be_counted_by_hand(example: Callable[[str], Any]) -> None:
    """Of 18 characters abab… every a is followed by b: (9 + 1) / (9 + 2), and b by a in 8 of 8: 9 / 10."""
    text = example("char_lstm").Text("ab" * 10)
    assert text.counted(1) == pytest.approx(1.0)
    assert text.counted(2) == pytest.approx(-math.log2(10 / 11))


def test_a_window_of_a_stream_goes_on_where_the_last_one_ended(example: Callable[[str], Any]) -> None:
    """So that the state that is carried on is that of the text before; targets are one character later."""
    pairs = example("char_lstm").windows(np.arange(25), 2, 4)
    assert [x[:, 0].tolist() for x, _ in pairs] == [[0, 12], [4, 16], [8, 20]]
    assert all((x[:, -1] == x[:, 0] + 3).all() for x, _ in pairs)
    assert all((y == x + 1).all() for x, y in pairs)


def test_characters_are_drawn_with_the_probabilities_of_the_tempered_logits(example: Callable[[str], Any]) -> None:
    """At temperature 0.8 logits 0.8·ln 3 and 0 have the odds 3 to 1; 40,000 draws are within five deviations."""
    logits = np.tile(np.array([0.8 * math.log(3), 0.0], "float32"), (40_000, 1))
    codes = lg.VariableEnvironment(seed=0).run(lambda ctx, x: example("char_lstm").drawn(ctx, x), logits)
    assert np.mean(codes) == pytest.approx(0.25, abs=5 * math.sqrt(0.25 * 0.75 / 40_000))


@pytest.mark.parametrize("name", ["char_lstm", "transformer_lm"])
def test_a_network_learns_more_than_the_frequencies_of_the_letters(
    name: str, kept: Callable[[str], Kept], example: Callable[[str], Any]
) -> None:
    """Already in one pass over a short text."""
    text = example("char_lstm").Text(example("data").shakespeare(None, quick=True))
    assert kept(name).numbers["held-out bits a character"] < text.counted(1)


@pytest.mark.parametrize("name", ["char_lstm", "transformer_lm"])
def test_the_text_that_was_written_is_kept(name: str, kept: Callable[[str], Kept]) -> None:
    """In a file beside the results."""
    assert (kept(name).folder / f"{name}_sample.txt").read_text(encoding="utf-8").strip()


def test_no_character_changes_what_the_transformer_says_before_it(example: Callable[[str], Any]) -> None:
    """So what stands in the window behind the last character does not matter when text is written."""
    env = lg.VariableEnvironment(seed=0)
    network = example("transformer_lm").Network(env, characters=9, context=8, width=8, blocks=2, heads=4)
    first, other = np.arange(8)[None], np.array([[0, 1, 2, 3, 8, 8, 8, 8]])
    one, two = (env.run(lambda ctx, x: network(x), x) for x in (first, other))
    assert one[0, :4].tolist() == two[0, :4].tolist()
    assert (one[0, 4:] != two[0, 4:]).any()


def test_the_attention_that_is_drawn_is_the_attention_that_is_computed(example: Callable[[str], Any]) -> None:
    """Each row adds up to 1 over what came before; the values so weighted are what the first block adds."""
    env = lg.VariableEnvironment(seed=0)
    network = example("transformer_lm").Network(env, characters=9, context=8, width=8, blocks=2, heads=4)
    block = network.blocks[0]

    def step(ctx, x):
        h = block.attention_norm(network.embedding(x) + network.positions(lg.arange(8)))
        return network.attention(x), block.attention.value(h)[0], block.attention(h, causal=True)[0]

    weights, values, expected = env.run(step, np.arange(8)[None])
    heads = weights[0] @ values.reshape(8, 4, 2).swapaxes(0, 1)
    out = heads.swapaxes(0, 1).reshape(8, 8) @ env["block_1/attention/out/weight"] + env["block_1/attention/out/bias"]
    assert weights.sum(axis=-1) == pytest.approx(np.ones((2, 4, 8)), rel=1e-5)
    assert out == pytest.approx(expected, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "figures"),
    [
        ("vae", ["samples", "reconstructions", "history"]),
        ("char_lstm", ["loss"]),
        ("transformer_lm", ["loss", "attention"]),
    ],
)
def test_the_figures_are_drawn(name: str, figures: list[str], kept: Callable[[str], Kept]) -> None:
    """Every one of them, beside the results."""
    for figure in figures:
        assert (kept(name).folder / f"{name}_{figure}.png").read_bytes().startswith(b"\x89PNG")
