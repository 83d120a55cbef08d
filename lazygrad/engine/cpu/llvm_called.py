"""The part of the native driver that Python calls: text of LLVM."""

from __future__ import annotations

__all__ = ["CALLED"]

# Functions of Python's C interface, METH_NOARGS. Their self is a tuple whose first item is the address of two numbers:
# the address of the table, and how many rows it has. A tuple is not changed, so nothing here can fail but the last
# call, which then has set an exception and returns null, as Python wants it.
CALLED = """
define ptr @held(ptr %self, ptr %unused) {
  %number = call ptr @PyTuple_GetItem(ptr %self, i64 0)
  %place = call ptr @PyLong_AsVoidPtr(ptr %number)
  %place1 = getelementptr i64, ptr %place, i64 1
  %table = load ptr, ptr %place
  %count = load i64, ptr %place1
  %status = call i64 @run(ptr %table, i64 %count)
  %result = call ptr @PyLong_FromLongLong(i64 %status)
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
  %result = call ptr @PyLong_FromLongLong(i64 %status)
  ret ptr %result
}

declare ptr @PyTuple_GetItem(ptr, i64)
declare ptr @PyLong_AsVoidPtr(ptr)
declare ptr @PyLong_FromLongLong(i64)
declare ptr @PyEval_SaveThread()
declare void @PyEval_RestoreThread(ptr)
"""
