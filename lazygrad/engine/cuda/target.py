"""What a GPU can hold, and how work is cut for it."""

from __future__ import annotations

from lazygrad.engine.cuda.threads import WARP, Threads
from lazygrad.engine.lanes.target import Target

__all__ = ["GPU"]

# A warp takes a chunk. A GPU runs some thousands of warps at once, and starting one costs little: so there are many
# chunks, each of which has some tens of elements for every thread.
# A launch takes some microseconds, and so does a loop of a thousand instructions that wait for each other.
# A thread has at most 255 registers: longer kernels lay aside what does not fit.
GPU = Target(
    WARP,
    Threads,
    chunks=1 << 15,
    totals=1 << 10,
    instructions=4_000,
    room=12 << 10,
    registers=224,
    longest=2_000,
    calls=False,
    hosted=True,
    windows=True,
    bundles=True,
    entry=1_000,
    endless=1 << 24,
    narrows=False,
)
