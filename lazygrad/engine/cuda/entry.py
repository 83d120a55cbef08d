"""The kernels of a step as one module for a GPU: each with an entry that gives every warp a chunk of the work.

A kernel takes the row of its addresses, how many chunks its work is cut into, and the word ``failed``, which is set if
what the function returns is not 0. Where nobody waits to read it, kernels are guarded: once the word is set they do
nothing, and what it is set to, the number of the run, stands beside it. A block is some warps, each of which works by
itself; the memory that the threads of a warp share is its part of the block's.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from lazygrad.engine.cuda.threads import WARP

__all__ = ["DeviceCode", "Launch", "device_code"]

WARPS = 4  # of a block, at most
SHARED = 48 << 10  # bytes that a block may share without asking for more

_THREAD = """\
define internal i64 @inner_{name}(ptr addrspace(1) noalias %arguments, i64 %begin, i64 %end, i32 %thread, \
ptr %room) alwaysinline #0 {body}"""

# Which warp this thread is of, and which thread of it; and the room of the warp.
_WARP = """\
  %tid = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()
  %block = call i32 @llvm.nvvm.read.ptx.sreg.ctaid.x()
  %warp = lshr i32 %tid, 5
  %thread = and i32 %tid, {last}
  %first = mul i32 %block, {warps}
  %narrow = add i32 %first, %warp
  %number = zext i32 %narrow to i64
  %own = zext i32 %warp to i64
  %offset = mul i64 %own, {room}
  %room = getelementptr i8, ptr addrspacecast (ptr addrspace(3) @room_{name} to ptr), i64 %offset
"""

_LEAVE = """\
  %bad = icmp ne i64 %status, 0
  br i1 %bad, label %fail, label %leave
fail:
{told}
  br label %leave
leave:
  ret void
}}
"""

_ENTRY = f"""\
define ptx_kernel void @{{name}}(ptr addrspace(1) noalias %arguments, i64 %chunks, ptr addrspace(1) %failed) #1 {{{{
entry:
{_WARP}\
  %over = icmp sge i64 %number, %chunks
{{guard}}  br i1 %over{{guarded}}, label %leave, label %work
work:
  %end = add i64 %number, 1
  %status = call i64 @inner_{{name}}(ptr addrspace(1) %arguments, i64 %number, i64 %end, i32 %thread, ptr %room)
{_LEAVE}"""

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

# Warps of a bundle look up whose chunk theirs is: in the table, the last kernel that begins no later.
_BUNDLE = f"""\
define ptx_kernel void @{{name}}(ptr addrspace(1) noalias %table, i64 %count, ptr addrspace(1) %failed) #1 {{{{
entry:
{_WARP}\
  %end.place = getelementptr i64, ptr addrspace(1) %table, i64 %count
  %chunks = load i64, ptr addrspace(1) %end.place, align 8, !invariant.load !0
  %over = icmp sge i64 %number, %chunks
{{guard}}  br i1 %over{{guarded}}, label %leave, label %search
search:
  %low = phi i64 [ 0, %entry ], [ %low.next, %halve ]
  %high = phi i64 [ %count, %entry ], [ %high.next, %halve ]
  %left = sub i64 %high, %low
  %found = icmp sle i64 %left, 1
  br i1 %found, label %work, label %halve
halve:
  %sum = add i64 %low, %high
  %middle = lshr i64 %sum, 1
  %middle.place = getelementptr i64, ptr addrspace(1) %table, i64 %middle
  %middle.first = load i64, ptr addrspace(1) %middle.place, align 8, !invariant.load !0
  %is.later = icmp sle i64 %middle.first, %number
  %low.next = select i1 %is.later, i64 %middle, i64 %low
  %high.next = select i1 %is.later, i64 %high, i64 %middle
  br label %search
work:
  %first.place = getelementptr i64, ptr addrspace(1) %table, i64 %low
  %first.chunk = load i64, ptr addrspace(1) %first.place, align 8, !invariant.load !0
  %begin = sub i64 %number, %first.chunk
  %end = add i64 %begin, 1
  %twice = shl i64 %low, 1
  %after = getelementptr i64, ptr addrspace(1) %end.place, i64 1
  %pair = getelementptr i64, ptr addrspace(1) %after, i64 %twice
  %where = load i64, ptr addrspace(1) %pair, align 8, !invariant.load !0
  %kernel.place = getelementptr i64, ptr addrspace(1) %pair, i64 1
  %kernel = load i64, ptr addrspace(1) %kernel.place, align 8, !invariant.load !0
  %arguments = getelementptr i64, ptr addrspace(1) %table, i64 %where
  br label %try0
{{tries}}done:
  %status = phi i64 {{statuses}}
{_LEAVE}"""

_TRY = """\
try{k}:
  %is{k} = icmp eq i64 %kernel, {k}
  br i1 %is{k}, label %run{k}, label %{other}
run{k}:
  %status{k} = call i64 @inner_{kernel}(ptr addrspace(1) %arguments, i64 %begin, i64 %end, i32 %thread, ptr %room)
  br label %done
"""

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


def device_code(
    functions: Mapping[str, str],
    definitions: Mapping[str, str],
    bundles: Mapping[str, Sequence[str]] | None = None,
    apart: Collection[str] | None = None,
    is_guarded: bool = False,
) -> DeviceCode:
    """Kernels as a module.

    Args:
        functions: the text of each from its first brace on, by name, as :class:`Threads` writes it.
        definitions: functions and tables beside them, by name.
        bundles: kernels that are launched together, by the name of the launch.
        apart: the kernels that are launched by themselves; None: all.
        is_guarded: whether they are to do nothing once one has failed.
    """
    own = {name: _launch(body) for name, body in sorted(functions.items())}
    declared = {name: f"declare i32 {name}()" for name in _READS}
    words = {"guard": "", "guarded": "", "told": _TOLD}
    if is_guarded:
        declared["@llvm.nvvm.vote.any.sync"] = _VOTE
        words = {"guard": _GUARD, "guarded": ".or.failed", "told": _TOLD_WHICH}
    # A call costs more than what it saves, and a helper sees more once it is written out where it is used.
    written_out = {name: text.replace(" noinline ", " alwaysinline ") for name, text in definitions.items()}
    parts = [text for _, text in sorted({**declared, **written_out}.items())]
    launches = {name: launch for name, launch in own.items() if apart is None or name in apart}
    parts += [_THREAD.format(name=name, body=functions[name]) for name in own]
    parts += [_entry(_ENTRY, name, launch, words) for name, launch in launches.items()]
    for name, kernels in sorted((bundles or {}).items()):
        room = max(own[kernel].room for kernel in kernels)
        launches[name] = Launch(_warps(room), room, any(own[kernel].may_fail for kernel in kernels))
        last = len(kernels) - 1
        tries = "".join(
            _TRY.format(k=k, kernel=kernel, other=f"try{k + 1}" if k < last else "leave")
            for k, kernel in enumerate(kernels)
        )
        statuses = ", ".join(f"[ %status{k}, %run{k} ]" for k in range(len(kernels)))
        parts.append(_entry(_BUNDLE, name, launches[name], {**words, "tries": tries, "statuses": statuses}))
    bound = f'attributes #1 = {{ nounwind "nvvm.maxntid"="{WARP * WARPS}" }}'
    return DeviceCode("\n".join([*parts, "attributes #0 = { nounwind }", bound, "!0 = !{}", ""]), launches)


def _entry(text: str, name: str, launch: Launch, words: Mapping[str, str]) -> str:
    """An entry, with the memory that the warps of its blocks share."""
    size = max(launch.room * launch.warps, 1)
    shared = f"@room_{name} = internal addrspace(3) global [{size} x i8] poison, align 16\n"
    return shared + text.format(name=name, last=WARP - 1, warps=launch.warps, room=launch.room, **words)


def _warps(room: int) -> int:
    """Warps of a block, each of which needs so many bytes of its own."""
    return max(1, min(WARPS, SHARED // room)) if room else WARPS


def _launch(body: str) -> Launch:
    said = re.match(r"\{ ; room (\d+)\n", body)
    assert said is not None, body[:40]
    room = int(said[1])
    may_fail = not body.rstrip().endswith("ret i64 0\n}")
    return Launch(_warps(room), room, may_fail)
