"""Mini-batches."""

from __future__ import annotations

import numpy as np
import pytest

import lazygrad as lg


def test_an_epoch_has_every_example_once_and_keeps_the_last_batch() -> None:
    """In another order in every epoch, the same for all arrays."""
    x, y = np.arange(10), np.arange(10) * 2.0
    orders = []
    for epoch in (0, 1):
        found = list(lg.batches((x, y), 4, epoch=epoch))
        assert [4, 4, 2] == [len(a) for a, _ in found]
        orders.append(np.concatenate([a for a, _ in found]).tolist())
        assert all((b == 2 * a).all() for a, b in found)
    assert [list(range(10))] * 2 == [sorted(order) for order in orders]
    assert orders[0] != orders[1]


def test_without_shuffling_they_come_as_they_stand() -> None:
    """One array is data too."""
    assert [[0, 1, 2], [3, 4]] == [a.tolist() for (a,) in lg.batches(np.arange(5), 3, shuffle=False)]


def test_the_order_is_a_function_of_seed_and_epoch() -> None:
    """So any epoch can be repeated."""

    def order(seed: int, epoch: int) -> list[int]:
        return next(lg.batches(np.arange(50), 50, seed=seed, epoch=epoch))[0].tolist()

    assert order(3, 4) == order(3, 4)
    assert 4 == len({tuple(order(seed, epoch)) for seed in (0, 1) for epoch in (0, 1)})


def test_what_is_wrong_is_told_before_the_first_batch() -> None:
    """When the batches are asked for, not when they are used."""
    with pytest.raises(lg.DataError, match="the batch size is above the size of the data"):
        lg.batches(np.arange(5), 6)
    with pytest.raises(lg.DataError, match="array 1 has a number that is not finite, in row 2"):
        lg.batches((np.arange(3), np.array([0, 1, np.nan])), 2)
