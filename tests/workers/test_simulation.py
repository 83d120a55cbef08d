"""The simulation of many workers: its arithmetic, by hand."""

from __future__ import annotations

import pytest

from benchmarks.simulation import BACKWARD, Costs, Step, pays

COSTS = Costs(latency=1e-6, bandwidth=1e9)
STEP = Step(fixed=1e-4, row=1e-5, nbytes=4_000_000)


def test_a_sum_costs_its_rounds_and_its_bytes() -> None:
    """Of 4 MB over 4 workers: 2·2 latencies, and 2·3/4 of the bytes by each."""
    assert COSTS.sum(4_000_000, 4) == pytest.approx(4e-6 + 6e-3)


def test_what_does_not_travel_behind_the_backward_pass_is_waited_for() -> None:
    """With many rows only the last piece is; with few the whole exchange but for the short pass."""
    small = 2 * COSTS.sum(8, 2)
    last = COSTS.sum(2**20, 2)
    assert STEP.together(8192, 2, COSTS) == pytest.approx(STEP.seconds(4096) + last + small)
    short = STEP.seconds(8) + COSTS.sum(4_000_000, 2) - BACKWARD * 8e-5 + small
    assert STEP.together(16, 2, COSTS) == pytest.approx(short)


def test_more_workers_want_a_larger_batch() -> None:
    """From which they are used to half; where the exchange is free every batch of a row each is enough, near enough."""
    least = [pays(STEP, k, COSTS) for k in (2, 8, 64)]
    assert least == sorted(least)
    assert pays(Step(0.0, 1e-5, 4), 8, Costs(0.0, 1e15)) == 8
