"""The part of the native driver that runs a stretch of a table again and again: text of LLVM.

A repeat is a kernel like any other to the table that it stands in. Its first argument is the address of a
*description*, int64 numbers in the order of ``WORDS`` in ``engine/table/described.py``; those after it are arrays.
The description names the table of the body, that of the condition, and how the arguments of both depend on the turn::

    settings   (number, place, start, amount)      before the first turn: *place = arguments[number] + start,
                                                   and after each, of the first ``moving`` of them: *place += amount
    carries    (from, to, other, bytes, read, written)
                                                   before the first turn: read = arguments[from], and written =
                                                   arguments[to]; after each: read = written, and written = the other
                                                   one of arguments[to] and arguments[other]
    reads      (cell, place, start)                at every turn: *place = *cell + start, of cells ``read``, ``written``
    cleared    (number, bytes)                     before the first turn arguments[number] is filled with zeros

So nothing is copied from turn to turn. After the last one what lies elsewhere than in ``arguments[to]`` is moved there:
the initial value where there was no turn, and what a number of turns that was not foreseen left in the other array.
``elsewhere`` says that the first turn is to write into the other array, so that a known number of them ends in the
right one.

A condition is a table that leaves 0 or 1 in a byte. Without one there are ``limit`` turns; with one there are as many
as it says, and more than ``limit`` are a failure, as is one of a kernel: the repeat then returns 1, and whoever runs
the step again on NumPy learns in which turn. A signal for Python ends it likewise. Fewer than ``limit`` turns are made
if the number at ``arguments[limited]`` says so; what moves ``backwards`` then begins as much later.

Where ``flush`` is not 0, results that are below the least normal number become zero while the repeat runs, where the
processor has a switch for that.

``either`` has two descriptions, and its second argument is the byte that chooses: 0 the second, else the first.
"""

from __future__ import annotations

from collections.abc import Sequence

from lazygrad.engine.table.described import CARRY, CLEARED, READ, SETTING, WORDS

__all__ = ["repeats_text"]

_TURNS = """
define i64 @repeat(ptr %its, i64 %begin, i64 %end) {
  %description = load ptr, ptr %its
  %status = call i64 @turns(ptr %description, ptr %its)
  ret i64 %status
}

define i64 @either(ptr %its, i64 %begin, i64 %end) {
  %pair = load ptr, ptr %its
  %place = getelementptr ptr, ptr %its, i64 1
  %byte = load ptr, ptr %place
  %chosen = load i8, ptr %byte
  %no = icmp eq i8 %chosen, 0
  %which = zext i1 %no to i64
  %one = getelementptr ptr, ptr %pair, i64 %which
  %description = load ptr, ptr %one
  %status = call i64 @turns(ptr %description, ptr %its)
  ret i64 %status
}

define internal i64 @turns(ptr %d, ptr %its) noinline {
entry:
  LOAD i64 flush d
  %switch = icmp ne i64 %flush, 0
  br i1 %switch, label %switched, label %plain

plain:
  %status1 = call i64 @turned(ptr %d, ptr %its)
  ret i64 %status1

switched:
  %before = call i64 @flush()
  %status2 = call i64 @turned(ptr %d, ptr %its)
  call void @adopt(i64 %before)
  ret i64 %status2
}

define internal i64 @turned(ptr %d, ptr %its) noinline {
entry:
  LOAD ptr table d
  LOAD i64 rows d
  LOAD ptr condition d
  LOAD i64 conditions d
  LOAD i64 limit d
  LOAD i64 backwards d
  %most = call i64 @turns_at_most(ptr %d, ptr %its)
  %fewer = sub i64 %limit, %most
  %skipped = mul i64 %fewer, %backwards
  call void @clear(ptr %d, ptr %its)
  call void @set(ptr %d, ptr %its, i64 %skipped)
  call void @enter(ptr %d, ptr %its)
  call void @find(ptr %d)
  %asked = icmp sgt i64 %conditions, 0
  br label %ask

ask:
  %done = phi i64 [ 0, %entry ], [ %next, %more ]
  br i1 %asked, label %look, label %count

look:
  %status1 = call i64 @run(ptr %condition, i64 %conditions)
  %good1 = icmp eq i64 %status1, 0
  br i1 %good1, label %decide, label %fail

decide:
  LOAD ptr flag d
  %byte = load i8, ptr %flag
  %wanted = icmp ne i8 %byte, 0
  br i1 %wanted, label %bounded, label %leave

bounded:
  %allowed = icmp slt i64 %done, %limit
  br i1 %allowed, label %body, label %fail

count:
  %left = icmp slt i64 %done, %most
  br i1 %left, label %body, label %leave

body:
  %status2 = call i64 @run(ptr %table, i64 %rows)
  %good2 = icmp eq i64 %status2, 0
  br i1 %good2, label %more, label %fail

more:
  %next = add i64 %done, 1
  call void @move(ptr %d)
  call void @exchange(ptr %d, ptr %its)
  call void @find(ptr %d)
  %calm = call i1 @undisturbed(i64 %done)
  br i1 %calm, label %ask, label %fail

leave:
  call void @collect(ptr %d, ptr %its, i64 %done)
  ret i64 0

fail:
  ret i64 1
}

define internal void @copied(ptr %to, ptr %from, i64 %bytes) {
entry:
  %same = icmp eq ptr %to, %from
  br i1 %same, label %leave, label %copy
copy:
  call void @llvm.memcpy.p0.p0.i64(ptr %to, ptr %from, i64 %bytes, i1 false)
  br label %leave
leave:
  ret void
}

define internal ptr @argument(ptr %its, i64 %number) {
  %place = getelementptr ptr, ptr %its, i64 %number
  %found = load ptr, ptr %place
  ret ptr %found
}

define internal i64 @turns_at_most(ptr %d, ptr %its) {
entry:
  LOAD i64 limit d
  LOAD i64 limited d
  %told = icmp sgt i64 %limited, 0
  br i1 %told, label %look, label %all
look:
  %where = call ptr @argument(ptr %its, i64 %limited)
  %said = load i64, ptr %where
  %low = call i64 @llvm.smax.i64(i64 %said, i64 0)
  %few = call i64 @llvm.smin.i64(i64 %low, i64 %limit)
  ret i64 %few
all:
  ret i64 %limit
}

declare i64 @llvm.smax.i64(i64, i64)
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
"""

_CLEAR = """
  LOAD i64 number r
  LOAD i64 bytes r
  %where = call ptr @argument(ptr %its, i64 %number)
  call void @llvm.memset.p0.i64(ptr %where, i8 0, i64 %bytes, i1 false)
"""

_SET = """
  LOAD i64 number r
  LOAD ptr place r
  LOAD i64 start r
  LOAD i64 amount r
  %from = call ptr @argument(ptr %its, i64 %number)
  %moved = getelementptr i8, ptr %from, i64 %start
  %later = mul i64 %amount, %skipped
  %begun = getelementptr i8, ptr %moved, i64 %later
  store ptr %begun, ptr %place
"""

_MOVE = """
  LOAD ptr place r
  LOAD i64 amount r
  %old = load ptr, ptr %place
  %new = getelementptr i8, ptr %old, i64 %amount
  store ptr %new, ptr %place
"""

_ENTER = """
  LOAD i64 from r
  LOAD i64 to r
  LOAD i64 other r
  LOAD i64 elsewhere d
  PLACE read r
  PLACE written r
  %initial = call ptr @argument(ptr %its, i64 %from)
  store ptr %initial, ptr %read.place
  %apart = icmp ne i64 %elsewhere, 0
  %number = select i1 %apart, i64 %other, i64 %to
  %begin = call ptr @argument(ptr %its, i64 %number)
  store ptr %begin, ptr %written.place
"""

_EXCHANGE = """
  LOAD i64 to r
  LOAD i64 other r
  PLACE read r
  PLACE written r
  %now = load ptr, ptr %written.place
  store ptr %now, ptr %read.place
  %one = call ptr @argument(ptr %its, i64 %to)
  %two = call ptr @argument(ptr %its, i64 %other)
  %first = icmp eq ptr %now, %one
  %free = select i1 %first, ptr %two, ptr %one
  store ptr %free, ptr %written.place
"""

_FIND = """
  LOAD ptr cell r
  LOAD ptr place r
  LOAD i64 start r
  %held = load ptr, ptr %cell
  %found = getelementptr i8, ptr %held, i64 %start
  store ptr %found, ptr %place
"""

_COLLECT = """
  LOAD i64 to r
  LOAD i64 bytes r
  LOAD ptr read r
  %target = call ptr @argument(ptr %its, i64 %to)
  call void @copied(ptr %target, ptr %read, i64 %bytes)
"""

_COUNTED = """
  LOAD i64 counted d
  %some = icmp sgt i64 %counted, 0
  br i1 %some, label %tell, label %told
tell:
  %where = call ptr @argument(ptr %its, i64 %counted)
  store i64 %done, ptr %where
  br label %told
told:
"""


def _expanded(text: str, names: Sequence[str]) -> str:
    """The text with the words of descriptions and of their rows loaded by name."""
    lines = []
    for line in text.splitlines():
        word, *rest = line.split() or [""]
        if word in ("LOAD", "PLACE"):
            name, base = rest[-2:]
            number = (WORDS if base == "d" else names).index(name)
            lines.append(f"  %{name}.place = getelementptr i64, ptr %{base}, i64 {number}")
            line = f"  %{name} = load {rest[0]}, ptr %{name}.place" if word == "LOAD" else ""
        lines.append(line)
    return "\n".join(lines)


def _each(name: str, parameters: str, rows: str, count: str, names: Sequence[str], body: str, after: str = "") -> str:
    """A function that does something for every row of a list of a description."""
    return _expanded(
        f"""
define internal void @{name}({parameters}) noinline {{
entry:
  LOAD ptr {rows} d
  LOAD i64 {count} d
  %any = icmp sgt i64 %{count}, 0
  br i1 %any, label %row, label %over
row:
  %i = phi i64 [ 0, %entry ], [ %j, %row ]
  %r = getelementptr [{len(names)} x i64], ptr %{rows}, i64 %i
{body}
  %j = add i64 %i, 1
  %again = icmp slt i64 %j, %{count}
  br i1 %again, label %row, label %over
over:
{after}
  ret void
}}
""",
        names,
    )


def repeats_text() -> str:
    """The functions ``repeat`` and ``either``; the module has the driver's others."""
    both = "ptr %d, ptr %its"
    return "".join(
        [
            _expanded(_TURNS, ()),
            _each("clear", both, "cleared", "cleared_count", CLEARED, _CLEAR),
            _each("set", both + ", i64 %skipped", "settings", "setting_count", SETTING, _SET),
            _each("move", "ptr %d", "settings", "moving", SETTING, _MOVE),
            _each("enter", both, "carries", "carry_count", CARRY, _ENTER),
            _each("exchange", both, "carries", "carry_count", CARRY, _EXCHANGE),
            _each("find", "ptr %d", "reads", "read_count", READ, _FIND),
            _each("collect", both + ", i64 %done", "carries", "carry_count", CARRY, _COLLECT, _COUNTED),
        ]
    )
