"""Files of NumPy's and of safetensors keep what JSON keeps, others read them, and what is wrong is refused."""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from files import RESTORE, SAVE, Env, same_bits
from snapshots import at, snapshot

import lazygrad as lg
from lazygrad.errors import BackendError, SaveError
from lazygrad.files import arrays as described
from lazygrad.files.document import DTYPES

safetensors = pytest.importorskip("safetensors.numpy", reason="safetensors comes with the extra of that name")

FORMS = pytest.mark.parametrize("form", ["npz", "safetensors"])


def written(arrays: dict[str, Any], path: Path) -> None:
    """A file as another program writes it."""
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    else:
        safetensors.save_file(arrays, path)


def seen(path: Path) -> dict[str, Any]:
    """The arrays in a file as another program reads them, without the text."""
    if path.suffix == ".npz":
        return {name: array for name, array in np.load(path).items() if name != "__lazygrad__"}
    found: dict[str, Any] = safetensors.load_file(path)
    return found


def network(seed: int = 0) -> tuple[Any, Callable[[], Any]]:
    """An environment with layers, optimizer and draws, and one step of its training."""
    env = Env(seed=seed)
    model = lg.nn.Sequential(lg.nn.Linear(env, 3, 4, name="hidden"), lg.nn.tanh, lg.nn.BatchNorm(env, 4, name="norm"))
    adam = lg.optim.Adam(env, learning_rate=0.1, name="adam")

    def step(ctx: Any) -> Any:
        loss = lg.mean(lg.square(model(ctx.random.normal((8, 3)), train=True) - 1))
        return loss, adam.minimize(loss), ctx.updates()

    return env, lambda: env.run(step)[0]


@FORMS
def test_training_goes_on_from_a_file_of_arrays_bit_for_bit(form: str, tmp_path: Path) -> None:
    """Loaded or restored: variables, flags, optimizer and draws, as from a file of JSON."""
    path = tmp_path / f"w.{form}"
    env, step = network()
    for _ in range(3):
        step()
    env.save(path)
    saved, expected = snapshot(env), [step() for _ in range(3)]
    other, again = network(seed=5)
    again()
    other.restore(path)
    assert expected == [again() for _ in range(3)]
    env.restore(path)
    assert (saved[0], saved[1:3]) == (snapshot(Env.load(path))[0], snapshot(env)[1:3])


@FORMS
def test_every_dtype_shape_and_bit_comes_back(form: str, tmp_path: Path) -> None:
    """Also where nothing is in it, and where it lies in memory otherwise."""
    env, arrays = Env(seed=0), {}
    for name, dtype in DTYPES.items():
        arrays[f"every/{name}"] = np.arange(6).reshape(2, 3).astype(dtype)
        arrays[f"single/{name}"] = np.array(1).astype(dtype)
        arrays[f"empty/{name}"] = np.zeros((2, 0, 3), dtype)
    arrays["turned"] = np.arange(6, dtype="float32").reshape(2, 3).T
    arrays["worst"] = np.array([0x7FF0000000000001, 0xFFF0000000000000, 1, 1 << 63], np.uint64).view(np.float64)
    for name in ("é ü", "file", "allow_pickle", "arr_0", "x.npy", "x", "format", "lazygrad"):
        arrays[name] = np.float32([len(name)])
    for name, array in arrays.items():
        env.name(name).set(array)
    env.save(tmp_path / f"w.{form}")
    loaded = Env.load(tmp_path / f"w.{form}")
    assert list(arrays) == [v.path for v in loaded]
    for name, array in arrays.items():
        assert same_bits(array, loaded[name]), name


@FORMS
def test_other_programs_read_the_arrays_by_their_names(form: str, tmp_path: Path) -> None:
    """Saving twice gives the same bytes."""
    env, step = network()
    step()
    path = tmp_path / f"w.{form}"
    env.save(path)
    found = seen(path)
    assert {v.path for v in env} == set(found)
    assert all(same_bits(env[name], array) for name, array in found.items())
    before = path.read_bytes()
    env.save(path)
    assert before == path.read_bytes()


@FORMS
def test_arrays_of_another_program_are_loaded_and_restored(form: str, tmp_path: Path) -> None:
    """What has floats is trainable; the random state stays."""
    path = tmp_path / f"w.{form}"
    written({"w": np.float32([1, 2]), "a.b": np.float64([[3]]), "n": np.array(4), "m": np.array([True])}, path)
    loaded = Env.load(path)
    assert {"w": True, "a.b": True, "n": False, "m": False} == {v.path: v.trainable for v in loaded}
    assert (np.float32, 4, "float64") == (loaded.dtype, int(loaded["n"]), str(loaded["a.b"].dtype))
    assert np.float64 == Env.load(path, dtype="float64").dtype
    env = Env(seed=7)
    env.name("w").set(np.float32([5, 6]))
    env.restore(path, strict=False)
    assert ([1.0, 2.0], 7) == (env["w"].tolist(), snapshot(env)[1])


def test_compressed_and_turned_arrays_of_numpy_are_read(tmp_path: Path) -> None:
    """Also of the other byte order."""
    array = np.asfortranarray(np.arange(6, dtype=">f8").reshape(2, 3))
    np.savez_compressed(tmp_path / "w.npz", w=array)
    assert same_bits(np.arange(6.0).reshape(2, 3), Env.load(tmp_path / "w.npz")["w"])


@FORMS
def test_the_form_is_found_in_the_file_whatever_its_name(form: str, tmp_path: Path) -> None:
    """And a file of JSON may have any name."""
    env, step = network()
    step()
    env.save(tmp_path / f"w.{form}")
    env.save(tmp_path / "w.json")
    (tmp_path / f"w.{form}").rename(tmp_path / "other")
    (tmp_path / "w.json").rename(tmp_path / f"w.{form}")
    for name in ("other", f"w.{form}"):
        assert snapshot(env)[:3] == (*snapshot(Env.load(tmp_path / name))[:2], snapshot(env)[2])


@FORMS
def test_variables_on_a_gpu_are_saved_from_main_memory_and_loaded_to_the_gpu(
    form: str, tmp_path: Path, double: Any
) -> None:
    """And ``to_dict`` gives arrays of NumPy's."""
    env = Env(backend="cupy", seed=0)
    env.name("w").set(np.float32([1, 2]))
    env.save(tmp_path / f"w.{form}")
    assert [1.0, 2.0] == seen(tmp_path / f"w.{form}")["w"].tolist()
    for loaded in (env, Env.load(tmp_path / f"w.{form}", backend="cupy")):
        assert (np.ndarray, [1.0, 2.0]) == (type(loaded.to_dict()["w"]), loaded.to_dict()["w"].tolist())
        assert "cupy" == loaded.backend


def test_a_checkpoint_is_json_whatever_its_name(tmp_path: Path) -> None:
    """What a training must know fits only there."""
    env = Env(seed=0)
    model = lg.nn.Linear(env, 2, 1)
    sgd = lg.optim.SGD(env, 0.1)

    def step(ctx: Any, x: Any) -> Any:
        loss = lg.mean(lg.square(model(x)))
        return loss, sgd.minimize(loss)

    lg.fit(step, np.ones((4, 2), "float32"), epochs=1, batch_size=4, checkpoint=tmp_path / "run.npz", env=env)
    assert "lazygrad" == json.loads((tmp_path / "run.npz").read_text())["format"]
    assert env.to_dict().keys() == Env.load(tmp_path / "run.npz").to_dict().keys()


# What is wrong is refused, and nothing is changed.


def refused(path: Path, env: Any) -> str:
    """The facts of the message with which load and restore refuse a file; the environment is as before."""
    before, messages = snapshot(env), set()
    for use in (Env.load, env.restore, lambda path: env.restore(path, strict=False)):
        with pytest.raises(SaveError) as caught:
            use(path)
        assert str(caught.value).startswith(f"cannot read {str(path)!r}\n\n")
        messages.add(str(caught.value).split("\n\n")[-1].strip())
    assert before == snapshot(env)
    (message,) = messages
    return message


def small(path: Path) -> Any:
    """A small environment, saved."""
    env = Env(seed=7)
    env.name("w").set(np.array([5.0, 6.0], "float32"))
    env.namespace("é").name("n").set(np.array([True, False]), trainable=False)
    env.save(path)
    return env


@FORMS
def test_a_file_cut_off_anywhere_or_longer_is_refused(form: str, tmp_path: Path) -> None:
    """After every single byte."""
    path = tmp_path / f"w.{form}"
    env = small(path)
    whole = path.read_bytes()
    for data in (*(whole[:end] for end in range(len(whole))), whole + b"x" * 70_000):
        path.write_bytes(data)
        with pytest.raises(SaveError):
            Env.load(path)
    path.write_bytes(whole[: len(whole) // 2])
    refused(path, env)


@FORMS
def test_no_bit_turns_unseen(form: str, tmp_path: Path) -> None:
    """Either the file is refused, or nothing that is read has changed."""
    path = tmp_path / f"w.{form}"
    env = small(path)
    whole, before, refusals = path.read_bytes(), snapshot(env), 0
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
        try:
            env.restore(path)
        except SaveError:
            refusals += 1
        assert before == snapshot(env), place
    assert refusals > len(whole) * (0.5 if form == "npz" else 0.95)  # a zip archive says some things twice


def test_a_pickle_in_an_npz_is_refused_unread(tmp_path: Path) -> None:
    """No object is made of what a file says."""
    path = tmp_path / "w.npz"
    env = small(path)

    class Bomb:
        def __reduce__(self) -> Any:
            return exec, ("raise SystemExit",)

    np.savez(path, w=np.array([Bomb()], dtype=object))
    assert refused(path, env).startswith("Array 'w' cannot be read: it is of object, which no variable has.")


def header(shape: str, dtype: str = "<f4") -> bytes:
    """The beginning of a file of NumPy's that says this."""
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + (len(text) + 1).to_bytes(2, "little") + text + b"\n"


NPZ = {
    "a file beside": ({"readme.txt": b"x"}, "It has 'readme.txt' in it, which is no array."),
    "many elements": ({"w.npy": header("(1099511627776,)")}, "Array 'w' cannot be read: its bytes are not as many as"),
    "a negative size": ({"w.npy": header("(-1,)") + b"1234"}, "Array 'w' cannot be read: "),
    "complex numbers": ({"w.npy": header("(0,)", "<c8")}, "Array 'w' cannot be read: it is of complex64, which no"),
    "text": ({"w.npy": header("(0,)", "<U3")}, "Array 'w' cannot be read: it is of <U3, which no variable has."),
    "odd booleans": ({"w.npy": header("(1,)", "|b1") + b"\2"}, "Array 'w' cannot be read: it has bytes that are not"),
    "no array": ({"w.npy": b"hello"}, "Array 'w' cannot be read: "),
    "a name that is none": ({"a//b.npy": header("(0,)")}, "'a//b' cannot be the name of a variable."),
    "a header without an end": ({"w.npy": b"\x93NUMPY\1\0\x03\0(((" + b"x"}, "Array 'w' cannot be read: "),
    "a long header": ({"w.npy": b"\x93NUMPY\1\0\xf0\x09" + b"(" * 2544}, "Array 'w' cannot be read: "),
    "a text beyond Unicode": (
        {"__lazygrad__.npy": header("()", "<U1") + b"\xff\xff\xff\x7f"},
        "Array '__lazygrad__' cannot be read: ",
    ),
    "half a letter": ({"__lazygrad__.npy": header("()", "<U1") + b"\0\xd8\0\0"}, "Array '__lazygrad__' cannot be read"),
    "a file of PyTorch": (
        {"archive/data.pkl": b"\x80\2}", "archive/data/0": b"1234"},
        "It is a file of PyTorch, in which there may be code.\n    Read it with torch.load, and give the weights to",
    ),
    "the text as numbers": ({"__lazygrad__.npy": header("(0,)")}, "Array '__lazygrad__' cannot be read: it is float32"),
}


@pytest.mark.parametrize("case", NPZ)
def test_an_archive_of_something_else_is_refused(case: str, tmp_path: Path) -> None:
    """With what it is that no variable can be."""
    path = tmp_path / "w.npz"
    env = small(path)
    members, expected = NPZ[case]
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    assert refused(path, env).startswith(expected), refused(path, env)
    assert len(refused(path, env)) < 400


def test_an_archive_that_says_it_is_larger_than_it_is_takes_no_memory(tmp_path: Path) -> None:
    """Sizes are looked at before arrays are made."""
    path = tmp_path / "w.npz"
    env = small(path)
    data = header("(250000000,)")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("w.npy", data)
    size, claimed = len(data).to_bytes(4, "little"), (len(data) + 1_000_000_000).to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(size + size, size + claimed))
    assert refused(path, env).startswith("Array 'w' cannot be read: it cannot be as large as it says.")


def test_dtypes_that_numpy_lacks_are_named(tmp_path: Path) -> None:
    """With what to do."""
    path = tmp_path / "w.safetensors"
    env = small(path)
    text = b'{"w":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}'
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"12")
    assert refused(path, env).startswith("Array 'w' is of BF16, which NumPy does not have: write it as F32.")


def test_a_name_that_stands_twice_in_a_header_is_refused(tmp_path: Path) -> None:
    """One of the two would be lost, and which one is for nobody to say."""
    path = tmp_path / "w.safetensors"
    env = small(path)
    row = '"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}'
    for text, name in ((f"{{{row},{row}}}", "'w'"), (f'{{"__metadata__":{{"a":"1","a":"2"}},{row}}}', "'a'")):
        path.write_bytes(len(text).to_bytes(8, "little") + text.encode() + b"12345678")
        assert refused(path, env).startswith(f"{name} stands twice in one object.")


TEXTS: dict[str, tuple[dict[str, Any], str]] = {
    "another version": ({"version": 3}, "Its version is 3.\n    This lazygrad reads versions 1 and 2: install"),
    "another format": ({"format": "x"}, 'Its description has no "format": "lazygrad".'),
    "a missing array": ({"variables": [{"name": "v"}]}, "It has no array 'v', or its description names it twice."),
    "one array too many": ({"variables": []}, "It has the array 'w', which its description does not name."),
    "no flag": (
        {"variables": [{"name": "w", "dtype": "float32", "shape": [2]}]}, "Variable 'w' has no 'trainable'.",
    ),
    "another shape": (
        {"variables": [{"name": "w", "dtype": "float32", "shape": [3], "trainable": True}]},
        "Variable 'w' is float32[2], but its description says 'float32'[3].",
    ),
    "no random state": ({"random": 3}, "The 'random' of the file is 3, not an object."),
    "a wrong checksum": ({"checksum": "0" * 64}, "It does not fit its checksum: it was damaged or edited.\n"),
}  # fmt: skip


@pytest.mark.parametrize("case", TEXTS)
@FORMS
def test_a_text_that_does_not_fit_is_refused(case: str, form: str, tmp_path: Path) -> None:
    """Every member of it is checked; without a checksum it is read as it stands."""
    path = tmp_path / f"w.{form}"
    env = Env(seed=7)
    env.name("w").set(np.array([5.0, 6.0], "float32"))
    changes, expected = TEXTS[case]
    content = {**json.loads(described.text_of(env._document())), "checksum": None}
    for change, wanted in (({}, ""), (changes, expected)):
        text = json.dumps({**content, **change})
        if form == "npz":
            np.savez(path, w=env["w"], __lazygrad__=np.array(text))
        else:
            safetensors.save_file({"w": env["w"]}, path, {"lazygrad": text})
        if wanted:
            assert refused(path, env).startswith(wanted), refused(path, env)
        else:
            env.restore(path)


@pytest.mark.parametrize(("form", "name"), [("npz", "__lazygrad__"), ("safetensors", "__metadata__")])
def test_a_name_that_a_form_keeps_is_refused_with_the_old_file_whole(form: str, name: str, tmp_path: Path) -> None:
    """The message says where it can be saved."""
    path = tmp_path / f"w.{form}"
    env = small(path)
    old = path.read_bytes()
    env.name(name).set(np.float32([1]))
    with pytest.raises(SaveError) as caught:
        env.save(path)
    where = at(test_a_name_that_a_form_keeps_is_refused_with_the_old_file_whole, SAVE)
    assert str(caught.value) == (
        f"cannot save variable {name!r} to a file of the form .{form}\n\n{where}\n\n"
        "    There this name is kept for the text.\n    Save to a .json file."
    )
    assert old == path.read_bytes()


@FORMS
def test_a_save_that_fails_leaves_the_old_file_and_no_other(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of it."""
    path = tmp_path / f"w.{form}"
    env = small(path)
    old = path.read_bytes()
    monkeypatch.setattr(described, "_checksum", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        env.save(path)
    assert (old, [path]) == (path.read_bytes(), list(tmp_path.iterdir()))


def test_without_the_package_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For saving and for restoring; other files need nothing."""
    path = tmp_path / "w.safetensors"
    env = small(path)
    old = path.read_bytes()
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(BackendError) as caught:
        env.restore(path)
    where = at(test_without_the_package_the_extra_is_named, RESTORE.replace("mine.", "env."))
    assert str(caught.value) == (
        f"cannot use .safetensors: the package is not there\n\n{where}\n\n"
        "    Install it: pip install 'lazygrad[safetensors]'. Files that end in .npz or .json need nothing."
    )
    with pytest.raises(BackendError):
        env.save(path)
    assert (old, [path]) == (path.read_bytes(), list(tmp_path.iterdir()))
    env.save(tmp_path / "w.npz")


def test_a_dict_has_a_copy_of_every_variable() -> None:
    """In order of registration, by path."""
    env = Env(seed=0)
    env.name("w").set(np.float32([1, 2]))
    env.namespace("a").name("n").set(np.int64(3), trainable=False)
    found = env.to_dict()
    assert ["w", "a/n"] == list(found)
    found["w"][:] = 0
    assert ([1.0, 2.0], 3, np.int64) == (env["w"].tolist(), int(found["a/n"]), found["a/n"].dtype)
