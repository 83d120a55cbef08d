"""What the tests of files share: documents as JSON values, a way through a file, and how a wrong one is refused."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from snapshots import snapshot

import lazygrad as lg
from lazygrad.errors import SaveError

Env = lg.VariableEnvironment
FORMAT_PAGE = Path(__file__).parents[1] / "docs" / "format.md"
VERSION_1 = Path(__file__).parent / "version1"  # files that lazygrad wrote then
SAVE, LOAD, RESTORE = "env.save(path)", "Env.load(path)", "env.restore(path)"  # lines of tests that messages name


def returned(array: Any, path: Path) -> Any:
    """The array after a way through a file."""
    env = Env(seed=0)
    env.name("x").set(array)
    env.save(path)
    return Env.load(path)["x"]


def same_bits(expected: Any, actual: Any) -> bool:
    """Whether two arrays are the same: dtype, shape, and every bit."""
    return (expected.dtype, expected.shape, expected.tobytes()) == (actual.dtype, actual.shape, actual.tobytes())


def document_of(*rows: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A file of one variable ``w``, or of these, as JSON values; ``changes`` replace members."""
    plain = {"name": "w", "dtype": "float32", "shape": [2], "trainable": True, "data": [1.0, 2.0]}
    content = {
        "format": "lazygrad",
        "version": 1,
        "dtype": "float32",
        "random": {"seed": 1, "runs": 2},
        "variables": list(rows) or [plain],
    }
    return {**content, **changes}


def signed(content: dict[str, Any]) -> str:
    """The text of a file of version 2 with these members, and a checksum that fits."""
    unsigned = {key: value for key, value in content.items() if key != "checksum"}
    text = json.dumps({**unsigned, "version": 2}, ensure_ascii=False)[:-1] + ", "
    return f'{text}"checksum": "{hashlib.sha256(text.encode()).hexdigest()}"}}'


def row(**changes: Any) -> dict[str, Any]:
    """One variable of a file; a change to None takes the member out."""
    plain = {"name": "w", "dtype": "float32", "shape": [2], "trainable": True, "data": [1.0, 2.0], **changes}
    return {key: value for key, value in plain.items() if value is not None}


def refused(text: str | bytes, path: Path, env: Env) -> str:
    """The message with which both load and restore refuse a file; the environment is as before."""
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    before = snapshot(env)
    messages = []
    for use in (Env.load, env.restore, lambda path: env.restore(path, strict=False)):
        with pytest.raises(SaveError) as caught:
            use(path)
        messages.append(str(caught.value).split("\n\n")[-1])
        assert str(caught.value).startswith(f"cannot read {str(path)!r}\n\n")
    assert before == snapshot(env)
    assert 1 == len(set(messages))
    return messages[0].strip()
