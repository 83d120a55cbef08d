"""Exported files: a program of C uses them, they are all written or none, and other targets are what they say."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from ctypes.util import find_library
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.engine.cpu import llvm

pytest.importorskip("llvmlite", reason="native code is made by llvmlite")
CC = shutil.which("cc") or shutil.which("gcc")
PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "export-c.md"
NO_LINKER = shutil.which("wasm-ld") is None and importlib.util.find_spec("ziglang") is None
needs_cc = pytest.mark.skipif(CC is None, reason="there is no C compiler")


def network() -> tuple[Any, Any]:
    """The step of the page, and its argument."""
    env = lg.VariableEnvironment(seed=0)
    hidden, out = lg.nn.Linear(env, 4, 8, name="hidden"), lg.nn.Linear(env, 8, 3, name="out")
    predict = env.compile(lambda ctx, x: lg.nn.softmax(out(lg.nn.relu(hidden(x)))), wait=True)
    return predict, np.array([[0.5, -1.0, 2.0, 0.25]], np.float32)


def run(*command: str, folder: Path) -> str:
    """What a program prints; it must end well."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@needs_cc
def test_the_program_of_the_page_prints_the_bits_of_the_step(tmp_path: Path) -> None:
    """It is built as the page says, with -Wall and without a warning, and needs no library but C's."""
    predict, x = network()
    predict(x)
    predict.export(tmp_path / "predict", x)
    page = PAGE.read_text(encoding="utf-8")
    (tmp_path / "main.c").write_text(re.search(r'```c title="main.c"\n(.*?)```', page, re.S)[1])
    build = re.search(r"```sh\n(gcc .*?) &&", page)[1].split()
    assert build == ["gcc", "main.c", "predict.o", "-lm", "-o", "main"]
    run(str(CC), "-Wall", "-Wextra", "-Werror", *build[1:], folder=tmp_path)
    printed = [np.float32(line) for line in run("./main", folder=tmp_path).split()]
    assert predict(x)[0].tolist() == printed


@needs_cc
def test_two_exported_steps_are_linked_into_one_program(tmp_path: Path) -> None:
    """Nothing of an exported step is seen from outside but its own functions, so that two do not meet."""
    env = lg.VariableEnvironment(seed=0)
    x = np.ones((20, 20), np.float32)

    def loop(ctx: Any, x: Any) -> Any:
        return lg.scan(lambda c, r: (lg.tanh(c @ x), None), x, length=3)[0]

    env.compile(loop).export(tmp_path / "first", x, shared=False)
    env.compile(lambda ctx, x: loop(ctx, x) + 1).export(tmp_path / "second", x, shared=False)
    (tmp_path / "main.c").write_text(
        '#include <stdlib.h>\n#include "first.h"\n#include "second.h"\nint main(void) {\n'
        "static float x[FIRST_X_SIZE], y[FIRST_Y_SIZE];\n"
        "void *w = malloc(FIRST_WORKSPACE_SIZE + SECOND_WORKSPACE_SIZE);\n"
        "return first(x, y, w) || y[0] != 0.0f || second(x, y, w) || y[0] != 1.0f;\n}\n"
    )
    run(str(CC), "main.c", "first.o", "second.o", "-lm", "-o", "main", folder=tmp_path)
    run("./main", folder=tmp_path)
    symbols = run("nm", "-g", "--defined-only", "first.o", folder=tmp_path) if shutil.which("nm") else ""
    assert {line.split()[-1] for line in symbols.splitlines()} <= {"first", "first_spec", "first_workspace_size"}


@needs_cc
@pytest.mark.skipif(find_library("lapack") is None or find_library("blas") is None, reason="there is no LAPACK")
def test_a_step_with_matrices_calls_the_lapack_that_it_is_linked_with(tmp_path: Path) -> None:
    """Factors, systems and spectra by another LAPACK than SciPy's, to some roundings."""
    import lazygrad_runtime

    def step(ctx: Any, a: Any, b: Any) -> Any:
        values, vectors = lg.linalg.eigh(a)
        return lg.linalg.cholesky(a), lg.linalg.solve(a, b), values, lg.linalg.svd(a)[1], abs(vectors)

    rng = np.random.default_rng(0)
    b = rng.standard_normal((20, 3))
    a = (half := rng.standard_normal((20, 20))) @ half.T + np.diag(np.arange(1.0, 21))
    compiled = lg.VariableEnvironment(dtype="float64").compile(step, wait=True)
    compiled(a, b)
    libraries = " ".join(f"-l:{find_library(name)}" for name in ("lapack", "blas"))
    compiled.export(tmp_path / "matrices", a, b, lapack=libraries)
    found = lazygrad_runtime.load(tmp_path / "matrices.so")(a, b)
    for one, other in zip(compiled(a, b), found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("target", "processor"), [("x86-64-v2", 62), ("aarch64-linux", 183)], ids=["x86-64-v2", "aarch64-linux"]
)
def test_object_code_for_another_processor_is_of_that_processor(tmp_path: Path, target: str, processor: int) -> None:
    """The header of the file says so; nothing is linked unless it is asked for."""
    predict, x = network()
    files = predict.export(tmp_path / "predict", x, target=target)
    assert [file.suffix for file in files] == [".h", ".o", ".ll"]
    head = (tmp_path / "predict.o").read_bytes()[:20]
    assert head[:4] == b"\x7fELF"
    assert int.from_bytes(head[18:20], "little") == processor


@pytest.mark.skipif(shutil.which("qemu-aarch64") is None, reason="there is no emulator of ARM: qemu-user")
@pytest.mark.skipif(shutil.which("aarch64-linux-gnu-gcc") is None, reason="there is no compiler of C for ARM")
def test_code_for_arm_computes_the_same_on_an_emulator(tmp_path: Path) -> None:
    """To the last digits but one, as its registers are shorter; loops and their driver too."""
    x = 0.2 * np.random.default_rng(0).standard_normal((18, 18)).astype(np.float32)
    step = lg.VariableEnvironment(seed=0).compile(looping, wait=True)
    expected = np.asarray(step(x)).reshape(-1)
    step.export(tmp_path / "predict", x, target="aarch64-linux")
    (tmp_path / "x").write_bytes(x.tobytes())
    (tmp_path / "main.c").write_text(
        '#include <stdio.h>\n#include <stdlib.h>\n#include "predict.h"\nint main(void) {\n'
        "static float x[PREDICT_X_SIZE], y[PREDICT_Y_SIZE];\nif (fread(x, sizeof x, 1, stdin) != 1) return 1;\n"
        "if (predict(x, y, malloc(predict_workspace_size()))) return 1;\n"
        "fwrite(y, sizeof y, 1, stdout);\nreturn 0;\n}\n"
    )
    run("aarch64-linux-gnu-gcc", "-static", "main.c", "predict.o", "-lm", "-o", "main", folder=tmp_path)
    with open(tmp_path / "x", "rb") as given:
        done = subprocess.run(["qemu-aarch64", "./main"], cwd=tmp_path, stdin=given, capture_output=True, timeout=120)
    assert done.returncode == 0
    np.testing.assert_allclose(np.frombuffer(done.stdout, np.float32), expected, rtol=3e-6, atol=1e-6)


SCRIPT = """
const bytes = require("fs").readFileSync("predict.wasm");
WebAssembly.instantiate(bytes).then(({instance}) => {
  const {memory, predict, predict_workspace_size, __heap_base} = instance.exports;
  const x = __heap_base.value, y = x + 4 * COUNT, workspace = y + 4 * RESULTS;
  memory.grow(Math.ceil((workspace + predict_workspace_size()) / 65536));
  new Float32Array(memory.buffer, x, COUNT).set(GIVEN);
  const status = predict(x, y, workspace);
  console.log(status + " " + Array.from(new Float32Array(memory.buffer, y, RESULTS)).join(" "));
});
"""


def in_node(step: Any, x: Any, results: int, folder: Path) -> Any:
    """What Node computes with the exported WebAssembly."""
    step.export(folder / "predict", x, target="wasm32")
    script = SCRIPT.replace("COUNT", str(x.size)).replace("RESULTS", str(results))
    (folder / "run.js").write_text(script.replace("GIVEN", str(x.reshape(-1).tolist())))
    status, *numbers = run("node", "run.js", folder=folder).split()
    assert status == "0"
    return np.array([float(number) for number in numbers], np.float32)


def looping(ctx: Any, x: Any) -> Any:
    """A loop of matrices, whose table is made of addresses of 32 bits, with functions that multiply and add."""
    last, means = lg.scan(lambda c, r: (lg.tanh(c @ x) + lg.log1p(lg.exp(r)), lg.mean(c)), x, x[::2])
    return lg.concat(
        [last.reshape((-1,)), means, lg.erf(lg.sin(x[0])), lg.expm1(x[1]).astype("float64").astype("float32")]
    )


def sorting(ctx: Any, x: Any) -> Any:
    """Short rows and a long one, and a search, in a loop too."""
    last, medians = lg.scan(lambda c, r: (lg.sort(c - r)[::-1], lg.median(c)), x[0], x)
    places = lg.searchsorted(lg.sort(x[0]), x).astype(x.dtype)
    return lg.concat([last, medians, lg.flatten(lg.sort(x, axis=0)), lg.sort(lg.flatten(x)), lg.flatten(places)])


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node")
@pytest.mark.skipif(NO_LINKER, reason="there is no linker of WebAssembly: pip install ziglang")
@pytest.mark.parametrize("which", ["network", "loop", "sorted"])
def test_webassembly_computes_the_same_in_node(tmp_path: Path, which: str) -> None:
    """To the last digits but one: it has shorter registers, and rounds a product and a sum in float64."""
    if which == "network":
        step, x = network()
    else:
        x = 0.2 * np.random.default_rng(0).standard_normal((18, 18)).astype(np.float32)
        step = lg.VariableEnvironment(seed=0).compile(looping if which == "loop" else sorting, wait=True)
    expected = np.asarray(step(x)).reshape(-1)
    np.testing.assert_allclose(in_node(step, x, expected.size, tmp_path), expected, rtol=3e-6, atol=1e-6)


# What cannot be exported.


def test_an_op_without_native_form_is_named_with_its_line(tmp_path: Path) -> None:
    """It says op, line and operands; no file is written."""
    env = lg.VariableEnvironment(seed=0)

    def moved(ctx: Any, x: Any) -> Any:
        return lg.linalg.expm(lg.exp(x))

    with pytest.raises(lg.ExportError) as caught:
        env.compile(moved).export(tmp_path / "moved", np.ones((4, 4), np.float32))
    text = str(caught.value)
    assert text.startswith(
        "cannot export moved: 'expm' has no native form for these operands\n\n    return lg.linalg.expm"
    )
    assert text.endswith("Leave it out of the step, and compute it where the function is called.")
    assert not list(tmp_path.iterdir())


def test_matrices_that_are_decomposed_ask_for_a_lapack(tmp_path: Path) -> None:
    """Without one they are refused, with the way to have them; what is small is written out and needs none."""
    env = lg.VariableEnvironment(seed=0, dtype="float64")
    step = env.compile(lambda ctx, a: lg.linalg.cholesky(a))
    with pytest.raises(lg.ExportError, match=r"'cholesky' has no native form(?s:.*)Say lapack='-llapack'"):
        step.export(tmp_path / "factor", np.eye(40))
    step.export(tmp_path / "factor", np.eye(40), lapack="-llapack", shared=False)
    assert "declare void @dpotrf_(" in (tmp_path / "factor.ll").read_text()
    assert "Link with -lm -llapack." in (tmp_path / "factor.h").read_text()
    step.export(tmp_path / "small", np.eye(3), shared=False)
    assert "_(" not in re.sub(r"@\w+_(spec|size)\(", "", (tmp_path / "small.ll").read_text())


def test_a_step_with_updates_is_refused(tmp_path: Path) -> None:
    """A function that is exported changes no variables."""
    env = lg.VariableEnvironment(seed=0)
    w = env.name("w").set(np.ones(3, np.float32))
    step = env.compile(lambda ctx: (lg.sum(ctx.variable(w)), ctx.assign(w, ctx.variable(w) * 2)))
    with pytest.raises(lg.ExportError, match="it changes variable 'w'"):
        step.export(tmp_path / "f")
    assert not list(tmp_path.iterdir())
    assert env["w"].tolist() == [1.0, 1.0, 1.0], "and nothing was run"


def test_settings_and_paths_that_cannot_be_are_refused(tmp_path: Path) -> None:
    """Each says what it can be."""
    predict, x = network()
    refused = [
        (lg.SaveError, "FileNotFoundError", "no/such/folder/predict", {}),
        (lg.ExportError, "It is the name of a function of C as well", "my model", {}),
        (lg.ExportError, "It is the name of a function of C as well", "while", {}),
        (lg.ExportError, "Did you mean 'aarch64-linux'", "predict", {"target": "aarch64-linus"}),
        (lg.ExportError, "The targets are 'host', 'x86-64', ", "predict", {"target": "aarch64-linus"}),
        (lg.ExportError, "There are: 'host', 'x86-64', ", "predict", {"target": None}),
        (lg.ExportError, "They are 'inside' the code", "predict", {"weights": "outside"}),
        (lg.ExportError, "It is True if a library is wanted", "predict", {"shared": "yes"}),
        (lg.ExportError, "It says how a program is linked", "predict", {"lapack": ["-llapack"]}),
        (lg.BackendError, "No closing quotation", "predict", {"lapack": "'"}),
        (lg.ExportError, r"leave out '\.so'", "predict.so", {}),
        *[(lg.ExportError, "no word of C or C", name, {}) for name in ("linux", "xor", "size_t", "expf", "malloc")],
    ]
    for kind, text, name, settings in refused:
        with pytest.raises(kind, match=text):
            predict.export(tmp_path / name, x, **settings)
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_replaced_leaves_all_of_them_as_they_were(tmp_path: Path) -> None:
    """Where one is a folder, none is written; and where the disk fails at one, those before it are put back."""
    predict, x = network()
    predict.export(tmp_path / "predict", x, shared=False)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    (tmp_path / "predict.weights").mkdir()
    with pytest.raises(lg.SaveError, match="IsADirectoryError"):
        predict.export(tmp_path / "predict", x, shared=False, weights="file")
    (tmp_path / "predict.weights").rmdir()
    assert before == {file.name: file.read_bytes() for file in tmp_path.iterdir()}


@pytest.mark.parametrize("name", ["old", "fresh"])
@pytest.mark.parametrize("where", ["fsync", "replace"])
def test_a_disk_that_fails_leaves_all_of_them_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, name: str
) -> None:
    """At whichever file it fails, as it is written or as it takes its place, old ones stay or are back."""
    predict, x = network()
    predict.export(tmp_path / "old", x, shared=False)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    works = getattr(os, where)
    for fails in (1, 2, 3, 4):
        count = 0

        def failing(*given: Any, number: int = fails) -> None:
            nonlocal count
            count += 1
            if count == number:
                raise OSError(28, os.strerror(28))
            works(*given)

        with monkeypatch.context() as patched:
            patched.setattr(os, where, failing)
            with pytest.raises(lg.SaveError, match="No space left on device"):
                predict.export(tmp_path / name, x * 2, shared=False, weights="file")
        assert before == {file.name: file.read_bytes() for file in tmp_path.iterdir()}


@pytest.mark.parametrize("where", ["fsync", "replace"])
def test_an_interrupt_leaves_old_files_or_new_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """Before the first has taken its place all stay; after it all follow before the interrupt is heard."""
    predict, x = network()
    predict.export(tmp_path / "model", x, shared=False)
    wanted = [(tmp_path / f"model{end}").read_bytes() for end in (".h", ".o", ".ll")]
    works = getattr(os, where)
    for number in (1, 2, 3):
        for end in (".h", ".o", ".ll"):
            (tmp_path / f"model{end}").write_text("old")
        count = 0

        def interrupted(*given: Any, number: int = number) -> None:
            nonlocal count
            count += 1
            works(*given)
            if count == number:
                raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(os, where, interrupted)
            with pytest.raises(KeyboardInterrupt):
                predict.export(tmp_path / "model", x, shared=False)
        found = [(tmp_path / f"model{end}").read_bytes() for end in (".h", ".o", ".ll")]
        assert found == (wanted if where == "replace" else [b"old"] * 3)
        assert len(list(tmp_path.iterdir())) == 3


def test_where_there_is_no_linker_it_says_what_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For WebAssembly as for a library; and nothing is written."""
    from lazygrad.export import linking

    monkeypatch.setenv("CC", "")
    monkeypatch.setattr(linking.shutil, "which", lambda name: None)
    monkeypatch.setattr(linking.importlib.util, "find_spec", lambda name: None)
    predict, x = network()
    for target, text in (("host", "Install a C compiler"), ("wasm32", "wasm-ld of LLVM")):
        with pytest.raises(lg.BackendError, match=text):
            predict.export(tmp_path / "predict", x, target=target)
    assert not list(tmp_path.iterdir())


def test_a_step_that_numpy_runs_is_exported_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether steps are compiled here has nothing to do with it; only llvmlite must be there."""
    monkeypatch.setenv("LAZYGRAD_NATIVE", "off")
    predict, x = network()
    assert predict.export(tmp_path / "predict", x, shared=False)[1].read_bytes()
    monkeypatch.setattr(llvm, "_missing", "llvmlite cannot be imported: it is gone")
    llvm.machine.cache_clear()
    for what in (lambda: predict.export(tmp_path / "other", x), lambda: predict.address(x)):
        with pytest.raises(lg.BackendError, match=r"it is gone\n    pip install llvmlite"):
            what()
    assert not list(tmp_path.glob("other*"))


def test_the_header_says_what_processor_the_code_is_for(tmp_path: Path) -> None:
    """That of this machine by its name, as another one may lack what is used."""
    predict, x = network()
    for target, said in (("host", f"processors that can what {llvm.machine().cpu!r} can"), ("x86-64-v3", "x86-64-v3")):
        header = predict.export(tmp_path / "predict", x, target=target, shared=False)[0].read_text()
        assert said in header.splitlines()[0]


def test_names_in_c_are_names_and_no_two_are_the_same(tmp_path: Path) -> None:
    """Nested arguments and results, keywords, and names that C has not."""
    env = lg.VariableEnvironment(seed=0)

    def step(ctx: Any, batch: Any, double: Any) -> Any:
        return {"a b": batch["x"][0] + double, "a_b": batch["x"][1], "größe": batch["x"][0] - 1, "batch_x_0": double}

    x = np.ones(2, np.float32)
    env.compile(step).export(tmp_path / "f", {"x": [x, x]}, x, shared=False)
    declared = re.search(r"int f\((.*)\);", (tmp_path / "f.h").read_text())[1]
    names = [re.search(r"\w+$", one)[0] for one in declared.split(", ")]
    assert names == ["batch_x_0", "batch_x_1", "a_double", "a_b", "a_b_2", "gr_e", "batch_x_0_2", "workspace"]


@pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no gcc")
def test_words_of_headers_and_of_two_languages_are_no_names_of_ours(tmp_path: Path) -> None:
    """Types, macros, keywords of C++ and marks of comments in what a step returns: the header has no warning in any."""
    said = [
        "size_t",
        "NULL",
        "linux",
        "int32_t",
        "INT32_MAX",
        "xor",
        "asm",
        "EOF",
        "/* x",
        "*/ int x;",
        "a\n#error",
        "I",
    ]
    env = lg.VariableEnvironment(seed=0)
    step = env.compile(lambda ctx, x: {name: x + k for k, name in enumerate(said)})
    step.export(tmp_path / "repeat", np.ones(2, np.float32), shared=False)
    (tmp_path / "main.c").write_text('#include <complex.h>\n#include <stdio.h>\n#include "repeat.h"\n')
    (tmp_path / "main.cpp").write_text('#include <cstdio>\n#include "repeat.h"\n')
    for built in (["gcc", "-std=c99", "main.c"], ["gcc", "main.c"], ["gcc", "-x", "c++", "main.cpp"]):
        run(*built, "-Wall", "-Wextra", "-pedantic", "-Werror", "-fsyntax-only", folder=tmp_path)


@pytest.mark.parametrize("name", ["repeat", "either", "flush", "image", "spec", "find", "llvm"])
def test_a_function_may_have_a_name_of_what_is_inside(tmp_path: Path, name: str) -> None:
    """What loops are run by is not seen from outside, and has names of its own."""
    env = lg.VariableEnvironment(seed=0)
    x = np.eye(20, dtype=np.float32)
    step = env.compile(lambda ctx, x: lg.scan(lambda c, _: (lg.exp(c @ x), None), x, length=3)[0])
    assert step.export(tmp_path / name, x, shared=False)[1].read_bytes()


def test_arguments_may_be_called_as_one_likes(tmp_path: Path) -> None:
    """Like what the function itself has names for; and letters and capitals have macros of their own."""
    env = lg.VariableEnvironment(seed=0)

    def step(
        ctx: Any, image: Any, block: Any, arena: Any, entry: Any, failed: Any, p1: Any, status0: Any, Image: Any
    ) -> Any:
        return {"given": image + block + arena + entry, "good0": failed + p1 + status0 - Image, "X": image, "x": block}

    x = np.ones(3, np.float32)
    files = env.compile(step).export(tmp_path / "f", *[x] * 8, shared=False)
    macros = re.findall(r"#define (\w+)", files[0].read_text())
    assert len(macros) == len(set(macros)) == 14
