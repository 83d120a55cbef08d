"""Workers that are killed while they train."""

from __future__ import annotations

from pathlib import Path

import killed
import numpy as np
import pytest
from launched import needs_mpi

TIMES = 3


@needs_mpi
@pytest.mark.slow
def test_after_a_kill_the_others_end_and_another_number_of_workers_goes_on(tmp_path: Path) -> None:
    """`python -m tests.workers.killed` does it a hundred times."""
    whole, seconds = killed.uninterrupted(tmp_path)
    for number in range(TIMES):
        folder = tmp_path / str(number)
        folder.mkdir()
        found = killed.trial(np.random.default_rng([7, number]), folder, whole, seconds)
        assert found.seconds < killed.MOST
