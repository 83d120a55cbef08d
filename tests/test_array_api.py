"""The Python array API standard, version 2024.12: which of its functions there are, and that they take what it says."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import lazygrad as lg


def words(text: str) -> list[str]:
    """The words of a text."""
    return text.split()


UNARY = words(
    """abs acos acosh asin asinh atan atanh bitwise_invert ceil conj cos cosh exp expm1 floor imag isfinite
isinf isnan log log1p log2 log10 logical_not negative positive real reciprocal round sign signbit
sin sinh square sqrt tan tanh trunc finfo iinfo matrix_transpose nonzero unique_all unique_counts
unique_inverse unique_values linalg.det linalg.eigh linalg.eigvalsh linalg.inv
linalg.matrix_transpose linalg.slogdet linalg.svdvals"""
)
BINARY = words(
    """add atan2 bitwise_and bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor copysign divide
equal floor_divide greater greater_equal hypot less less_equal logaddexp logical_and logical_or
logical_xor maximum minimum multiply nextafter not_equal pow remainder subtract matmul linalg.matmul
linalg.outer linalg.solve"""
)
REDUCING = words("""all any argmax argmin count_nonzero max mean min""")
FOURIER = words("""fft ifft fftn ifftn rfft irfft rfftn irfftn hfft ihfft fftfreq rfftfreq fftshift ifftshift""")
SIGNATURES = [
    *(f"{name}(x, /)" for name in UNARY),
    *(f"{name}(x1, x2, /)" for name in BINARY),
    *(f"{name}(x, /, *, axis=None, keepdims=False)" for name in REDUCING),
    *(f"{name}(x, /, *, axis=None, dtype=None, keepdims=False)" for name in ("sum", "prod")),
    *(f"{name}(x, /, *, axis=None, correction=0.0, keepdims=False)" for name in ("std", "var")),
    *(
        f"{name}(x, /, *, axis=None, dtype=None, include_initial=False)"
        for name in ("cumulative_sum", "cumulative_prod")
    ),
    *(f"{name}(shape, *, dtype=None, device=None)" for name in ("empty", "ones", "zeros")),
    *(f"{name}(x, /, *, dtype=None, device=None)" for name in ("empty_like", "ones_like", "zeros_like")),
    *(f"{name}(x, /, *, k=0)" for name in ("tril", "triu")),
    *(f"{name}(x, /, *, axis=-1, descending=False, stable=True)" for name in ("sort", "argsort")),
    *(f"{place}tensordot(x1, x2, /, *, axes=2)" for place in ("", "linalg.")),
    *(f"{place}vecdot(x1, x2, /, *, axis=-1)" for place in ("", "linalg.")),
    *(f"fft.{name}(x, /)" for name in FOURIER),
    "__array_namespace_info__()",
    "arange(start, /, stop=None, step=1, *, dtype=None, device=None)",
    "asarray(obj, /, *, dtype=None, device=None, copy=None)",
    "astype(x, dtype, /, *, copy=True, device=None)",
    "broadcast_arrays(*arrays)",
    "broadcast_to(x, /, shape)",
    "can_cast(from_, to, /)",
    "clip(x, /, min=None, max=None)",
    "concat(arrays, /, *, axis=0)",
    "diff(x, /, *, axis=-1, n=1, prepend=None, append=None)",
    "expand_dims(x, /, *, axis=0)",
    "eye(n_rows, n_cols=None, /, *, k=0, dtype=None, device=None)",
    "flip(x, /, *, axis=None)",
    "from_dlpack(x, /, *, device=None, copy=None)",
    "full(shape, fill_value, *, dtype=None, device=None)",
    "full_like(x, /, fill_value, *, dtype=None, device=None)",
    "isdtype(dtype, kind)",
    "linspace(start, stop, /, num, *, dtype=None, device=None, endpoint=True)",
    "meshgrid(*arrays, indexing='xy')",
    "moveaxis(x, source, destination, /)",
    "permute_dims(x, /, axes)",
    "repeat(x, repeats, /, *, axis=None)",
    "reshape(x, /, shape, *, copy=None)",
    "result_type(*arrays_and_dtypes)",
    "roll(x, /, shift, *, axis=None)",
    "searchsorted(x1, x2, /, *, side='left', sorter=None)",
    "squeeze(x, /, axis)",
    "stack(arrays, /, *, axis=0)",
    "take(x, indices, /, *, axis=None)",
    "take_along_axis(x, indices, /, *, axis=-1)",
    "tile(x, repetitions, /)",
    "unstack(x, /, *, axis=0)",
    "where(condition, x1, x2, /)",
    "linalg.cholesky(x, /, *, upper=False)",
    "linalg.cross(x1, x2, /, *, axis=-1)",
    "linalg.diagonal(x, /, *, offset=0)",
    "linalg.matrix_norm(x, /, *, keepdims=False, ord='fro')",
    "linalg.matrix_power(x, n, /)",
    "linalg.matrix_rank(x, /, *, rtol=None)",
    "linalg.pinv(x, /, *, rtol=None)",
    "linalg.qr(x, /, *, mode='reduced')",
    "linalg.svd(x, /, *, full_matrices=True)",
    "linalg.trace(x, /, *, offset=0, dtype=None)",
    "linalg.vector_norm(x, /, *, axis=None, keepdims=False, ord=2)",
]
CONSTANTS = ["e", "inf", "nan", "newaxis", "pi"]
DTYPES = ["bool", *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)), "float32", "float64"]

# What is not there, and why.
ABSENT = {
    "__array_namespace_info__": "there is no namespace of arrays: a tensor belongs to the step that it is written in",
    "from_dlpack": "asarray, and every argument of a step, takes what has __dlpack__",
    "complex64": "tensors are real",
    "complex128": "tensors are real",
    **{f"fft.{name}": "its results are complex, and tensors are real" for name in FOURIER},
}
# What is called otherwise than the standard says, and why.
DIFFERENT = {
    "cumulative_sum": {"axis": "the last one if not given, also of several axes, where the standard says nothing"},
    "cumulative_prod": {"axis": "as of cumulative_sum"},
}
# What must be given beyond the standard, and why.
NEEDED = {
    "nonzero": {"size": "how many there are is known only when the graph is run"},
}


def defined(text: str) -> tuple[str, inspect.Signature]:
    """The name and the signature that a line of the table says."""
    name, _, rest = text.partition("(")
    made: dict[str, Any] = {}
    exec(f"def f({rest}: pass", made)
    return name, inspect.signature(made["f"])


TABLE = [defined(text) for text in SIGNATURES]


def found(name: str) -> Any:
    """What lazygrad has under a name of the standard."""
    place: Any = lg
    for part in name.split("."):
        place = vars(place).get(part, ABSENT) if place is not ABSENT else ABSENT
    return place


def test_every_name_of_the_standard_is_there_or_absent_for_a_reason() -> None:
    """Functions, constants and dtypes; and no reason is given for what is there."""
    every = {name for name, _ in TABLE} | set(CONSTANTS) | set(DTYPES) | {"complex64", "complex128"}
    assert len(every) > 180
    assert ABSENT.keys() == {name for name in every if found(name) is ABSENT}


@pytest.mark.parametrize(("name", "wanted"), [pytest.param(*t, id=t[0]) for t in TABLE if t[0] not in ABSENT])
def test_a_function_takes_what_the_standard_says(name: str, wanted: inspect.Signature) -> None:
    """As many arguments by position, keywords of the same names, the same defaults, and nothing more that is needed."""
    ours = inspect.signature(found(name)).parameters.values()
    by_position = [p for p in ours if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    by_name = {p.name: p for p in ours if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    many = any(p.kind is p.VAR_POSITIONAL for p in ours)
    used = set()
    for place, p in enumerate(wanted.parameters.values()):
        if p.kind is p.VAR_POSITIONAL:
            assert many
        elif p.kind is p.POSITIONAL_ONLY:
            assert place < len(by_position)
            used.add(by_position[place].name)
            assert p.default in (p.empty, by_position[place].default)
        else:
            assert p.name in by_name
            used.add(p.name)
            if p.default is not p.empty and p.name not in DIFFERENT.get(name, {}):
                assert p.default == by_name[p.name].default
            if p.kind is p.POSITIONAL_OR_KEYWORD:
                assert place < len(by_position)
                assert p.name == by_position[place].name
    needed = {p.name for p in by_name.values() if p.default is p.empty} - used
    assert set(NEEDED.get(name, {})) == needed


@pytest.mark.parametrize("name", CONSTANTS)
def test_a_constant_is_numpys(name: str) -> None:
    """pi is pi."""
    assert getattr(lg, name) is getattr(np, name)


@pytest.mark.parametrize("name", DTYPES)
def test_a_dtype_is_numpys(name: str) -> None:
    """It is taken wherever a dtype is."""
    assert getattr(lg, name) is getattr(np, name)

    def step(ctx: lg.Context, x: lg.Tensor) -> Any:
        return x.astype(getattr(lg, name)), lg.zeros(2, dtype=getattr(lg, name))

    assert [np.dtype(name)] * 2 == [y.dtype for y in lg.VariableEnvironment().run(step, np.array([0, 1]))]


def test_copies_and_devices_are_named_and_change_nothing() -> None:
    """A tensor never changes, and an environment has one device."""

    def step(ctx: lg.Context, x: lg.Tensor) -> Any:
        same = [
            x.astype(x.dtype, copy=False),
            lg.astype(x, x.dtype, copy=True),
            lg.asarray(x, copy=False),
            lg.asarray(x, copy=True, device="cpu"),
        ]
        assert all(y is x for y in same)
        made = [lg.zeros_like(x, device="cpu"), lg.eye(2, device="numpy"), lg.arange(3, device="cpu:0")]
        return (
            made,
            lg.linspace(0, 1, 3, device="cpu"),
            lg.full((2,), 7, device="cpu"),
            lg.reshape(x, (1, 2), copy=False),
        )

    made, points, sevens, row = lg.VariableEnvironment().run(step, np.array([1.0, 2.0]))
    assert ([0, 0], [0, 0.5, 1], [7, 7], [[1, 2]]) == (
        made[0].tolist(), points.tolist(), sevens.tolist(), row.tolist()
    )  # fmt: skip


def test_sums_are_taken_in_the_dtype_that_is_asked_for() -> None:
    """Cast before, so that nothing is lost, and small ones wrap as NumPy's."""
    x = np.full(300, 200, "uint8")
    halves = np.full(3000, 30.0, "float16")

    def step(ctx: lg.Context, x: lg.Tensor, h: lg.Tensor) -> Any:
        of_bytes = [lg.sum(x), lg.sum(x, dtype=lg.uint8), lg.prod(x[:3], dtype="float64"), x.sum(dtype="float32")]
        running = lg.cumulative_sum(x, dtype="uint8"), lg.cumulative_prod(x[:2], dtype="float32")
        return of_bytes, running, lg.sum(h, dtype="float64"), lg.linalg.trace(lg.diag(x), dtype="float32")

    of_bytes, running, total, trace = lg.VariableEnvironment().run(step, x, halves)
    assert [60000, 60000 % 256, 8e6, 60000] == [y.item() for y in of_bytes]
    assert ["uint64", "uint8", "float64", "float32"] == [y.dtype.name for y in of_bytes]
    assert np.array_equal(np.cumsum(x, dtype="uint8"), running[0])
    assert ("uint8", "float32", [200, 40000]) == (running[0].dtype.name, running[1].dtype.name, running[1].tolist())
    assert (90000, "float64", 60000, "float32") == (total, total.dtype.name, trace, trace.dtype.name)


def test_dtypes_are_asked_of_tensors_as_of_arrays() -> None:
    """Promotion, limits and kinds, with Python's numbers weak."""

    def step(ctx: lg.Context, x: lg.Tensor, n: lg.Tensor) -> Any:
        assert lg.result_type(x, n, 1.0) == np.float64
        assert lg.result_type(x, 2.5, np.float32) == np.float32
        assert lg.can_cast(x, "float64")
        assert not lg.can_cast(n, lg.int8)
        assert (lg.finfo(x).bits, lg.finfo("float64").eps, lg.iinfo(n).max) == (32, 2.0**-52, 2**31 - 1)
        assert lg.isdtype(x.dtype, "real floating")
        assert not lg.isdtype("int8", ("bool", "unsigned integer"))
        return x

    lg.VariableEnvironment().run(step, np.ones(2, "float32"), np.ones(2, "int32"))


def test_shapes_broadcast_without_tensors() -> None:
    """Those that do not are told as shapes of tensors are."""
    assert (2, 3, 4) == lg.broadcast_shapes((3, 1), (2, 1, 4), 4)
    assert () == lg.broadcast_shapes()
    with pytest.raises(lg.SpecError, match=r"cannot broadcast \(2,\) and \(3,\)"):
        lg.broadcast_shapes((2,), (3,))
