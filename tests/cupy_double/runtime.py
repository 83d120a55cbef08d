"""The double's streams, events, graphs, pinned memory, devices and settings: what CuPy has of CUDA's runtime.

Kernels run when they are launched. What a GPU does later than the program says is late here too, as far as the program
can see it: an event is over only once somebody has waited, or asked for it some times; a number that is copied to the
host without waiting arrives no sooner; and memory from which a copy is under way must not change before that.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace, TracebackType
from typing import Any

import numpy as np

__all__ = [
    "CUDADriverError",
    "CUDARuntimeError",
    "Device",
    "Event",
    "Graph",
    "OutOfMemoryError",
    "Stream",
    "core",
    "cublas",
    "empty_pinned",
    "get_current_stream",
    "is_memory_pinned",
    "later",
    "refuse_while_capturing",
    "settings",
    "wait",
]

LAG = 8  # events behind the host that the device is: so many are recorded, or asked for, before one is over


class CUDARuntimeError(RuntimeError):
    """As ``cupy.cuda.runtime.CUDARuntimeError``."""


class CUDADriverError(RuntimeError):
    """As ``cupy.cuda.driver.CUDADriverError``."""


class OutOfMemoryError(MemoryError):
    """As ``cupy.cuda.memory.OutOfMemoryError``."""


# What is late.

_queue: list[tuple[int, Callable[[], None]]] = []
_clock = SimpleNamespace(now=0, over=-1)  # what is recorded, or done later, has the time; and which time is over


def later(work: Callable[[], None]) -> None:
    """Something that the device does, of which the host knows nothing until it waits."""
    _queue.append((_clock.now, work))


def wait(until: int | None = None) -> None:
    """All of it is over, or what was asked until some time."""
    _clock.over = max(_clock.over, _clock.now if until is None else until)
    _clock.now = max(_clock.now, _clock.over + 1)
    while _queue and _queue[0][0] <= _clock.over:
        _queue.pop(0)[1]()


class Event:
    """As ``cupy.cuda.Event``."""

    def __init__(self, block: bool = False, disable_timing: bool = False, interprocess: bool = False) -> None:
        self._recorded = -1  # over, until it is recorded

    def record(self, stream: Any = None) -> None:
        """It is over when all that was queued is."""
        self._recorded = _clock.now
        _clock.now += 1

    @property
    def done(self) -> bool:
        """Whether it is over."""
        _clock.now += 1
        wait(_clock.now - LAG)
        return self._recorded <= _clock.over

    def synchronize(self) -> None:
        """Wait until it is."""
        wait(self._recorded)


# Streams, and graphs of what was launched on one.


class Stream:
    """As ``cupy.cuda.Stream``; the null stream cannot be captured."""

    null: Stream

    def __init__(
        self, null: bool = False, non_blocking: bool = False, ptds: bool = False, *, priority: int | None = None
    ) -> None:
        self.ptr = 0 if null else id(self)
        self._captured: list[Callable[[], None]] | None = None

    def __enter__(self) -> Stream:
        _streams.append(self)
        return self

    def __exit__(self, kind: type | None, value: BaseException | None, trace: TracebackType | None) -> None:
        _streams.pop()

    def begin_capture(self, mode: Any = None) -> None:
        """From now on what is launched is kept, not run."""
        if self.ptr == 0:
            raise RuntimeError("cannot capture on the default (legacy) stream")
        if self._captured is not None:
            raise CUDARuntimeError("cudaErrorIllegalState: operation not permitted while the stream is capturing")
        self._captured = []

    def end_capture(self) -> Graph:
        """What was launched."""
        if self._captured is None:
            raise CUDARuntimeError("cudaErrorIllegalState: the stream is not capturing")
        made = Graph.__new__(Graph)
        made._launches, self._captured = self._captured, None
        return made

    def is_capturing(self) -> bool:
        return self._captured is not None

    def record(self, event: Event | None = None) -> Event:
        event = event or Event()
        event.record(self)
        return event

    def wait_event(self, event: Event) -> None:
        """Streams run one after the other here."""
        _counts["streams that wait for another"] += 1

    def synchronize(self) -> None:
        refuse_while_capturing()
        _counts["waits for the device"] += 1
        wait()


Stream.null = Stream(null=True)
_streams = [Stream.null]
_counts: Any = None  # those of the arrays; they are given here as arrays ask for streams, too


def get_current_stream(device_id: int = -1) -> Stream:
    """As ``cupy.cuda.get_current_stream``."""
    return _streams[-1]


def refuse_while_capturing() -> None:
    """What every call that is no launch says in a capture.

    Raises:
        CUDARuntimeError: a stream is captured.
    """
    if _streams[-1].is_capturing():
        raise CUDARuntimeError("cudaErrorStreamCaptureUnsupported: operation not permitted when stream is capturing")


class Graph:
    """As ``cupy.cuda.Graph``: launches with the arguments they were captured with."""

    _launches: list[Callable[[], None]]

    def __init__(self) -> None:
        raise NotImplementedError("currently this class cannot be initiated by the user")

    def launch(self, stream: Stream | None = None) -> None:
        refuse_while_capturing()
        _counts["graphs"] += 1
        for run in self._launches:
            run()


# Memory of the host that is pinned.

_pinned: list[tuple[int, int]] = []


def empty_pinned(shape: Any, dtype: Any = float, order: str = "C") -> Any:
    """As ``cupyx.empty_pinned``: an array of NumPy; here it lives for ever."""
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    made = np.frombuffer(bytearray(max(math.prod(shape) * np.dtype(dtype).itemsize, 1)), np.uint8)
    _kept.append(made)
    _pinned.append((made.ctypes.data, made.nbytes))
    _counts["pinned buffers"] += 1
    return made[: math.prod(shape) * np.dtype(dtype).itemsize].view(dtype).reshape(shape)


_kept: list[Any] = []


def is_memory_pinned(data: int) -> bool:
    """As ``cupy.cuda.pinned_memory.is_memory_pinned``."""
    return any(start <= data < start + nbytes for start, nbytes in _pinned)


# Devices, and settings.

settings = SimpleNamespace(device=0, architecture="70", driver=13000, compute={}, mode=0)


class Device:
    """As ``cupy.cuda.Device``."""

    def __init__(self, device: int | None = None) -> None:
        self.id = settings.device if device is None else int(device)

    compute_capability = property(lambda self: settings.architecture)
    mem_info = property(lambda self: (3 << 30, 4 << 30))

    def __repr__(self) -> str:
        return f"<CUDA Device {self.id}>"


COMPUTE = {"e": 0, "f": 1, "d": 2}


def _get_compute_type(dtype: Any) -> int:
    kind: int = settings.compute.get(np.dtype(dtype).char, 1)
    return kind


def _set_compute_type(dtype: Any, compute_type: int) -> None:
    if compute_type == 7 and int(settings.architecture) < 80:
        raise RuntimeWarning("COMPUTE_TYPE_TF32 is only available on GPUs with compute capability 8.0")
    settings.compute[np.dtype(dtype).char] = compute_type


def _set_math_mode(handle: int, mode: int) -> None:
    settings.mode = mode


core = SimpleNamespace(get_compute_type=_get_compute_type, set_compute_type=_set_compute_type)
cublas = SimpleNamespace(getMathMode=lambda handle: settings.mode, setMathMode=_set_math_mode)
