"""The layout: what does not follow it to the letter, or goes beyond its limits, is refused."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from files import FORMAT_PAGE, LOAD, RESTORE, SAVE, Env, document_of, refused, row, signed
from snapshots import at, snapshot

from lazygrad.errors import SaveError
from lazygrad.files import document, serialize
from lazygrad.files.jsontext import MOST_DIGITS, MOST_LEVELS

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
        (b"\x81\x04\x95", "It is not text in UTF-8: invalid start byte at byte 0."),
        (b"\x80\x04\x95", "It is a pickle, in which there may be code.\n    Read it where it is trusted,"),
        (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P", "It is a file of PyTorch, in which there may be code."),
        (b"\x93NUMPY\1\0", "It is one array of NumPy's, without a name.\n    Read it with numpy.load, and give it"),
        (b"\x89HDF\r\n\x1a\n", "It is in the form HDF5.\n    Read it with h5py,"),
        (b"\x1f\x8b\x08", "It is compressed by gzip.\n    Unpack it first."),
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
