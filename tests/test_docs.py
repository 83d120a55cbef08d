"""Every program in the README and in docs/ runs, and prints what stands below it.

The rules a page follows:

- A ``python`` block is run. Blocks of one page with the same ``title="file.py"`` are one file, and so one
  namespace; those without a title are one file too. They run in order, in a folder of their own.
- A ``text`` block right after it is what it prints, or the exception that it raises. Without one it prints
  what it likes, but raises nothing.
- A ``text`` block with the title of an example is what that example prints.
- A ``json`` block with a title is the file of that name, which a program before it wrote.

``python tests/test_docs.py`` writes what the programs print now into the pages; read the difference before you keep it.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import itertools
import linecache
import math
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import lazygrad as lg

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
SLOW = (
    "autoencoder.md",
    "choose-settings.md",
    "searches.md",
)  # they train for seconds, or start processes: .ci/run runs them
LINKS = ("export-c.md",)  # they make libraries
FENCE = re.compile(r"^(```+)([a-z]*)([^\n]*)\n(.*?)^\1$", re.MULTILINE | re.DOTALL)
DECIMAL = re.compile(r"-?\d+\.\d*(?:e[-+]?\d+)?|-?\d+e[-+]?\d+")
NAME = re.compile(r"`lg((?:\.[A-Za-z_]\w*)+)")


class Block(NamedTuple):
    """A fenced block: its line, where its text starts in the page, how it is marked, and its text."""

    line: int
    start: int
    language: str
    title: str
    text: str


def blocks_of(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    source = page.read_text(encoding="utf-8")
    found = []
    for match in FENCE.finditer(source):
        title = re.search(r'title="([^"]*)"', match[3])
        line = source.count("\n", 0, match.start()) + 1
        found.append(Block(line, match.start(4), match[2], title[1] if title else "", match[4]))
    return found


def printed_by(code: str, filename: str, first_line: int, namespace: dict[str, object]) -> tuple[str, bool]:
    """What a program prints, with the last lines of its traceback if it raises; and whether it raised."""
    output = io.StringIO()
    program = compile("\n" * first_line + code, filename, "exec")
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        try:
            exec(program, namespace)
        except Exception as error:
            notes = "".join(f"\n{note}" for note in getattr(error, "__notes__", ()))
            return f"{output.getvalue()}{type(error).__name__}: {error}{notes}", True
    return output.getvalue(), False


def assert_same_text(expected: str, actual: str, where: str) -> None:
    """Equal, save that decimals may differ by a thousandth: processors round and add in their own ways."""
    shown, printed = ([line.rstrip() for line in text.rstrip().splitlines()] for text in (expected, actual))
    skeletons = [[" ".join(DECIMAL.sub("#", line).split()) for line in lines] for lines in (shown, printed)]
    assert skeletons[0] == skeletons[1], f"{where} must be\n{actual}"
    for one, other in zip(shown, printed, strict=True):
        for a, b in zip(DECIMAL.findall(one), DECIMAL.findall(other), strict=True):
            assert math.isclose(float(a), float(b), rel_tol=1e-3, abs_tol=1e-6), f"{where} must be\n{actual}"


def example_output(path: str, arguments: list[str]) -> str:
    """What an example prints."""
    module = importlib.import_module(Path(path).stem)
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        module.main(arguments)
    return output.getvalue()


def pairs_of(page: Path) -> Iterator[tuple[Block, str]]:
    """Run a page by the rules above, in the current folder: every block that shows something, with what it must be."""
    lines: dict[str, list[str]] = {}
    namespaces: dict[str, dict[str, object]] = {}
    blocks = blocks_of(page)
    for block, after in itertools.zip_longest(blocks, blocks[1:]):
        if block.language == "python":
            filename = block.title or "example.py"
            before = lines.setdefault(filename, [])
            namespace = namespaces.setdefault(filename, {"__name__": "__main__"})
            first_line = len(before)
            before += block.text.splitlines(keepends=True)
            linecache.cache[filename] = (1, None, before, filename)
            printed, raised = printed_by(block.text, filename, first_line, namespace)
            if after is not None and after.language == "text" and not after.title:
                yield after, printed
            else:
                assert not raised, f"{page.name}:{block.line} raises\n{printed}"
        elif block.language == "text" and block.title:
            path, *arguments = block.title.split()
            yield block, example_output(path, arguments)
        elif block.language == "json" and block.title:
            yield block, Path(block.title).read_text(encoding="utf-8")


def run_page(page: Path) -> None:
    """Compare what a page shows with what it must show."""
    for block, actual in pairs_of(page):
        assert_same_text(block.text, actual, f"{page.name}:{block.line}")


def rewritten(page: Path) -> str:
    """The page with what its programs print now."""
    source = page.read_text(encoding="utf-8")
    for block, actual in reversed(list(pairs_of(page))):
        lines = "".join(f"{line.rstrip()}\n" for line in actual.rstrip().splitlines())
        source = source[: block.start] + lines + source[block.start + len(block.text) :]
    return source


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working folder, from which the examples can be imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    yield tmp_path
    for name in [name for name, module in list(sys.modules.items()) if str(ROOT / "examples") in str(module)]:
        del sys.modules[name]
    for filename in [name for name in linecache.cache if "/" not in name]:
        del linecache.cache[filename]


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=pytest.mark.slow) if page.name in SLOW else page for page in PAGES],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_every_program_of_a_page_prints_what_the_page_shows(page: Path, folder: Path) -> None:
    """A reader who copies a program gets what the page says."""
    if page.name in LINKS and not any(map(shutil.which, ("cc", "gcc", "clang"))):
        pytest.skip("there is no C compiler")
    run_page(page)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_name_that_a_page_mentions_exists(page: Path) -> None:
    """`lg.linalg.solve` in a text is a name that can be typed."""
    for path in NAME.findall(page.read_text(encoding="utf-8")):
        found = lg
        for name in path.split(".")[1:]:
            assert hasattr(found, name), f"{page.name} mentions lg{path}"
            found = getattr(found, name)


def test_a_page_whose_program_prints_something_else_is_found(folder: Path) -> None:
    """The check itself: wrong words, a wrong number, and an exception that is not shown all fail."""
    page = folder / "page.md"
    for program in (
        "```python\nprint('two words')\n```\n\n```text\nother words\n```\n",
        "```python\nprint(0.5)\n```\n\n```text\n0.51\n```\n",
        "```python\nprint(1)\n```\n\n```text\n2\n```\n",
        "```python\n1 / 0\n```\n",
    ):
        page.write_text(program)
        with pytest.raises(AssertionError):
            run_page(page)


def test_the_readme_has_exactly_two_set_up_commands() -> None:
    """One shell block runs the linear regression, one the tests, each in one line; there is no third."""
    shell = [block for block in blocks_of(ROOT / "README.md") if block.language in ("sh", "bash", "shell", "console")]
    commands = [block.text.strip() for block in shell]
    assert [len(command.splitlines()) for command in commands] == [1, 1]
    assert "linear_regression.py" in commands[0]
    assert "pytest" in commands[1]
    for command in commands:
        assert command.startswith("python3 -m venv .venv && ")


def test_the_program_of_the_readme_has_25_lines() -> None:
    """The first program is short enough to be read at once."""
    first = next(block for block in blocks_of(ROOT / "README.md") if block.language == "python")
    assert len(first.text.splitlines()) == 25


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "examples"))
    for page in PAGES:
        with tempfile.TemporaryDirectory() as empty, contextlib.chdir(empty):
            page.write_text(rewritten(page), encoding="utf-8")
