"""The native driver: text that runs a table of kernels, alone or with a pool of workers.

**A row that is shared** is cut into batches of chunks. All that is left of it stands in one word::

    ticket (32 bits) | low (16) | high (16)      batches low, …, high - 1 are still to be taken

Who wants a batch exchanges the word for one with a batch less: the owner of the row takes the lowest, workers the
highest, so that with two threads each keeps to its half of the memory from row to row. The ticket is another one for
every row, so the exchange fails if what a worker has read about the row is out of date, however late it comes. The
owner writes a new row only after the old one is done. So workers that are late, or asleep, cost nothing and spoil
nothing; a worker that has taken a batch is waited for. It computes as its owner does: whether numbers that are too
small become zero (``llvm_repeats.py``) goes with the row.

**Sleep**: a worker that found nothing for a while locks the mutex, counts itself as a sleeper, looks at the word
again, and waits for the condition. The owner writes the word, then looks for sleepers; both are in one order for all
threads (``seq_cst``), so one of the two sees the other. The owner only tries the lock: it never waits for a worker
that is about to sleep, at worst that one sleeps through a row. Who wakes up wakes two more. Workers never return; they
end with the process. Only the first ones work, as many as are allowed; another that is woken wakes others.
"""

from __future__ import annotations

from lazygrad.engine.cpu.llvm_called import CALLED
from lazygrad.engine.lanes.target import Target

__all__ = ["driver_text"]

_STATE = """
@lock = internal global i64 0, align 128
@word = internal global i64 0, align 128
@done = internal global i64 0, align 128
@failed = internal global i64 0, align 128
@function = internal global ptr null, align 128
@arguments = internal global ptr null
@chunks = internal global i64 0
@size = internal global i64 0
@floats = internal global i64 0
@workers = internal global i64 0, align 128
@allowed = internal global i64 65535
@sleepers = internal global i64 0, align 128
@patience = internal global i64 0, align 128
@mutex = internal global [128 x i8] zeroinitializer, align 128
@bell = internal global [128 x i8] zeroinitializer, align 128
"""

_RUN = """
define i64 @run(ptr %table, i64 %count) {
entry:
  %any = icmp sgt i64 %count, 0
  br i1 %any, label %row, label %good

row:
  %i = phi i64 [ 0, %entry ], [ %next, %finish ]
  %place = getelementptr [4 x i64], ptr %table, i64 %i
  %place1 = getelementptr i64, ptr %place, i64 1
  %place2 = getelementptr i64, ptr %place, i64 2
  %place3 = getelementptr i64, ptr %place, i64 3
  %kernel = load ptr, ptr %place
  %its = load ptr, ptr %place1
  %chunks = load i64, ptr %place2
  %flag = load i64, ptr %place3
  %shared = and i64 %flag, 1
  %marked = icmp ne i64 %shared, 0
  %small = and i64 %flag, 2
  %flushes = icmp ne i64 %small, 0
  br i1 %flushes, label %flush, label %start

flush:
  %mode = call i64 @flush()
  br label %start

start:
  %before = phi i64 [ 0, %row ], [ %mode, %flush ]
  %several = icmp sgt i64 %chunks, 1
  %divisible = and i1 %marked, %several
  br i1 %divisible, label %ask, label %alone

ask:
  %there = load atomic i64, ptr @workers monotonic, align 8
  %most = load atomic i64, ptr @allowed monotonic, align 8
  %fewer = icmp slt i64 %most, %there
  %helpers = select i1 %fewer, i64 %most, i64 %there
  %some = icmp sgt i64 %helpers, 0
  br i1 %some, label %try, label %alone

try:
  %pair = cmpxchg ptr @lock, i64 0, i64 1 acquire monotonic, align 8
  %mine = extractvalue { i64, i1 } %pair, 1
  br i1 %mine, label %together, label %alone

together:
  %status1 = call i64 @share(ptr %kernel, ptr %its, i64 %chunks, i64 %helpers)
  store atomic i64 0, ptr @lock release, align 8
  br label %after

alone:
  %status2 = call i64 %kernel(ptr %its, i64 0, i64 %chunks)
  br label %after

after:
  %status = phi i64 [ %status1, %together ], [ %status2, %alone ]
  br i1 %flushes, label %restore, label %finish

restore:
  call void @adopt(i64 %before)
  br label %finish

finish:
  %next = add i64 %i, 1
  %bad = icmp ne i64 %status, 0
  %last = icmp sge i64 %next, %count
  %over = or i1 %bad, %last
  br i1 %over, label %leave, label %row

leave:
  %result = select i1 %bad, i64 %next, i64 0
  ret i64 %result

good:
  ret i64 0
}
"""

_SHARE = """
define internal i64 @share(ptr %kernel, ptr %its, i64 %chunks, i64 %helpers) noinline {
entry:
  %threads = add i64 %helpers, 1
  %wanted = mul i64 %threads, BATCHES
  %bounded = call i64 @llvm.smin.i64(i64 %wanted, i64 65535)
  %parts = call i64 @llvm.smin.i64(i64 %bounded, i64 %chunks)
  %up = add i64 %chunks, %parts
  %up1 = sub i64 %up, 1
  %size = sdiv i64 %up1, %parts
  %up2 = add i64 %chunks, %size
  %up3 = sub i64 %up2, 1
  %batches = sdiv i64 %up3, %size
  store atomic ptr %kernel, ptr @function monotonic, align 8
  store atomic ptr %its, ptr @arguments monotonic, align 8
  store atomic i64 %chunks, ptr @chunks monotonic, align 8
  store atomic i64 %size, ptr @size monotonic, align 8
  %mode = call i64 @mode()
  store atomic i64 %mode, ptr @floats monotonic, align 8
  store atomic i64 0, ptr @done monotonic, align 8
  store atomic i64 0, ptr @failed monotonic, align 8
  %old = load atomic i64, ptr @word monotonic, align 8
  %ticket = lshr i64 %old, 32
  %ticket1 = add i64 %ticket, 1
  %ticket2 = shl i64 %ticket1, 32
  %fresh = or i64 %ticket2, %batches
  store atomic i64 %fresh, ptr @word seq_cst, align 8
  %asleep = load atomic i64, ptr @sleepers seq_cst, align 8
  %some = icmp sgt i64 %asleep, 0
  br i1 %some, label %wake, label %begin

wake:
  call void @ring()
  br label %begin

begin:
  call void @work(i1 true)
  br label %wait

wait:
  %spun = phi i64 [ 0, %begin ], [ %more, %pause ], [ 0, %yield ]
  %finished = load atomic i64, ptr @done acquire, align 8
  %complete = icmp eq i64 %finished, %batches
  br i1 %complete, label %leave, label %again

again:
  %more = add i64 %spun, 1
  %long = icmp sgt i64 %more, 500
  br i1 %long, label %yield, label %pause

pause:
  PAUSE
  br label %wait

yield:
  %ignored = call i32 @sched_yield()
  br label %wait

leave:
  %status = load atomic i64, ptr @failed monotonic, align 8
  ret i64 %status
}

define internal void @work(i1 %lowest) noinline {
entry:
  br label %look

look:
  %count = phi i64 [ 0, %entry ], [ %count, %missed ], [ %counted, %told ]
  %word = load atomic i64, ptr @word acquire, align 8
  %high = and i64 %word, 65535
  %shifted = lshr i64 %word, 16
  %low = and i64 %shifted, 65535
  %left = icmp ult i64 %low, %high
  br i1 %left, label %take, label %leave

take:
  %kernel = load atomic ptr, ptr @function monotonic, align 8
  %its = load atomic ptr, ptr @arguments monotonic, align 8
  %chunks = load atomic i64, ptr @chunks monotonic, align 8
  %size = load atomic i64, ptr @size monotonic, align 8
  %mode = load atomic i64, ptr @floats monotonic, align 8
  %above = add i64 %word, 65536
  %below = sub i64 %word, 1
  %rest = select i1 %lowest, i64 %above, i64 %below
  %pair = cmpxchg ptr @word, i64 %word, i64 %rest acq_rel monotonic, align 8
  %taken = extractvalue { i64, i1 } %pair, 1
  br i1 %taken, label %run, label %missed

missed:
  PAUSE
  br label %look

run:
  %highest = sub i64 %high, 1
  %batch = select i1 %lowest, i64 %low, i64 %highest
  %begin = mul i64 %batch, %size
  %stop = add i64 %begin, %size
  %end = call i64 @llvm.smin.i64(i64 %stop, i64 %chunks)
  call void @adopt(i64 %mode)
  %status = call i64 %kernel(ptr %its, i64 %begin, i64 %end)
  %counted = add i64 %count, 1
  %bad = icmp ne i64 %status, 0
  br i1 %bad, label %tell, label %told

tell:
  store atomic i64 %status, ptr @failed monotonic, align 8
  br label %told

told:
  br label %look

leave:
  %previous = atomicrmw add ptr @done, i64 %count acq_rel, align 8
  ret void
}
"""

_SERVE = """
define internal i1 @idle(i64 %number) alwaysinline {
  %word = load atomic i64, ptr @word seq_cst, align 8
  %high = and i64 %word, 65535
  %shifted = lshr i64 %word, 16
  %low = and i64 %shifted, 65535
  %none = icmp uge i64 %low, %high
  %allowed = load atomic i64, ptr @allowed monotonic, align 8
  %outside = icmp sge i64 %number, %allowed
  %idle = or i1 %none, %outside
  ret i1 %idle
}

define void @serve() {
entry:
  %number = atomicrmw add ptr @workers, i64 1 seq_cst, align 8
  br label %look

look:
  %spun = phi i64 [ 0, %entry ], [ %more, %pause ], [ 0, %rest ], [ 0, %busy ]
  %idle = call i1 @idle(i64 %number)
  br i1 %idle, label %bored, label %busy

busy:
  call void @work(i1 false)
  br label %look

bored:
  %more = add i64 %spun, 1
  %patience = load atomic i64, ptr @patience monotonic, align 8
  %tired = icmp sgt i64 %more, %patience
  br i1 %tired, label %rest, label %pause

pause:
  PAUSE
  br label %look

rest:
  call void @sleep(i64 %number)
  br label %look
}

define internal void @sleep(i64 %number) noinline {
entry:
  %e1 = call i32 @pthread_mutex_lock(ptr @mutex)
  %b1 = atomicrmw add ptr @sleepers, i64 1 seq_cst, align 8
  %idle = call i1 @idle(i64 %number)
  br i1 %idle, label %wait, label %up

wait:
  %e2 = call i32 @pthread_cond_wait(ptr @bell, ptr @mutex)
  br label %up

up:
  %b2 = atomicrmw sub ptr @sleepers, i64 1 seq_cst, align 8
  %e3 = call i32 @pthread_mutex_unlock(ptr @mutex)
  %others = icmp sgt i64 %b2, 1
  %calm = call i1 @idle(i64 0)
  %both = icmp ugt i1 %others, %calm
  br i1 %both, label %wake, label %leave

wake:
  call void @ring()
  call void @ring()
  br label %leave

leave:
  ret void
}

define internal void @ring() noinline {
entry:
  %busy = call i32 @pthread_mutex_trylock(ptr @mutex)
  %free = icmp eq i32 %busy, 0
  br i1 %free, label %go, label %leave

go:
  %e1 = call i32 @pthread_mutex_unlock(ptr @mutex)
  %e2 = call i32 @pthread_cond_signal(ptr @bell)
  br label %leave

leave:
  ret void
}

define void @wait(i64 %patience) {
  store atomic i64 %patience, ptr @patience monotonic, align 8
  ret void
}

define void @allow(i64 %helpers) {
  store atomic i64 %helpers, ptr @allowed seq_cst, align 8
  ret void
}

define void @reset() {
  store atomic i64 0, ptr @workers monotonic, align 8
  store atomic i64 0, ptr @sleepers monotonic, align 8
  %old = load atomic i64, ptr @word monotonic, align 8
  %ticket = lshr i64 %old, 32
  %none = shl i64 %ticket, 32
  store atomic i64 %none, ptr @word monotonic, align 8
  store atomic i64 0, ptr @lock seq_cst, align 8
  %e1 = call i32 @pthread_mutex_init(ptr @mutex, ptr null)
  %e2 = call i32 @pthread_cond_init(ptr @bell, ptr null)
  ret void
}

define void @pauses(i64 %count) {
entry:
  br label %again
again:
  %i = phi i64 [ 0, %entry ], [ %next, %again ]
  %idle = call i1 @idle(i64 0)
  PAUSE
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %count
  br i1 %more, label %again, label %leave
leave:
  ret void
}

declare i32 @pthread_mutex_init(ptr, ptr)
declare i32 @pthread_mutex_lock(ptr)
declare i32 @pthread_mutex_trylock(ptr)
declare i32 @pthread_mutex_unlock(ptr)
declare i32 @pthread_cond_init(ptr, ptr)
declare i32 @pthread_cond_wait(ptr, ptr)
declare i32 @pthread_cond_signal(ptr)
declare i32 @sched_yield()
declare i64 @llvm.smin.i64(i64, i64)
"""

_ALONE = """
define internal i64 @share(ptr %kernel, ptr %its, i64 %chunks, i64 %helpers) {
  %status = call i64 %kernel(ptr %its, i64 0, i64 %chunks)
  ret i64 %status
}
"""

_PAUSE = {
    "x86_64": ("call void @llvm.x86.sse2.pause()", "declare void @llvm.x86.sse2.pause()\n"),
    "aarch64": ("call void @llvm.aarch64.hint(i32 1)", "declare void @llvm.aarch64.hint(i32)\n"),
    "arm64": ("call void @llvm.aarch64.hint(i32 1)", "declare void @llvm.aarch64.hint(i32)\n"),
}


def driver_text(triple: str, pool: bool, python: bool) -> str:
    """The module of the driver.

    Args:
        triple: the machine; it is told that a thread waits, where it has a word for that.
        pool: whether the system has the threads of POSIX. Otherwise every row runs alone.
        python: whether Python can call it without ``ctypes``: ``held`` keeps the interpreter's lock, ``released``
            gives it to other threads meanwhile.
    """
    pause, declaration = _PAUSE.get(triple.split("-")[0], ("", ""))
    text = _STATE + _RUN + (_SHARE + _SERVE + declaration if pool else _ALONE) + (CALLED if python else "")
    return text.replace("BATCHES", str(Target.batches)).replace("PAUSE", pause)
