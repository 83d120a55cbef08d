"""From LLVM's text to machine code in memory."""

from __future__ import annotations

import ctypes
import gc
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

pytest.importorskip("llvmlite", reason="llvmlite is not installed")

from lazygrad.engine.cpu import llvm

SQUARE = "define i64 @square(i64 %x) {\n  %y = mul i64 %x, %x\n  ret i64 %y\n}\n"


def function(code: llvm.Code, name: str) -> ctypes._CFuncPtr:
    """A loaded function of one int64, which holds its code."""
    made = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(code.addresses[name])
    made.code = code  # type: ignore[attr-defined]
    return made


def resident() -> float:
    """Megabytes that this process has in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


@pytest.mark.parametrize("level", [1, 2])
def test_text_becomes_a_function(level: int) -> None:
    """Compiled and loaded code computes, at either level."""
    code = llvm.load(llvm.compiled(SQUARE, level), ["square"], {})
    assert 49 == function(code, "square")(7)


def test_variables_become_registers() -> None:
    """A variable that lives on the stack in the text costs no memory in the code."""
    text = (
        "define i64 @f(i64 %x) {\n  %a = alloca i64\n  store i64 %x, ptr %a\n  %y = load i64, ptr %a\n  ret i64 %y\n}\n"
    )
    same = "define i64 @f(i64 %x) {\n  ret i64 %x\n}\n"
    assert llvm.compiled(same) == llvm.compiled(text)


def test_the_same_text_gives_the_same_code() -> None:
    """Object code depends on the text alone, so that it can be kept."""
    assert llvm.compiled(SQUARE) == llvm.compiled(SQUARE)


def test_code_calls_a_function_given_by_its_address() -> None:
    """A symbol is bound when code is loaded, so that no address stands in the code."""
    text = "declare i64 @other(i64)\ndefine i64 @f(i64 %x) {\n  %y = call i64 @other(i64 %x)\n  ret i64 %y\n}\n"
    other = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(lambda x: x + 100)
    address = ctypes.cast(other, ctypes.c_void_p).value
    assert address is not None
    code = llvm.load(llvm.compiled(text), ["f"], {"other": address})
    assert 142 == function(code, "f")(42)


def test_two_modules_may_have_functions_of_one_name() -> None:
    """Names are of one module only."""
    first = llvm.load(llvm.compiled(SQUARE), ["square"], {})
    second = llvm.load(llvm.compiled(SQUARE.replace("mul", "add")), ["square"], {})
    assert (49, 14) == (function(first, "square")(7), function(second, "square")(7))


@pytest.mark.parametrize("text", ["define i64 @f(", "define i64 @f() {\n  ret i32 0\n}\n"])
def test_text_that_llvm_refuses_is_an_error(text: str) -> None:
    """Text with a mistake raises instead of ending the process."""
    with pytest.raises(RuntimeError):
        llvm.compiled(text)


def test_a_missing_symbol_is_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    """Code that calls what is nowhere cannot be loaded; the next code can."""
    text = "declare i64 @nowhere()\ndefine i64 @f() {\n  %y = call i64 @nowhere()\n  ret i64 %y\n}\n"
    with pytest.raises(RuntimeError):
        llvm.load(llvm.compiled(text), ["f"], {})
    capfd.readouterr()
    assert 49 == function(llvm.load(llvm.compiled(SQUARE), ["square"], {}), "square")(7)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux tells the memory of a process this way")
def test_a_thousand_modules_loaded_and_dropped_leave_memory_flat() -> None:
    """Dropped code is unloaded; what a load leaves behind is nothing."""
    data = llvm.compiled(SQUARE)
    for _ in range(200):
        llvm.load(data, ["square"], {})
    before = resident()
    for _ in range(1000):
        llvm.load(data, ["square"], {})
    assert resident() - before < 3


def test_code_outlives_the_code_loaded_after_it() -> None:
    """Linkers come and go with many loads; code that is still held goes on working."""
    held = llvm.load(llvm.compiled(SQUARE), ["square"], {})
    data = llvm.compiled(SQUARE)
    for _ in range(200):
        llvm.load(data, ["square"], {})
    gc.collect()
    assert 81 == function(held, "square")(9)


def test_threads_compile_at_the_same_time() -> None:
    """Compiling and loading in several threads gives the code of one."""
    results: dict[int, int] = {}

    def work(number: int) -> None:
        for _ in range(5):
            text = SQUARE.replace("mul i64 %x, %x", f"mul i64 %x, {number}")
            results[number] = function(llvm.load(llvm.compiled(text), ["square"], {}), "square")(10)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert {number: 10 * number for number in range(6)} == results


def test_the_machine_is_known() -> None:
    """A register holds four, eight or sixteen numbers of float32."""
    assert llvm.machine().width in (4, 8, 16)


def test_an_old_llvmlite_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A version before the one needed is refused with both versions in the message."""
    monkeypatch.setattr(llvm.llvmlite, "__version__", "0.44.0")
    with pytest.raises(llvm.Unavailable) as caught:
        llvm.versions()
    assert "llvmlite 0.44.0 is too old: 0.45 or later is needed" == str(caught.value)


def test_a_development_version_of_llvmlite_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the first two numbers of a version count."""
    monkeypatch.setattr(llvm.llvmlite, "__version__", "0.51.0dev0+3.gabcdef")
    assert llvm.versions().startswith("llvmlite 0.51.0dev0+3.gabcdef, LLVM ")


def test_without_llvmlite_the_module_imports_and_says_what_is_missing(tmp_path: Path) -> None:
    """Importing does not fail; compiling, loading and asking for the machine raise the reason."""
    (tmp_path / "llvmlite.py").write_text("raise ImportError('no such luck')\n")
    script = (
        "from lazygrad.engine.cpu import llvm\n"
        "for ask in (llvm.machine, llvm.versions, lambda: llvm.compiled(''), lambda: llvm.load(b'', [], {})):\n"
        "    try:\n        ask()\n    except llvm.Unavailable as reason:\n        print(reason)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert ["llvmlite cannot be imported: no such luck"] * 4 == done.stdout.splitlines()


def test_importing_lazygrad_does_not_import_llvmlite() -> None:
    """Who does not compile does not pay for LLVM."""
    script = "import sys, lazygrad; print('llvmlite' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "False\n" == done.stdout


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system does not fork")
def test_a_forked_process_compiles() -> None:
    """A fork while another thread compiles leaves the child able to compile."""
    script = (
        "import os, sys, threading, warnings\n"
        "warnings.simplefilter('ignore')\n"
        "from lazygrad.engine.cpu import llvm\n"
        f"text = {SQUARE!r}\n"
        "going = True\n"
        "def work():\n    while going: llvm.load(llvm.compiled(text), ['square'], {})\n"
        "thread = threading.Thread(target=work); thread.start()\n"
        "codes = []\n"
        "for _ in range(10):\n"
        "    child = os.fork()\n"
        "    if not child:\n"
        "        llvm.load(llvm.compiled(text), ['square'], {}); os._exit(7)\n"
        "    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
        "going = False; thread.join(); print(codes)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert f"{[7] * 10}\n" == done.stdout
