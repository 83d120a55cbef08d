"""The gallery: ``python -m benchmarks.gallery --data DIR`` runs every example in full and writes its page.

What a run finds (numbers, tables, figures) is kept in ``docs/gallery``; the pages there and ``docs/results.md`` are
made of it. With names, only these examples are run; with ``--pages``, none is.
"""

from __future__ import annotations

import argparse
import ast
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.claims import CLAIMS, Claim

ROOT = Path(__file__).parent.parent
EXAMPLES, GALLERY, RESULTS = ROOT / "examples", ROOT / "docs/gallery", ROOT / "docs/results.md"
sys.path.insert(0, str(EXAMPLES))
# The first two examples stand on their own: they print what they find, and draw one picture where they are told to.
ALONE = {
    "linear_regression": ("--graph", "linear_regression_step.svg", "The graph of one training step."),
    "sine_mlp": ("--plot", "sine_mlp_fit.png", "The points, the curve they came from, and the network's curve."),
}

# What the gallery shows together; all of a folder of examples is one group.
GROUPS = {
    "First programs": ("linear_regression", "sine_mlp", "xor"),
    "Images": ("mnist_mlp", "mnist_cnn", "mnist_ml_kit", "distributed_mnist", "web_digits", "vae", "image_compression"),
    "Text": ("char_lstm", "transformer_lm"),
    "Tables of data": ("king_county", "king_county_comparisons", "comparisons"),
    "Mathematics and physics": ("physics", "hessian", "plane_of_best_fit", "svd_trials"),
    "Time series, dynamics and sampling": ("kalman", "lotka_volterra", "hmc"),
    "Classical methods": ("classical/",),
}


def names() -> list[str]:
    """Every example, by its path without ``.py``."""
    programs = [path for path in EXAMPLES.rglob("*.py") if "__main__" in path.read_text(encoding="utf-8")]
    return sorted(path.relative_to(EXAMPLES).with_suffix("").as_posix() for path in programs)


def stem(name: str) -> str:
    """How the files of an example begin."""
    return name.replace("/", "_")


def kept() -> dict[str, dict[str, Any]]:
    """What the last runs found, by name."""
    files = sorted(GALLERY.glob("*.json"))
    read = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    return {found["example"]: found for found in read}


def pages() -> dict[Path, str]:
    """Every page that is made of the results, by its file."""
    found = kept()
    made = {GALLERY / f"{stem(name)}.md": page(name, found[name]) for name in names() if name in found}
    return {**made, GALLERY / "index.md": index(found), RESULTS: results(found)}


def described(name: str) -> tuple[str, str]:
    """The first line of an example's docstring, and what follows up to its commands."""
    text = ast.get_docstring(ast.parse((EXAMPLES / f"{name}.py").read_text(encoding="utf-8"))) or ""
    head, _, rest = text.partition("\n\n")
    return " ".join(head.split()).rstrip("."), rest.partition("    python ")[0].strip()


def page(name: str, found: dict[str, Any]) -> str:
    """The page of one example."""
    title, text = described(name)
    parts = [f"# {title}", text, f"```sh\n{found['command']}\n```"]
    for figure in found["figures"]:
        parts.append(f"![{figure['caption']}]({figure['file']})\n\n*{figure['caption']}*")
    for shown in found["tables"]:
        parts.append(f"**{shown['title']}**\n\n{table(shown['header'], shown['rows'])}")
    if "output" in found:
        parts.append(f"```text\n{found['output']}```")
    parts += [numbers(found), machine(found)]
    parts.append(f'??? example "examples/{name}.py"\n\n    ```python\n    --8<-- "examples/{name}.py"\n    ```')
    return MADE + "\n\n".join(part for part in parts if part) + "\n"


def machine(found: dict[str, Any]) -> str:
    """Where and how long it ran."""
    return (
        f"Run on {found['cores']} cores with Python {found['python']} and NumPy {found['numpy']}, "
        f"{found['seconds']:g} seconds in all."
    )


def grouped() -> dict[str, list[str]]:
    """The examples of each group, in its order."""
    every = names()
    return {
        group: [name for member in members for name in every if name == member or f"{Path(name).parent}/" == member]
        for group, members in GROUPS.items()
    }


def index(found: dict[str, dict[str, Any]]) -> str:
    """The examples in groups, each with its first figure."""
    parts = [f"{MADE}# Gallery", "Every figure and number here comes from a run of the example's program."]
    for group, members in grouped().items():
        parts.append(f"## {group}")
        for name in (name for name in members if name in found):
            figures = found[name]["figures"]
            picture = f"\n\n[![]({figures[0]['file']}){{ width=420 }}]({stem(name)}.md)" if figures else ""
            parts.append(f"### [{described(name)[0]}]({stem(name)}.md){picture}")
    return "\n\n".join(parts) + "\n"


def results(found: dict[str, dict[str, Any]]) -> str:
    """The page of what must hold, with what was measured."""
    rows = [claimed(claim, found) for claim in CLAIMS]
    parts = [f"{MADE}# Results", RESULTS_HEAD, table(["what", "wanted", "measured", "command"], rows)]
    for name, one in found.items():
        title = described(name)[0] if (EXAMPLES / f"{name}.py").exists() else one["command"]
        parts.append(f"## {title}")
        parts.append(f"`{one['command']}`, {one['seconds']:g} s on {one['cores']} cores")
        parts += [f"**{shown['title']}**\n\n{table(shown['header'], shown['rows'])}" for shown in one["tables"]]
        parts.append(numbers(one))
    return "\n\n".join(part for part in parts if part) + "\n"


def claimed(claim: Claim, found: dict[str, dict[str, Any]]) -> list[str]:
    """A row of what must hold."""
    if claim.example not in found:
        return [claim.what, claim.wanted, "not measured yet", ""]
    value = found[claim.example]["numbers"][claim.number]
    verdict = "" if claim.holds(value) else " (**missed**)"
    return [claim.what, claim.wanted, f"{number(value)}{verdict}", f"`{found[claim.example]['command']}`"]


def numbers(found: dict[str, Any]) -> str:
    """The numbers of a run as a table, if there are any."""
    rows = [[name, number(value)] for name, value in found["numbers"].items()]
    return table(["number", "value"], rows) if rows else ""


def table(header: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def number(value: float) -> str:
    """A number as the examples print it."""
    from common import shown

    return str(shown(value))


def run(name: str, data: Path) -> None:
    """Run an example in full, and keep what it finds."""
    if name in ALONE:
        run_alone(name)
    else:
        command = [sys.executable, str(EXAMPLES / f"{name}.py"), "--save", str(GALLERY), "--data", str(data)]
        subprocess.run(command, check=True, cwd=ROOT)


def run_alone(name: str) -> None:
    """Run an example that keeps no results itself."""
    from common import about_the_machine

    option, file, caption = ALONE[name]
    # From the root, so that a picture that names lines of the program names them by their paths in the repository.
    program = [sys.executable, f"examples/{name}.py", "--mode", "compile", option, f"docs/gallery/{file}"]
    began = time.perf_counter()
    finished = subprocess.run(program, check=True, cwd=ROOT, capture_output=True, text=True)
    (GALLERY / file).with_suffix(".dot").unlink(missing_ok=True)
    found = {
        "example": name,
        "command": f"python examples/{name}.py --mode compile {option} {file}",
        **about_the_machine(),
        "seconds": round(time.perf_counter() - began, 1),
        "numbers": {},
        "tables": [],
        "figures": [{"file": file, "caption": caption}],
        "output": finished.stdout.replace("docs/gallery/", ""),
    }
    (GALLERY / f"{name}.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def main() -> None:
    """Run, and write the pages."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gallery", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="examples to run; all of them, if none is named")
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of data files")
    parser.add_argument("--pages", action="store_true", help="run nothing, and write the pages anew")
    asked = parser.parse_args()
    if not asked.pages:
        for name in asked.names or names():
            print(f"=== {name}", flush=True)
            run(name, asked.data)
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")


MADE = "<!-- Made by `python -m benchmarks.gallery`: edit the example or the generator, not this page. -->\n"
RESULTS_HEAD = (
    "What was promised of lazygrad on real data, and what a run gives. Times are of the machine that is named with "
    "them; numbers in other systems' reports come from their machines."
)


if __name__ == "__main__":
    main()
