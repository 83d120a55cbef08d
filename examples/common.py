"""What the examples share: their options, their progress bar, and how they end when something fails."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

import lazygrad as lg

PICTURES = (".png", ".svg", ".pdf")


def options(description: str | None) -> argparse.ArgumentParser:
    """A parser with the options that every example has; ``description`` is the example's docstring."""
    parser = argparse.ArgumentParser(
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--quick", action="store_true", help="a short run that shows that everything works")
    parser.add_argument("--backend", choices=["numpy", "cupy"], default="numpy", help="where to compute")
    parser.add_argument("--seed", type=seed, default=0, metavar="N", help="the same seed gives the same numbers")
    parser.add_argument("--mode", choices=["run", "compile"], default="run", help="env.run or env.compile")
    return parser


def seed(text: str) -> int:
    """A whole number that is not negative."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"a seed is a whole number that is not negative, not {text!r}")
    return int(text)


def picture(text: str) -> Path:
    """A file for a picture. A name that cannot be one is found before the training, not after it."""
    path = Path(text)
    if path.suffix not in PICTURES:
        raise argparse.ArgumentTypeError(f"the name of a picture ends in {' or '.join(PICTURES)}, not as {text!r}")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {str(path.parent)!r}")
    return path


def runner(env: lg.VariableEnvironment, step: Callable[..., Any], mode: str) -> Callable[..., Any]:
    """The step as a function of its arrays: traced at each call, or compiled at the first."""
    return env.compile(step) if mode == "compile" else partial(env.run, step)


def progress(steps: int) -> Any:
    """The numbers from 1 to ``steps``, with a bar if they take more than two seconds on a terminal."""
    return tqdm(range(1, steps + 1), disable=None, delay=2, leave=False, unit="step")


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
