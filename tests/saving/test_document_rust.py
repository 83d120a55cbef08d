"""Files of the Rust crate: what they hold is read, in the dtypes wanted, and what is damaged is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from files import Env, refused, same_bits
from snapshots import snapshot

import lazygrad as lg
from lazygrad.errors import SaveError

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
