"""What holds for the package as a whole: what it imports, what it exports, what it says of itself."""

from __future__ import annotations

import importlib
import inspect
import pickle
import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

import lazygrad as lg
from lazygrad.graph.tensor import Tensor

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
MODULES = sorted(found.name for found in pkgutil.walk_packages(lg.__path__, "lazygrad."))
EXPORTING = [name for name in MODULES if hasattr(importlib.import_module(name), "__all__")]
HEAVY = ("scipy.special", "scipy.linalg", "scipy.optimize", "matplotlib", "sklearn", "cupy", "graphviz", "tqdm")


def files_of_the_project() -> list[Path]:
    """The files that git tracks or would track; without git, every text file."""
    if (ROOT / ".git").exists():
        command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]
    hidden = (".venv", ".git", "__pycache__", "site", "build", "dist")
    return [f for f in ROOT.rglob("*") if f.is_file() and not any(part in hidden for part in f.parts)]


def public_members(module: ModuleType) -> list[tuple[str, object]]:
    """What a module exports, and the public methods of the classes among it, by path."""
    found: list[tuple[str, object]] = []
    for name in module.__all__:
        value = getattr(module, name)
        found.append((f"{module.__name__}.{name}", value))
        if inspect.isclass(value) and value.__module__.startswith("lazygrad."):
            for key, member in vars(value).items():
                function = member.__func__ if isinstance(member, (classmethod, staticmethod)) else member
                if not key.startswith("_") and (inspect.isfunction(function) or isinstance(function, property)):
                    found.append((f"{module.__name__}.{name}.{key}", function))
    return found


def test_import_is_light() -> None:
    """What only some users need (SciPy's special functions, pictures, plots, the GPU) is imported when it is used."""
    program = f"import sys, lazygrad; dir(lazygrad); print([name for name in {HEAVY} if name in sys.modules])"
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert finished.stdout == "[]\n"


@pytest.mark.parametrize("name", MODULES)
def test_every_module_can_be_imported_alone(name: str) -> None:
    """No module needs another to have been imported first, and each says in its docstring what it holds."""
    assert importlib.import_module(name).__doc__


def said_by(program: str) -> str:
    """What a process of its own prints, in which nothing has been imported."""
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert finished.stderr == ""
    return finished.stdout


@pytest.mark.parametrize("name", sorted({name for name in MODULES if name.count(".") == 1}))
def test_every_room_can_be_the_first_that_is_imported(name: str) -> None:
    """The public names are there after it, whichever it is; and it is the room that it was."""
    found = f"lg.nn.relu is not None, lg.add.__name__, room is lg.{name.removeprefix('lazygrad.')}"
    assert "True add True\n" == said_by(f"import {name} as room, lazygrad as lg; print({found})")


def test_the_runtime_imports_nothing_else() -> None:
    """``lazygrad.runtime`` needs NumPy alone, as ``lazygrad_runtime`` does, whose names it has."""
    here = "sorted(name for name in sys.modules if name.startswith('lazygrad'))"
    program = f"import sys, lazygrad.runtime; print({here}, lazygrad.runtime.load.__module__)"
    assert "['lazygrad', 'lazygrad.runtime', 'lazygrad_runtime'] lazygrad_runtime\n" == said_by(program)


def test_operators_work_where_no_public_name_was_used(tmp_path: Path) -> None:
    """An unpickled graph, and an environment that is imported from its room, bring the ops with them."""
    (tmp_path / "graph").write_bytes(pickle.dumps(lg.VariableEnvironment().trace(lambda ctx: ctx.constant(1.0) + 1)))
    program = f"""if True:
        import pickle, sys
        graph = pickle.loads(open({str(tmp_path / "graph")!r}, "rb").read())
        print("lazygrad.public" in sys.modules, graph.to_dot().splitlines()[0])"""
    assert "False digraph step {\n" == said_by(program)
    program = """if True:
        import sys, numpy
        from lazygrad.environment import VariableEnvironment
        env = VariableEnvironment()
        print("lazygrad.public" in sys.modules, env.run(lambda ctx, x: numpy.add(x, x * 2), 2.0))"""
    assert "False 6.0\n" == said_by(program)


@pytest.mark.parametrize("name", EXPORTING)
def test_all_lists_what_is_there(name: str) -> None:
    """``__all__`` names things that exist, each once."""
    module = importlib.import_module(name)
    assert [entry for entry in module.__all__ if not hasattr(module, entry)] == []
    assert sorted(set(module.__all__)) == sorted(module.__all__)


@pytest.mark.parametrize("name", EXPORTING)
def test_every_public_name_has_a_docstring(name: str) -> None:
    """A function, a class, a method or a property without a docstring is not finished."""
    members = public_members(importlib.import_module(name))
    of_code = [(path, value) for path, value in members if callable(value) or isinstance(value, property)]
    plain_aliases = (type(None), int, str, tuple)
    without = [p for p, v in of_code if not isinstance(v, plain_aliases) and not inspect.getdoc(v)]
    assert without == []


def test_the_operators_and_methods_of_tensors_and_graphs_find_their_functions() -> None:
    """``Tensor.__add__`` looks "add" up when it is called: the rooms above must put all such names there."""
    source = "".join(inspect.getsource(sys.modules[f"lazygrad.graph.{name}"]) for name in ("tensor", "graph"))
    wanted = sorted(set(re.findall(r'(?:functions\[|\boperator\(|\bswapped\()"(\w+)"', source)))
    assert len(wanted) > 30
    # In a process of its own, as this one has imported every module.
    known = "lazygrad.graph.graph.functions.whole()"
    assert "[]\n" == said_by(f"import lazygrad.graph.graph; print([n for n in {wanted} if n not in {known}])")


def test_every_operator_of_python_that_numpy_has_works_on_tensors() -> None:
    """Tensors have the special methods of arrays, less those that change them in place."""
    import numpy as np

    operators = [
        name
        for name in dir(np.ndarray)
        if re.fullmatch(r"__r?(add|sub|mul|truediv|floordiv|mod|divmod|pow|matmul|and|or|xor|lshift|rshift)__", name)
    ]
    operators += ["__neg__", "__pos__", "__abs__", "__invert__", "__lt__", "__le__", "__gt__", "__ge__"]
    assert [name for name in operators if name not in dir(Tensor)] == []


def test_the_public_names_of_the_contract_are_in_the_shop_window() -> None:
    """What a user's program is written against is found under ``lg``."""
    types = ["VariableEnvironment", "Context", "Evaluator", "Tensor", "Variable", "Namespace", "Graph", "LazygradError"]
    derivatives = ["grad", "jvp", "jacobian", "hessian", "hessian_vector_product", "stop_gradient", "custom_gradient"]
    rooms = ["optim", "linalg", "nn", "define", "testing"]
    names = [*types, *derivatives, *rooms]
    assert [name for name in names if not hasattr(lg, name)] == []


def test_the_package_is_typed() -> None:
    """``py.typed`` tells type checkers that the annotations are meant."""
    assert (ROOT / "lazygrad" / "py.typed").is_file()


def test_the_version_is_the_one_in_pyproject() -> None:
    """``lg.__version__`` and the installed distribution agree with pyproject.toml."""
    from importlib.metadata import version

    assert version("lazygrad") == PROJECT["version"]
    assert lg.__version__ == PROJECT["version"]


def test_the_changelog_begins_with_the_version() -> None:
    """Whoever raises the version says what changed."""
    heading = re.search(r"^## (\S+?),? ", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert heading is not None
    assert heading[1] == PROJECT["version"]


def test_no_file_names_a_place_on_one_machine() -> None:
    """Paths of one machine and hosts of package registries work nowhere else."""
    # Put together here, so that this file does not contain what it looks for.
    words = ["/wo" + "rk/", "/tmp" + "/work", "/ro" + "ot/", "/ho" + "me/", "pythonhos" + "ted.", "pypi." + "org"]
    found = []
    for path in files_of_the_project():
        content = path.read_bytes()
        if b"\0" not in content:
            text = content.decode("utf-8")
            found += [f"{path.relative_to(ROOT)}: {word}" for word in words if word in text]
    assert found == []


def test_the_reference_has_every_public_module() -> None:
    """A module that exports functions of the language, optimizers or checks stands in docs/api/."""
    pages = "".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs" / "api").glob("*.md"))
    shown = set(re.findall(r"^::: (\S+)$", pages, re.MULTILINE))
    rooms = (lg, lg.nn, lg.linalg, lg.optim, lg.optim.schedules, lg.define, lg.testing)
    values = [getattr(room, name) for room in rooms for name in room.__all__]
    exported = {value.__module__ for value in values if inspect.isclass(value) or callable(value)}
    ours = {m for m in exported if m.startswith("lazygrad.")}  # an alias of types is at home in typing
    missing = sorted(m for m in ours if m not in shown and not any(s.startswith(f"{m}.") for s in shown))
    assert missing == []
