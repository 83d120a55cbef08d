"""The emulator does what the PTX ISA manual says of each instruction that LLVM writes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gpu import emulator, ptx_text

F32, F64, I32, I64, U32, U64 = map(np.dtype, ("f4", "f8", "i4", "i8", "u4", "u8"))
NAN, INF = float("nan"), float("inf")

KERNEL = """
.visible .entry k(.param .u64 k_param_0, .param .u64 k_param_1)
{
    ld.param.b64 %rd1, [k_param_0];
    ld.param.b64 %rd2, [k_param_1];
    mov.u32 %r1, %tid.x;
    mul.wide.u32 %rd3, %r1, 8;
    add.s64 %rd4, %rd1, %rd3;
    add.s64 %rd5, %rd2, %rd3;
    BODY
    ret;
}
"""


def launched(body: str, numbers: Any, seed: int | None = None, threads: int = 32) -> Any:
    """What 32 threads leave, each of which finds a number of 8 bytes at %rd4 and writes one at %rd5."""
    program = ptx_text.read(KERNEL.replace("BODY", body))
    source, target = np.resize(numbers, threads).copy(), np.zeros(threads, np.asarray(numbers).dtype)
    memory = emulator.Memory()
    emulator.run(program, "k", 1, threads, [memory.add(source), memory.add(target)], memory, seed)
    return target


# What an instruction makes of its operands, by the manual: name, dtypes of operands, operands, result.
DONE: list[tuple[str, tuple[Any, ...], tuple[Any, ...], Any, Any]] = [
    ("add.s32", (I32, I32), (2**31 - 1, 1), I32, -(2**31)),
    ("sub.s64", (I64, I64), (3, 5), I64, -2),
    ("mul.lo.s32", (I32, I32), (-7, 6), I32, -42),
    ("mul.hi.u64", (U64, U64), (2**63, 6), U64, 3),
    ("mul.hi.s32", (I32, I32), (-(2**31), 2), I32, -1),
    ("mul.wide.s32", (I32, I32), (-(2**20), 2**20), I64, -(2**40)),
    ("mul.wide.u32", (U32, U32), (2**32 - 1, 2), U64, 2**33 - 2),
    ("mad.lo.s32", (I32, I32, I32), (3, 4, 5), I32, 17),
    ("mad.wide.u32", (U32, U32, U64), (2**31, 4, 1), U64, 2**33 + 1),
    ("div.s32", (I32, I32), (-7, 2), I32, -3),
    ("rem.s32", (I32, I32), (-7, 2), I32, -1),
    ("div.u64", (U64, U64), (2**63, 3), U64, 2**63 // 3),
    ("rem.u32", (U32, U32), (7, 4), U32, 3),
    ("min.s32", (I32, I32), (-1, 1), I32, -1),
    ("max.u32", (U32, U32), (2**31, 1), U32, 2**31),
    ("neg.s32", (I32,), (5,), I32, -5),
    ("abs.s32", (I32,), (-5,), I32, 5),
    ("and.b32", (U32, U32), (12, 10), U32, 8),
    ("or.b64", (U64, U64), (12, 10), U64, 14),
    ("xor.b32", (U32, U32), (12, 10), U32, 6),
    ("not.b32", (U32,), (0,), U32, 2**32 - 1),
    ("shl.b32", (U32, U32), (1, 31), U32, 2**31),
    ("shl.b32", (U32, U32), (1, 32), U32, 0),
    ("shr.u32", (U32, U32), (2**31, 40), U32, 0),
    ("shr.s32", (I32, U32), (-(2**31), 40), I32, -1),
    ("shf.l.wrap.b32", (U32, U32, U32), (2**31, 1, 33), U32, 3),
    ("shf.r.clamp.b32", (U32, U32, U32), (0, 5, 32), U32, 5),
    ("prmt.b32", (U32, U32, U32), (0x44332211, 0x88776655, 0x7531), U32, 0x88664422),
    ("prmt.b32", (U32, U32, U32), (0x80, 0, 0x8888), U32, 2**32 - 1),
    ("bfe.u32", (U32, U32, U32), (0xABCD, 4, 8), U32, 0xBC),
    ("bfe.s32", (I32, U32, U32), (0x80, 4, 4), I32, -8),
    ("clz.b32", (U32,), (1,), U32, 31),
    ("popc.b32", (U32,), (255,), U32, 8),
    ("brev.b32", (U32,), (1,), U32, 2**31),
    ("add.rn.f32", (F32, F32), (2.0**24, 1.0), F32, 2.0**24),
    ("sub.rn.f64", (F64, F64), (1.0, 2.0**-53), F64, 1 - 2.0**-53),
    ("mul.rn.f32", (F32, F32), (3.0, -2.0), F32, -6.0),
    ("div.rn.f32", (F32, F32), (1.0, 3.0), F32, np.float32(1) / np.float32(3)),
    ("div.rn.f64", (F64, F64), (1.0, 0.0), F64, INF),
    ("fma.rn.f32", (F32, F32, F32), (1 + 2.0**-12, 1 - 2.0**-12, -1.0), F32, -(2.0**-24)),
    ("fma.rn.f64", (F64, F64, F64), (1 + 2.0**-30, 1 - 2.0**-30, -1.0), F64, -(2.0**-60)),
    ("sqrt.rn.f32", (F32,), (2.0,), F32, np.sqrt(np.float32(2))),
    ("rcp.rn.f64", (F64,), (4.0,), F64, 0.25),
    ("neg.f32", (F32,), (0.0,), F32, -0.0),
    ("abs.f64", (F64,), (-1.5,), F64, 1.5),
    ("copysign.f32", (F32, F32), (-0.0, 3.0), F32, -3.0),  # the sign of the first
    ("min.f32", (F32, F32), (NAN, 1.0), F32, 1.0),
    ("max.NaN.f32", (F32, F32), (NAN, 1.0), F32, NAN),
    ("cvt.rn.f64.s32", (I32,), (-3,), F64, -3.0),
    ("cvt.rn.f32.u64", (U64,), (2**63,), F32, 2.0**63),
    ("cvt.f64.f32", (F32,), (0.1,), F64, float(np.float32(0.1))),
    ("cvt.rn.f32.f64", (F64,), (0.1,), F32, np.float32(0.1)),
    ("cvt.rzi.s32.f32", (F32,), (-1.9,), I32, -1),
    ("cvt.rni.s64.f64", (F64,), (2.5,), I64, 2),
    ("cvt.rzi.s32.f32", (F32,), (1e20,), I32, 2**31 - 1),
    ("cvt.rzi.u32.f32", (F32,), (-5.0,), U32, 0),
    ("cvt.rzi.s64.f64", (F64,), (NAN,), I64, 0),
    ("cvt.rmi.f32.f32", (F32,), (-1.5,), F32, -2.0),
    ("cvt.rpi.f64.f64", (F64,), (1.2,), F64, 2.0),
    ("cvt.s64.s32", (I32,), (-1,), I64, -1),
    ("cvt.u64.u32", (U32,), (2**32 - 1,), U64, 2**32 - 1),
    ("cvt.u32.u64", (U64,), (2**33 + 7,), U32, 7),
    ("mov.b64", (F64,), (1.5,), F64, 1.5),
]


def written(value: Any, dtype: Any) -> str:
    """A constant as PTX writes it."""
    if dtype == F32:
        return f"0f{np.float32(value).view(np.uint32):08X}"
    if dtype == F64:
        return f"0d{np.float64(value).view(np.uint64):016X}"
    return str(value)


def stored(dtype: Any, register: str) -> str:
    """The instruction that writes a result."""
    return f"st.global.b{8 * dtype.itemsize} [%rd5], {register};"


@pytest.mark.parametrize(("name", "kinds", "operands", "result", "expected"), DONE, ids=lambda x: str(x)[:24])
def test_an_instruction_does_what_the_manual_says(
    name: str, kinds: tuple[Any, ...], operands: tuple[Any, ...], result: Any, expected: Any
) -> None:
    """Of constants, bit for bit."""
    listed = ", ".join(written(value, dtype) for value, dtype in zip(operands, kinds, strict=True))
    found = launched(f"{name} %x1, {listed};\n{stored(result, '%x1')}", np.zeros(1, np.int64))
    number = found.view(result)[0]
    assert np.asarray(expected).astype(result).tobytes() == number.tobytes()


COMPARISONS = [
    ("lt", 1.0, 2.0, True),
    ("lt", NAN, 2.0, False),
    ("ltu", NAN, 2.0, True),
    ("ne", NAN, NAN, False),
    ("neu", NAN, NAN, True),
    ("equ", 1.0, 2.0, False),
    ("nan", NAN, 1.0, True),
    ("num", NAN, 1.0, False),
    ("ge", 2.0, 2.0, True),
]


@pytest.mark.parametrize(("how", "a", "b", "expected"), COMPARISONS)
def test_a_comparison_knows_of_nan(how: str, a: float, b: float, expected: bool) -> None:
    """A name with a u in the end holds for NaN too."""
    body = f"setp.{how}.f64 %p1, {written(a, F64)}, {written(b, F64)}; selp.b64 %rd9, 1, 0, %p1; {stored(I64, '%rd9')}"
    assert int(expected) == launched(body, np.zeros(1, np.int64))[0]


def test_whole_numbers_are_compared_with_and_without_a_sign() -> None:
    """-1 is below 1 with it, and above without."""
    body = "setp.lt.s32 %p1, -1, 1; setp.gt.u32 %p2, -1, 1; and.pred %p3, %p1, %p2; not.pred %p4, %p3;"
    body += f"selp.b64 %rd9, 0, 1, %p4; {stored(I64, '%rd9')}"
    assert launched(body, np.zeros(1, np.int64)).all()


def test_memory_is_read_and_written_in_vectors() -> None:
    """As v2 and v4 of LLVM."""
    body = "ld.global.v2.b32 {%r7, %r8}, [%rd4]; st.global.v2.b32 [%rd5], {%r8, %r7};"
    assert launched(body, np.array([1 << 32 | 2], np.int64))[0] == 2 << 32 | 1


def test_a_move_takes_numbers_apart_and_puts_them_together() -> None:
    """Halves of 64 bits, one of which may not be wanted."""
    body = "ld.global.b64 %rd7, [%rd4]; mov.b64 {%r7, %r8}, %rd7; mov.b64 %rd8, {%r8, %r7}; st.global.b64 [%rd5], %rd8;"
    assert launched(body, np.array([1 << 32 | 2], np.int64))[0] == 2 << 32 | 1
    body = "{ .reg .b32 tmp; ld.global.b64 %rd7, [%rd4]; mov.b64 {tmp, %r8}, %rd7; st.global.b32 [%rd5], %r8; }"
    assert launched(body, np.array([3 << 32 | 2], np.int64))[0] == 3


@pytest.mark.parametrize("seed", [None, 0, 1])
def test_a_shuffle_takes_numbers_of_other_threads(seed: int | None) -> None:
    """Whatever the order of threads."""
    body = """xor.b32 %r9, %r1, 5; ld.global.b32 %r7, [%rd4];
    shfl.sync.idx.b32 %r8, %r7, %r9, 31, -1; st.global.b32 [%rd5], %r8;"""
    np.testing.assert_array_equal(launched(body, np.arange(32), seed), np.arange(32) ^ 5)


@pytest.mark.parametrize("seed", [None, 0, 1])
def test_a_vote_asks_the_threads_of_a_warp(seed: int | None) -> None:
    """And not those of another one."""
    body = f"""setp.eq.s32 %p1, %r1, 40; vote.sync.any.pred %p2, %p1, -1;
    selp.b64 %rd9, 1, 0, %p2; {stored(I64, "%rd9")}"""
    found = launched(body, np.zeros(1, np.int64), seed, threads=64)
    np.testing.assert_array_equal(found, np.arange(64) >= 32)


@pytest.mark.parametrize("seed", [None, 0])
def test_a_branch_by_a_number_goes_where_its_list_says(seed: int | None) -> None:
    """Each thread by its own; beyond the list is a fault."""
    body = """
    ld.global.b32 %r2, [%rd4];
    $L_brx_0: .branchtargets
        $one,
        $two;
    brx.idx %r2, $L_brx_0;
$one:
    mov.u64 %rd6, 10;
    bra.uni $end;
$two:
    mov.u64 %rd6, 20;
$end:
    st.global.b64 [%rd5], %rd6;
    """
    assert [10, 20, 20, 10] == launched(body, np.array([0, 1, 1, 0]), seed)[:4].tolist()
    with pytest.raises(emulator.Fault, match="beyond its list"):
        launched(body, np.array([0, 2]))


def test_threads_part_at_a_branch_and_each_ends_for_itself() -> None:
    """A guard may be negated."""
    body = f"setp.lt.s32 %p1, %r1, 10; @!%p1 bra $L; {stored(I64, '1')} ret;\n$L:\n{stored(I64, '2')}"
    np.testing.assert_array_equal(launched(body, np.zeros(1, np.int64)), np.where(np.arange(32) < 10, 1, 2))


FAULTS = {
    "outside of memory": ("ld.global.b64 %rd7, [%rd4+8192];", "reach outside of memory"),
    "not aligned": ("ld.global.b64 %rd7, [%rd4+4];", "reach outside of memory"),
    "not written": (f"add.s64 %rd7, %rd8, 1; {stored(I64, '%rd7')}", "read before it is written"),
    "ended": ("setp.lt.s32 %p1, %r1, 10; @%p1 ret; bar.warp.sync -1;", "wait at different places"),
    "different places": (
        "setp.lt.s32 %p1, %r1, 10; @%p1 bra $L; bar.warp.sync -1;\n$L:\nbar.warp.sync -1;",
        "wait at different places",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_a_gpu_would_leave_undefined_is_a_fault(name: str) -> None:
    """It says what, where a GPU would go on with anything."""
    body, said = FAULTS[name]
    with pytest.raises(emulator.Fault, match=said):
        launched(body, np.zeros(1, np.int64))


RACE = """add.s64 %rd9, %rd2, 0; cvt.u32.u64 %r9, %rd3; xor.b32 %r8, %r1, 1; mul.wide.u32 %rd10, %r8, 8;
add.s64 %rd11, %rd2, %rd10; cvt.u64.u32 %rd12, %r1; st.global.b64 [%rd5], %rd12; MEET
ld.global.b64 %rd13, [%rd11]; MEET st.global.b64 [%rd5], %rd13;"""


def test_threads_in_any_order_show_a_race() -> None:
    """Neighbours exchange numbers through memory: with meetings all is well, and without them it is not."""
    expected = np.arange(32) ^ 1
    for seed in range(4):
        body = RACE.replace("MEET", "bar.warp.sync -1;")
        np.testing.assert_array_equal(launched(body, np.zeros(1, np.int64), seed), expected)
    raced = [launched(RACE.replace("MEET", ""), np.zeros(1, np.int64), seed) for seed in range(4)]
    assert any((found != expected).any() for found in raced)


def test_an_unknown_instruction_is_no_silence() -> None:
    """Nothing is passed over."""
    with pytest.raises(NotImplementedError, match="tex"):
        launched("tex.1d.v4.f32.s32 {%f1, %f2, %f3, %f4}, [t, {%r1}];", np.zeros(1, np.int64))
