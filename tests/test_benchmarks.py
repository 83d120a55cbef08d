"""The benchmarks compute what they say; nothing here is timed."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.peers import lazygrad_compile, lazygrad_run, numpy_by_hand  # noqa: E402
from benchmarks.report import PAGE, RESULTS, page  # noqa: E402
from benchmarks.run import Disagreement, agreed, summary  # noqa: E402
from benchmarks.workloads import BATCHES, WORKLOADS  # noqa: E402

# What each file of benchmarks/peers imports beyond NumPy and lazygrad.
OTHERS = {"hips_autograd": "autograd", "pytorch": "torch", "jax": "optax", "pytensor": "pytensor"}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """``python -m arguments`` in the root of the repository."""
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def result(step_us: float, *losses: float) -> dict[str, Any]:
    """What one process might have measured."""
    measured = {"name": "x", "packages": {}, "step_us": step_us, "losses": list(losses)}
    return {**measured, "first_s": 1.0, "import_s": 1.0, "memory_mb": 1.0}


@pytest.mark.parametrize("ours", [lazygrad_run, lazygrad_compile])
@pytest.mark.parametrize("workload", WORKLOADS)
def test_ours_computes_the_losses_of_numpy_by_hand(workload: str, ours: Any) -> None:
    """Every workload, over more steps than there are batches, to float32 rounding."""
    reference, step = (peer.training(WORKLOADS[workload]) for peer in (numpy_by_hand, ours))
    expected = [float(reference(number)) for number in range(BATCHES + 4)]
    actual = [float(step(number)) for number in range(BATCHES + 4)]
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


@pytest.mark.parametrize("peer", OTHERS)
def test_peer_computes_the_losses_of_numpy_by_hand(peer: str) -> None:
    """The command compares it and says so; the smallest workload is enough to run all its lines but the activation."""
    if importlib.util.find_spec(OTHERS[peer]) is None:
        pytest.skip(f"{OTHERS[peer]} is not installed: it is a peer to measure, no dependency")
    done = run("benchmarks.run", "--tiny", "--workload", "linreg", "--peer", peer)
    expected = "linreg: 2 computed the same losses"
    assert expected == done.stdout.strip()[: len(expected)], done.stderr


def test_every_peer_is_compared_in_a_test() -> None:
    """A new file in benchmarks/peers is compared here too."""
    files = {path.stem for path in (ROOT / "benchmarks/peers").glob("*.py")} - {"__init__"}
    assert files == {*OTHERS, "numpy_by_hand", "lazygrad_run", "lazygrad_compile"}


def test_peer_that_is_not_installed_is_left_out_with_the_reason() -> None:
    """The others are compared all the same."""
    program = (
        "import sys; sys.modules['torch'] = None; sys.argv = ['', 'pytorch', 'linreg'];"
        "from benchmarks.measure import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    expected = {"skipped": "torch is not installed"}
    assert expected == json.loads(done.stdout)


def test_another_loss_stops_the_comparison() -> None:
    """Speed is not compared where losses differ by more than the tolerance."""
    with pytest.raises(Disagreement) as raised:
        agreed({"numpy_by_hand": [result(1, 0.5, 0.25)], "jax": [result(1, 0.5, 0.25), result(1, 0.5, 0.2501)]})
    expected = "jax has loss 0.2501 at step 1, numpy_by_hand has 0.25"
    assert expected == str(raised.value)


def test_nan_is_another_loss() -> None:
    """NaN compares false with everything, also with the tolerance."""
    with pytest.raises(Disagreement):
        agreed({"numpy_by_hand": [result(1, 0.5)], "jax": [result(1, float("nan"))]})


def test_ratios_are_taken_within_a_round() -> None:
    """A round in which the machine was slow for all alike changes no ratio."""
    rounds = {
        "numpy_by_hand": [result(10, 0.5), result(100, 0.5), result(10, 0.5)],
        "lazygrad_run": [result(20, 0.5), result(200, 0.5), result(20, 0.5)],
        "jax": [result(5, 0.5), result(50, 0.5), result(5, 0.5)],
    }
    found = summary(rounds)["lazygrad_run"]
    expected = {"to_numpy": 2.0, "to_best_peer": 4.0, "step_us": 20.0}
    assert expected == {key: found[key] for key in expected}


def test_chain_is_run_and_measured(tmp_path: Path) -> None:
    """Short chains; the file then has both, and their ratio."""
    file = tmp_path / "results.json"
    done = run("benchmarks.chain", "--ops", "20", "--rounds", "1", "--json", str(file))
    assert not done.returncode, done.stderr
    assert {"20", "200", "ratio"} == set(json.loads(file.read_text())["chain"])


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


def test_page_of_a_busy_machine_says_so() -> None:
    """Numbers from a machine that did other work meanwhile are not passed off as good ones."""
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    results["settings"]["load"] = 3.0
    assert "The machine was busy, with a load of 3" in page(results)


def test_page_is_what_the_report_makes_of_the_results() -> None:
    """``docs/benchmarks.md`` is not older than the numbers, and not changed by hand."""
    assert page(json.loads(RESULTS.read_text(encoding="utf-8"))) == PAGE.read_text(encoding="utf-8")
