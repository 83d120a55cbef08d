"""Discrete Fourier transforms, as products with matrices of sines and cosines; the last axis is real and imaginary."""

from __future__ import annotations

from typing import Any

import numpy as np

import lazygrad as lg
from lazygrad.onnx.ops.table import At, Known, op


def _turns(n: int, count: int, inverse: bool) -> tuple[Any, Any]:
    """cos and sin of 2πjk/n, (n, count); of the inverse divided by n, with the other sign of the sine."""
    angles = 2 * np.pi / n * (np.outer(np.arange(n), np.arange(count)) % n)
    return (np.cos(angles) / n, np.sin(angles) / n) if inverse else (np.cos(angles), -np.sin(angles))


def _transformed(x: Any, n: int, onesided: bool, inverse: bool) -> Any:
    """Along the axis before the last one."""
    size = x.shape[-2]
    x = x[..., :n, :] if size >= n else lg.pad(x, [(0, 0)] * (x.ndim - 2) + [(0, n - size), (0, 0)])
    cos, sin = (m.astype(x.dtype) for m in _turns(n, n // 2 + 1 if onesided else n, inverse))
    real = x[..., 0]
    if x.shape[-1] == 1:
        return lg.stack([real @ cos, real @ sin], axis=-1)
    imaginary = x[..., 1]
    return lg.stack([real @ cos - imaginary @ sin, real @ sin + imaginary @ cos], axis=-1)


def _whole(x: Any, n: int) -> Any:
    """All of a spectrum of which one half is given, as that of real numbers has the other mirrored."""
    rest = x[..., 1 : n - x.shape[-2] + 1, :]
    return lg.concat([x, lg.flip(rest, -2) * np.array([1, -1], x.dtype)], axis=-2)


@op("DFT")
def dft(at: At, x: Any, length: Known = None, along: Known = None, *, axis: Any, inverse: int, onesided: int) -> Any:
    """The transform along an axis, of a length that is cut to, or filled up with zeros."""
    place = axis if at.since < 20 else -2 if along is None else int(np.reshape(along, -1)[0])
    x = lg.moveaxis(x, place, -2)
    if onesided and inverse:
        n = 2 * (x.shape[-2] - 1) if length is None else int(np.reshape(length, -1)[0])
        y = _transformed(_whole(x, n), n, False, True)[..., :1]
    else:
        n = x.shape[-2] if length is None else int(np.reshape(length, -1)[0])
        y = _transformed(x, n, bool(onesided), bool(inverse))
    return lg.moveaxis(y, -2, place)


@op("STFT")
def stft(at: At, x: Any, step: Known, window: Any = None, length: Known = None, *, onesided: int) -> Any:
    """The transforms of frames, one every so many numbers, weighted by a window."""
    n = window.shape[0] if length is None else int(np.reshape(length, -1)[0])
    stride = int(np.reshape(step, -1)[0])
    rows = lg.expand_dims(lg.moveaxis(x, -1, 1), 2)  # (example, part, 1, time)
    frames = lg.nn.windows(rows, (1, n), (1, stride))[:, :, 0, :, 0]  # (example, part, frame, time)
    frames = frames if window is None else frames * window
    return _transformed(lg.moveaxis(frames, 1, -1), n, bool(onesided), False)
