"""A disk that is full, or fails, at any moment of a save: the old file stays, and nothing lies beside it."""

from __future__ import annotations

import errno
import functools
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

import lazygrad as lg
from lazygrad.files import serialize

CALLS = ("open", "fsync", "replace", "link", "fchmod", "fchown", "fstat", "scandir")
ERRORS = (errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS, errno.EINTR)


@contextmanager
def full(size: int) -> Iterator[None]:
    """No file may become larger than this."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def failing(name: str, call: int, number: int) -> Iterator[None]:
    """A function of the system fails once, when it is called for that time."""
    real: Callable[..., Any] = getattr(os, name)
    count = 0

    def sometimes(*args: Any, **settings: Any) -> Any:
        nonlocal count
        count += 1
        if count == call:
            raise OSError(number, os.strerror(number))
        return real(*args, **settings)

    with mock.patch.object(os, name, sometimes):
        yield


def _save(env: lg.VariableEnvironment, file: Path, keep: int) -> None:
    serialize.write(file, env._document(), keep)


def trial(rng: np.random.Generator, folder: Path) -> str:
    """An environment or a checkpoint of several generations is saved again and again, while something fails."""
    env = lg.VariableEnvironment(seed=int(rng.integers(100)))
    for k in range(int(rng.integers(1, 6))):
        env.name(f"v{k}").set(rng.normal(size=int(rng.integers(1, 4000))))
    file, keep = folder / "env.json", int(rng.integers(1, 4))
    save = functools.partial(_save, env, file, keep)
    for _ in range(keep):
        save()
    refused = 0
    for _ in range(40):
        before = file.read_bytes()
        env["v0"] = rng.normal(size=env["v0"].shape)
        if rng.random() < 0.4:
            fault = full(int(rng.integers(0, len(before))))
        else:
            fault = failing(str(rng.choice(CALLS)), int(rng.integers(1, 4)), int(rng.choice(ERRORS)))
        try:
            with fault:
                save()
        except lg.SaveError:
            refused += 1
            assert before == file.read_bytes()
        else:
            assert env["v0"].tobytes() == lg.VariableEnvironment.load(file)["v0"].tobytes()
        allowed = {"env.json", "env.json.1", "env.json.2"}
        assert set(os.listdir(folder)) <= allowed, os.listdir(folder)
        for name in os.listdir(folder):
            lg.VariableEnvironment.load(folder / name)
    save()
    assert env["v0"].tobytes() == lg.VariableEnvironment.load(file)["v0"].tobytes()
    return "some saves refused" if refused else "no save refused"
