"""Connectionist temporal classification: the loss of a sequence of labels whose places in time nobody knows."""

from __future__ import annotations

from typing import Any

import numpy as np

from lazygrad.define.kinds import tensor, tensors
from lazygrad.define.precision import in_floats
from lazygrad.graph.registry import function
from lazygrad.graph.spec import Mismatch
from lazygrad.graph.tensor import Tensor
from lazygrad.nn.activations import log_softmax
from lazygrad.nn.checks import fitting, whole
from lazygrad.nn.embedding import _label, is_label
from lazygrad.nn.losses import _masked
from lazygrad.nn.recursion import _recursion
from lazygrad.ops.comparison import clip, greater, isinf, less, logical_and, not_equal, where
from lazygrad.ops.elementary import logaddexp
from lazygrad.ops.indexing import take_along_axis
from lazygrad.ops.movement import astype, broadcast_to, expand_dims, reshape, stack, whole_index
from lazygrad.ops.padding import pad
from lazygrad.ops.source import full_like

__all__ = ["ctc"]


@function
@in_floats("logits")
def ctc(
    logits: Any, labels: Any, lengths: Any = None, label_lengths: Any = None, *, blank: int = 0, mask: Any = None
) -> Tensor:
    """Minus the logarithm of the probability of a sequence of labels, over all its alignments (Graves et al. 2006).

    At each time one class or the blank is said; an alignment is read by dropping repetitions, then blanks.

    Args:
        logits: ``(N, T, C)``; logarithms of probabilities are logits too.
        labels: ``(N, S)`` of whole numbers below C and other than ``blank``, padded with anything.
        lengths: ``(N,)``, how many times of each example count; all T, if not given.
        label_lengths: ``(N,)``, how many labels of each example count; all S, if not given.
        blank: which class says nothing.
        mask: see :func:`cross_entropy`, of the shape ``(N,)``.

    Returns:
        ``(N,)``, one number a sequence. Where no alignment fits into the time there is, or all of them are
        impossible, it is infinite, and has the gradient 0.

    Raises:
        SpecError: the shapes do not fit, labels or lengths are not whole numbers, or there is no class ``blank``.
        IndexError: when it is evaluated: a label is out of range.
    """
    logits, labels = tensors(logits, labels)
    with fitting("take the ctc of", logits=logits, labels=labels):
        if logits.ndim != 3 or labels.ndim != 2 or labels.shape[0] != logits.shape[0] or not logits.shape[1]:
            raise Mismatch("Logits have the shape [N, T, C] with a time or more, labels [N, S].")
        if not is_label(labels):
            raise Mismatch("Labels are whole numbers: cast them with .astype(int).")
        quiet = whole("blank", blank, 0)
        if quiet >= logits.shape[2]:
            raise Mismatch(f"blank is {quiet}, of {logits.shape[2]} classes.")
    count, times, _ = logits.shape
    ends = _lengths("lengths", lengths, logits, count, times)
    sizes = _lengths("label_lengths", label_lengths, labels, count, labels.shape[1])

    labels = astype(whole_index(labels), np.int64)
    if label_lengths is not None:
        labels = where(less(np.arange(labels.shape[1]), expand_dims(sizes, 1)), labels, quiet)
    labels = _label(labels, count=logits.shape[2])
    states = _between(labels, quiet)
    width = states.shape[1]
    said = take_along_axis(log_softmax(logits, 2), broadcast_to(expand_dims(states, 1), (count, times, width)), axis=2)
    going = expand_dims(less(np.arange(times), expand_dims(ends, 1)), 2)  # after its end a sequence stays where it is
    forward = _recursion(where(going, said, 0), _ways(states, going, quiet, said))[:, -1]
    total = _at(forward, 2 * sizes)
    if width > 1:
        last = where(greater(sizes, 0), _at(forward, clip(2 * sizes - 1, 0, width - 1)), -np.inf)
        total = logaddexp(total, last)
    # Where nothing is possible there is no direction either.
    return _masked(where(logical_and(isinf(total), less(total, 0)), np.inf, -total), mask)


def _lengths(name: str, given: Any, x: Tensor, count: int, most: int) -> Tensor:
    """One whole number an example, at most ``most``; that for all, if none are given."""
    if given is None:
        return broadcast_to(tensor(np.int64(most), x.graph), (count,))
    found = tensor(given, x.graph)
    with fitting("take the ctc of", **{name: found}):
        if found.shape != (count,) or not is_label(found):
            raise Mismatch(f"{name} has one whole number an example: its shape is [{count}].")
        array = None if isinstance(given, Tensor) else np.asarray(given)
        if array is not None and array.size and not (array.min() >= 0 and array.max() <= most):
            raise Mismatch(f"{name} has {array.min()} to {array.max()}; they must be from 0 to {most}.")
    return clip(astype(found, np.int64), 0, most)


def _between(labels: Tensor, blank: int) -> Tensor:
    """Blank, label, blank, label, ..., blank, of the shape (N, 2S + 1)."""
    count, size = labels.shape
    pairs = stack([full_like(labels, blank), labels], axis=2)
    return pad(reshape(pairs, (count, 2 * size)), [(0, 0), (0, 1)], blank)


def _ways(states: Tensor, going: Tensor, blank: int, said: Tensor) -> Tensor:
    """0 where a step of one state, and of two, is possible, else −∞: over a blank, unless the labels are the same."""
    width = states.shape[1]
    before = pad(states[:, : max(width - 2, 0)], [(0, 0), (min(width, 2), 0)], blank)
    over = logical_and(np.arange(width) % 2 == 1, not_equal(states, before))
    steps = [broadcast_to(going, said.shape), logical_and(going, expand_dims(over, 1))]
    return stack([where(step, full_like(said, 0), -np.inf) for step in steps], axis=0)


def _at(x: Tensor, places: Tensor) -> Tensor:
    """One element of every row."""
    return reshape(take_along_axis(x, expand_dims(places, 1), axis=1), (x.shape[0],))
