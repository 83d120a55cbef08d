"""The table that ``env.summary()`` prints."""

from __future__ import annotations

import numpy as np
import pytest

import lazygrad as lg


def shown(env: lg.VariableEnvironment, capsys: pytest.CaptureFixture[str]) -> str:
    """What it prints."""
    env.summary()
    return capsys.readouterr().out


def test_the_table_lists_layers_their_variables_and_the_totals(capsys: pytest.CaptureFixture[str]) -> None:
    """What no layer made stands last; the state of optimizers is counted and not listed."""
    env = lg.VariableEnvironment(seed=0)
    layers = [lg.nn.Linear(env, 784, 128, name="hidden"), lg.nn.BatchNorm(env, 128, name="bn"), lg.nn.Dropout(env, 0.5)]
    env.namespace("own").name("table").set(np.zeros((2, 3), "int32"), trainable=False)
    env.name("scale").set(np.float64(1))
    adam = lg.optim.Adam(env, 0.1)
    env.run(
        lambda ctx, x: adam.minimize(lg.mean(layers[1](layers[0](x)) * ctx.variable("scale"))),
        np.ones((2, 784), "float32"),
    )
    assert shown(env, capsys) == (
        "layer    kind       variable   shape              trainable  numbers\n"
        "────────────────────────────────────────────────────────────────────\n"
        "hidden   Linear     weight     float32[784, 128]  yes        100,352\n"
        "                    bias       float32[128]       yes            128\n"
        "bn       BatchNorm  scale      float32[128]       yes            128\n"
        "                    shift      float32[128]       yes            128\n"
        "                    mean       float32[128]       no             128\n"
        "                    variance   float32[128]       no             128\n"
        "dropout  Dropout                                                   –\n"
        "                    own/table  int32[2, 3]        no               6\n"
        "                    scale      float64[]          yes              1\n"
        "────────────────────────────────────────────────────────────────────\n"
        "trainable:        100,737 numbers in 5 variables, 402,952 bytes\n"
        "not trainable:    262 numbers in 3 variables, 1,048 bytes\n"
        "optimizer state:  201,479 numbers in 15 variables, 805,944 bytes\n"
    )


def test_the_layers_within_a_layer_are_listed_by_their_paths(capsys: pytest.CaptureFixture[str]) -> None:
    """After the layer that holds them."""
    env = lg.VariableEnvironment(seed=0)
    lg.nn.MultiHeadAttention(env, 4, 2, use_bias=False, name="a")
    first = [line.split()[0] for line in shown(env, capsys).splitlines()[2:7]]
    assert ["a", "a/query", "a/key", "a/value", "a/out"] == first


def test_an_empty_environment_has_an_empty_table(capsys: pytest.CaptureFixture[str]) -> None:
    """It is not an error to ask."""
    assert "trainable:        0 numbers in 0 variables, 0 bytes" in shown(lg.VariableEnvironment(), capsys)


def test_summary_returns_nothing() -> None:
    """A prompt does not show the table twice."""
    summary = lg.VariableEnvironment().summary
    assert summary() is None  # type: ignore[func-returns-value]
