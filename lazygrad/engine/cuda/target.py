"""What a GPU can hold, and how work is cut for it."""

from __future__ import annotations

from lazygrad.engine.cuda.threads import WARP, Threads
from lazygrad.engine.lanes.target import Target

__all__ = ["GPU"]

# A warp takes a chunk. A GPU runs some thousands of warps at once, and starting one costs little: so there are many
# chunks, each of which has some tens of elements for every thread.
GPU = Target(
    WARP, Threads, chunks=1 << 15, instructions=4_000, room=12 << 10, calls=False, has_driver=False, narrows=False
)
