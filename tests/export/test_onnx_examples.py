"""The steps of every example as models: all that are run are exported, and agree with us, or are refused by name."""

from __future__ import annotations

import contextlib
import functools
import importlib
import io
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx_open
import onnx_run
import pytest

import lazygrad as lg
from lazygrad.step.compiled import Compiled
from lazygrad.trees import leaves

pytest.importorskip("onnxruntime", reason="models are run by onnxruntime")

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = sorted(path.stem for path in EXAMPLES.rglob("*.py") if "__main__" in path.read_text(encoding="utf-8"))
QUICK = ("linear_regression", "sine_mlp", "xor", "physics", "char_lstm")

# What has no form, in which examples.
REFUSED: dict[str, set[str]] = {"svd_trials": {"svd_full"}}
# Results of which only some are determined, and what is: the vectors of singular values that are 0 are any.
DETERMINED: dict[str, Callable[[Any, Any, Any], list[Any]]] = {
    "image_compression": lambda u, s, vh: [u * s[..., None, :], s, s[..., None] * vh],
}
# Those that do nothing but learn, or draw.
LEARNS = {"hmc", "king_county_comparisons", "linear_regression"}

Steps = dict[Any, tuple[Any, Any, tuple[Any, ...]]]


@pytest.fixture
def steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Steps]]:
    """A function that runs an example quickly; every step that was run, with its environment and its arguments."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.syspath_prepend(str(EXAMPLES / "classical"))
    found: Steps = {}
    call, run = Compiled.__call__, lg.VariableEnvironment.run

    def note(env: Any, step: Any, args: tuple[Any, ...], settings: dict[str, Any]) -> None:
        if "feeds" not in settings:
            step = functools.partial(step, **settings) if settings else step
            while hasattr(step, "func") and hasattr(step.func, "func"):
                step = functools.partial(step.func.func, **step.func.keywords, **step.keywords)
            plain = getattr(step, "func", step)
            found.setdefault((getattr(plain, "__code__", plain), str(getattr(step, "keywords", ""))), (env, step, args))

    def called(self: Any, *args: Any, **settings: Any) -> Any:
        note(self._env, self._step, args, settings)
        return call(self, *args, **settings)

    def ran(self: Any, step: Any, *args: Any, **settings: Any) -> Any:
        note(self, step, args, settings)
        return run(self, step, *args, **settings)

    def of(name: str) -> Steps:
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()):
            patch.setattr(Compiled, "__call__", called)
            patch.setattr(lg.VariableEnvironment, "run", ran)
            importlib.import_module(name).main(["--quick", "--mode", "compile"])
        return found

    yield of
    for path in EXAMPLES.rglob("*.py"):
        if path.stem != "data":  # which remembers what takes long to read
            sys.modules.pop(path.stem, None)


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in NAMES])
def test_every_step_of_an_example_is_exported_or_refused_by_name(
    name: str, steps: Callable[[str], Steps], tmp_path: Path
) -> None:
    """What changes a variable or draws is refused, as are the ops in the table; all else is within 1e-5 of ours."""
    refused, exported = set(), 0
    for env, step, args in steps(name).values():
        compiled = env.compile(step)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # of those that have one size
                model = onnx_open.written(compiled, tmp_path, *args)
        except lg.ExportError as reason:
            said = str(reason).splitlines()[0]
            op = re.fullmatch(r"cannot export (\w+) to ONNX", said)
            assert op or "it changes variable" in said, said
            refused |= {op[1]} if op else set()
            continue
        arrays = [leaf for _, leaf in leaves(list(args)) if hasattr(leaf, "shape")]
        expected = [array for array in onnx_run.listed(env.run(step, *args)) if array is not None]
        found = onnx_run.run_model(model, *arrays)
        if name in DETERMINED and len(found) == 3:
            expected, found = DETERMINED[name](*expected), DETERMINED[name](*found)
        for one, other in zip(expected, found, strict=True):
            assert (one.shape, one.dtype) == (other.shape, other.dtype)
            # What is not finite stands where ours does; the rest is within 1e-5 of the largest.
            largest = np.abs(one, where=np.isfinite(one), out=np.zeros(one.shape)).max(initial=0.0)
            np.testing.assert_allclose(other, one, rtol=0, atol=1e-5 * largest)
        exported += 1
    assert refused - {"stream"} == REFUSED.get(name, set())
    assert exported or name in LEARNS or name in REFUSED
