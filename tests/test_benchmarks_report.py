"""What measurements come to: comparisons, medians, ratios, and the page; nothing here is timed."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import process, report, run  # noqa: E402
from benchmarks.process import Failed  # noqa: E402
from benchmarks.report import PAGE, RESULTS, page  # noqa: E402
from benchmarks.summary import Disagreement, agreed, summary  # noqa: E402
from benchmarks.workloads import WORKLOADS  # noqa: E402

TOLERANCE = 1e-4


def result(step_us: float, *losses: float) -> dict[str, Any]:
    """What one process might have measured."""
    found = {"name": "x", "packages": {}, "step_us": step_us, "values": [[[loss]] for loss in losses]}
    return {**found, "first_s": 1.0, "ready_s": 2.0, "import_s": 1.0, "memory_mb": 1.0}


def row(name: str, step_us: float, to_best_peer: float) -> dict[str, Any]:
    """What the rounds of one peer might have come to."""
    times = {"first_cold_s": 0.04, "ready_cold_s": 0.2, "first_warm_s": 0.03, "import_s": 0.1}
    ratios = {"step_us": step_us, "step_us_range": [step_us, step_us], "to_numpy": 0.5, "to_best_peer": to_best_peer}
    return {"name": name, "packages": {"numpy": "2.0"}, "memory_mb": 40.0, **times, **ratios}


@pytest.fixture
def results() -> dict[str, Any]:
    """All that a page may show: one workload whose aim is met, and one whose aim is missed."""
    peers = {"numpy_by_hand": row("NumPy by hand", 20, 2.0), "lazygrad_compile": row("lazygrad compile", 5, 0.5)}
    rows = {**peers, "lazygrad_run": row("lazygrad run", 50, 5.0), "jax": row("JAX jit", 10, 1.0)}
    warm = {"first_warm_s": 0.03, "ready_warm_s": 0.04, "import_s": 0.1, "resident_mb": 100.0}
    first = {"name": "lazygrad compile", "first_cold_s": 0.04, "ready_cold_s": 0.2, **warm}
    chain = {"layers": 10, "peers": {"lazygrad_compile": {**row("lazygrad compile", 9, 1.0), "trace_s": 0.01}}}
    ten = {**chain, "left_out": {"jax": "took longer than 120 s"}, "load": 0.0}
    hundred = {**ten, "layers": 100}
    fit = {"what": "a fit", "ours_s": 2.0, "peer": "SciPy", "theirs_s": 1.0, "aim": 1.3}
    return {
        "machine": {"system": "Linux", "cores": 2, "processor": "some processor", "python": "3.11"},
        "settings": {"rounds": 5, "threads": 2, "load": 0.0},
        "workloads": {"linreg": rows, "sine": rows},
        "left_out": {"linreg": {"pytensor": "took longer than 120 s"}, "sine": {}},
        "first": {"peers": {"lazygrad_compile": first}, "left_out": {}, "rounds": 3, "load": 0.0},
        "layers": {"layers10": ten, "layers100": hundred},
        "chain": {"10": {"total_s": 1.0, "memory_mb": 9.0}, "100": {"total_s": 10.0, "memory_mb": 9.0}, "ratio": 10.0},
        "memory": {"calls": 1000, "growth_mb": 0.0},
        "optimize": {"rows": [fit], "load": 0.0},
        "imports": {"numpy": {"seconds": 0.1}, "lazygrad": {"seconds": 0.2}},
    }


def test_another_value_stops_the_comparison() -> None:
    """Speed is not compared where results differ by more than the tolerance."""
    rounds = {"numpy_by_hand": [result(1, 0.5, 0.25)], "jax": [result(1, 0.5, 0.25), result(1, 0.5, 0.2501)]}
    with pytest.raises(Disagreement) as raised:
        agreed(rounds, TOLERANCE)
    expected = "jax has 0.2501 at step 1, numpy_by_hand has 0.25"
    assert expected == str(raised.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_is_another_value(value: float) -> None:
    """NaN compares false with everything, also with the tolerance."""
    with pytest.raises(Disagreement):
        agreed({"numpy_by_hand": [result(1, 0.5)], "jax": [result(1, value)]}, TOLERANCE)


def test_elements_of_an_array_are_compared_with_its_largest() -> None:
    """An element that is nearly zero, as a difference of large ones, has no more digits than they."""
    rounds = {"numpy_by_hand": [{"values": [[[1.0, 1e-9]]]}], "jax": [{"values": [[[1.0, 2e-9]]]}]}
    assert agreed(rounds, TOLERANCE) == 1e-9


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


def test_peer_of_the_first_round_alone_is_compared_within_it() -> None:
    """It is not known how long its first call takes with a cache."""
    rounds = {"numpy_by_hand": [result(10, 0.5), result(100, 0.5)], "pytorch": [result(50, 0.5)]}
    found = summary(rounds)["pytorch"]
    assert found["to_numpy"] == 5.0
    assert found["first_warm_s"] is None


def test_what_cannot_be_the_best_peer_is_measured_once() -> None:
    """The reference and ours are measured in every round, however slow they are."""
    first = {"jax": 10, "pytensor": 29, "pytorch": 31, "numpy_by_hand": 99, "lazygrad_run": 99, "lazygrad_compile": 99}
    expected = [peer for peer in first if peer != "pytorch"]
    assert expected == run.hopeful({peer: [result(step_us, 0.5)] for peer, step_us in first.items()})


def test_peer_that_fails_is_left_out_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that has no compiler, or takes too long, does not end the measurement of the others."""

    def fresh(module: str, peer: str, *arguments: object, **settings: object) -> Any:
        if peer == "pytorch_compile":
            raise Failed("failed: no compiler")
        return {"skipped": None} if peer == "scikit_learn" else result(1, 0.5)

    monkeypatch.setattr(run, "fresh", fresh)
    rounds, skipped = run.measured("linreg", ["numpy_by_hand", "pytorch_compile", "scikit_learn"], 2, 2)
    assert {"numpy_by_hand": 2} == {peer: len(results) for peer, results in rounds.items()}
    assert {"pytorch_compile": "failed: no compiler"} == skipped


@pytest.mark.parametrize("peer", ["numpy_by_hand", "lazygrad_compile"])
def test_failure_of_the_reference_or_ours_is_raised(monkeypatch: pytest.MonkeyPatch, peer: str) -> None:
    """Without them there is nothing to say."""

    def fresh(*arguments: object, **settings: object) -> Any:
        raise Failed("failed: it does not run")

    monkeypatch.setattr(run, "fresh", fresh)
    with pytest.raises(Failed):
        run.measured("linreg", [peer], 1, 2)


def measured_again(monkeypatch: pytest.MonkeyPatch, file: Path, losses: dict[str, float], *arguments: str) -> int:
    """What ``benchmarks.run`` returns where every peer has measured these losses."""
    rounds = {peer: [result(1, loss)] for peer, loss in losses.items()}
    monkeypatch.setattr(run, "measured", lambda *asked: (rounds, {}))
    monkeypatch.setattr(run, "quiet", lambda: 0.0)
    monkeypatch.setattr(sys, "argv", ["run", "--json", str(file), "--rounds", "7", *arguments])
    return run.main()


def test_workload_measured_again_alone_stands_beside_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page then says the fewest rounds and the largest load of what it shows."""
    file = tmp_path / "results.json"
    file.write_text(json.dumps({"workloads": {"sine": 1}, "settings": {"rounds": 5, "threads": 2, "load": 0.25}}))
    assert measured_again(monkeypatch, file, {"numpy_by_hand": 0.5}, "--workload", "linreg") == 0
    kept = json.loads(file.read_text())
    assert {"linreg", "sine"} == set(kept["workloads"])
    assert {"rounds": 5, "threads": 2, "load": 0.25} == kept["settings"]


def test_all_workloads_measured_again_replace_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing old is left."""
    file = tmp_path / "results.json"
    file.write_text(json.dumps({"workloads": {"gone": 1}, "settings": {"rounds": 5, "threads": 2, "load": 0.25}}))
    assert measured_again(monkeypatch, file, {"numpy_by_hand": 0.5}) == 0
    kept = json.loads(file.read_text())
    assert set(WORKLOADS) == set(kept["workloads"])
    assert {"rounds": 7, "threads": 2, "load": 0.0} == kept["settings"]


def test_disagreement_is_told_and_no_speed_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command fails in the end, and what was measured before does not stay."""
    file = tmp_path / "results.json"
    file.write_text(json.dumps({"workloads": {"linreg": 1}, "left_out": {"linreg": {}}}))
    losses = {"numpy_by_hand": 0.5, "jax": 0.6}
    assert measured_again(monkeypatch, file, losses, "--workload", "linreg") == 1
    expected = "jax has 0.6 at step 0, numpy_by_hand has 0.5"
    assert f"linreg: {expected}" in capsys.readouterr().err
    kept = json.loads(file.read_text())
    assert kept["workloads"] == kept["left_out"] == {}
    assert {"linreg": expected} == kept["disagreements"]


def test_page_tells_a_disagreement(results: dict[str, Any]) -> None:
    """A workload that could not be measured does not vanish."""
    results["disagreements"] = {"elem": "jax has 1 at step 0, numpy_by_hand has 2"}
    lines = page(results).splitlines()
    assert "## elem" in lines
    assert "**Not measured, as not all computed the same**: jax has 1 at step 0, numpy_by_hand has 2." in lines


def test_page_says_which_aims_are_met_and_missed(results: dict[str, Any]) -> None:
    """Half the time of the best peer is enough for ``sine``, and not for ``linreg``."""
    lines = page(results).splitlines()
    assert "| `linreg`: `compile` ≤ 0.35 × the best peer | 0.50 × JAX jit | **missed** |" in lines
    assert "| `sine`: `compile` ≤ 0.65 × the best peer | 0.50 × JAX jit | met |" in lines


def test_page_shows_first_calls_and_chains_of_layers(results: dict[str, Any]) -> None:
    """Each has a table, and its aims stand among the others."""
    lines = page(results).splitlines()
    assert "| **lazygrad compile** | cold | 0.04 | 0.2 | 0.10 | 100 |" in lines
    assert "| 100 | **lazygrad compile** | 0.2 | 2 | 0.1 | 9 | 1 |" in lines
    assert "| `king`: first loss within 50 ms | 40 ms | met |" in lines
    assert "| 100 layers compile in at most 13 × the time of 10 | 1.0 × (2 ms a layer) | met |" in lines


def test_page_says_who_is_left_out_and_why(results: dict[str, Any]) -> None:
    """A best peer that is missing would flatter."""
    lines = page(results).splitlines()
    assert "Left out: `pytensor` took longer than 120 s." in lines
    assert "Left out: 10 layers: `jax` took longer than 120 s." in lines


def test_page_needs_neither_first_calls_nor_layers(results: dict[str, Any]) -> None:
    """What was not measured has no section."""
    del results["first"], results["layers"]
    text = page(results)
    assert "## linreg" in text
    assert "## First call" not in text
    assert "## Chains of layers" not in text


def test_page_has_fits_beside_their_aims(results: dict[str, Any]) -> None:
    """Milliseconds of both, and their ratio."""
    text = page(results)
    assert "| a fit | SciPy | 2e+03 | 1e+03 | 2.00 |" in text
    assert "| a fit ≤ 1.3 × SciPy | 2.00 × | **missed** |" in text


@pytest.mark.parametrize("section", ["settings", "first", "optimize"])
def test_no_page_is_written_of_a_busy_machine(
    results: dict[str, Any], section: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Numbers from a machine that did other work meanwhile are not passed off as good ones: they become no page."""
    kept, to = tmp_path / "results.json", tmp_path / "page.md"
    monkeypatch.setattr(sys, "argv", ["report", str(kept), "--to", str(to)])
    kept.write_text(json.dumps(results))
    report.main()
    assert "Other programs used no more than 0 cores." in to.read_text()
    to.unlink()
    results[section]["load"] = 1.5
    kept.write_text(json.dumps(results))
    with pytest.raises(SystemExit, match=r"other programs used 1\.5 cores .* measure again: python -m benchmarks"):
        report.main()
    assert not to.exists()


def test_a_measurement_waits_for_a_quiet_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """It begins when other programs have ended; if they do not, what they use is kept beside the numbers."""
    used = iter([1.0, 0.8, 0.1, 0.9])
    monkeypatch.setattr(process, "others", lambda: next(used))
    assert process.quiet() == 0.1
    assert process.quiet(limit=0) == 0.9
    assert 0 <= process._busy() <= process._busy()


def test_page_is_what_the_report_makes_of_the_results() -> None:
    """``docs/benchmarks.md`` is not older than the numbers, and not changed by hand."""
    assert page(json.loads(RESULTS.read_text(encoding="utf-8"))) == PAGE.read_text(encoding="utf-8")
