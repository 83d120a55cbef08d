"""Memory of the host from which numbers are sent to a GPU without anybody waiting."""

from __future__ import annotations

from collections import deque
from typing import Any

from numpy.typing import NDArray

from lazygrad.backends.base import Device

__all__ = ["Staging"]


class Staging:
    """Pinned buffers for numbers of one shape and dtype, which are sent again and again.

    A buffer is used again once its copy is over, which an event tells; if the GPU lags behind there are more of them.

    Args:
        backend: CuPy's.
        like: an array of their shape and dtype.
    """

    def __init__(self, backend: Device, like: NDArray[Any]) -> None:
        self._backend, self._shape, self._dtype = backend, like.shape, like.dtype
        self._all: list[Any] = []  # none is given up while it may be read, whatever an interrupt comes between
        self._sent: deque[tuple[Any, Any]] = deque()  # with the event that is over when the copy is; the oldest first

    def send(self, target: Any, numbers: Any) -> None:
        """Send numbers to an array on the GPU; they may change as soon as this returns."""
        if self._sent and self._sent[0][1].done:
            buffer, event = self._sent.popleft()
        else:
            buffer, event = self._backend.pinned(self._shape, self._dtype), self._backend.event()
            self._all.append(buffer)
        buffer[...] = numbers
        target.set(buffer)
        event.record()
        self._sent.append((buffer, event))
