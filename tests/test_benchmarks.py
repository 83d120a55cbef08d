"""The benchmarks compute what they say; nothing here is timed."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import conventions  # noqa: E402
from benchmarks.kernels import Code, told  # noqa: E402
from benchmarks.measure import SAMPLE, measured, observed  # noqa: E402
from benchmarks.peers import load  # noqa: E402
from benchmarks.process import Failed, fresh  # noqa: E402
from benchmarks.summary import agreed  # noqa: E402
from benchmarks.workloads import CHAINS, WORKLOADS  # noqa: E402

PEERS = ROOT / "benchmarks/peers"
OURS = ("lazygrad_run", "lazygrad_compile")
# What each folder of benchmarks/peers imports beyond NumPy and lazygrad; torch.compile uses the programs of PyTorch.
NEEDED = {"hips_autograd": "autograd", "jax": "optax", "pytensor": "pytensor", "pytorch": "torch"}
NEEDED |= {"pytorch_compile": "torch", "scikit_learn": "sklearn"}
FAMILIES = {workload.family: workload for workload in reversed(WORKLOADS.values())}  # the first of each
PROGRAMS = [(peer, family) for peer in NEEDED for family in FAMILIES if (PEERS / peer / f"{family}.py").exists()]
PROGRAMS.append(("pytorch_compile", "dense"))


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """``python -m arguments`` in the root of the repository."""
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("ours", OURS)
@pytest.mark.parametrize("name", WORKLOADS)
def test_ours_computes_what_numpy_by_hand_does(name: str, ours: str) -> None:
    """Every workload at its tiny size, over its steps, to the tolerance that is asked of all peers."""
    workload = WORKLOADS[name].tiny()
    values = {}
    for peer in ("numpy_by_hand", ours):
        _, training = load(peer, workload.family)
        step = training(workload)
        first = observed(step(0))
        getattr(step, "wait", lambda: None)()  # so that the later steps are those that are timed
        values[peer] = [{"values": [first, *(observed(step(number)) for number in range(1, workload.check))]}]
    assert agreed(values, workload.tolerance) <= workload.tolerance


@pytest.mark.slow
@pytest.mark.parametrize(("peer", "family"), PROGRAMS)
def test_peer_computes_what_numpy_by_hand_does(peer: str, family: str) -> None:
    """The command compares it and says so, once for every file of a peer."""
    if importlib.util.find_spec(NEEDED[peer]) is None:
        pytest.skip(f"{NEEDED[peer]} is not installed: it is a peer to measure, no dependency")
    name = FAMILIES[family].name
    done = run("benchmarks.run", "--tiny", "--workload", name, "--peer", peer)
    expected = f"{name}: 2 computed the same"
    assert expected == done.stdout.strip()[: len(expected)], done.stderr


def test_every_peer_is_compared_in_a_test() -> None:
    """A new folder or file in benchmarks/peers is compared here too."""
    found = {path.stem for path in PEERS.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert {*NEEDED, *OURS, "numpy_by_hand"} == found - {"__init__"}


@pytest.mark.parametrize("peer", ["numpy_by_hand", "lazygrad_run"])
def test_reference_and_ours_have_a_program_for_every_family(peer: str) -> None:
    """What nothing can be compared with is not measured, nor is what is not ours."""
    assert set(FAMILIES) <= {path.stem for path in (PEERS / peer).glob("*.py")}


@pytest.mark.parametrize("name", [*WORKLOADS, *CHAINS])
def test_same_numbers_are_drawn_every_time(name: str) -> None:
    """Every process must have them; the tiny size stands for the full one."""
    workload = (WORKLOADS | CHAINS)[name].tiny()
    first, second = workload.numbers(), workload.numbers()
    for one, other in zip(first[0], second[0], strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(first[1], second[1], strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_peer_that_is_not_installed_is_left_out_with_the_reason() -> None:
    """The others are compared all the same."""
    program = (
        "import sys; sys.modules['torch'] = None; sys.argv = ['', 'pytorch', 'linreg'];"
        "from benchmarks.measure import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    expected = {"skipped": "torch is not installed"}
    assert expected == json.loads(done.stdout)


def test_peer_without_a_program_is_left_out_without_a_reason() -> None:
    """scikit-learn trains no networks of this kind, which is no news."""
    expected = {"skipped": None}
    assert expected == measured("scikit_learn", "linreg", steps=1, stretches=0, tiny=True)


def test_steps_are_made_and_timed() -> None:
    """One process measures all that the tables show, and says what the first steps computed."""
    found = measured("numpy_by_hand", "linreg", steps=3, stretches=1, tiny=True)
    assert len(found["values"]) == 3
    assert all(found[key] > 0 for key in ("import_s", "first_s", "ready_s", "resident_mb", "memory_mb", "step_us"))
    assert found["ready_s"] >= found["first_s"]


def test_difference_anywhere_in_a_large_array_is_seen() -> None:
    """Only a sample of its numbers is compared, but also its norm."""
    array = np.zeros(100 * SAMPLE, np.float32)
    changed = array.copy()
    changed[1] = 1  # which is not in the sample
    (before,), (after,) = observed(array), observed(changed)
    assert before[:-1] == after[:-1]
    assert before[-1] != after[-1]


def test_none_in_a_result_is_no_array() -> None:
    """The value of an update is not there."""
    expected = [[1.5], [2.0, 3.0]]
    assert expected == observed((np.float32(1.5), None, (np.array([2.0, 3.0]),)))


def test_process_that_takes_too_long_is_ended() -> None:
    """A peer that compiles for minutes does not hold up the others."""
    with pytest.raises(Failed) as raised:
        fresh("benchmarks.memory", limit=0.01)
    assert str(raised.value) == "took longer than 0.01 s"


def test_process_that_fails_says_its_last_line() -> None:
    """The whole of what it said is a note."""
    with pytest.raises(Failed) as raised:
        fresh("benchmarks.measure", "jax")
    expected = "failed: measure.py: error: the following arguments are required: workload"
    assert expected == str(raised.value)
    assert "usage: measure.py" in raised.value.__notes__[0]


def test_chain_is_run_and_measured(tmp_path: Path) -> None:
    """Short chains; the file then has both, and their ratio."""
    file = tmp_path / "results.json"
    done = run("benchmarks.chain", "--ops", "20", "--rounds", "1", "--json", str(file))
    assert not done.returncode, done.stderr
    assert {"20", "200", "ratio"} == set(json.loads(file.read_text())["chain"])


@pytest.mark.slow
def test_sums_of_many_terms_are_compiled_and_measured(tmp_path: Path) -> None:
    """Short ones; JAX is left out where it is not installed."""
    file = tmp_path / "results.json"
    few = ("--function", "sin", "--terms", "2", "--terms", "4", "--rounds", "1")
    done = run("benchmarks.terms", *few, "--json", str(file))
    assert not done.returncode, done.stderr
    ours = json.loads(file.read_text())["terms"]["sin"]["lazygrad"]
    assert [2, 4] == [row["terms"] for row in ours]
    assert all(row["compile_s"] > 0 for row in ours)


@pytest.mark.slow
def test_layers_are_compiled_and_measured(tmp_path: Path) -> None:
    """The shortest chain; JAX is left out where it is not installed."""
    file = tmp_path / "results.json"
    done = run("benchmarks.layers", "--tiny", "--chain", "layers10", "--rounds", "1", "--json", str(file))
    assert not done.returncode, done.stderr
    found = json.loads(file.read_text())["layers"]["layers10"]
    assert found["layers"] == 10
    ours = found["peers"]["lazygrad_compile"]
    assert ours["ready_cold_s"] > ours["trace_s"] > 0


@pytest.mark.slow
def test_first_calls_are_measured_with_an_empty_and_a_full_cache(tmp_path: Path) -> None:
    """Ours alone, at the tiny size."""
    file = tmp_path / "results.json"
    done = run("benchmarks.first", "--tiny", "--peer", "lazygrad_compile", "--rounds", "1", "--json", str(file))
    assert not done.returncode, done.stderr
    ours = json.loads(file.read_text())["first"]["peers"]["lazygrad_compile"]
    keys = ("import_s", "resident_mb", "first_cold_s", "ready_cold_s", "first_warm_s", "ready_warm_s")
    assert all(ours[key] > 0 for key in keys)


def test_memory_is_measured_after_the_first_calls_and_at_the_end(tmp_path: Path) -> None:
    """A few calls; what is kept goes beside what the file has already."""
    file = tmp_path / "results.json"
    file.write_text('{"chain": 1}')
    done = run("benchmarks.memory", "--calls", "20", "--json", str(file))
    assert not done.returncode, done.stderr
    kept = json.loads(file.read_text())
    assert {"chain", "machine", "memory"} == set(kept)
    assert kept["memory"]["at_end_mb"] >= kept["memory"]["after_first_mb"] > 0


def test_imports_are_measured() -> None:
    """Both packages, each in its own process."""
    done = run("benchmarks.imports", "--rounds", "1")
    expected = ["import numpy", "import lazygrad"]
    assert expected == [line[:15].strip() for line in done.stdout.splitlines()[:2]], done.stderr


def test_sorting_is_measured() -> None:
    """Beside NumPy, of what is small enough."""
    done = run("benchmarks.sorting", "--seconds", "0.01", "--most", "64")
    assert not done.returncode, done.stderr
    assert [f"{name} of 64 int64" for name in ("argsort", "sort", "median")] == [
        line[:36].strip() for line in done.stdout.splitlines() if " of 64 int64" in line
    ]


def test_every_question_of_the_numerics_page_has_an_answer_of_ours() -> None:
    """None is refused, and where NumPy has words for it too it answers."""
    for how, what, arrays, ours, numpy, _, _ in conventions.QUESTIONS:
        assert "refused" not in conventions.answer(conventions.Lazygrad(), how, ours, arrays), what
        assert "refused" not in conventions.answer(conventions.Numpy(), how, numpy, arrays), what


def test_a_kernel_that_became_another_is_shown_with_the_lines_that_differ(capsys: pytest.CaptureFixture[str]) -> None:
    """Equal texts are one line; of other ones the program is named and the difference printed."""
    before = Code({"one": ["a", "b"], "two": ["b"]}, {"a": "table", "b": "add x\nret"})
    after = Code({"one": ["a", "c"], "two": ["b"]}, {"a": "table", "b": "add x\nret", "c": "mul x\nret"})
    assert told(before, before) == 0
    assert capsys.readouterr().out.endswith("equal, text for text\n")
    assert told(before, after) == 1
    shown = capsys.readouterr().out
    assert "1 programs differ: one\n" in shown
    assert "-add x\n+mul x\n" in shown


@pytest.mark.slow
def test_this_checkout_writes_the_code_that_it_writes(tmp_path: Path) -> None:
    """The command writes the code of programs of several kinds, and finds it equal the next time."""
    chosen = ["--name=tiny linreg", "--name=exact 1", "--name=smooth 1", "--seeds=2", "--width=8"]
    kept = tmp_path / "code.json"
    assert "8 programs" in run("benchmarks.kernels", "--write", str(kept), *chosen).stdout
    compared = run("benchmarks.kernels", str(kept), *chosen)
    assert compared.stdout.endswith("equal, text for text\n"), compared.stderr


@pytest.mark.slow
@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="there are no other commits to compare with")
def test_this_checkout_can_be_compared_with_another_commit() -> None:
    """The command compares with what the last commit writes."""
    compared = run("benchmarks.kernels", "HEAD", "--name=tiny linreg", "--width=8")
    assert "programs, " in compared.stdout, compared.stderr


@pytest.mark.slow
def test_growth_of_loops_is_run_and_measured(tmp_path: Path) -> None:
    """Few turns; the file then has times, writing and memory."""
    file = tmp_path / "results.json"
    done = run("benchmarks.scans", "--tiny", "--json", str(file))
    assert not done.returncode, done.stderr
    found = json.loads(file.read_text())["scans"]
    assert {"rk4", "kalman", "leaves"} == found["times"].keys()
    assert {"kept", "checkpoint"} == found["memory"].keys()
    assert all(seconds > 0 for seconds in found["writing"].values())
