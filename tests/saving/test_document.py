"""The layout: what is written returns to the bit, also of version 1, in linear time, and is as its page says."""

from __future__ import annotations

import cProfile
import hashlib
import io
import json
import math
import re
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from files import FORMAT_PAGE, SAVE, VERSION_1, Env, document_of, returned, row, same_bits, signed
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from snapshots import at, snapshot

from lazygrad.errors import SaveError
from lazygrad.files import document, serialize
from lazygrad.files.jsontext import Reader

DTYPES = ["bool", *(f"{u}int{n}" for u in ("", "u") for n in (8, 16, 32, 64)), "float16", "float32", "float64"]
BITS = {"float16": np.uint16, "float32": np.uint32, "float64": np.uint64}


# Every bit returns.


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (5,), (2, 3, 4), (1025,), (33, 64)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_returns_to_the_bit_in_every_shape(dtype: str, shape: tuple[int, ...], path: Path) -> None:
    """Random bits of every dtype, in no axes, no elements, few elements and many."""
    raw = np.random.default_rng(0).bytes(math.prod(shape) * np.dtype(dtype).itemsize)
    array = np.frombuffer(raw, dtype="uint8" if dtype == "bool" else dtype).reshape(shape)
    array = array % 2 == 1 if dtype == "bool" else array
    assert same_bits(array, returned(array, path))


@pytest.mark.parametrize("dtype", BITS)
def test_nan_payloads_and_signs_return(dtype: str, path: Path) -> None:
    """Quiet and signalling NaN of both signs keep their payload."""
    info = np.finfo(dtype)
    bits = BITS[dtype]
    exponent = bits(int(np.array(np.inf, dtype).view(bits)))
    sign = bits(1 << (info.bits - 1))
    patterns = [exponent | bits(p) | s for p in (1, 5, 1 << (info.nmant - 1), (1 << info.nmant) - 1) for s in (0, sign)]
    array = np.array(patterns, bits).view(dtype)
    assert np.isnan(array).all()
    assert array.tobytes() == returned(array, path).tobytes()


@pytest.mark.parametrize("dtype", BITS)
def test_the_edges_of_the_floating_numbers_return(dtype: str, path: Path) -> None:
    """Both zeros, both infinities, the smallest subnormal, the largest number, and their neighbours."""
    info = np.finfo(dtype)
    edges = [0.0, -0.0, info.smallest_subnormal, -info.smallest_subnormal, info.smallest_normal, info.max, info.min]
    finite = np.array([*edges, info.eps, 1 + info.eps, 1 - info.epsneg], dtype)
    assert same_bits(finite, returned(finite, path))
    assert "data" in json.loads(path.read_text())["variables"][0]
    infinite = np.array([*edges, np.inf, -np.inf], dtype)
    assert same_bits(infinite, returned(infinite, path))


@pytest.mark.parametrize("dtype", [d for d in DTYPES if "int" in d])
def test_the_ends_of_the_whole_numbers_return(dtype: str, path: Path) -> None:
    """The smallest and the largest of each dtype, which a double could not hold for 64 bits."""
    info = np.iinfo(dtype)
    array = np.array([info.min, info.min + 1, 0, info.max - 1, info.max], dtype)
    assert same_bits(array, returned(array, path))
    assert [info.min, info.min + 1, 0, info.max - 1, info.max] == json.loads(path.read_text())["variables"][0]["data"]


def through_text(entry: document.Record) -> document.Document:
    """What is read of the text of a file of one variable."""
    text = b"".join(document.pieces(document.Document([entry], np.dtype("float32"), 0, 0)))
    return serialize.understood(io.BytesIO(text), None, {})


@given(hnp.arrays(st.sampled_from([np.dtype(d) for d in DTYPES]), hnp.array_shapes(min_dims=0, min_side=0)))
def test_any_array_returns(array: Any) -> None:
    """Whatever numbers hypothesis thinks of return, through the text of a file."""
    entry = document.Record("x", array, True)
    (back,) = through_text(entry).records
    assert same_bits(array, back.array)


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=50))
def test_any_bits_of_float32_return(patterns: list[int]) -> None:
    """The shortest decimals, read as doubles and rounded, give back every pattern of bits."""
    array = np.array(patterns, np.uint32).view(np.float32)
    entry = document.Record("x", array, True)
    assert array.tobytes() == through_text(entry).records[0].array.tobytes()


def test_all_float16_return(path: Path) -> None:
    """All 65,536 of them, in pieces that are written as numbers where they are finite."""
    env = Env(seed=0)
    every = np.arange(2**16, dtype=np.uint16).view(np.float16).reshape(64, 1024)
    for k, piece in enumerate(every):
        env.name(f"x{k}").set(piece)
    env.save(path)
    loaded = Env.load(path)
    assert [k for k, piece in enumerate(every) if not same_bits(piece, loaded[f"x{k}"])] == []


def test_an_array_that_is_not_contiguous_returns(path: Path) -> None:
    """A transposed array and a strided one keep their elements in place."""
    array = np.arange(12.0, dtype="float32").reshape(3, 4)
    assert np.array_equal(array.T, returned(array.T, path))
    assert np.array_equal(array[::2, ::-1], returned(array[::2, ::-1], path))


def test_small_arrays_are_readable(path: Path) -> None:
    """The file is text that a person can read: one variable a line, the shortest decimals."""
    env = Env(seed=3)
    env.name("w").set(np.array([[0.1, -0.0], [1e-45, 2.5]], "float32"))
    env.namespace("größe").name("n").set(np.array([2**60 + 1]), trainable=False)
    env.save(path)
    text = (
        '{\n "format": "lazygrad",\n "version": 2,\n "dtype": "float32",\n "random": {"seed": 3, "runs": 0},\n'
        ' "variables": [\n'
        '  {"name": "w", "dtype": "float32", "shape": [2, 2], "trainable": true, "data": [0.1, -0.0, 1e-45, 2.5]},\n'
        '  {"name": "größe/n", "dtype": "int64", "shape": [1], "trainable": false, "data": [1152921504606846977]}\n'
        " ],\n "
    )
    checksum = hashlib.sha256(text.encode()).hexdigest()
    assert path.read_text(encoding="utf-8") == f'{text}"checksum": "{checksum}"\n}}\n'


def test_large_arrays_are_in_base64(path: Path) -> None:
    """Beyond 1,024 elements the file holds bytes, 4/3 of their size, and no list of numbers."""
    env = Env(seed=0)
    env.name("small").set(np.zeros(1024, "float32"))
    env.name("large").set(np.zeros(1025, "float32"))
    env.save(path)
    small, large = json.loads(path.read_text())["variables"]
    assert ("data" in small, "base64" in small) == (True, False)
    assert ("data" in large, len(large["base64"])) == (False, math.ceil(1025 * 4 / 3) * 4)


def test_print_options_do_not_change_the_file(env: Env, path: Path) -> None:
    """How NumPy prints is the user's affair; the bits return all the same."""
    array = np.array([0.1, 1 / 3, 1e-30], "float32")
    with np.printoptions(legacy="1.13", precision=2):
        assert same_bits(array, returned(array, path))


def test_names_flags_order_and_defaults_return(path: Path) -> None:
    """Namespaces, names in any script, trainable flags, the order of registration, and the default dtype."""
    env = Env(seed=0, dtype="float64")
    env.namespace("encoder").namespace("schicht-1").name("重み").set(np.ones(2), trainable=False)
    env.name('quote " and \\ back').set(np.ones(1))
    env.name("a").set(np.ones(1))
    env.save(path)
    loaded = Env.load(path)
    expected = [("encoder/schicht-1/重み", False), ('quote " and \\ back', True), ("a", True)]
    assert expected == [(v.path, v.trainable) for v in loaded]
    assert np.dtype("float64") == loaded.dtype
    assert snapshot(env) == snapshot(loaded)


def test_an_empty_environment_returns(path: Path) -> None:
    """No variables is a file too."""
    Env(seed=5).save(path)
    loaded = Env.load(path)
    assert (0, 5) == (len(loaded), loaded._store.draws.seed)


def test_a_seed_of_any_size_returns(path: Path) -> None:
    """Seeds of the operating system have 128 bits, and users may choose larger ones."""
    env = Env(seed=2**200 + 1)
    draw = env.run(lambda ctx: ctx.random.normal(3))
    env.save(path)
    assert not np.array_equal(draw, Env.load(path).run(lambda ctx: ctx.random.normal(3)))
    assert np.array_equal(
        env.run(lambda ctx: ctx.random.normal(3)), Env.load(path).run(lambda ctx: ctx.random.normal(3))
    )


def test_what_is_loaded_is_the_loaders(path: Path, env: Env) -> None:
    """The loaded arrays can be written, and share nothing with the environment that was saved."""
    env.save(path)
    loaded = Env.load(path)
    loaded["w"] = [0.0, 0.0]
    assert np.array_equal([5.0, 6.0], env["w"])
    assert np.array_equal([0.0, 0.0], loaded["w"])


def test_a_path_may_be_text_or_a_path(env: Env, path: Path) -> None:
    """Both do the same."""
    env.save(str(path))
    first = path.read_bytes()
    env.save(path)
    assert first == path.read_bytes()
    assert snapshot(Env.load(str(path))) == snapshot(Env.load(path))


@pytest.mark.skipif(np.dtype("longdouble") == np.float64, reason="long double is float64 on this machine")
def test_a_long_double_is_refused_and_not_cut(path: Path) -> None:
    """Its bits mean other numbers elsewhere, so it is not written at all."""
    env = Env(seed=0)
    env.name("x").set(np.ones(1, "longdouble"))
    with pytest.raises(SaveError) as caught:
        env.save(path)
    assert str(caught.value) == (
        f"cannot save variable 'x' of {np.dtype('longdouble')}\n\n"
        f"{at(test_a_long_double_is_refused_and_not_cut, SAVE)}\n\n"
        "    Its bits mean other numbers on other machines: register the variable as float64."
    )
    assert not path.exists()


# Version 1 is read for good.


def test_a_file_of_version_1_is_read() -> None:
    """One that lazygrad wrote when there was no checksum: every bit, name, flag, and the random state."""
    loaded = Env.load(VERSION_1 / "variables.json")
    rng = np.random.default_rng(0)
    for dtype in DTYPES:
        raw = np.frombuffer(rng.bytes(6 * np.dtype(dtype).itemsize), "uint8" if dtype == "bool" else dtype)
        expected = (raw % 2 == 1 if dtype == "bool" else np.nan_to_num(raw)).reshape(2, 3)
        assert same_bits(expected, loaded[f"of/{dtype}"])
    assert same_bits(np.array([np.nan, -0.0, np.inf, 5e-324]), loaded["größe/重み"])
    assert same_bits(np.arange(1500, dtype="int16"), loaded["large"])
    assert same_bits(np.float32(0.1)[...], loaded["scalar"])
    trainable = ["of/float16", "of/float32", "of/float64", "größe/重み", "scalar"]
    assert trainable == [v.path for v in loaded if v.trainable]
    assert (2**70 + 1, 2, np.float64) == (loaded._store.draws.seed, loaded._store.state.runs, loaded.dtype)


def test_a_file_of_version_1_is_saved_as_version_2(path: Path) -> None:
    """With the same numbers, and a checksum."""
    old = Env.load(VERSION_1 / "variables.json")
    old.save(path)
    assert snapshot(old) == snapshot(Env.load(path))
    assert 2 == json.loads(path.read_text(encoding="utf-8"))["version"]


def test_version_1_knows_no_checksum(path: Path) -> None:
    """A member of that name which is not one is the user's own, as all that a reader does not know."""
    path.write_text(json.dumps(document_of(checksum="of yesterday")))
    assert [1.0, 2.0] == Env.load(path)["w"].tolist()


# Time and memory.


def test_a_file_is_read_once_and_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not yet understood is never longer than a row and a piece; so time and memory are linear."""
    entries = [document.Record(f"v{k}", np.full(500, k / 7), True) for k in range(100)]
    text = b"".join(document.pieces(document.Document(entries, np.dtype("float32"), 0, 0)))
    read, kept = [], []

    class File(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            read.append(size)
            return super().read(size)

    let_go = Reader._let_go

    def noted(self: Reader) -> None:
        let_go(self)
        kept.append(len(self._text))

    monkeypatch.setattr(Reader, "_let_go", noted)
    assert 100 == len(serialize.understood(File(text), None, {}).records)
    assert {1 << 16} == set(read)
    assert (len(text) >> 16) + 2 == len(read)
    assert max(kept) < (1 << 16) + 15_000


def test_a_row_longer_than_a_piece_is_read(path: Path) -> None:
    """What was read is doubled until the row is whole: in base64, and in decimals of another writer."""
    array = np.random.default_rng(0).normal(size=60_000)
    assert same_bits(array, returned(array, path))
    path.write_text(signed(document_of(row(dtype="float64", shape=[60_000], data=array.tolist()))))
    assert same_bits(array, Env.load(path)["w"])


def test_loading_takes_time_in_proportion_to_the_number_of_variables(path: Path) -> None:
    """Counted in calls of Python functions, of which each variable has as many, whether there are few or many."""
    counts = []
    for size in (100, 1000):
        env = Env(seed=0)
        for k in range(size):
            env.name(f"v{k}").set(np.ones(1))
        env.save(path)
        for use in (Env.load, env.restore):
            profile = cProfile.Profile()
            profile.runcall(use, path)
            counts.append(sum(entry.callcount for entry in profile.getstats()) / size)
    assert counts[2] < 1.1 * counts[0]
    assert counts[3] < 1.1 * counts[1]


def test_loading_takes_little_more_memory_than_the_numbers(path: Path) -> None:
    """A tenth of the file for the text that is being read, and not the whole of it as Python objects."""
    env = Env(seed=0)
    for k in range(100):
        env.name(f"v{k}").set(np.full(1000, 1 / (k + 3), "float32"))
    env.save(path)
    tracemalloc.start()
    loaded = Env.load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 100 == len(loaded)
    assert peak < 2.5 * 100 * 4000


# The page that describes the format.


def blocks() -> list[str]:
    """The JSON examples of the page."""
    return re.findall(r"```json\n(.*?)```", FORMAT_PAGE.read_text(encoding="utf-8"), re.DOTALL)


def test_the_example_of_the_page_loads(path: Path) -> None:
    """And holds what the page says."""
    path.write_text(blocks()[0], encoding="utf-8")
    loaded = Env.load(path)
    assert same_bits(np.array([[0.1, -0.0, 1e-45], [2.5, 3.0, 4.0]], "float32"), loaded["w"])
    assert same_bits(np.array(2**53 + 1), loaded["adam/step"])
    assert [0x7FF0000000000000, 0xFFF0000000000000, 0x7FF8000000000001] == loaded["worst"].view(np.uint64).tolist()
    assert [True, False] == loaded["encoder/layer1/mask"].tolist()
    assert [True, False, False, False] == [v.trainable for v in loaded]
    assert (42, 1000) == (loaded._store.draws.seed, loaded._store.state[1])


def test_the_example_of_the_page_is_what_lazygrad_writes(path: Path) -> None:
    """To the letter."""
    path.write_text(blocks()[0], encoding="utf-8")
    Env.load(path).save(path)
    assert blocks()[0] == path.read_text(encoding="utf-8")


def test_the_page_lists_the_dtypes_of_the_program() -> None:
    """No more and no fewer."""
    lines = FORMAT_PAGE.read_text(encoding="utf-8").splitlines()
    (line,) = [line for line in lines if line.startswith("| `dtype` | `bool`")]
    assert sorted(document.DTYPES) == sorted(set(re.findall(r"`(\w+)`", line)) - {"dtype"})


def test_the_draws_are_those_that_the_page_describes() -> None:
    """Philox under the key of the seed, at the counter (block, draw, run), and two words of 32 bits for each number."""
    env = Env(seed=42)
    step = lambda ctx: (ctx.random.uniform(3, dtype="float64"), ctx.random.uniform(3, dtype="float64"))  # noqa: E731
    env.run(step)
    drawn = env.run(step)
    (key,) = np.random.SeedSequence(42).generate_state(1, np.uint64).tolist()
    for draw in (0, 1):
        numbers = [word for block in (0, 1) for word in philox([block, draw, 1, 0], [key % 2**32, key >> 32])]
        pairs = zip(numbers[0::2], numbers[1::2], strict=True)
        expected = [((low + high * 2**32) >> 11) / 2**53 for low, high in pairs]
        assert expected[:3] == drawn[draw].tolist()


def philox(counter: list[int], key: list[int]) -> list[int]:
    """A block of Philox4x32-10, as Salmon et al. (2011) write it down."""
    a, b, c, d = counter
    for k in range(10):
        p, q = 0xD2511F53 * a, 0xCD9E8D57 * c
        one, other = ((key[i] + k * (0x9E3779B9, 0xBB67AE85)[i]) % 2**32 for i in (0, 1))
        a, b, c, d = (q >> 32) ^ b ^ one, q % 2**32, (p >> 32) ^ d ^ other, p % 2**32
    return [a, b, c, d]


def test_the_rust_example_of_the_page_loads(path: Path) -> None:
    """With the names and flags that the page says."""
    path.write_text(blocks()[1], encoding="utf-8")
    assert [("w", True), ("b", True), ("my_adam/0m", False)] == [(v.path, v.trainable) for v in Env.load(path)]


def test_serialize_reads_what_it_names() -> None:
    """The constants of the layout are those of the page."""
    assert ("lazygrad", 2) == (document.FORMAT, document.VERSION)
    assert f"## Version {document.VERSION}\n" in FORMAT_PAGE.read_text(encoding="utf-8")
