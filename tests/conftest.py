"""What the tests share: how to know whether there is a GPU, a cache of their own, and the settings of hypothesis."""

from __future__ import annotations

import atexit
import collections
import os
import pathlib
import shutil
import sys
import tempfile

import pytest
from cupy_double import forced
from cupy_double.differences import why_skipped
from gpu import keeping
from hypothesis import HealthCheck, settings

# As on a machine without it: what says so is asked of every test run that is to prove it.
if os.environ.get("LAZYGRAD_TEST_WITHOUT_LLVMLITE") == "1":
    sys.modules["llvmlite"] = None  # type: ignore[assignment]

# With backend="cupy" wherever a test does not name one, on a double of CuPy.
if forced.asked():
    forced.force()

# Kernels for GPUs of all that is compiled, kept for the assembler.
if "LAZYGRAD_TEST_KERNELS" in os.environ:
    keeping.keep(pathlib.Path(os.environ["LAZYGRAD_TEST_KERNELS"]))

# Object code that tests make is kept apart from the user's, and gone afterwards.
if "LAZYGRAD_CACHE" not in os.environ:
    os.environ["LAZYGRAD_CACHE"] = tempfile.mkdtemp(prefix="lazygrad-tests-")
    atexit.register(shutil.rmtree, os.environ["LAZYGRAD_CACHE"], ignore_errors=True)

# The same examples in every run, so that a failure can be repeated and CI is stable.
settings.register_profile(
    "lazygrad", derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("lazygrad")


@pytest.hookimpl(tryfirst=True)  # before xdist chooses
def pytest_cmdline_main(config):
    """Whoever has nothing left to do takes over from the others, as some tests take long."""
    if getattr(config.option, "numprocesses", None) and config.option.dist == "no":
        config.option.dist = "worksteal"


def pytest_sessionstart(session):
    """Say how long it takes, where all of it is run and somebody may be looking."""
    terminal = session.config.pluginmanager.getplugin("terminalreporter")
    if terminal is not None and session.config.args_source.name != "ARGS":
        slow = "" if "not slow" in session.config.option.markexpr else ", and what is slow among it longer"
        terminal.write_line(f"The tests take about eight minutes on two cores{slow}; what fails is named at the end.")


@pytest.hookimpl(tryfirst=True)  # before pytest leaves out what is slow
def pytest_collection_modifyitems(items):
    """Of what is thinned mark all cases but every n-th as slow; skip on the double what cannot pass there."""
    counts = collections.Counter()
    for item in items:
        thinned = item.get_closest_marker("thinned")
        if thinned is not None:
            name = item.nodeid.partition("[")[0]
            if counts[name] % thinned.args[0]:
                item.add_marker(pytest.mark.slow)
            counts[name] += 1
    for item in items if forced.asked() else ():
        reason = why_skipped(item.nodeid)
        if reason is not None:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def cupy():
    """CuPy on a GPU that works, or a skip that says what is missing."""
    found = pytest.importorskip("cupy", reason="CuPy is not installed")
    try:
        found.zeros(1).sum().get()
    except Exception as reason:
        pytest.skip(f"CuPy finds no GPU that works: {reason}")
    return found


@pytest.fixture
def double(monkeypatch):
    """The double of CuPy, in place of it for one test; it begins with nothing counted."""
    import cupy_double

    for name, module in cupy_double.modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    cupy_double.counts.clear()
    return cupy_double.modules()["cupy"]


@pytest.fixture
def native(monkeypatch):
    """Native code, where a test is about it: on CuPy's double too, whose kernels the emulator runs."""
    if forced.asked():
        monkeypatch.setenv("LAZYGRAD_NATIVE", "auto")


@pytest.fixture
def numpy_alone(monkeypatch):
    """No native code, unless a run asks for it, and nothing that another test has left to be compiled.

    That would call kernels, and the system, from another thread while the test has them fail.
    """
    from lazygrad.engine import background

    if "LAZYGRAD_NATIVE" not in os.environ:
        monkeypatch.setenv("LAZYGRAD_NATIVE", "off")
    background.submit(lambda job: None).wait()
