"""Every kernel for a GPU, assembled without one: ``python -m benchmarks.assembling [NAME …]``.

The kernels of all programs of :mod:`benchmarks.corpus` whose names begin so, and of those that a run of the tests has
kept in a folder (``--kept``, see ``tests/gpu/keeping.py``), are put together, each text once, and written for one
architecture after another by LLVM and ``ptxas``, some dozens at a time. What stands in the end is how many registers a
thread takes, and which kernels lay aside more than :data:`SPILLED` bytes: that is what 64 registers hold.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.corpus import plans
from benchmarks.process import notice
from lazygrad.engine.cuda.entry import device_code
from lazygrad.engine.cuda.llvm import Usage, assembled, assembler, ptx
from lazygrad.engine.cuda.target import GPU
from lazygrad.engine.table.lower import lowered

__all__ = ["ARCHITECTURES", "KNOWN", "SPILLED", "Kernels", "is_too_much", "usages"]

ARCHITECTURES = ("sm_70", "sm_80", "sm_90")
SPILLED = 64 * 4  # bytes that a thread may lay aside: 64 registers of 4 bytes
# What lays aside more, and why it is left so; at most MOST bytes.
KNOWN = {
    "workload leaves": "a loop that carries 60 numbers of float64 takes all registers; launching its turns is slower",
    "workload kalman60": "200 operands of float64 are read before the first is used, on sm_70",
}
MOST = 1_000
BOUNDS = (32, 64, 128, 255)  # registers a thread; 255 is all that there are
TOGETHER = 400_000  # characters of a module, about: some dozens of kernels


class Kernels:
    """Kernels by name, which is made of their text; with what each calls, and the program it was first seen in."""

    def __init__(self) -> None:
        self.bodies: dict[str, str] = {}
        self.beside: dict[str, dict[str, str]] = {}
        self.seen: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self.bodies)

    def add(self, native: Any, program: str) -> list[str]:
        """Take those of a step written for a GPU; the names of those that are new."""
        new = []
        for name, body in native.functions.items():
            if name != "take" and name not in self.bodies:
                self.put(name, body, native.definitions, program)
                new.append(name)
        return new

    def put(self, name: str, body: str, definitions: Mapping[str, str], program: str) -> None:
        """Take one; of the definitions what it calls, and what that calls."""
        called: dict[str, str] = {}
        texts = [body]
        while texts:
            text = texts.pop()
            fresh = {key: made for key, made in definitions.items() if key not in called and key in text}
            called |= fresh
            texts += fresh.values()
        self.bodies[name], self.beside[name], self.seen[name] = body, called, program

    def write(self, folder: Path, names: Iterable[str]) -> None:
        """Keep kernels in a folder, where other processes may do the same."""
        for name in names:
            beside = {}
            for key, text in self.beside[name].items():
                beside[key] = hashlib.sha256(text.encode()).hexdigest()[:20]
                _kept(folder / f"{beside[key]}.definition", text)
            said = {"body": self.bodies[name], "beside": beside, "seen": self.seen[name]}
            _kept(folder / f"{name}.kernel", json.dumps(said))

    def read(self, folder: Path) -> None:
        """Take those that a folder holds."""
        texts = {file.stem: file.read_text(encoding="utf-8") for file in folder.glob("*.definition")}
        for file in sorted(folder.glob("*.kernel")):
            said = json.loads(file.read_text(encoding="utf-8"))
            if file.stem not in self.bodies:
                definitions = {key: texts[digest] for key, digest in said["beside"].items()}
                self.put(file.stem, said["body"], definitions, said["seen"])

    def modules(self) -> Iterator[tuple[dict[str, str], dict[str, str]]]:
        """All kernels, as many together as a module takes, with what stands beside them in it."""
        functions: dict[str, str] = {}
        definitions: dict[str, str] = {}
        length = 0
        for name, body in self.bodies.items():
            beside = self.beside[name]
            clash = any(definitions.get(key, text) != text for key, text in beside.items())
            if functions and (clash or length > TOGETHER):
                yield functions, definitions
                functions, definitions, length = {}, {}, 0
            functions[name] = body
            definitions.update(beside)
            length += len(body) + sum(map(len, beside.values()))
        if functions:
            yield functions, definitions


def _kept(file: Path, text: str) -> None:
    """Write a file whole, or find it there."""
    if not file.exists():
        part = file.with_suffix(f".{os.getpid()}")
        part.write_text(text, encoding="utf-8")
        part.replace(file)


def usages(kernels: Kernels, architecture: str) -> dict[str, Usage]:
    """What every kernel takes of a GPU, by name. While ``ptxas`` assembles a module LLVM writes the next."""
    found: dict[str, Usage] = {}
    with ThreadPoolExecutor(1) as beside:
        waiting = []
        for functions, definitions in kernels.modules():
            text = ptx(device_code(functions, definitions).text, architecture)
            waiting.append(beside.submit(assembled, text, architecture))
            notice(f"{architecture}: {sum(map(len, (f.result()[1] for f in waiting if f.done())))} kernels")
        for one in waiting:
            found |= one.result()[1]
    notice("")
    assert found.keys() == kernels.bodies.keys()
    return found


def is_too_much(usage: Usage, program: str) -> bool:
    """Whether a kernel lays aside more than it may."""
    return usage.spilled > (MOST if program in KNOWN else SPILLED)


class Told(NamedTuple):
    """Lines that say what was found, and how many kernels lie in memory for want of registers."""

    lines: list[str]
    bad: int


def told(kernels: Kernels, found: Mapping[str, Usage], architecture: str, seconds: float) -> Told:
    """What an architecture takes for all of them."""
    counts = Counter(next(b for b in BOUNDS if usage.registers <= b) for usage in found.values())
    spilled = sorted(((u, name) for name, u in found.items() if u.spilled), key=lambda pair: -pair[0].spilled)
    bad = [name for usage, name in spilled if is_too_much(usage, kernels.seen[name])]
    shares = ", ".join(f"{counts[bound]} up to {bound}" for bound in BOUNDS)
    lines = [
        f"{architecture}: {len(found)} kernels in {seconds:.0f} s; registers a thread: {shares}; "
        f"{len(spilled)} lay aside bytes, {len(bad)} more than they may"
    ]
    lines += [f"  {u.spilled} bytes, {u.registers} registers: {name} of {kernels.seen[name]}" for u, name in spilled]
    return Told(lines, len(bad))


def main() -> int:
    """Registers and bytes laid aside, of every architecture; 0 if no kernel lays aside too much."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.assembling", description=__doc__)
    parser.add_argument("name", nargs="*", default=[""], help="what a program's name begins with")
    parser.add_argument("--seeds", type=int, default=60, help="random programs of each family")
    parser.add_argument("--architecture", action="append", help=f"again for several; {ARCHITECTURES} if not given")
    parser.add_argument("--kept", type=Path, metavar="FOLDER", help="kernels that a run of the tests has kept")
    asked = parser.parse_args()
    tool = assembler()
    if tool is None:
        print("There is no ptxas: the wheel nvidia-cuda-nvcc-cu12 brings it.")
        return 2
    kernels, begun, programs = Kernels(), time.perf_counter(), 0
    for name, plan in plans(tuple(asked.name), asked.seeds):
        notice(name)
        kernels.add(lowered(plan, GPU), name)
        programs += 1
    notice("")
    print(f"{programs} programs, {len(kernels)} kernels in {time.perf_counter() - begun:.0f} s", flush=True)
    if asked.kept is not None:
        kernels.read(asked.kept)
        print(f"with those that the tests have kept {len(kernels)} kernels", flush=True)
    bad = 0
    for architecture in asked.architecture or ARCHITECTURES:
        if architecture not in tool.architectures:
            print(f"{architecture}: {tool.program} does not write for it any more")
            continue
        begun = time.perf_counter()
        found = usages(kernels, architecture)
        said = told(kernels, found, architecture, time.perf_counter() - begun)
        print("\n".join(said.lines), flush=True)
        bad += said.bad
    return int(bool(bad))


if __name__ == "__main__":
    raise SystemExit(main())
