"""The bar, and the lines."""

from __future__ import annotations

import contextlib
import os
import re
import struct
import sys
import threading
import types
from collections.abc import Callable
from pathlib import Path
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


def test_a_line_an_epoch_off_a_terminal(problem: Make, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """On the standard stream, at once; every second one and the last, if that is asked for."""
    p = problem(compiled=False)
    history = lg.fit(p.step, (p.x, p.y), epochs=3, validation=(p.x, p.y), verbose=True, env=p.env)
    lines = capsys.readouterr().out.splitlines()
    for number, line in enumerate(lines):
        loss, held_out = history["loss"][number], history["validation_loss"][number]
        assert re.fullmatch(rf"epoch {number + 1}/3  loss {loss:.4g}  validation_loss {held_out:.4g}  \S+ s", line)
    lg.fit(p.step, (p.x, p.y), epochs=5, verbose=2, env=p.env)
    assert ["epoch 2/5", "epoch 4/5", "epoch 5/5"] == [line[:9] for line in capsys.readouterr().out.splitlines()]
    stops = [lambda training: training.stop("enough")]
    lg.fit(p.step, (p.x, p.y), epochs=5, verbose=2, env=p.env, callbacks=stops)
    assert ["epoch 1/5"] == [line[:9] for line in capsys.readouterr().out.splitlines()]
    for verbose in (-1, "yes", 1.5):
        with pytest.raises(lg.DataError, match="as verbose"):
            lg.fit(p.step, (p.x, p.y), epochs=1, verbose=verbose, env=p.env, checkpoint=tmp_path / "c.json")
    assert not list(tmp_path.iterdir())


def test_a_bar_is_one_line_however_narrow_the_terminal_and_many_the_metrics(
    problem: Make, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No line break, no text that is longer than the terminal is wide, and no flood: lines stand above it."""
    pty, fcntl, termios = (pytest.importorskip(name) for name in ("pty", "fcntl", "termios"))
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 50, 0, 0))
    read: list[bytes] = []

    def listen() -> None:
        with contextlib.suppress(OSError):  # what Linux says when the other end is closed
            while part := os.read(ours, 4096):
                read.append(part)

    listener = threading.Thread(target=listen)
    listener.start()
    p = problem(compiled=False)
    evaluate = lambda ctx, x, y: {f"a_rather_long_name_{k}": lg.mean(x) for k in range(6)}  # noqa: E731
    with open(theirs, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        lg.fit(p.step, (p.x, p.y), epochs=40, validation=(p.x, p.y), evaluate=evaluate, env=p.env, verbose=20)
        monkeypatch.undo()
    listener.join()
    os.close(ours)
    drawn = b"".join(read).decode().split("\r")
    assert "batch" in "".join(drawn)
    assert "\n" not in "".join(drawn)
    assert 50 > max(map(len, drawn))
    assert 40 * 4 / 2 > len(drawn)
    assert ["epoch 20/40", "epoch 40/40"] == [line[:11] for line in capsys.readouterr().out.splitlines()]


def test_a_notebook_has_a_bar_too(problem: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though its error stream is no terminal: a kernel is known by IPython's shell."""
    p = problem(compiled=False)
    made: list[Any] = []

    class Bar:
        def __init__(self, **settings: Any) -> None:
            made.append(settings)

        update = set_postfix = close = lambda self, *args, **kwargs: None

    monkeypatch.setitem(sys.modules, "tqdm.auto", types.SimpleNamespace(tqdm=Bar))
    for config, bars in (({}, 0), ({"IPKernelApp": {}}, 1)):
        shell = types.SimpleNamespace(config=config)
        monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda shell=shell: shell))
        lg.fit(p.step, (p.x, p.y), epochs=2, batch_size=50, env=p.env)
        assert bars == len(made)
    assert 6 == made[0]["total"]


def test_a_bar_of_batches_that_come_one_by_one_counts_them(problem: Make, capsys: pytest.CaptureFixture[str]) -> None:
    """Without an end where nobody knows how many there are."""
    p = problem(compiled=False)
    lg.fit(p.step, lambda: [(p.x, p.y)], epochs=2, progress=True, env=p.env)
    lg.fit(p.step, lambda: iter([(p.x, p.y)]), epochs=2, batches_per_epoch=1, progress=True, env=p.env)
    assert "0batch" in (shown := capsys.readouterr().err)
    assert "/2 [" in shown
