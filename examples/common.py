"""What the examples share: their options, their results, their progress bar, and how they end when something fails."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

import lazygrad as lg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PICTURES = (".png", ".svg", ".pdf")


def options(
    description: str | None, reads: str = "this example reads none", mode: str = "run", save: bool = True
) -> argparse.ArgumentParser:
    """A parser with the options that every example has.

    Args:
        description: the example's docstring.
        reads: what it reads in the folder of data files, for the help.
        mode: how steps are run if the user does not say it.
        save: whether the example keeps results in a folder.
    """
    parser = argparse.ArgumentParser(
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--quick", action="store_true", help="a short run that shows that everything works")
    parser.add_argument("--data", type=folder, metavar="DIR", help=f"folder of data files; {reads}")
    parser.add_argument("--backend", choices=["numpy", "cupy"], default="numpy", help="where to compute")
    parser.add_argument("--seed", type=seed, default=0, metavar="N", help="the same seed gives the same numbers")
    parser.add_argument("--mode", choices=["run", "compile"], default=mode, help="env.run or env.compile")
    if save:
        parser.add_argument("--save", type=Path, default=Path("results"), metavar="DIR", help="folder for the results")
    return parser


def seed(text: str) -> int:
    """A whole number that is not negative."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"a seed is a whole number that is not negative, not {text!r}")
    return int(text)


def folder(text: str) -> Path:
    """A folder that exists."""
    path = Path(text)
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {text!r}")
    return path


def picture(text: str) -> Path:
    """A file for a picture. A name that cannot be one is found before the training, not after it."""
    path = Path(text)
    if path.suffix not in PICTURES:
        raise argparse.ArgumentTypeError(f"the name of a picture ends in {' or '.join(PICTURES)}, not as {text!r}")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {str(path.parent)!r}")
    return path


def runner(env: lg.VariableEnvironment, step: Callable[..., Any], mode: str) -> Callable[..., Any]:
    """The step as a function of its arrays, which gives NumPy's: traced at each call, or compiled at the first."""
    run = env.compile(step) if mode == "compile" else partial(env.run, step)
    return lambda *arrays: lg.to_numpy(run(*arrays))


def progress(steps: int, unit: str = "step") -> Any:
    """The numbers from 1 to ``steps``, with a bar if they take more than two seconds on a terminal."""
    return tqdm(range(1, steps + 1), disable=None, delay=2, leave=False, unit=unit)


class Results:
    """What one run of an example found: numbers, tables and figures, printed and kept in a folder.

    ``name`` is the example's path beside this file, without ``.py``. A number whose name speaks of seconds is a
    time, and differs from run to run.
    """

    def __init__(self, name: str, given: argparse.Namespace) -> None:
        self.name = name
        self._stem = name.replace("/", "_")
        self.folder = given.save
        self.command = _command(name, given)
        self.numbers: dict[str, float] = {}
        self.tables: list[dict[str, Any]] = []
        self._figures: list[tuple[str, str, Figure]] = []
        self._started = time.perf_counter()
        self.folder.mkdir(parents=True, exist_ok=True)  # a folder that cannot be made is found before the training

    def number(self, name: str, value: Any) -> None:
        """Print and keep a number."""
        self.numbers[name] = float(value)
        print(f"{name}: {shown(float(value))}", flush=True)

    def table(self, title: str, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Print and keep a table; the first column is text or numbers, as it is given."""
        texts = [[cell if isinstance(cell, str) else shown(cell) for cell in row] for row in rows]
        self.tables.append({"title": title, "header": list(header), "rows": texts})
        widths = [max(len(row[i]) for row in [list(header), *texts]) for i in range(len(header))]
        print(f"\n{title}")
        for row in [list(header), *texts]:
            print("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
        print(flush=True)

    def figure(self, name: str, caption: str, size: tuple[float, float] = (7, 4)) -> Figure:
        """An empty figure, which :meth:`write` saves as ``EXAMPLE_NAME.png``."""
        # Only a figure needs matplotlib. One made without pyplot opens no window and needs no screen.
        from matplotlib.figure import Figure

        figure = Figure(figsize=size, layout="constrained")
        self._figures.append((f"{self._stem}_{name}.png", caption, figure))
        return figure

    def write(self) -> dict[str, float]:
        """Write the figures and a JSON file of the rest; the numbers."""
        for file, _, figure in self._figures:
            for axes in figure.axes:
                axes.spines[["top", "right"]].set_visible(False)
            figure.savefig(self.folder / file, dpi=110)
        content = {
            "example": self.name,
            "command": self.command,
            **about_the_machine(),
            "seconds": round(time.perf_counter() - self._started, 1),
            "numbers": self.numbers,
            "tables": self.tables,
            "figures": [{"file": file, "caption": caption} for file, caption, _ in self._figures],
        }
        path = self.folder / f"{self._stem}.json"
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"Kept the results in {path}" + "".join(f", {file}" for file, _, _ in self._figures))
        return self.numbers


def about_the_machine() -> dict[str, Any]:
    """What times depend on."""
    return {"python": platform.python_version(), "numpy": np.__version__, "cores": os.cpu_count()}


def shown(value: Any) -> str:
    """A number with four significant digits, a whole number with all of them, text as it is."""
    if isinstance(value, (str, int, np.integer)):
        return str(value)
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _command(name: str, given: argparse.Namespace) -> str:
    """How to repeat the run. Where the data lie is the user's own affair."""
    words = [f"python examples/{name}.py"]
    for key, value in vars(given).items():
        if key == "data" and value:
            words.append("--data DIR")
        elif value is True:
            words.append(f"--{key}")
        elif key == "mode" or (value and value != "numpy" and key not in ("save", "data")):
            words.append(f"--{key} {value}")
    return " ".join(words)


def start(main: Callable[[], object]) -> None:
    """Run an example. What goes wrong is shown as one message, and the exit code is then 1."""
    try:
        main()
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read the output has gone, as `head` does; there is no one to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (lg.LazygradError, OSError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
