"""Whether two versions of lazygrad write the same code: ``python -m benchmarks.kernels COMMIT``.

The workloads, chains of layers, a model of each layer, long sums, quick runs of examples and random programs of the
tests are traced and planned by this checkout and by that of a commit, and their native code is written, but not
compiled, for registers of 4, 8 and 16 lanes. The text of every kernel, the table that says what runs on which
memory, and the text of the driver must be equal. The programs are those of this checkout for both.

``--write FILE`` keeps what this checkout writes, and ``FILE`` in place of a commit compares with it.
"""

from __future__ import annotations

import argparse
import difflib
import hashlib
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

from benchmarks.process import ROOT, fresh, notice

SEEDS = 60  # random programs of each family
WIDTHS = (4, 8, 16)
SHOWN = 40  # lines of a difference

Written = dict[str, list[str]]


class Code(NamedTuple):
    """What a version writes: of every program and width its table and kernels by hash, and the texts of all hashes."""

    programs: Written
    texts: dict[str, str]


def main() -> int:
    """How many programs there are, and which of them became other code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kernels", description=__doc__)
    parser.add_argument("before", nargs="?", default="HEAD", metavar="COMMIT", help="or a file; HEAD if none")
    parser.add_argument("--name", action="append", help="what a program's name begins with; again for several")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="random programs of each family")
    parser.add_argument("--width", type=int, action="append", help=f"again for several; {WIDTHS} if not given")
    parser.add_argument("--write", type=Path, metavar="FILE", help="keep what this checkout writes, compare nothing")
    parser.add_argument("--one", nargs=2, metavar=("FOLDER", "FILE"), help="that of a checkout, in this process")
    asked = parser.parse_args()
    chosen = [f"--name={name}" for name in asked.name or ()] + [f"--width={n}" for n in asked.width or ()]
    chosen.append(f"--seeds={asked.seeds}")
    if asked.one:
        folder, file = asked.one
        code = written(folder, asked.name or [""], asked.seeds, asked.width or WIDTHS)
        Path(file).write_text(json.dumps(code), encoding="utf-8")
        print(len(code.programs))
        return 0
    if asked.write is not None:
        print(fresh("benchmarks.kernels", "--one", ROOT, asked.write, *chosen), "programs")
        return 0
    after = of_checkout(ROOT, chosen)
    if Path(asked.before).is_file():
        before = Code(*json.loads(Path(asked.before).read_text(encoding="utf-8")))
    else:
        with checkout(asked.before) as folder:
            before = of_checkout(folder, chosen)
    return told(before, after)


def of_checkout(folder: Path, chosen: list[str]) -> Code:
    """What the checkout in a folder writes."""
    with tempfile.TemporaryDirectory() as kept:
        file = Path(kept) / "code.json"
        fresh("benchmarks.kernels", "--one", folder, file, *chosen, environment={"LAZYGRAD_CACHE": "off"})
        return Code(*json.loads(file.read_text(encoding="utf-8")))


@contextmanager
def checkout(commit: str) -> Iterator[Path]:
    """A folder with the files of a commit."""
    with tempfile.TemporaryDirectory() as folder:
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--detach", "--force", folder, commit], check=True, capture_output=True)
        try:
            yield Path(folder)
        finally:
            subprocess.run([*git, "remove", "--force", folder], check=True, capture_output=True)


def told(before: Code, after: Code) -> int:
    """Say whether two versions write the same, and what differs; 0 if nothing does."""
    names = sorted(before.programs.keys() | after.programs.keys())
    other = [name for name in names if before.programs.get(name) != after.programs.get(name)]
    print(f"{len(names)} programs, {len(before.texts)} texts before and {len(after.texts)} now")
    if not other:
        print("equal, text for text")
        return 0
    print(f"{len(other)} programs differ: {', '.join(other[:12])}{', …' if len(other) > 12 else ''}")
    for line in difference(before, after, other[0]):
        print(line)
    return 1


def difference(before: Code, after: Code, name: str) -> list[str]:
    """The first lines in which the first text of a program that differs does so."""
    old, new = before.programs.get(name), after.programs.get(name)
    if old is None or new is None:
        return [f"{name} is not written {'before' if old is None else 'now'}"]
    pairs = list(zip(old, new, strict=False))
    one, two = next((pair for pair in reversed(pairs) if pair[0] != pair[1]), (old[0], new[0]))
    lines = difflib.unified_diff(
        before.texts[one].splitlines(), after.texts[two].splitlines(), f"{name}, before", "now", lineterm="", n=2
    )
    return list(lines)[:SHOWN]


# In the process of one version.


def written(folder: str, names: list[str], seeds: int, widths: Any) -> Code:
    """What the lazygrad in a folder makes of all programs whose names begin so."""
    sys.path[:0] = [folder]
    import lazygrad
    from benchmarks.corpus import of_engine, plans

    driver_text = of_engine("cpu.llvm_driver").driver_text
    assert Path(lazygrad.__file__).is_relative_to(Path(folder).resolve()), lazygrad.__file__
    code = Code({}, {})
    for name, plan in plans(tuple(names), seeds):
        notice(f"{name}")
        for width in widths:
            code.programs[f"{name}, {width} lanes"] = [kept(code, text) for text in texts(plan, width)]
    for triple in ("x86_64-unknown-linux-gnu", "aarch64-apple-darwin"):
        for pool in (True, False):
            code.programs[f"driver of {triple}, pool {pool}"] = [kept(code, driver_text(triple, pool, True))]
    notice("")
    return code


def kept(code: Code, text: str) -> str:
    """The hash of a text that is now among those of ``code``."""
    key = hashlib.sha256(text.encode()).hexdigest()[:16]
    code.texts[key] = text
    return key


def texts(plan: Any, width: int) -> list[str]:
    """The table of a plan, then all functions of its modules by name, then what stands beside them."""
    from benchmarks.corpus import of_engine

    making = of_engine("cpu.making")
    narrow = making.machine()._replace(width=width)
    with (
        mock.patch.object(making, "machine", return_value=narrow),
        mock.patch.object(making, "object_code", return_value=b""),
        mock.patch.object(making.driver, "compiled", return_value=b""),
    ):
        made = making.made(plan, making.Meter("", 0), lambda: None)
    functions: list[str] = []
    beside: list[str] = []
    for module, _ in made.compiled:
        parts = re.split(r"(?m)^(?=define )", module.text)
        functions += [part for part in parts if part.startswith("define i64 @k")]
        beside += [part for part in parts if not part.startswith("define i64 @k")]
    return [table(made.native), *sorted(functions), *beside]


def table(native: Any) -> str:
    """The table in words: for every row its kernel, its chunks, and where its arguments lie."""
    block, lines = iter(native.block), [f"an arena of {native.nbytes} bytes"]
    for step in native.program:
        if not hasattr(step, "name"):
            lines.append(f"{step.entry}: call back for node {step.node}")
            continue
        places = [f"{_place(native, key)}+{start}" for key, start in (next(block) for _ in step.arguments)]
        lines.append(f"{step.entry}: {step.name} in {step.chunks} of {', '.join(places)}")
    given = native.moving if hasattr(native, "moving") else native.slots  # which it was called before
    lines += [f"given {key}: {array.spec} {array.places}" for key, array in given.items()]
    lines += [f"outputs {list(native.outputs)}, foreign {list(native.foreign)}"]
    return "\n".join(lines)


def _place(native: Any, key: Any) -> str:
    buffer = native.buffers.get(key)
    return str(key) if buffer is None else f"arena {buffer.offset}"


if __name__ == "__main__":
    sys.exit(main())
