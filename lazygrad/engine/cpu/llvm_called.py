"""The part of the native driver that Python calls, and that calls Python: text of LLVM."""

from __future__ import annotations

__all__ = ["CALLED", "undisturbed_text"]

# Functions of Python's C interface, METH_NOARGS. Their self is a tuple whose first item is the address of two numbers:
# the address of the table, and how many rows it has. A tuple is not changed, so nothing here can fail but the last
# call, which then has set an exception and returns null, as Python wants it; so does a signal that ended a loop.
CALLED = """
define ptr @held(ptr %self, ptr %unused) {
  %number = call ptr @PyTuple_GetItem(ptr %self, i64 0)
  %place = call ptr @PyLong_AsVoidPtr(ptr %number)
  %place1 = getelementptr i64, ptr %place, i64 1
  %table = load ptr, ptr %place
  %count = load i64, ptr %place1
  %status = call i64 @run(ptr %table, i64 %count)
  %result = call ptr @told(i64 %status)
  ret ptr %result
}

define ptr @released(ptr %self, ptr %unused) {
  %number = call ptr @PyTuple_GetItem(ptr %self, i64 0)
  %place = call ptr @PyLong_AsVoidPtr(ptr %number)
  %place1 = getelementptr i64, ptr %place, i64 1
  %table = load ptr, ptr %place
  %count = load i64, ptr %place1
  %thread = call ptr @PyEval_SaveThread()
  %status = call i64 @run(ptr %table, i64 %count)
  call void @PyEval_RestoreThread(ptr %thread)
  %result = call ptr @told(i64 %status)
  ret ptr %result
}

define internal ptr @told(i64 %status) {
entry:
  %good = icmp eq i64 %status, 0
  br i1 %good, label %say, label %look
look:
  %raised = call ptr @PyErr_Occurred()
  %quiet = icmp eq ptr %raised, null
  br i1 %quiet, label %say, label %fail
fail:
  ret ptr null
say:
  %result = call ptr @PyLong_FromLongLong(i64 %status)
  ret ptr %result
}

declare ptr @PyTuple_GetItem(ptr, i64)
declare ptr @PyLong_AsVoidPtr(ptr)
declare ptr @PyLong_FromLongLong(i64)
declare ptr @PyEval_SaveThread()
declare void @PyEval_RestoreThread(ptr)
declare ptr @PyErr_Occurred()
"""

# Whether no signal has come, such as Ctrl-C, asked between the turns of a loop: it may be one that
# never ends. Python is asked every 2²⁸ cycles, some tenth of a second, as it may take a while to
# answer; where there is no counter of cycles, at every 4,096th turn.
_ASKING = """
@asked = internal global i64 0

define internal i1 @undisturbed(i64 %turns) {
entry:
  CLOCK
  br i1 %due, label %ask, label %fine
ask:
  store atomic i64 %now, ptr @asked monotonic, align 8
  %state = call i32 @PyGILState_Ensure()
  %signal = call i32 @PyErr_CheckSignals()
  call void @PyGILState_Release(i32 %state)
  %good = icmp eq i32 %signal, 0
  ret i1 %good
fine:
  ret i1 true
}

declare i32 @PyGILState_Ensure()
declare void @PyGILState_Release(i32)
declare i32 @PyErr_CheckSignals()
declare i64 @llvm.readcyclecounter()
"""

_CYCLES = """%now = call i64 @llvm.readcyclecounter()
  %last = load atomic i64, ptr @asked monotonic, align 8
  %gone = sub i64 %now, %last
  %due = icmp ugt i64 %gone, 268435456"""

_COUNTS = """%now = add i64 0, 0
  %rest = and i64 %turns, 4095
  %due = icmp eq i64 %rest, 4095"""

_ALONE = """
define internal i1 @undisturbed(i64 %turns) {
  ret i1 true
}
"""


def undisturbed_text(triple: str, python: bool) -> str:
    """The function ``undisturbed`` for a machine, with Python's functions or without."""
    return _ASKING.replace("CLOCK", _CYCLES if triple.startswith("x86_64") else _COUNTS) if python else _ALONE
