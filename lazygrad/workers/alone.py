"""One worker, which need not speak to anyone."""

from __future__ import annotations

from typing import Any

__all__ = ["DONE", "Alone"]


class Done:
    """A sum that is there already."""

    def wait(self) -> None:
        """Nothing to wait for."""

    def test(self) -> bool:
        """It is there."""
        return True


DONE = Done()


class Alone:
    """The only worker."""

    rank, size = 0, 1

    def sum(self, array: Any) -> None:
        """The sum of one array is that array."""

    def begin(self, array: Any) -> Done:
        """Likewise."""
        return DONE

    def broadcast(self, array: Any, root: int = 0) -> None:
        """There is nobody else."""

    def gather(self, value: Any) -> list[Any]:
        """The one value."""
        return [value]

    def scatter_sum(self, array: Any, out: Any) -> None:
        """All of it is this worker's part."""
        out[...] = array

    def gather_into(self, array: Any, out: Any) -> None:
        """Likewise."""
        out[...] = array

    def agree(self, what: str, value: bytes) -> list[bytes]:
        """The one value."""
        return [value]

    def begin_step(self) -> None:
        """Nobody else can have failed."""

    def fail(self, reason: BaseException) -> None:
        """There is nobody to tell."""

    def __repr__(self) -> str:
        return "<one worker>"
