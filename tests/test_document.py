"""The layout: what is written returns to the bit, and what does not follow it to the letter is refused."""

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
from files import FORMAT_PAGE, VERSION_1, Env, document_of, refused, returned, row, same_bits, signed
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from snapshots import at, snapshot

import lazygrad as lg
from lazygrad.errors import SaveError
from lazygrad.files import document, serialize
from lazygrad.files.jsontext import MOST_DIGITS, MOST_LEVELS, Reader

# The lines of tests that messages name.
SAVE, LOAD, RESTORE = "env.save(path)", "Env.load(path)", "env.restore(path)"
RESTORE_MINE, RESTORE_AS = "mine.restore(path)", "env.restore(path, strict=strict)"

DTYPES = ["bool", *(f"{u}int{n}" for u in ("", "u") for n in (8, 16, 32, 64)), "float16", "float32", "float64"]
BITS = {"float16": np.uint16, "float32": np.uint32, "float64": np.uint64}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file that is not there yet, in a folder of its own."""
    folder = tmp_path / "files"
    folder.mkdir()
    return folder / "env.json"


@pytest.fixture
def env() -> Env:
    """The environment that the file of :func:`document_of` fits."""
    env = Env(seed=7)
    env.name("w").set(np.array([5.0, 6.0], "float32"))
    return env


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


# A file that is wrong.


def test_an_unknown_version_is_told_in_full(path: Path, env: Env) -> None:
    """With the version that can be read."""
    path.write_text(json.dumps(document_of(version=3)))
    with pytest.raises(SaveError) as caught:
        env.restore(path)
    assert str(caught.value) == (
        f"cannot read {str(path)!r}\n\n{at(test_an_unknown_version_is_told_in_full, RESTORE)}\n\n"
        "    Its version is 3.\n"
        "    This lazygrad reads versions 1 and 2: install the one that wrote the file, or a newer one."
    )


@pytest.mark.parametrize("version", [0, 1.0, True, "1", None, [1], 10**30])
def test_a_version_that_only_looks_like_one_is_refused(version: Any, path: Path, env: Env) -> None:
    """Exactly the whole number, and not what Python finds equal to it."""
    assert refused(json.dumps(document_of(version=version)), path, env).startswith("Its version is ")


def test_a_file_cut_off_anywhere_is_refused(path: Path, env: Env) -> None:
    """After every single byte; only without the white space at its end is it still whole."""
    env.name("n").set(np.array([np.nan, 1.0]), trainable=False)
    env.namespace("é").name("i").set(np.array([1, 2, 3]))
    env.save(path)
    whole = path.read_bytes()
    before = snapshot(env)
    readable = []
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        try:
            loaded = Env.load(path)
        except SaveError:
            with pytest.raises(SaveError):
                env.restore(path)
        else:
            assert before == snapshot(loaded)
            readable.append(end)
        assert before == snapshot(env)
    assert [len(whole.rstrip())] == readable


def test_a_file_with_any_byte_changed_is_refused_or_read_without_harm(path: Path) -> None:
    """SaveError comes out of it, or the same numbers, whichever byte is wrong."""
    env = Env(seed=0)
    env.name("w").set(np.array([1.5, -2.0], "float32"))
    env.name("n").set(np.array([np.nan]), trainable=False)
    env.save(path)
    whole, expected = path.read_bytes(), snapshot(env)
    rng = np.random.default_rng(0)
    harmless = set()
    for place in range(len(whole)):
        flips = [whole[place] ^ 1 << bit for bit in range(8)]
        for byte in (0, 0x22, 0x39, 0x80, 0xFF, *flips, *rng.integers(0, 256, 2)):
            changed = whole[:place] + bytes([byte]) + whole[place + 1 :]
            try:
                read = serialize.understood(io.BytesIO(changed), None, {})
            except serialize.UnreadableError:
                continue
            path.write_bytes(changed)
            assert expected == snapshot(Env.load(path))
            harmless |= {place} if changed != whole else set()
            assert 2 == len(read.records)
    assert harmless <= set(range(whole.index(b'"checksum"') + 10, len(whole)))  # white space after it


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "It is not JSON: Expecting value: line 1 column 1 (char 0)."),
        ("hello", "It is not JSON: Expecting value: line 1 column 1 (char 0)."),
        (b"\x80\x04\x95", "It is not text in UTF-8: invalid start byte at byte 0."),
        (b'{"format": "lazygrad\xff"}', "It is not text in UTF-8: invalid start byte at byte 20."),
        (b"\xef\xbb\xbf{}", "It is not JSON: Unexpected byte order mark: line 1 column 1 (char 0)."),
        ("null", 'It has no "format": "lazygrad".'),
        ("3", 'It has no "format": "lazygrad".'),
        ("[1, 2]", 'It has no "format": "lazygrad".'),
        ('"lazygrad"', 'It has no "format": "lazygrad".'),
        ('{"weights": [1.0]}', 'It has no "format": "lazygrad".'),
        ('{"format": ["lazygrad"]}', 'It has no "format": "lazygrad".'),
        ('{"format": "lazygrad"}', "Its version is None."),
        ('{"format": "lazygrad", "version": 1}', "The file has no 'dtype'."),
        ("[" * 100_000, "It is nested too deep, in more than 64 levels."),
        ('{"a":' * 100_000, "It is nested too deep, in more than 64 levels."),
        ('{"a":' + "[" * 65 + "]" * 65 + "}", "It is nested too deep, in more than 64 levels."),
        ("9" * 10_000, "A whole number has 10000 digits, more than 4300."),
        ('{"a": 1, "a": 2}', "'a' stands twice in one object."),
        ('{"a": {"b": 1, "b": 2}}', "'b' stands twice in one object."),
        ('{"a": 1 "b": 2}', "It is not JSON: Expecting ',' delimiter: line 1 column 9 (char 8)."),
        ('{"a":\n1}\n 2', "It is not JSON: Extra data: line 3 column 2 (char 10)."),
        ('{"a": NaN}', "It is not JSON: there is no NaN in JSON."),
        ('{"a": -Infinity}', "It is not JSON: there is no -Infinity in JSON."),
    ],
)
def test_what_is_not_a_file_of_lazygrad_is_refused(text: str | bytes, expected: str, path: Path, env: Env) -> None:
    """Other text, other bytes, other JSON."""
    assert refused(text, path, env).startswith(expected)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"dtype": "int32"}, "The 'dtype' of the file is int32, not float32 or float64."),
        ({"dtype": "float16"}, "The 'dtype' of the file is float16, not float32 or float64."),
        ({"dtype": None}, "The 'dtype' of the file is None, not text."),
        ({"random": None}, "The 'random' of the file is None, not an object."),
        ({"random": {"seed": 1}}, "The random state has no 'runs'."),
        ({"random": {"seed": True, "runs": 0}}, "The 'seed' of the random state is True, not a whole number."),
        ({"random": {"seed": 1.0, "runs": 0}}, "The 'seed' of the random state is 1.0, not a whole number."),
        ({"random": {"seed": None, "runs": 0}}, "The 'seed' of the random state is None, not a whole number."),
        ({"random": {"seed": -1, "runs": 0}}, "The random state is out of range."),
        ({"random": {"seed": 1, "runs": -1}}, "The random state is out of range."),
        ({"random": {"seed": 1, "runs": 2**64}}, "The random state is out of range."),
        ({"variables": {}}, "The 'variables' of the file is {}, not a list."),
        ({"variables": [3]}, "Variable 0 is 3, not an object."),
        ({"variables": [row(), None]}, "Variable 1 is None, not an object."),
        ({"variables": [row(), row()]}, "Variable 'w' stands there twice."),
    ],
)
def test_wrong_members_of_the_file_are_told(changes: Any, expected: str, path: Path, env: Env) -> None:
    """Each in one sentence that names it."""
    assert expected == refused(json.dumps(document_of(**changes)), path, env).split("\n")[0]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"name": None}, "Variable 0 has no 'name'."),
        ({"name": 3}, "The 'name' of variable 0 is 3, not text."),
        ({"name": ""}, "'' cannot be the name of a variable."),
        ({"name": "a//b"}, "'a//b' cannot be the name of a variable."),
        ({"name": "a\nb"}, "'a\\nb' cannot be the name of a variable."),
        ({"name": " w"}, "' w' cannot be the name of a variable."),
        ({"name": "\ud800"}, "'\\ud800' cannot be the name of a variable."),
        ({"trainable": None}, "Variable 'w' has no 'trainable'."),
        ({"trainable": 1}, "The 'trainable' of variable 'w' is 1, not true or false."),
        ({"dtype": "object"}, "The 'dtype' of variable 'w' is 'object', which is none that a variable has."),
        ({"dtype": "complex64"}, "The 'dtype' of variable 'w' is 'complex64', which is none that a variable has."),
        ({"dtype": "U1"}, "The 'dtype' of variable 'w' is 'U1', which is none that a variable has."),
        ({"dtype": ">f4"}, "The 'dtype' of variable 'w' is '>f4', which is none that a variable has."),
        ({"dtype": "f4,f4"}, "The 'dtype' of variable 'w' is 'f4,f4', which is none that a variable has."),
        ({"dtype": "float128"}, "The 'dtype' of variable 'w' is 'float128', which is none that a variable has."),
        ({"dtype": ["f4"]}, "The 'dtype' of variable 'w' is ['f4'], not text."),
        ({"dtype": None}, "Variable 'w' has no 'dtype'."),
        ({"shape": None}, "Variable 'w' has no 'shape'."),
        ({"shape": 2}, "The 'shape' of variable 'w' is 2, not a list."),
        ({"shape": "2"}, "The 'shape' of variable 'w' is '2', not a list."),
        ({"shape": [2.0]}, "The 'shape' of variable 'w' is [2.0], not sizes of axes."),
        ({"shape": ["2"]}, "The 'shape' of variable 'w' is ['2'], not sizes of axes."),
        ({"shape": [2, True]}, "The 'shape' of variable 'w' is [2, True], not sizes of axes."),
        ({"shape": [-2, -1]}, "The 'shape' of variable 'w' is [-2, -1], not sizes of axes."),
        ({"shape": [2] + [1] * 64}, "The 'shape' of variable 'w' is [2, 1, 1, 1, 1, 1, ...], not sizes of axes."),
        ({"shape": [3]}, "Variable 'w' has 2 elements, but its shape is [3]."),
        ({"shape": []}, "Variable 'w' has 2 elements, but its shape is []."),
        ({"data": None}, "Variable 'w' has not just one of 'data' and 'base64'."),
        ({"base64": "AACAPwAAAEA="}, "Variable 'w' has not just one of 'data' and 'base64'."),
        ({"data": "12"}, "The 'data' of variable 'w' is '12', not a list."),
        ({"data": {"0": 1}}, "The 'data' of variable 'w' is {'0': 1}, not a list."),
        ({"data": [1.0]}, "Variable 'w' has 1 elements, but its shape is [2]."),
        ({"data": ["1.0", 2.0]}, "Variable 'w' has the element '1.0', which is no float32."),
        ({"data": [1.0, [2.0]]}, "Variable 'w' has the element [2.0], which is no float32."),
        ({"data": [1.0, True]}, "Variable 'w' has the element True, which is no float32."),
        ({"data": [1e39, 0.0]}, "Variable 'w' has a number that is out of the range of float32."),
        ({"data": [10**400, 0.0]}, "Variable 'w' has a number that is out of the range of float32."),
        ({"dtype": "float16", "data": [65520.0, 0]}, "Variable 'w' has a number that is out of the range of float16."),
        ({"dtype": "int8", "data": [128, 0]}, "Variable 'w' has a number that is out of the range of int8."),
        ({"dtype": "uint64", "data": [-1, 0]}, "Variable 'w' has a number that is out of the range of uint64."),
        ({"dtype": "int64", "data": [2**63, 0]}, "Variable 'w' has a number that is out of the range of int64."),
        ({"dtype": "int64", "data": [1.0, 2]}, "Variable 'w' has the element 1.0, which is no int64."),
        ({"dtype": "int64", "data": [False, 2]}, "Variable 'w' has the element False, which is no int64."),
        ({"dtype": "bool", "data": [0, 1]}, "Variable 'w' has the element 0, which is no bool."),
        ({"data": None, "base64": 3}, "The 'base64' of variable 'w' is 3, not text."),
        ({"data": None, "base64": "AACAPwAAAEA"}, "The 'base64' of variable 'w' is not base64."),
        ({"data": None, "base64": "AACAPw AAAEA="}, "The 'base64' of variable 'w' is not base64."),
        ({"data": None, "base64": "ÄACAPwAAAEA="}, "The 'base64' of variable 'w' is not base64."),
        ({"data": None, "base64": "AACA"}, "Variable 'w' has 3 bytes, which are not whole elements of float32."),
        ({"data": None, "base64": "AACAPw=="}, "Variable 'w' has 1 elements, but its shape is [2]."),
        ({"dtype": "bool", "data": None, "base64": "AAI="}, "Variable 'w' has bytes that are not true or false."),
    ],
)
def test_wrong_members_of_a_variable_are_told(changes: Any, expected: str, path: Path, env: Env) -> None:
    """Each in one sentence that names the variable."""
    kept = {k: v for k, v in row().items() if k not in changes}
    content = document_of({**kept, **{k: v for k, v in changes.items() if v is not None}})
    assert expected == refused(json.dumps(content), path, env).split("\n")[0]


def test_null_among_the_numbers_is_refused(path: Path, env: Env) -> None:
    """It is not taken for NaN."""
    text = json.dumps(document_of(row(data=[1.0, 2.0]))).replace("[1.0, 2.0]", "[null, 2.0]")
    assert refused(text, path, env).startswith("Variable 'w' has the element None, which is no float32.")


def test_a_number_that_json_reads_as_infinity_is_refused(path: Path, env: Env) -> None:
    """1e999 is JSON, but no number of any dtype."""
    text = json.dumps(document_of(row(dtype="float64"))).replace("1.0", "1e999")
    assert refused(text, path, env).startswith("Variable 'w' has a number that is out of the range of float64.")


@pytest.mark.parametrize("shape", [[10**12], [10**6, 10**6, 10**6], [10**30], [2**62, 2**62, 0], [2**70, 0]])
def test_a_huge_shape_takes_no_memory(shape: list[int], path: Path, env: Env) -> None:
    """Sizes are compared before anything is made; a shape that no array can have is refused too."""
    for data in ({"data": []}, {"data": None, "base64": ""}):
        message = refused(json.dumps(document_of(row(shape=shape, **data))), path, env)
        assert re.match(r"Variable 'w' has (0 elements, but its shape is|a shape that no array can have,) \[", message)


def test_nothing_in_a_file_is_executed(path: Path, env: Env, tmp_path: Path) -> None:
    """A pickle, and a file of arrays with a pickle in it, are refused unread."""
    trace = tmp_path / "executed"

    class Bomb:
        def __reduce__(self) -> Any:
            return (Path.touch, (trace,))

    np.save(tmp_path / "bomb.npy", np.array([Bomb()], dtype=object), allow_pickle=True)
    refused((tmp_path / "bomb.npy").read_bytes(), path, env)
    assert not trace.exists()


def test_members_that_a_reader_does_not_know_are_ignored(path: Path) -> None:
    """So that a file may carry what its user wants to note."""
    path.write_text(json.dumps({**document_of(row(note="!")), "comment": {"author": "me"}}))
    assert [1.0, 2.0] == Env.load(path)["w"].tolist()


def test_whole_numbers_are_taken_for_floating_ones(path: Path) -> None:
    """Other languages write 1 for 1.0."""
    path.write_text(json.dumps(document_of(row(data=[1, -2]))))
    assert [1.0, -2.0] == Env.load(path)["w"].tolist()


def test_base64_of_no_elements_is_taken(path: Path) -> None:
    """Another writer may write everything in base64."""
    path.write_text(json.dumps(document_of(row(shape=[0, 3], data=None, base64=""))))
    assert (0, 3) == Env.load(path)["w"].shape


# The checksum.


EDITED = (
    "    Use another copy. If you changed it on purpose, write null in place of the checksum: "
    'the last member is then  "checksum": null'
)


def test_a_file_that_was_edited_is_refused_and_the_message_says_what_to_do(path: Path, env: Env) -> None:
    """A person who changes a number on purpose is told how to say so; then it is read."""
    env.save(path)
    text = path.read_text().replace("5.0", "5.5")
    path.write_text(text)
    with pytest.raises(SaveError) as caught:
        Env.load(path)
    assert str(caught.value) == (
        f"cannot read {str(path)!r}\n\n"
        f"{at(test_a_file_that_was_edited_is_refused_and_the_message_says_what_to_do, LOAD)}\n\n"
        f"    It does not fit its checksum: it was damaged or edited.\n{EDITED}"
    )
    path.write_text(re.sub(r'"checksum": "\w+"', '"checksum": null', text))
    env.restore(path)
    assert [5.5, 6.0] == env["w"].tolist()


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("\n", "\r\n", "It does not fit its checksum: it was damaged or edited."),
        ('"checksum"', '"chicksum"', "It has no checksum."),
        ('"checksum": "', '"checksum": "0', "It does not fit its checksum: it was damaged or edited."),
        ('"\n}', '", "note": 1}', "The member 'note' stands after the checksum, which is not of it."),
        ('"version": 2', '"version": 1', "It does not fit its checksum: it was damaged or edited."),
        ('"checksum": "', '"checksum": 3, "b": "', "It does not fit its checksum: it was damaged or edited."),
    ],
)
def test_the_checksum_is_of_all_that_stands_before_it(old: str, new: str, expected: str, path: Path, env: Env) -> None:
    """White space too; and it is the last, so that it is of everything."""
    env.save(path)
    text = path.read_text().replace(old, new)
    assert [expected, EDITED.strip()] == [line.strip() for line in refused(text, path, env).split("\n")]


def test_a_signed_file_of_another_writer_is_read(path: Path) -> None:
    """On one line, with the members in another order: the checksum is of the bytes, whatever they are."""
    content = document_of(row(name="größe"))
    path.write_text(signed(dict(reversed(content.items()))), encoding="utf-8")
    assert [1.0, 2.0] == Env.load(path)["größe"].tolist()


def test_a_signed_file_is_not_believed_either(path: Path, env: Env) -> None:
    """A checksum that fits says nothing of what the members mean."""
    assert refused(signed(document_of(row(shape=[3]))), path, env).startswith("Variable 'w' has 2 elements, but")
    assert refused(signed(document_of(dtype="int8")), path, env).startswith("The 'dtype' of the file is int8")


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


# Limits.


def test_a_file_with_too_many_variables_is_neither_written_nor_read(
    path: Path, env: Env, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit is a million."""
    env.name("v").set(np.ones(1))
    env.save(path)
    monkeypatch.setattr(document, "MOST_VARIABLES", 1)
    monkeypatch.setattr(serialize, "MOST_VARIABLES", 1)
    message = refused(path.read_bytes(), path, env)
    assert message.startswith("It has more than 1 of 'variables', the most that are read.")
    with pytest.raises(SaveError, match="cannot save 2 variables"):
        env.save(path)


def test_a_file_that_is_too_large_is_neither_written_nor_read(
    path: Path, env: Env, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit is 2⁴⁰ bytes; a larger one is refused unread."""
    env.save(path)
    old = path.read_bytes()
    monkeypatch.setattr(serialize, "MOST_BYTES", 100)
    assert refused(old, path, env).startswith(f"It has {len(old)} bytes, more than 100.")
    with pytest.raises(SaveError, match="OSError: A file has at most 100 bytes"):
        env.save(path)
    assert (old, [path]) == (path.read_bytes(), list(path.parent.iterdir()))


def test_a_name_that_is_too_long_is_neither_written_nor_read(path: Path) -> None:
    """The limit is 4,096 letters."""
    for count in (4096, 4097):
        env = Env(seed=0)
        env.name("n" * count).set(np.ones(1))
        if count == 4096:
            env.save(path)
            assert snapshot(env) == snapshot(Env.load(path))
        else:
            with pytest.raises(SaveError, match="has 4097 letters, more than 4096"):
                env.save(path)
    message = refused(json.dumps(document_of(row(name="n" * 4097))), path, Env(seed=0))
    assert "has 4097 letters, more than 4096." in message


def test_a_seed_that_is_too_long_is_neither_written_nor_read(path: Path) -> None:
    """The limit is 4,300 digits: Python reads no more, as it would take long."""
    env = Env(seed=10**4300)
    with pytest.raises(SaveError) as caught:
        env.save(path)
    assert str(caught.value) == (
        "cannot save a random state with so large a seed\n\n"
        f"{at(test_a_seed_that_is_too_long_is_neither_written_nor_read, SAVE)}\n\n"
        "    A seed has at most 4300 digits."
    )
    text = json.dumps(document_of()).replace('"seed": 1', '"seed": 1' + "0" * 4300)
    assert refused(text, path, env).startswith("A whole number has 4301 digits, more than 4300.")
    Env(seed=10**4300 - 1).save(path)
    assert 10**4300 - 1 == Env.load(path)._store.draws.seed


def test_the_page_names_the_limits() -> None:
    """Each as the program has it."""
    text = FORMAT_PAGE.read_text(encoding="utf-8")
    for limit in (document.MOST_VARIABLES, document.MOST_LETTERS, document.MOST_AXES, MOST_DIGITS, MOST_LEVELS):
        assert f"{limit:,}" in text
    assert (2**40, True) == (serialize.MOST_BYTES, "2⁴⁰ bytes" in text)


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


# Files of the Rust crate.

UUID = "5f0c1d0e-7c0b-4f0e-9a51-0a3c5be8b0a1"


def rust_file(**changes: Any) -> dict[str, Any]:
    """What the crate writes after training w and b with Adam, one variable without a name beside them."""
    arrays = [
        ([1, 1], [2.4987001]),
        ([1, 1], [-1.0030001]),
        ([2], [0.1, -3.0]),
        ([1, 1], [0.02]), ([1, 1], [1.5e-05]), ([], [1000.0]),
        ([1, 1], [-0.25]), ([1, 1], [3e-07]), ([], [1000.0]),
    ]  # fmt: skip
    names = ["\u0001w", "\u0001b", f"\u0001{UUID}", *(f"linear_reg_adam\u0001{k}{s}" for k in (0, 1) for s in "mvt")]
    content = {
        "array_list": [{"v": 1, "dim": dim, "data": data} for dim, data in arrays],
        "name_to_id": {name: place for place, name in enumerate(names)},
    }
    return {**content, **changes}


def test_a_file_of_the_rust_crate_loads(path: Path) -> None:
    """Namespaces, a name made by the crate, and the optimizer's arrays, which are not trainable."""
    path.write_text(json.dumps(rust_file()))
    loaded = Env.load(path)
    state = [f"linear_reg_adam/{k}{s}" for k in (0, 1) for s in "mvt"]
    assert ["w", "b", UUID, *state] == [v.path for v in loaded]
    assert ["w", "b", UUID] == [v.path for v in loaded if v.trainable]
    assert same_bits(np.array([[2.4987001]], "float32"), loaded["w"])
    assert (1000.0, ()) == (loaded["linear_reg_adam/0t"], loaded["linear_reg_adam/0t"].shape)


def test_a_step_trains_with_variables_of_the_rust_crate(path: Path) -> None:
    """A user moves over: the variables are found by their names, and the optimizer changes just them."""
    path.write_text(json.dumps(rust_file()))
    loaded = Env.load(path)
    sgd = lg.optim.SGD(loaded, learning_rate=0.5)
    loaded.run(lambda ctx: sgd.minimize(lg.sum(ctx.variable("w") + ctx.variable("b"))))
    assert np.array_equal(np.float32([[2.4987001]]) - np.float32(0.5), loaded["w"])
    assert 1000.0 == loaded["linear_reg_adam/0t"]


def test_variables_that_are_named_by_numbers_stay_trainable(path: Path) -> None:
    """A user's own ``layers/0`` is not an optimizer's array, for it names no array before it elsewhere."""
    content = {
        "array_list": [{"v": 1, "dim": [1], "data": [float(k)]} for k in range(4)],
        "name_to_id": {f"layers\u0001{k}": k for k in range(4)},
    }
    path.write_text(json.dumps(content))
    assert [True] * 4 == [v.trainable for v in Env.load(path)]


def test_an_array_without_a_name_is_not_read(path: Path) -> None:
    """The crate leaves it behind when a name is registered twice."""
    content = rust_file()
    content["name_to_id"].pop(f"\u0001{UUID}")
    path.write_text(json.dumps(content))
    assert UUID not in Env.load(path)


@pytest.mark.parametrize(
    ("number", "expected"), [(0.1, "float32"), (0.1 + 1e-12, "float64"), (1e300, "float64"), (16777217.0, "float64")]
)
def test_the_dtype_of_a_rust_file_follows_from_its_decimals(number: float, expected: str, path: Path) -> None:
    """What no float32 is written as was a float64."""
    array = {"v": 1, "dim": [2], "data": [1.0, number]}
    path.write_text(json.dumps({"array_list": [array], "name_to_id": {"\u0001w": 0}}))
    loaded = Env.load(path)
    assert (expected, expected) == (str(loaded["w"].dtype), str(loaded.dtype))
    assert number == float(str(loaded["w"][1]))


def test_load_decides_the_dtype_of_a_rust_file(path: Path) -> None:
    """``dtype=`` is also that of its variables, which have none of their own."""
    path.write_text(json.dumps(rust_file()))
    assert {np.dtype("float64")} == {v.dtype for v in Env.load(path, dtype="float64")}


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_a_rust_file_is_restored_in_the_dtype_of_the_variable(dtype: str, path: Path) -> None:
    """Whatever its decimals look like; the random state stays the environment's."""
    path.write_text(json.dumps({"array_list": [{"v": 1, "dim": [], "data": [2.5]}], "name_to_id": {"\u0001w": 0}}))
    env = Env(seed=9)
    env.name("w").set(np.zeros((), dtype))
    env.run(lambda ctx: ctx.random.normal(1))
    env.restore(path)
    assert (2.5, dtype) == (env["w"], str(env["w"].dtype))
    assert (9, 1) == (env._store.draws.seed, env._store.state[1])


def test_a_strict_restore_of_a_rust_file_names_what_is_too_much(path: Path) -> None:
    """As for files of lazygrad; the optimizer's arrays are not too much."""
    path.write_text(json.dumps(rust_file()))
    env = Env(seed=0)
    for name in "wb":
        env.name(name).set(np.zeros((1, 1), "float32"))
    with pytest.raises(SaveError, match=f"the environment has no variable '{UUID}'"):
        env.restore(path)
    env.restore(path, strict=False)
    assert ["w", "b"] == [v.path for v in env if v.trainable]
    assert -1.0030001 == pytest.approx(env["b"].item(), abs=1e-7)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"array_list": None}, "The 'array_list' of the file is None, not a list."),
        ({"array_list": {}}, "The 'array_list' of the file is {}, not a list."),
        ({"array_list": [3]}, "Array 0 is 3, not an object."),
        ({"array_list": [{}]}, "Array 0 has no 'v'."),
        ({"array_list": [{"v": 2, "dim": [], "data": [1.0]}]}, "Array 0 is of version 2."),
        ({"array_list": [{"v": True, "dim": [], "data": [1.0]}]}, "The 'v' of array 0 is True, not a whole number."),
        ({"array_list": [{"v": 1, "data": [1.0]}]}, "Array 0 has no 'dim'."),
        ({"array_list": [{"v": 1, "dim": [-1], "data": [1.0]}]}, "The 'dim' of array 0 is [-1], not sizes of axes."),
        ({"array_list": [{"v": 1, "dim": [2], "data": [1.0]}]}, "Array 0 has 1 elements, but its shape is [2]."),
        ({"array_list": [{"v": 1, "dim": [10**6], "data": []}]}, "Array 0 has 0 elements, but its shape is [1000000]."),
        ({"array_list": [{"v": 1, "dim": [1], "data": [None]}]}, "Array 0 has the element None, which is no float64."),
        ({"array_list": [{"v": 1, "dim": [1], "data": ["1"]}]}, "Array 0 has the element '1', which is no float64."),
        ({"name_to_id": []}, "The 'name_to_id' of the file is [], not an object."),
        ({"name_to_id": {"w": 0}}, "The name 'w' has no U+0001 in it."),
        ({"name_to_id": {"\u0001w": 9}}, "'\\x01w' names array 9, which is not there."),
        ({"name_to_id": {"\u0001w": -1}}, "'\\x01w' names array -1, which is not there."),
        ({"name_to_id": {"\u0001w": "0"}}, "'\\x01w' names array '0', which is not there."),
        ({"name_to_id": {"\u0001w": True}}, "'\\x01w' names array True, which is not there."),
        ({"name_to_id": {"\u0001w": 0, "\u0001b": 0}}, "Array 0 has two names."),
        ({"name_to_id": {"\u0001": 0}}, "'' cannot be the name of a variable."),
        ({"name_to_id": {"a\u0001b": 0, "\u0001a/b": 1}}, "Variable 'a/b' stands there twice."),
    ],
)
def test_a_damaged_file_of_the_rust_crate_is_told(changes: Any, expected: str, path: Path, env: Env) -> None:
    """Each damage in one sentence."""
    message = refused(json.dumps(rust_file(**changes)), path, env)
    cure = "It looks like a file of the Rust crate autograd, but is damaged: use another copy."
    assert [expected, cure] == [line.strip() for line in message.split("\n")]


def test_a_rust_file_cut_off_anywhere_is_refused(path: Path, env: Env) -> None:
    """After every single byte."""
    whole = json.dumps(rust_file()).encode()
    before = snapshot(env)
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        with pytest.raises(SaveError):
            env.restore(path)
    assert before == snapshot(env)


def test_a_huge_shape_of_the_rust_crate_takes_no_memory(path: Path, env: Env) -> None:
    """Sizes are compared before anything is made."""
    content = {"array_list": [{"v": 1, "dim": [10**12], "data": []}], "name_to_id": {"\u0001w": 0}}
    message = refused(json.dumps(content), path, env)
    assert message.startswith("Array 0 has 0 elements, but its shape is [1000000000000].")


def test_a_number_out_of_range_of_the_variable_is_refused(path: Path, env: Env) -> None:
    """A double of the crate that no float32 can hold does not become infinity."""
    array = {"v": 1, "dim": [2], "data": [1.0, 1e300]}
    path.write_text(json.dumps({"array_list": [array], "name_to_id": {"\u0001w": 0}}))
    before = snapshot(env)
    with pytest.raises(SaveError, match="Variable 'w' has a number that is out of the range of float32"):
        env.restore(path)
    assert before == snapshot(env)
