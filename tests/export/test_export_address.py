"""``compiled.address()``: function pointers for SciPy, samplers and whoever else calls native code."""

from __future__ import annotations

import copy
import ctypes
import gc
import os
import pickle
import threading
import warnings
from typing import Any

import numpy as np
import pytest
from exported import bits
from scipy import LowLevelCallable
from scipy.integrate import nquad, quad
from scipy.ndimage import generic_filter

import lazygrad as lg

pytest.importorskip("llvmlite", reason="native code is made by llvmlite")


def pointer(array: Any) -> Any:
    """What a function of the form ``logp`` is given."""
    return array.ctypes.data_as(ctypes.POINTER(ctypes.c_double))


def test_scipy_integrates_a_step() -> None:
    """A function of numbers, and one of a vector and a number, whose variables are part of it."""
    env = lg.VariableEnvironment(dtype="float64")
    env.name("rate").set(2.0)
    step = env.compile(lambda ctx, x: lg.exp(-ctx.variable("rate") * x))
    address = step.address(np.float64(0), form="scipy")
    assert address.declaration == "double <lambda>(int n, double *x)"
    assert quad(LowLevelCallable(address.function), 0, 1)[0] == pytest.approx((1 - np.exp(-2)) / 2, rel=1e-12)
    product = env.compile(lambda ctx, x, y: lg.prod(x) * y).address(np.zeros(2), np.float64(0), form="scipy")
    assert nquad(LowLevelCallable(product.function), [[0, 1], [0, 2], [0, 2]])[0] == pytest.approx(2.0, rel=1e-12)
    assert np.isnan(address.function(2, pointer(np.zeros(2)))), "another count of numbers"


def test_scipy_filters_an_image_with_a_step() -> None:
    """``generic_filter`` and what it takes as a function of C; windows of another size stop it."""
    step = lg.VariableEnvironment(dtype="float64").compile(lambda ctx, x: lg.sum(x**2) - x[4], wait=True)
    address = step.address(np.zeros(9), form="filter")
    assert address.declaration == "int <lambda>(double *x, intptr_t n, double *value, void *data)"
    image = np.random.default_rng(0).random((7, 9))
    expected = generic_filter(image, lambda x: (x**2).sum() - x[4], size=3)
    np.testing.assert_allclose(generic_filter(image, LowLevelCallable(address.function), size=3), expected, rtol=1e-14)
    with pytest.raises(RuntimeError, match="filter function"):
        generic_filter(image, LowLevelCallable(address.function), size=2)


@pytest.mark.parametrize("n", [5, 20_000])
def test_a_sampler_gets_value_and_gradient(n: int) -> None:
    """The bits of the compiled step, in workspaces on the stack and beside it; another length is refused."""

    def logp(ctx: Any, x: Any) -> Any:
        value = -lg.sum(x**4) - lg.sum((x[1:] - x[:-1]) ** 2)
        return value, lg.grad(value, x)

    step = lg.VariableEnvironment(dtype="float64").compile(logp, wait=True)
    x = np.random.default_rng(0).standard_normal(n)
    step(x)
    address = step.address(x, form="logp")
    gradient, value = np.zeros(n), np.zeros(())
    assert address.function(n, pointer(x), pointer(gradient), pointer(value), None) == 0
    assert bits(step(x)) == bits([value, gradient])
    assert address.function(n - 1, pointer(x), pointer(gradient), pointer(value), None) == 1


def test_a_pointer_for_every_array_and_many_threads() -> None:
    """The plain form, called at once from several threads, with the numbers of when it was made."""
    env = lg.VariableEnvironment(seed=0)
    layer = lg.nn.Linear(env, 8, 8, name="layer")
    step = env.compile(lambda ctx, x: lg.scan(lambda c, _: (lg.tanh(layer(c)), None), x, length=20)[0], wait=True)
    x = np.random.default_rng(0).random((8, 8)).astype(np.float32)
    step(x)
    expected = bits([step(x)])
    address = step.address(x)
    assert address.declaration == "int <lambda>(void *x, void *y)"
    env["layer/bias"] = np.ones(8)
    found = np.zeros((6, 8, 8), np.float32)

    def work(k: int) -> None:
        for _ in range(200):
            assert address.function(x.ctypes.data, found[k].ctypes.data) == 0

    threads = [threading.Thread(target=work, args=(k,)) for k in range(len(found))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [expected] * len(found) == [bits([one]) for one in found]


def test_the_code_lives_as_long_as_the_address() -> None:
    """Or its function: the step, its environment, and all it was made of may be gone."""
    env = lg.VariableEnvironment(dtype="float64")
    address = env.compile(lambda ctx, x: x * 2).address(np.float64(0), form="scipy")
    function = address.function
    del env, address
    gc.collect()
    for _ in range(3):  # what is not used any more is unloaded when something is loaded
        lg.VariableEnvironment(dtype="float64").compile(lambda ctx, x: x * 3).address(np.float64(0), form="scipy")
    assert function(1, pointer(np.ones(1))) == 2.0


def test_scipy_alone_keeps_the_code_and_a_fork_has_it() -> None:
    """Its callable holds the function, which holds the code; a process that is forked has the same memory."""
    env = lg.VariableEnvironment(dtype="float64")
    held = LowLevelCallable(env.compile(lambda ctx, x: x * x).address(np.float64(0), form="scipy").function)
    gc.collect()
    for k in range(3):
        env.compile(lambda ctx, x, k=k: x * (k + 2)).address(np.float64(0), form="scipy")
    assert quad(held, 0, 3)[0] == pytest.approx(9.0, rel=1e-14)
    if hasattr(os, "fork"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # other tests' threads
            child = os.fork()
        if not child:
            os._exit(0 if abs(quad(held, 0, 3)[0] - 9) < 1e-9 else 1)
        assert os.waitpid(child, 0)[1] == 0


def test_an_address_is_of_this_process() -> None:
    """A copy is itself; pickled it would be the address of something else."""
    address = lg.VariableEnvironment(dtype="float64").compile(lambda ctx, x: x * 2).address(np.zeros(2))
    assert copy.copy(address) is copy.deepcopy(address) is address
    with pytest.raises(TypeError, match="cannot pickle an address: it is one of this process alone"):
        pickle.dumps(address)


def test_lapack_is_that_of_scipy() -> None:
    """In this process there is one to be called."""
    step = lg.VariableEnvironment(dtype="float64").compile(lambda ctx, a: lg.linalg.cholesky(a), wait=True)
    a = np.eye(30) * 2 + 0.1
    step(a)
    address, found = step.address(a), np.zeros((30, 30))
    assert address.function(a.ctypes.data, found.ctypes.data) == 0
    assert bits([step(a)]) == bits([found])


def test_forms_that_do_not_fit_are_refused() -> None:
    """With what the step takes and returns, and what the form wants."""
    step = lg.VariableEnvironment().compile(lambda ctx, x: x * 2)
    with pytest.raises(lg.ExportError) as caught:
        step.address(np.ones(3, np.float32), form="logp")
    assert str(caught.value).split("\n\n")[-1] == (
        "    in:   float32[3]  x\n    out:  float32[3]  y\n"
        "    It takes one float64 vector x, and returns its logarithm and lg.grad of that for x."
    )
    with pytest.raises(lg.ExportError, match="It takes float64 numbers or arrays"):
        step.address(np.ones(3, np.float32), form="scipy")
    with pytest.raises(lg.ExportError, match="the numbers under the window"):
        step.address(np.ones(3, np.float32), form="filter")
    for form, text in (("log", "Did you mean 'logp'"), (None, "There are: 'arrays'"), (3, "There are: 'arrays'")):
        with pytest.raises(lg.ExportError, match=text):
            step.address(np.ones(3, np.float32), form=form)


def test_numba_calls_a_step() -> None:
    """Functions of all three forms, in a compiled loop and in threads of Numba's; both use one llvmlite."""
    numba = pytest.importorskip("numba", reason="Numba is not installed")
    env = lg.VariableEnvironment(dtype="float64")
    env.name("centre").set(np.arange(3.0))

    def logp(ctx: Any, x: Any) -> Any:
        value = -lg.sum(lg.square(x - ctx.variable("centre")))
        return value, lg.grad(value, x)

    posterior = env.compile(logp, wait=True).address(np.zeros(3), form="logp").function
    product = env.compile(lambda ctx, x, y: lg.exp(-x) * y).address(np.float64(0), np.float64(0), form="scipy").function
    doubled = env.compile(lambda ctx, x: lg.tanh(x) * 2).address(np.zeros(4)).function

    @numba.njit
    def climbed(x: Any, steps: int) -> Any:
        gradient, value = np.empty(3), np.empty(1)
        failed = 0
        for _ in range(steps):
            failed += posterior(3, x.ctypes, gradient.ctypes, value.ctypes, 0)
            x = x + 0.1 * gradient
        return x, value[0], failed + posterior(2, x.ctypes, gradient.ctypes, value.ctypes, 0)

    @numba.njit
    def mean(count: int) -> float:
        total, x = 0.0, np.array([0.0, 2.0])
        for i in range(count):
            x[0] = (i + 0.5) / count
            total += product(2, x.ctypes)
        return total / count

    @numba.njit(parallel=True)
    def of_rows(x: Any) -> Any:
        y = np.empty_like(x)
        for i in numba.prange(len(x)):
            doubled(x[i].ctypes, y[i].ctypes)
        return y

    gc.collect()
    x, value, refused = climbed(np.zeros(3), 200)
    np.testing.assert_allclose(x, np.arange(3.0), rtol=1e-12)  # 0.8 ** 200 is 4e-20
    assert (1, True) == (refused, abs(value) < 1e-30)
    assert mean(1000) == pytest.approx(2 * (1 - np.exp(-1)), rel=1e-7)  # the midpoint rule's error is 1 / (24 n²)
    rows = np.random.default_rng(0).standard_normal((1000, 4))
    np.testing.assert_allclose(of_rows(rows), 2 * np.tanh(rows), rtol=1e-14)
