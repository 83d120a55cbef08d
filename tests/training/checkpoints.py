"""What the tests of checkpoints share: how fit refuses one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lazygrad as lg

Make = Callable[..., Any]


def refused(p: Any, file: Path, **changed: Any) -> str:
    """What fit says of a checkpoint; neither the file nor the environment is changed."""
    before = file.read_bytes() if file.exists() else None, [v.value.tobytes() for v in p.env]
    with pytest.raises(lg.SaveError) as raised:
        lg.fit(p.step, (p.x, p.y), checkpoint=file, **{"epochs": 4, **changed})
    assert before == (file.read_bytes() if file.exists() else None, [v.value.tobytes() for v in p.env])
    return str(raised.value)
