"""The bar."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

import lazygrad as lg

Make = Callable[..., Any]


def test_a_bar_counts_the_batches_and_shows_the_metrics(problem: Make, capsys: pytest.CaptureFixture[str]) -> None:
    """On the error stream, so that what a program prints stays clean."""
    p = problem()
    lg.fit(p.step, (p.x, p.y), epochs=3, batch_size=25, progress=True)
    shown = capsys.readouterr()
    assert "" == shown.out
    assert "/15 [" in shown.err


def test_without_a_terminal_nothing_is_shown(problem: Make, capsys: pytest.CaptureFixture[str]) -> None:
    """Unless it is asked for."""
    p = problem()
    lg.fit(p.step, (p.x, p.y), epochs=3)
    lg.fit(p.step, (p.x, p.y), epochs=3, progress=False)
    assert ("", "") == capsys.readouterr()


def test_a_bar_without_tqdm_is_refused_before_training(problem: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to install; without being asked for, it is left out."""
    p = problem()
    for name in ("tqdm", "tqdm.auto"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(lg.BackendError, match="cannot show progress: tqdm is not installed"):
        lg.fit(p.step, (p.x, p.y), epochs=1, progress=True)
    assert not p.env["w"].any()
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert 1 == lg.fit(p.step, (p.x, p.y), epochs=1).epochs
