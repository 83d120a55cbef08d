"""The kernels of a step as one module for a GPU: each with an entry that gives every warp a chunk of the work.

A kernel takes the row of its addresses, how many chunks its work is cut into, and the word ``failed``, which is set if
what the function returns is not 0. Where nobody waits to read it, kernels are guarded: once the word is set they do
nothing, and what it is set to, the number of the run, stands beside it. A block is some warps, each of which works by
itself; the memory that the threads of a warp share is its part of the block's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from lazygrad.engine.cuda.threads import WARP

__all__ = ["DeviceCode", "Launch", "device_code"]

WARPS = 4  # of a block, at most
SHARED = 48 << 10  # bytes that a block may share without asking for more

_THREAD = """\
define internal i64 @inner_{name}(ptr addrspace(1) noalias %arguments, i64 %begin, i64 %end, i32 %thread, \
ptr %room) alwaysinline #0 {body}"""

_ENTRY = """\
define ptx_kernel void @{name}(ptr addrspace(1) noalias %arguments, i64 %chunks, ptr addrspace(1) %failed) #1 {{
entry:
  %tid = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()
  %block = call i32 @llvm.nvvm.read.ptx.sreg.ctaid.x()
  %warp = lshr i32 %tid, 5
  %thread = and i32 %tid, {last}
  %first = mul i32 %block, {warps}
  %number = add i32 %first, %warp
  %begin = zext i32 %number to i64
  %own = zext i32 %warp to i64
  %offset = mul i64 %own, {room}
  %room = getelementptr i8, ptr addrspacecast (ptr addrspace(3) @room_{name} to ptr), i64 %offset
  %over = icmp sge i64 %begin, %chunks
{guard}  br i1 %over{guarded}, label %leave, label %work
work:
  %end = add i64 %begin, 1
  %status = call i64 @inner_{name}(ptr addrspace(1) %arguments, i64 %begin, i64 %end, i32 %thread, ptr %room)
  %bad = icmp ne i64 %status, 0
  br i1 %bad, label %fail, label %leave
fail:
{told}
  br label %leave
leave:
  ret void
}}
"""

# All threads of a warp go the same way, whenever each has read the word.
_GUARD = """\
  %said = load volatile i64, ptr addrspace(1) %failed, align 8
  %has = icmp ne i64 %said, 0
  %stop = call i1 @llvm.nvvm.vote.any.sync(i32 -1, i1 %has)
  %over.or.failed = or i1 %over, %stop
"""
_TOLD = "  store i64 1, ptr addrspace(1) %failed, align 8"
_TOLD_WHICH = """\
  %beside = getelementptr i64, ptr addrspace(1) %failed, i64 1
  %which = load i64, ptr addrspace(1) %beside, align 8
  store i64 %which, ptr addrspace(1) %failed, align 8"""
_VOTE = "declare i1 @llvm.nvvm.vote.any.sync(i32, i1)"

_READS = [f"@llvm.nvvm.read.ptx.sreg.{which}" for which in ("tid.x", "ctaid.x")]


class Launch(NamedTuple):
    """How a kernel is launched: warps of a block, bytes that each of them shares, and whether it may fail."""

    warps: int
    room: int
    may_fail: bool

    def blocks(self, chunks: int) -> int:
        """Blocks of a launch."""
        return -(-chunks // self.warps)

    @property
    def threads(self) -> int:
        """Threads of a block."""
        return self.warps * WARP


class DeviceCode(NamedTuple):
    """The text of kernels, and how each is launched, by name."""

    text: str
    launches: dict[str, Launch]

    @property
    def may_fail(self) -> bool:
        """Whether a kernel may set the word ``failed``."""
        return any(launch.may_fail for launch in self.launches.values())


def device_code(functions: Mapping[str, str], definitions: Mapping[str, str], is_guarded: bool = False) -> DeviceCode:
    """Kernels as a module.

    Args:
        functions: the text of each from its first brace on, by name, as :class:`Threads` writes it.
        definitions: functions and tables beside them, by name.
        is_guarded: whether they are to do nothing once one has failed.
    """
    launches = {name: _launch(body) for name, body in sorted(functions.items())}
    declared = {name: f"declare i32 {name}()" for name in _READS}
    words = {"guard": "", "guarded": "", "told": _TOLD}
    if is_guarded:
        declared["@llvm.nvvm.vote.any.sync"] = _VOTE
        words = {"guard": _GUARD, "guarded": ".or.failed", "told": _TOLD_WHICH}
    # A call costs more than what it saves, and a helper sees more once it is written out where it is used.
    written_out = {name: text.replace(" noinline ", " alwaysinline ") for name, text in definitions.items()}
    parts = [text for _, text in sorted({**declared, **written_out}.items())]
    for name, launch in launches.items():
        size = max(launch.room * launch.warps, 1)
        parts.append(f"@room_{name} = internal addrspace(3) global [{size} x i8] poison, align 16")
        parts.append(_THREAD.format(name=name, body=functions[name]))
        parts.append(_ENTRY.format(name=name, last=WARP - 1, warps=launch.warps, room=launch.room, **words))
    bound = f'attributes #1 = {{ nounwind "nvvm.maxntid"="{WARP * WARPS}" }}'
    return DeviceCode("\n".join([*parts, "attributes #0 = { nounwind }", bound, "!0 = !{}", ""]), launches)


def _launch(body: str) -> Launch:
    said = re.match(r"\{ ; room (\d+)\n", body)
    assert said is not None, body[:40]
    room = int(said[1])
    may_fail = not body.rstrip().endswith("ret i64 0\n}")
    return Launch(max(1, min(WARPS, SHARED // room)) if room else WARPS, room, may_fail)
