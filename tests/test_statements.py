"""Statements on several lines: what belongs together, what it is called, and what is shown of it."""

from __future__ import annotations

import concurrent.futures
import gc
import linecache
import pickle
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.origin import Origin
from lazygrad.statements import LONG, statement_at
from lazygrad.visualize.reading import pictured

SOURCE = """\
def step(ctx, x):
    w = ctx.variable("w")
    first, _ = (
        lg.tanh(x @ w),  # a comment, with (brackets
        1,
    )
    both = [
        lg.sum(
            part * part
        ) for part in (first, x)
    ]
    pair = lg.cond(
        lg.sum(first) > 0,
        lambda: lg.exp(first),
        lambda: (
            first * 2
        ),
    )
    if (
        x.ndim
        > 0
    ):
        pair = pair + \\
            1
    loss = lg.mean(
        lg.square(pair)
        + lg.abs(
            first
        )
        + both[0]
    )
    return loss, ctx.assign(
        w,
        w - lg.grad(loss, w),
    )
"""


@pytest.fixture
def program(tmp_path: Path) -> Iterator[tuple[str, Any]]:
    """The name of a file with that program, and its step."""
    file = str(tmp_path / "program.py")
    Path(file).write_text(SOURCE, encoding="utf-8")
    space: dict[str, Any] = {"lg": lg}
    exec(compile(SOURCE, file, "exec"), space)
    yield file, space["step"]
    linecache.cache.pop(file, None)


@pytest.mark.parametrize(
    ("line", "first", "last", "name", "text"),
    [
        (2, 2, 2, "w", 'w = ctx.variable("w")'),
        (4, 3, 6, "first", "first, _ = (lg.tanh(x @ w), 1,)"),
        (9, 7, 11, "both", "both = [lg.sum(part * part) for part in (first, x)]"),
        (20, 19, 22, "", "if (x.ndim > 0):"),
        (24, 23, 24, "pair", "pair = pair + 1"),
        (27, 25, 31, "loss", "loss = lg.mean(lg.square(pair) + lg.abs(first) + both[0])"),
        (33, 32, 35, "", "return loss, ctx.assign(w, w - lg.grad(loss, w),)"),
    ],
)
def test_a_statement_has_all_of_its_lines(
    program: tuple[str, Any], line: int, first: int, last: int, name: str, text: str
) -> None:
    """What it assigns to is its name; in one line it has no comments; of an `if` it is the head."""
    found = statement_at(program[0], line)
    assert found is not None
    assert (first, last, name, text) == (*found[:3], found.text(line))


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ('y = f("""a\n  b""",\n  x)\n', 'y = f("""a…, x)'),
        ("y = (x\n  .exp()\n  .sum()\n)\n", "y = (x.exp().sum())"),
        ("y = x[\n  1\n  :\n]\n", "y = x[1:]"),
        ("y = {\n  # nothing\n\n}\n", "y = {}"),
        ("y = [a\n  for a in x]\n", "y = [a for a in x]"),
    ],
)
def test_lines_are_joined_as_one_would_write_them(tmp_path: Path, source: str, text: str) -> None:
    """Without spaces in brackets and before what follows closely; of a text on several lines its beginning."""
    file = tmp_path / "joined.py"
    file.write_text(source, encoding="utf-8")
    found = statement_at(str(file), 1)
    assert found is not None
    assert text == found.text()


def test_in_a_lambda_its_lines_are_the_statement(program: tuple[str, Any]) -> None:
    """Several that stand in one call are told apart."""
    found = [statement_at(program[0], line, in_lambda=True) for line in (14, 16)]
    assert [one and one[:2] for one in found] == [(14, 14), (15, 17)]
    assert found[1] is not None
    assert found[1].text() == "lambda: (first * 2),"


def test_a_long_statement_shows_its_beginning_and_what_is_around_the_line(tmp_path: Path) -> None:
    """An ellipsis stands for the rest."""
    file = tmp_path / "long.py"
    rows = "".join(f"    part_{k}=compute_something_of_that_kind({k}),\n" for k in range(20))
    file.write_text(f"result = call(\n{rows})\n", encoding="utf-8")
    found = statement_at(str(file), 12)
    assert found is not None
    text = found.text(12)
    assert text.startswith("result = call(… part_")
    assert "part_10=" in text
    assert text.endswith(" …")
    assert len(text) <= LONG + 4
    assert found.text().startswith("result = call(part_0=")


@pytest.mark.parametrize("source", ["x = (1,\n", "a = (\x00\n1)", "def f(:\n  pass", ""])
def test_what_is_no_program_has_no_statements(tmp_path: Path, source: str) -> None:
    """Lines stay what they are."""
    file = tmp_path / "odd.py"
    file.write_bytes(source.encode())
    assert statement_at(str(file), 1) is None
    assert statement_at("<nowhere>", 1) is None


def test_a_file_that_is_another_one_now_is_read_again(program: tuple[str, Any]) -> None:
    """As a cell of a notebook, or a file that was saved meanwhile."""
    assert statement_at(program[0], 3) is not None
    Path(program[0]).write_text("a = f(\n    1,\n)\n", encoding="utf-8")
    linecache.checkcache(program[0])
    linecache.cache.pop(program[0], None)
    found = statement_at(program[0], 3)
    assert found is not None
    assert found[:3] == (1, 3, "a")


def test_of_several_statements_on_a_line_none_gives_it_its_name(tmp_path: Path) -> None:
    """It is called by what it says."""
    file = str(tmp_path / "several.py")
    line = "first = lg.exp(x + 1); second = lg.log(first + 2)"
    Path(file).write_text(f"def step(ctx, x):\n    {line}\n    return second\n", encoding="utf-8")
    space: dict[str, Any] = {"lg": lg}
    exec(compile(Path(file).read_text(encoding="utf-8"), file, "exec"), space)
    picture = pictured(lg.VariableEnvironment().trace(space["step"], np.ones(3)))
    (box,) = picture.children(0)
    assert picture.boxes[box].name.startswith("first = lg.exp(x + 1); second")


def test_a_step_folds_by_whole_statements(program: tuple[str, Any]) -> None:
    """Each is one box by the name that it assigns, and a place with all of its lines."""
    env = lg.VariableEnvironment(seed=0)
    env.name("w").set(np.ones((3, 3), "float32"))
    picture = pictured(env.trace(program[1], np.ones((2, 3), "float32")))
    names = [picture.boxes[b].name for b in picture.children(0)]
    assert {"both", "loss"} <= set(names)
    assert len(names) == len(set(names))
    places = {place.where.rpartition(":")[2]: place for place in picture.places}
    assert places["7-11"].inside == places["25-31"].inside == "step"
    assert places["25-31"].text == "loss = lg.mean(lg.square(pair) + lg.abs(first) + both[0])"
    assert not set(places) & {"26", "27", "29"}


def test_an_error_says_the_line_and_the_whole_statement(program: tuple[str, Any]) -> None:
    """The number is that of the line itself."""
    env = lg.VariableEnvironment(seed=0)
    env.name("w").set(np.ones((5, 3), "float32"))
    with pytest.raises(lg.SpecError) as raised:
        env.trace(program[1], np.ones((2, 3), "float32"))
    assert "first, _ = (lg.tanh(x @ w), 1,)" in str(raised.value)
    assert "program.py:4, in step" in str(raised.value)


def test_a_pickled_origin_knows_its_statement(program: tuple[str, Any]) -> None:
    """Where its file is not at hand."""
    env = lg.VariableEnvironment(seed=0)
    env.name("w").set(np.ones((3, 3), "float32"))
    graph = env.trace(program[1], np.ones((2, 3), "float32"))
    for origin in graph.origins:
        copy: Origin = pickle.loads(pickle.dumps(origin))
        assert (copy.statement_text, copy.text, copy.function) == (origin.statement_text, origin.text, origin.function)
        assert copy.statement == origin.statement


def test_threads_read_programs_beside_each_other(tmp_path: Path) -> None:
    """Python counts together how deep the programs are that threads read, and takes the sum for a fault of its own."""
    lines = "".join(f"    ((({k}, ({k},)),),),\n" for k in range(100))
    files = [tmp_path / f"program_{k}.py" for k in range(40)]
    for file in files:
        file.write_text(f"x = [\n{lines}]\n", encoding="utf-8")

    def read(file: Path, deep: int) -> Any:
        return read(file, deep - 1) if deep else statement_at(str(file), 5)

    def interrupt(phase: str, info: Any) -> None:  # threads take turns while Python runs, as here amid the reading
        sum(range(300))

    before = gc.get_threshold(), sys.getswitchinterval()
    gc.callbacks.append(interrupt)
    gc.set_threshold(50)
    sys.setswitchinterval(1e-6)
    try:
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            found = list(pool.map(read, files, [k % 7 for k in range(len(files))]))
    finally:
        gc.callbacks.remove(interrupt)
        gc.set_threshold(*before[0])
        sys.setswitchinterval(before[1])
    assert [(1, 102, "x")] * len(files) == [one[:3] for one in found]


def test_reading_a_program_warns_of_nothing(tmp_path: Path) -> None:
    """What Python says of a program it says when it is compiled."""
    file = tmp_path / "program.py"
    file.write_text('path = "\\\\d"\n'.replace("\\\\", "\\"), encoding="utf-8")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = statement_at(str(file), 1)
    assert ("path", []) == (found and found.name, said)
