"""The part of the native driver that says how floats are computed: text of LLVM.

It is a register of every thread. Where its switch is on, results below the least normal number become zero; a product
of which an operand is subnormal costs an x86 processor some 150 cycles. Elsewhere there is no switch here, and what is
subnormal costs little.
"""

from __future__ import annotations

__all__ = ["floats_text"]

# MXCSR, whose bit 15 flushes results to zero. ``flush`` sets it, and returns how floats were computed before.
_X86 = """
define internal i64 @mode() {
  %place = alloca i32
  call void @llvm.x86.sse.stmxcsr(ptr %place)
  %found = load i32, ptr %place
  %wide = zext i32 %found to i64
  ret i64 %wide
}

define internal void @adopt(i64 %mode) {
  %narrow = trunc i64 %mode to i32
  %place = alloca i32
  store i32 %narrow, ptr %place
  call void @llvm.x86.sse.ldmxcsr(ptr %place)
  ret void
}

define internal i64 @flush() {
  %before = call i64 @mode()
  %flushing = or i64 %before, 32768
  call void @adopt(i64 %flushing)
  ret i64 %before
}

declare void @llvm.x86.sse.stmxcsr(ptr)
declare void @llvm.x86.sse.ldmxcsr(ptr)
"""

_OTHERS = """
define internal i64 @mode() {
  ret i64 0
}

define internal void @adopt(i64 %mode) {
  ret void
}

define internal i64 @flush() {
  ret i64 0
}
"""


def floats_text(triple: str) -> str:
    """The functions ``mode``, ``adopt`` and ``flush`` for a machine."""
    return _X86 if triple.startswith("x86_64") else _OTHERS
