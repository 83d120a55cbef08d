"""Plan -> code for a GPU: what the thread beside the program does where arrays lie on one."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from typing import Any, NamedTuple

from lazygrad.backends.base import Device
from lazygrad.backends.remedies import ELF
from lazygrad.engine.cpu.cache import kept
from lazygrad.engine.cpu.llvm import versions
from lazygrad.engine.cpu.meter import Meter
from lazygrad.engine.cuda.binding import DeviceLoaded
from lazygrad.engine.cuda.entry import DeviceCode, device_code
from lazygrad.engine.cuda.llvm import assembled, assembler, ptx
from lazygrad.engine.cuda.target import GPU
from lazygrad.engine.lower.ways import Way
from lazygrad.engine.table.explain import explained
from lazygrad.engine.table.lower import lowered
from lazygrad.engine.table.native import Bundle, Instruction, Native, NumpyCall
from lazygrad.errors import BackendError
from lazygrad.plan import Plan

__all__ = ["DeviceLoaded", "DeviceMade", "made"]


class DeviceMade(NamedTuple):
    """A plan's code for a GPU, not yet on it: ``image`` is a cubin, or PTX where there is no assembler."""

    native: Native
    code: DeviceCode
    image: bytes
    backend: Device
    is_late: bool

    def load(self, xp: Any) -> DeviceLoaded:
        """The code on the device; PTX of it, which the driver makes code of, where it takes no cubin.

        Raises:
            BackendError: the driver takes neither; it is too old.
        """
        try:
            return DeviceLoaded(self.native, self.code, self.image, self.backend, self.is_late)
        except BackendError:
            if not self.image.startswith(ELF):
                raise
        image = ptx(self.code.text, self.backend.architecture).encode() + b"\0"
        return DeviceLoaded(self.native, self.code, image, self.backend, self.is_late)

    @property
    def nbytes(self) -> int:
        """Bytes of its arena."""
        return self.native.nbytes

    def explain(self) -> str:
        """Its kernels, in words."""
        return explained(self.native)


def made(plan: Plan, meter: Meter, check: Callable[[], None], backend: Device, synchronous: bool = True) -> DeviceMade:
    """The code of a plan for the GPU of a backend.

    Args:
        plan: what to compile.
        meter: is told how far it is.
        check: is called now and then, and raises if it is to be given up.
        backend: has an ``architecture``, such as ``sm_80``.
        synchronous: whether a run waits to see that it has not failed.

    Raises:
        Unavailable: there is no llvmlite to be used, or it knows no such GPU.
        RuntimeError: LLVM or the assembler refuses the text.
    """

    def look() -> None:
        check()
        meter.look()

    native = lowered(plan, GPU, look)
    functions = {name: body for name, body in native.functions.items() if name != "take"}
    meter.known(len(functions))
    text = functools.partial(device_code, functions, native.definitions, native.together, native.apart)
    code = text()
    is_late = not synchronous and code.may_fail and _runs_alone(native)
    if is_late:
        code = text(is_guarded=True)
    image = _image(code.text, backend.architecture) if functions else b""
    meter.step(len(functions), 1.0)
    return DeviceMade(native, code, image, backend, is_late)


def _runs_alone(native: Native) -> bool:
    """Whether a plan is kernels and products; calls back say at once whether they fail, and loops look for it."""
    way = native.ways.way
    return all(
        isinstance(step, (Instruction, Bundle)) or (isinstance(step, NumpyCall) and way[step.node] is Way.PRODUCT)
        for step in native.program
    )


def _image(text: str, architecture: str) -> bytes:
    """What the driver of the GPU takes: kept on disk by the text, the architecture and all that makes code of it."""
    tool = assembler()
    if tool is not None and architecture not in tool.architectures:
        tool = None
    whole = "\n".join([versions(), architecture, tool.version if tool else "ptx", text])
    key = hashlib.sha256(whole.encode()).hexdigest()

    def make() -> bytes:
        written = ptx(text, architecture)
        return written.encode() + b"\0" if tool is None else assembled(written, architecture)[0]

    return kept(key, make)
