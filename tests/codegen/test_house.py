"""Native code is easy to live in: short files, short functions, small classes, and the lanes named in one place."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lazygrad
from lazygrad.engine.lanes.arithmetic import Lanes

HOME = Path(lazygrad.__file__).parent / "engine"
FILES = sorted(HOME.rglob("*.py"))
LINES, STATEMENTS, METHODS = 400, 40, 25
NAMESPACES = {"Scalars"}  # the functions of ``xp``, one a method


def length(node: Any) -> int:
    """Lines of a function but for its docstring."""
    said = node.body[0].end_lineno - node.body[0].lineno + 1 if ast.get_docstring(node) else 0
    return node.end_lineno - node.lineno + 1 - said  # type: ignore[no-any-return]


def methods(node: ast.ClassDef) -> list[str]:
    """Its methods, but for those that are operators of Python."""
    return [n.name for n in node.body if isinstance(n, ast.FunctionDef) and not n.name.startswith("__")]


def nodes(kind: Any) -> Iterator[tuple[str, Any]]:
    """All of a kind, with their files."""
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, kind):
                yield path.name, node


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(HOME)))
def test_a_file_is_short(path: Path) -> None:
    """What passes 400 lines is asking to be two."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LINES


def test_functions_are_short() -> None:
    """40 lines at most; the docstring is not counted."""
    assert [] == [(f, n.name, length(n)) for f, n in nodes(ast.FunctionDef) if length(n) > STATEMENTS]


def test_classes_are_small() -> None:
    """25 methods at most, but for the namespace of scalars."""
    found = [(f, n.name, len(methods(n))) for f, n in nodes(ast.ClassDef) if n.name not in NAMESPACES]
    assert [] == [each for each in found if each[2] > METHODS]


def test_a_class_has_a_name_of_its_own_in_the_back_half() -> None:
    """One word a thing: a name that stands for two things makes a reader guess. Tables of functions are not counted."""
    rooms = ("define", "derivative", "engine", "files", "graph", "rewrite", "step", "store")
    paths = [path for room in rooms for path in (HOME.parent / room).rglob("*.py") if path.parent.name != "functions"]
    found: dict[str, list[str]] = {}
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                found.setdefault(node.name.lstrip("_"), []).append(path.name)
    assert {} == {name: where for name, where in found.items() if len(where) > 1}


# Whose names are looked up when they are called: an operator of a tensor is an op, and ops are functions of tensors.
KNOT = {"graph/tensor.py", "graph/graph.py", "define/kinds.py", "store/variables.py"}
# Ops whose derivatives, or parts, are each other's: one of two files must come first.
MUTUAL = {
    "ops/arithmetic.py": {"log"},  # the derivative of a power; logarithms have powers in theirs
    "ops/movement.py": {"sum_to"},  # the transpose of broadcasting, whose own is broadcasting
    "ops/source.py": {"total"},  # the transpose of reading a variable on several workers, which adds them up
    "ops/reduction.py": {"sort"},  # of a median, by which sorting may pad
}


def test_the_registry_unties_one_knot() -> None:
    """Every other module imports what it uses."""
    looked_up = re.compile(r"\bfunctions\[([^\]]+)\]")
    found = {}
    for path in HOME.parent.rglob("*.py"):
        name, text = path.relative_to(HOME.parent).as_posix(), path.read_text(encoding="utf-8")
        if name not in KNOT and re.search(r"registry import .*\bfunctions\b", text):
            found[name] = {key.strip("\"'") for key in looked_up.findall(text)}
    assert MUTUAL == found


def test_whatever_depends_on_lanes_is_one_of_fifteen_primitives() -> None:
    """A second target implements these, and nothing else of a writer."""
    assert len(Lanes.__abstractmethods__) <= 15


def test_faults_are_caught_where_code_of_the_users_is_tried_and_nowhere_else() -> None:
    """Every other ``except Exception`` would make a fault of ours a slow step."""
    found = {f for f, n in nodes(ast.ExceptHandler) if isinstance(n.type, ast.Name) and n.type.id == "Exception"}
    tried = {"declarations.py", "index.py", "tracing.py", "trials.py"}  # kernels of the user's, on trial
    told = {"background.py", "machine.py", "runner.py", "tier.py", "worker.py"}  # whoever waits is told
    assert tried | told == found


def test_the_environment_of_the_process_is_read_in_one_file() -> None:
    """A setting is found there, with what it says if it is not set."""
    read = re.compile(r"environ.*LAZYGRAD_|getenv.*LAZYGRAD_")
    reads = [path for path in HOME.parent.rglob("*.py") if read.search(path.read_text(encoding="utf-8"))]
    assert ["settings.py"] == [path.name for path in reads]


def test_files_of_tests_have_names_of_their_own() -> None:
    """Pytest refuses two of one name, as their folders are no packages."""
    names = Counter(path.name for path in Path(__file__).parents[1].rglob("test_*.py"))
    assert [] == [name for name, count in names.items() if count > 1]
