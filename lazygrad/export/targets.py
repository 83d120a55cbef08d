"""The machines that exported code can be made for, by name."""

from __future__ import annotations

from typing import NamedTuple

from lazygrad.engine.cpu.llvm import machine
from lazygrad.errors import ExportError, nearest, report
from lazygrad.graph.registry import here

__all__ = ["Machine", "machine_of"]


class Machine(NamedTuple):
    """What code is made for.

    Attributes:
        name: as the user says it.
        triple, cpu, features: as LLVM says them.
        lanes: numbers of float32 in a wide register.
        pointer: bytes of an address.
        fused: whether it multiplies and adds with one rounding, itself or by the library of C.
        level: of optimisation; where functions must be written into those that call them, 2.
    """

    name: str
    triple: str
    cpu: str
    features: str
    lanes: int
    pointer: int = 8
    fused: bool = True
    level: int = 1

    @property
    def is_web(self) -> bool:
        """Whether it is WebAssembly."""
        return self.triple.startswith("wasm")

    @property
    def said(self) -> str:
        """What a header says that the code is for; another processor of the kind may lack what it uses."""
        if self.name == "host" and self.cpu:
            return f"{self.triple}, processors that can what {self.cpu!r} can"
        return self.triple if self.cpu in ("", "generic") else f"{self.triple}, {self.cpu}"

    @property
    def processor(self) -> str:
        """The kind of processor, such as ``x86_64``."""
        return self.triple.split("-")[0]


_WEB = "+simd128,+bulk-memory,+nontrapping-fptoint,+sign-ext,+mutable-globals"
_OTHERS = (
    *[
        Machine(f"x86-64{level}", "x86_64-unknown-linux-gnu", f"x86-64{level}", "", lanes)
        for level, lanes in (("", 4), ("-v2", 4), ("-v3", 8), ("-v4", 16))
    ],
    Machine("aarch64-linux", "aarch64-unknown-linux-gnu", "generic", "+neon", 4),
    Machine("wasm32", "wasm32-unknown-unknown", "generic", _WEB, 4, pointer=4, fused=False, level=2),
)
_KNOWN = {one.name: one for one in _OTHERS}


def machine_of(name: str) -> Machine:
    """The machine with this name; ``"host"`` is this one.

    Raises:
        ExportError: there is none, or LLVM does not know this one.
    """
    if isinstance(name, str) and name in _KNOWN:
        found = _KNOWN[name]
        own = machine().triple
        # The same processor under another system, as far as files of objects go.
        same = own.split("-")[0] == found.processor
        return found._replace(triple=own) if same else found
    if name != "host":
        known = ["host", *_KNOWN]
        cure = nearest(name, known)
        if not cure.startswith("There are"):
            cure += f" The targets are {', '.join(map(repr, known))}."
        raise ExportError(report(f"cannot export for the target {name!r}", at=here(), cure=cure))
    host = machine()
    return Machine(name, host.triple, host.cpu, host.features, host.width)
