"""Checkpoints that were damaged: bits, bytes and pieces changed, and arrays made wrong under a checksum that fits.

What is read of a damaged file is a SaveError, or the same numbers. Under a checksum that fits, the numbers are those
that the file says, and a training either goes on from them to its end or refuses, and then nothing has changed.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import json
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import lazygrad as lg
from lazygrad.files import serialize

RAW, AIMED = 150, 15  # in one trial
EPOCHS = 3


class Training(NamedTuple):
    """An environment with a model, its step and data."""

    env: lg.VariableEnvironment
    step: Any
    data: Any

    def fit(self, file: Path) -> tuple[lg.History, lg.BestWeights]:
        """Train, or go on; with callbacks that keep all that there is to keep."""
        best = lg.BestWeights("loss")
        stop = lg.EarlyStopping(patience=2)
        held_out = tuple(array[:20] for array in self.data)
        callbacks = [best, stop]
        settings = {"epochs": EPOCHS, "validation": held_out, "callbacks": callbacks, "checkpoint": file, "keep": 1}
        return lg.fit(self.step, self.data, **settings), best

    def state(self) -> Any:
        """All that a training changes."""
        store = self.env._store
        return [(v.path, str(v.spec), v.value.tobytes()) for v in self.env], store.draws.seed, store.state.runs


def training() -> Training:
    """A linear model with dropout and Adam."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 3)).astype("float32")
    env = lg.VariableEnvironment(seed=0)
    env.name("w").set(np.zeros(3, "float32"))
    adam = lg.optim.Adam(env, 0.05)

    def step(ctx: Any, x: Any, y: Any, train: bool) -> Any:
        loss = lg.mean(lg.square(lg.nn.dropout(x, 0.1, train) @ ctx.variable("w") - y))
        return {"loss": loss, "update": adam.minimize(loss)} if train else {"loss": loss}

    return Training(env, env.compile(step), (x, x @ np.ones(3, "float32")))


@functools.cache
def original() -> tuple[bytes, Training]:
    """A checkpoint, and a training that could go on from it."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "c.json")
        training().fit(file)
        return file.read_bytes(), training()


def contents(document: serialize.Document) -> Any:
    """All that is in a file."""
    rows = [[(e.path, e.trainable, str(e.array.dtype), e.array.shape, e.array.tobytes()) for e in entries]
            for entries in (document.records, document.training or [])]  # fmt: skip
    return rows, str(document.dtype), document.seed, document.runs


def damaged(rng: np.random.Generator, whole: bytes) -> bytes:
    """The file after an accident."""
    data, place = bytearray(whole), int(rng.integers(len(whole)))
    length = int(rng.integers(1, 40))
    match rng.integers(7):
        case 0:
            data[place] ^= 1 << int(rng.integers(8))
        case 1:
            data[place] = int(rng.integers(256))
        case 2:
            del data[place:]
        case 3:
            del data[place : place + length]
        case 4:
            data[place:place] = data[place : place + length]
        case 5:
            digits = [k for k, byte in enumerate(whole) if chr(byte).isdigit()]
            data[digits[place % len(digits)]] = ord("0") + int(rng.integers(10))
        case 6:
            lines = whole.split(b"\n")
            one, other = rng.integers(len(lines), size=2)
            lines[one], lines[other] = lines[other], lines[one]
            data = bytearray(b"\n".join(lines))
    return bytes(data)


def aimed(rng: np.random.Generator, whole: bytes) -> bytes:
    """The file with one array made another, and a checksum that fits."""
    content = json.loads(whole)
    del content["checksum"]
    rows = content["training" if rng.random() < 0.8 else "variables"]
    row = rows[rng.integers(len(rows))]
    match rng.integers(7):
        case 0:
            rows.remove(row)
        case 1:
            row["name"] += str(rng.choice(["x", "/x", "0"]))
        case 2:
            row["dtype"] = str(rng.choice(["float32", "float64", "int8", "int64", "uint8", "bool"]))
        case 3:
            row["shape"] = [1, *row["shape"]] if rng.random() < 0.5 else [len(row.get("data", []))]
        case 4 if row.get("data"):
            row["data"][rng.integers(len(row["data"]))] = rng.choice([0, 1, -1, 3, 255, 0.5, True]).item()
        case 5 if row.get("data"):
            row["data"] = row["data"][:-1]
            row["shape"] = [len(row["data"])]
        case 6:
            rows[rng.integers(len(rows))] = row
    text = json.dumps(content)[:-1] + ", "
    return f'{text}"checksum": "{hashlib.sha256(text.encode()).hexdigest()}"}}'.encode()


def trial(rng: np.random.Generator, folder: Path) -> str:
    """Some files with accidents, some that are aimed."""
    whole, mine = original()
    expected = contents(serialize.understood(io.BytesIO(whole), None, {}))
    for _ in range(RAW):
        with contextlib.suppress(serialize.UnreadableError):
            assert expected == contents(serialize.understood(io.BytesIO(damaged(rng, whole)), None, {}))
    file, taken = folder / "c.json", 0
    for _ in range(AIMED):
        text = aimed(rng, whole)
        file.write_bytes(text)
        before = mine.state()
        try:
            history, best = mine.fit(file)
        except lg.SaveError:
            assert (before, text) == (mine.state(), file.read_bytes())
            continue
        training = serialize.understood(io.BytesIO(text), None, {}).training
        arrays = {entry.path: entry.array for entry in training or []}
        assert (EPOCHS, arrays["callback/0/epoch"]) == (history.epochs, best.epoch)
        for path, array in arrays.items():
            if path.startswith("callback/1/variables/"):  # the last callback gives back what was best
                assert array.tobytes() == mine.env[path.removeprefix("callback/1/variables/")].tobytes()
        taken += 1
    return f"{RAW} accidents, {AIMED} aimed" + (", some taken as the file says" if taken else "")
