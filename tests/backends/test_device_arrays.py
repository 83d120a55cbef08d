"""Arrays of other libraries that lie on a GPU: taken over where CuPy computes, refused in words where NumPy does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from cupy_double import counts

import lazygrad as lg

pytestmark = pytest.mark.usefixtures("double")


class _Dtype:
    """A dtype as PyTorch's is, which NumPy does not understand."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"torch.{self.name}"


class Interface:
    """An array known by ``__cuda_array_interface__``, as Numba's are. Its memory is the host's, as the double's is."""

    def __init__(self, array: Any) -> None:
        self.array = np.asarray(array)
        self.shape, self.dtype = self.array.shape, _Dtype(self.array.dtype.name)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {**self.array.__array_interface__, "version": 3}


class Packed:
    """An array known by DLPack alone, as TensorFlow's are."""

    def __init__(self, array: Any) -> None:
        self.array = np.asarray(array)
        self.shape, self.dtype = self.array.shape, _Dtype(self.array.dtype.name)

    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, 0

    def __dlpack__(self, **_: Any) -> Any:
        return self.array


class Leaf(Packed):
    """An array with a gradient, which PyTorch does not give away."""

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        raise RuntimeError("Can't get __cuda_array_interface__ on Variable that requires grad.")


def _registered(env: lg.VariableEnvironment, x: Any) -> Any:
    env.name("v").set(x)
    return env["v"]


def _assigned(env: lg.VariableEnvironment, x: Any) -> Any:
    env.name("w").set(np.zeros(3))
    env["w"] = x
    return env["w"]


def _fed(env: lg.VariableEnvironment, x: Any) -> Any:
    return env.run(lambda ctx: ctx.placeholder("p", -1, "float64") * 1, feeds={"p": x})


DOORS: dict[str, Callable[[lg.VariableEnvironment, Any], Any]] = {
    "set": _registered,
    "assign": _assigned,
    "feed": _fed,
    "argument": lambda env, x: env.run(lambda ctx, x: x * 1, x),
    "argument of a compiled step": lambda env, x: env.compile(lambda ctx, x: x * 1)(x),
    "argument in a dict": lambda env, x: env.compile(lambda ctx, x: x["a"] * 1)({"a": x}),
    "operand": lambda env, x: env.run(lambda ctx: lg.ones((3,), "float64") * x),
    "asarray": lambda env, x: env.run(lambda ctx: lg.asarray(x) * 1),
    "constant": lambda env, x: env.run(lambda ctx: ctx.constant(x) * 1),
}
BY_DOOR = pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)


@BY_DOOR
@pytest.mark.parametrize("kind", [Interface, Packed, "cupy"], ids=["interface", "dlpack", "cupy"])
def test_an_array_on_the_gpu_is_taken_where_it_lies(door: Callable[..., Any], kind: Any, double: Any) -> None:
    """Through every door, with its dtype, and without a copy by way of the host."""
    numbers = np.array([1.0, -2.0, 3.5])
    x = double.asarray(numbers) if kind == "cupy" else kind(numbers)
    env = lg.VariableEnvironment(backend="cupy")
    before = counts["to the host"]
    found = door(env, x)
    assert double.ndarray is type(found)
    assert 0 == counts["to the host"] - before
    np.testing.assert_array_equal(found.get(), numbers)
    assert np.float64 == found.dtype


@BY_DOOR
def test_an_array_on_the_gpu_is_refused_where_numpy_computes(door: Callable[..., Any]) -> None:
    """With what it is and what to do, and nothing has changed."""
    env = lg.VariableEnvironment(backend="numpy")
    with pytest.raises(lg.BackendError) as caught:
        door(env, Interface(np.zeros(3)))
    first, *_, array, cure = str(caught.value).splitlines()
    assert "cannot use an array that lies on a device with backend='numpy'" == first
    assert f"    array:  float64[3], a {__name__}.Interface" == array
    assert cure.startswith("    Copy it to main memory first")
    assert not any(v.path == "v" for v in env)


def test_a_variable_does_not_share_the_memory_that_was_taken_over() -> None:
    """It is a copy, as of NumPy's arrays."""
    numbers = np.array([1.0, 2.0])
    env = lg.VariableEnvironment(backend="cupy")
    env.name("v").set(Interface(numbers))
    numbers[:] = 0
    np.testing.assert_array_equal(env["v"].get(), [1.0, 2.0])


def test_an_array_that_its_library_does_not_give_is_an_error_with_the_reason() -> None:
    """Such as a tensor of PyTorch that has a gradient."""
    env = lg.VariableEnvironment(backend="cupy")
    with pytest.raises(lg.BackendError) as caught:
        env.run(lambda ctx, x: x * 1, Leaf(np.zeros(3)))
    text = str(caught.value)
    assert text.startswith("cannot take over an array that lies on a device\n")
    assert "    why:    RuntimeError: Can't get __cuda_array_interface__ on Variable that requires grad." in text
    assert "x.detach()" in text


def test_complex_numbers_on_the_gpu_are_refused_as_those_of_numpy() -> None:
    """lazygrad computes with real ones."""
    env = lg.VariableEnvironment(backend="cupy")
    with pytest.raises(lg.SpecError, match="cannot make a tensor of an array of complex128"):
        env.name("v").set(Interface(np.zeros(3, complex)))


def test_arrays_in_main_memory_are_no_arrays_of_a_device() -> None:
    """Also those that lie where a GPU can read them."""
    from lazygrad.values.foreign import on_device

    class Pinned(Packed):
        def __dlpack_device__(self) -> tuple[int, int]:
            return 3, 0

    for x in (np.zeros(3), np.float32(1), 1.5, [1, 2], Pinned(np.zeros(3))):
        assert not on_device(x)
