"""The examples do what they say, in every mode, and say clearly what is wrong with what they were given."""

from __future__ import annotations

import importlib
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import lazygrad as lg

EXAMPLES = Path(__file__).parents[1] / "examples"
NAMES = ["linear_regression", "sine_mlp"]  # those that stand on their own; tests/examples has the others
ALL = sorted(path for path in EXAMPLES.rglob("*.py") if "__main__" in path.read_text(encoding="utf-8"))
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Any]]:
    """A function that imports an example, with an empty working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(EXAMPLES))
    yield importlib.import_module
    for path in EXAMPLES.rglob("*.py"):
        sys.modules.pop(path.stem, None)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A function that runs an example as a program of its own, in an empty working folder."""

    def started(name: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py"), *arguments],
            cwd=tmp_path,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return started


@pytest.mark.parametrize("name", NAMES)
def test_run_and_compile_end_with_the_same_loss(name: str, examples: Callable[[str], Any]) -> None:
    """The mode changes how a step is run, and nothing else; float32 keeps about seven digits."""
    losses = [examples(name).main(["--quick", "--mode", mode]) for mode in ("run", "compile")]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_another_seed_gives_other_numbers(name: str, examples: Callable[[str], Any]) -> None:
    """The seed reaches both the data and the environment."""
    losses = [examples(name).main(["--quick", "--seed", seed]) for seed in ("1", "1", "2")]
    assert losses[0] == losses[1]
    assert losses[0] != losses[2]


@pytest.mark.parametrize("name", NAMES)
def test_nothing_but_results_is_printed_where_there_is_no_terminal(name: str, run: Run) -> None:
    """A program whose output is read by another shows no progress bar, and no warning."""
    finished = run(name, "--quick")
    assert finished.stderr == ""
    assert finished.returncode == 0


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_every_example_has_the_same_options_and_says_how_it_is_run(
    path: Path, examples: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """--help is the docstring, with a command line that works from the repository, and the options."""
    monkeypatch.syspath_prepend(str(path.parent))
    with pytest.raises(SystemExit) as exit_:
        examples(path.stem).main(["--help"])
    assert exit_.value.code == 0
    shown = capsys.readouterr().out
    command = f"python examples/{path.relative_to(EXAMPLES).as_posix()}"
    assert [] == [word for word in ("--quick", "--data", "--backend", "--seed", "--mode", command) if word not in shown]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seed", "-1"], "a seed is a whole number that is not negative, not '-1'"),
        (["--seed", "x"], "a seed is a whole number that is not negative, not 'x'"),
        (["--mode", "fast"], "argument --mode: invalid choice: 'fast'"),
        (["--backend", "torch"], "argument --backend: invalid choice: 'torch'"),
        (["--fast"], "unrecognized arguments: --fast"),
    ],
)
@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_argument_is_explained(
    name: str, arguments: list[str], message: str, examples: Callable[[str], Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """What cannot be understood ends the program before it begins, with argparse's exit code."""
    with pytest.raises(SystemExit) as exit_:
        examples(name).main(["--quick", *arguments])
    assert exit_.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(("name", "option"), [("linear_regression", "--graph"), ("sine_mlp", "--plot")])
@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("picture.txt", "the name of a picture ends in .png or .svg or .pdf, not as 'picture.txt'"),
        ("missing/picture.png", "there is no folder 'missing'"),
    ],
)
def test_a_picture_that_cannot_be_drawn_is_refused_before_the_training(
    name: str,
    option: str,
    path: str,
    message: str,
    examples: Callable[[str], Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A user who waited for the training does not learn then that the picture has nowhere to go."""
    with pytest.raises(SystemExit):
        examples(name).main(["--quick", option, path])
    assert message in capsys.readouterr().err


@pytest.mark.thinned(5)
@pytest.mark.parametrize("seed", range(10))
def test_the_linear_regression_finds_the_line(seed: int, examples: Callable[[str], Any]) -> None:
    """After 1,000 epochs w and b are within 0.05 of the line's 2.5 and −1, whatever the seed."""
    examples("linear_regression").main(["--seed", str(seed), "--output", "line.json"])
    env = lg.VariableEnvironment.load("line.json")
    assert env["w"].item() == pytest.approx(2.5, abs=0.05)
    assert env["b"].item() == pytest.approx(-1.0, abs=0.05)


def test_the_linear_regression_prints_the_mean_loss_every_100_epochs(run: Run) -> None:
    """The lines that a user waits for have the form of the program that this one retraces."""
    lines = run("linear_regression").stdout.splitlines()
    beginnings = [line.rpartition(" ")[0] for line in lines if line.startswith("Mean Loss")]
    assert beginnings == [f"Mean Loss (epoch {epoch}):" for epoch in range(100, 1001, 100)]


def test_the_linear_regression_saves_its_variables_in_results_json(run: Run, tmp_path: Path) -> None:
    """Without --output the file is results.json, and a person finds w and b in it."""
    run("linear_regression", "--quick")
    content = json.loads((tmp_path / "results.json").read_text())
    assert {"w", "b"} < {variable["name"] for variable in content["variables"]}


def test_a_file_that_cannot_be_written_is_one_message(run: Run) -> None:
    """The engine's SaveError is shown without a traceback, and the exit code is 1."""
    finished = run("linear_regression", "--quick", "--output", "missing/results.json")
    assert finished.returncode == 1
    assert "Traceback" not in finished.stderr
    assert finished.stderr.startswith("SaveError: cannot save to 'missing/results.json'\n")


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    """An example whose output nobody reads to the end, as in `example.py | head -1`, ends without a message."""
    command = shlex.join([sys.executable, "-u", str(EXAMPLES / "linear_regression.py"), "--quick"]) + " | true"
    finished = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert finished.stderr == ""


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz's program dot is not installed")
def test_the_linear_regression_draws_its_step(run: Run, tmp_path: Path) -> None:
    """--graph writes a picture in which the variables are named."""
    finished = run("linear_regression", "--quick", "--graph", "step.svg")
    assert "Drew the training step in step.svg\n" in finished.stdout
    drawn = (tmp_path / "step.svg").read_text()
    assert ">w<" in drawn
    assert ">adam<" in drawn


def test_without_graphviz_the_picture_is_one_message(run: Run, tmp_path: Path) -> None:
    """The message says how to install it, and the graph is written as text all the same."""
    finished = run("linear_regression", "--quick", "--graph", "step.svg", PATH=str(tmp_path))
    assert finished.returncode == 1
    assert "Traceback" not in finished.stderr
    assert finished.stderr.startswith("BackendError: cannot draw 'step.svg'")
    assert "digraph" in (tmp_path / "step.dot").read_text()


def test_the_sine_network_learns_the_sine(examples: Callable[[str], Any]) -> None:
    """The error comes near the variance of the noise, 0.01; a network that predicts 0 has 0.5."""
    loss = examples("sine_mlp").main(["--mode", "compile"])
    assert loss < 0.012


def test_the_sine_network_draws_its_fit(examples: Callable[[str], Any], tmp_path: Path) -> None:
    """--plot writes a picture, of the format that its name says."""
    examples("sine_mlp").main(["--quick", "--plot", "fit.png"])
    assert (tmp_path / "fit.png").read_bytes().startswith(b"\x89PNG")


def test_matplotlib_is_imported_only_for_a_picture() -> None:
    """Whoever wants no picture needs no matplotlib."""
    program = f"import sys; sys.path.insert(0, {str(EXAMPLES)!r}); import sine_mlp; print('matplotlib' in sys.modules)"
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert finished.stdout == "False\n"
