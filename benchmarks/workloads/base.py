"""What every family of workloads says of itself."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

__all__ = ["BATCHES", "LEARNING_RATE", "MOMENTUM", "Workload"]

LEARNING_RATE = 0.01
MOMENTUM = 0.9
BATCHES = 8

Numbers = tuple[list[Any], list[tuple[Any, ...]]]


@dataclass(frozen=True)
class Workload:
    """A step that is made again and again.

    Attributes:
        name: by which it is asked for.
        check: steps whose results are compared before any speed is.
        aim: largest ratio of our time to the best peer's that was aimed at; ``None`` for no aim.
        family: the file that makes it, in the folder of each peer.
        tolerance: largest difference of a result from the reference's, relative to its largest element.
        measures: in words, what is within a step.
    """

    name: str
    _: KW_ONLY
    check: int = 50
    aim: float | None = None
    family: ClassVar[str]
    tolerance: ClassVar[float]
    measures: ClassVar[str] = "One step of training: forward, backward and update"

    def numbers(self) -> Numbers:
        """Parameters, and batches; step *k* takes batch *k* modulo their number."""
        raise NotImplementedError

    def tiny(self) -> Workload:
        """The same at sizes that take no time, for comparing results alone."""
        raise NotImplementedError


def glorot(rng: Any, *shape: int) -> Any:
    """Uniform float32 within ±√(6 / (inputs + outputs)) (Glorot and Bengio 2010, equation 16)."""
    limit = (6 / sum(shape[-2:])) ** 0.5
    return rng.uniform(-limit, limit, shape).astype("float32")
