"""The documentation as it is built: where its pages stand, what a search finds, and that it shows no internals."""

from __future__ import annotations

import functools
import http.server
import json
import os
import queue
import re
import shutil
import subprocess
import sys
import threading
from html import unescape
from pathlib import Path

import pytest

import lazygrad as lg
from lazygrad.names import called, public

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
sys.path.insert(0, str(DOCS))

import _nav  # noqa: E402

TASKS = sorted(page for page in (DOCS / "how-to").glob("*.md") if page.name != "index.md")
LINKS = re.compile(r"^- \[(.+)\]\(([\w-]+\.md)\)", re.MULTILINE)
# What people type, and a page that must be among the first that are found. The first are names of other libraries.
WANTED = {
    "concatenate": "names.html",
    "detach": "names.html",
    "Dense": "names.html",
    "clip_grad_norm_": "names.html",
    "DataLoader": "names.html",
    "cross_entropy": "api/nn.html",
    "softmax": "api/nn.html",
    "Linear": "api/nn.html",
    "Adam": "api/optim.html",
    "EarlyStopping": "api/training.html",
    "early stopping": "training.html",
    "pytorch": "how-to/save-and-move-weights.html",
    "numpy": "coming-from.html",
    "dataloader": "names.html",
    "freeze": "how-to/freeze.html",
    "curve_fit": "how-to/fit-a-curve.html",
    "error bars": "how-to/fit-a-curve.html",
    "scipy.optimize": "how-to/scipy-optimize.html",
    "implicit": "how-to/differentiate-a-solution.html",
    "mcmc": "how-to/hmc.html",
    "pandas": "how-to/tables.html",
    "polars": "how-to/tables.html",
    "confusion matrix": "how-to/cnn.html",
    "class_weight": "how-to/weights-and-masks.html",
    "ema": "how-to/average.html",
    "gradient accumulation": "how-to/accumulate.html",
    "custom op": "how-to/own-op.html",
    "load_state_dict": "how-to/save-and-move-weights.html",
    "recompile": "how-to/compile-again.html",
    "lstm": "how-to/sequences.html",
    "nan": "how-to/debug-nan.html",
    "tie": "how-to/tie-weights.html",
    "hessian": "api/gradient.html",
    "einsum": "api/ops.html",
    "logsumexp": "api/ops.html",
    "cholesky": "api/linalg.html",
    "SpecError": "errors.html",
}


def test_the_index_has_every_task_by_its_title() -> None:
    """A page of docs/how-to/ stands once in its index, as `- [Title](page.md): what it shows`, below a group."""
    index = (DOCS / "how-to" / "index.md").read_text(encoding="utf-8")
    _, _, groups = index.partition("\n## ")
    listed = [(name, title) for title, name in LINKS.findall(groups)]
    headings = {page.name: page.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ") for page in TASKS}
    assert sorted(headings.items()) == sorted(listed)


@pytest.mark.parametrize(
    ("page", "word"),
    [
        ("fit-a-curve", "curve_fit("),
        ("freeze", ".trainable = False"),
        ("average", "lg.optim.average("),
        ("uncertainty", "Ensemble("),
    ],
)
def test_a_frequent_task_takes_ten_lines(page: str, word: str) -> None:
    """The program that shows it has ten lines of code or fewer."""
    programs = re.findall(r"^```python\n(.*?)^```", (DOCS / "how-to" / f"{page}.md").read_text("utf-8"), re.M | re.S)
    program = next(program for program in programs if word in program)
    assert len([line for line in program.splitlines() if line.strip()]) <= 10


@pytest.mark.parametrize("folder", ["how-to", "gallery"])
def test_the_navigation_has_every_page_of_a_folder_in_a_group(folder: str) -> None:
    """None stands alone, for want of a line in the index."""
    grouped = [page for group in _nav.entries(DOCS / folder) for pages in group.values() for page in pages]
    pages = {page.relative_to(DOCS).as_posix() for page in (DOCS / folder).glob("*.md")} - {f"{folder}/index.md"}
    assert pages == {place for page in grouped for place in page.values()}


def test_a_page_that_no_index_names_stands_below_the_groups(tmp_path: Path) -> None:
    """So it is found all the same; long titles are cut at their first pause."""
    (tmp_path / "index.md").write_text("# All\n\n## Group\n\n### [A](a.md)\n\n- [B](b.md): text\n")
    for name in "abc":
        (tmp_path / f"{name}.md").write_text(f"# The `{name}`, which is {'very ' * 10}long\n")
    where = tmp_path.name
    expected = [{"Group": [{"The a": f"{where}/a.md"}, {"The b": f"{where}/b.md"}]}, {"The c": f"{where}/c.md"}]
    assert expected == _nav.entries(tmp_path)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built once."""
    pytest.importorskip("mkdocstrings", reason="the extra docs is not installed")
    pytest.importorskip("material", reason="the extra docs is not installed")
    built = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(built)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)}
    subprocess.run(command, cwd=ROOT, check=True, env=environment)
    return built


def _signatures(site: Path) -> dict[str, list[str]]:
    """The signatures of each page of the reference, as text."""
    found = {}
    for page in sorted((site / "api").glob("*.html")):
        blocks = re.findall(r'class="[^"]*doc-signature[^"]*">(.*?)</pre>', page.read_text(encoding="utf-8"), re.DOTALL)
        found[page.name] = [unescape(re.sub(r"<[^>]+>", "", block)).strip() for block in blocks]
    return found


def _headings(site: Path) -> set[str]:
    """The full names of all that the reference describes."""
    pages = (page.read_text(encoding="utf-8") for page in (site / "api").glob("*.html"))
    return {name for page in pages for name in re.findall(r'<h\d id="(lazygrad[\w.]+)" class="doc doc-heading"', page)}


@pytest.mark.slow
def test_the_reference_shows_no_internals(site: Path) -> None:
    """No private name, no decorator, and no kernel: what is shown can be called as it stands."""
    signatures = [text for page in _signatures(site).values() for text in page]
    assert len(signatures) > 300
    assert [] == [text for text in signatures if re.search(r"(?<![\w])_[a-z]|@|\(\s*xp\b", text)]
    assert "add(a: TensorLike, b: TensorLike) -> Tensor" in signatures
    assert [] == [text for text in signatures if re.search(r"\b(Axes|Owner|Fill|GivenRates|Numbers|Vector)\b", text)]
    inner = re.compile(r"\blazygrad\.(?:backends|engine|define|ops|graph\.(?:registry|spec))\b[\w.]*")
    pages = (page.read_text(encoding="utf-8") for page in (site / "api").glob("*.html"))
    assert [] == [name for page in pages for name in inner.findall(re.sub(r"<[^>]+>", "", page))]
    hidden = {"lazygrad.nn.windows.padding_of", "lazygrad.step.context.Context.fetch", "lazygrad.ops.reduction.sum_to"}
    assert set() == _headings(site) & hidden
    assert [] == [name for name in _headings(site) if re.search(r"\._(?!_)", name)]


@pytest.mark.slow
def test_the_reference_shows_every_public_name(site: Path) -> None:
    """What `lg`, `lg.nn` and the others export is described, each by the name under which it is written."""
    shown = {name.rpartition(".")[2] for name in _headings(site)}
    rooms = {*public.values(), lg.testing, lg.define}
    exported = {name for room in rooms for name in room.__all__ if _is_described(getattr(room, name))}
    assert set() == exported - shown


def _is_described(value: object) -> bool:
    module = getattr(value, "__module__", "")
    return callable(value) and hasattr(value, "__qualname__") and str(module).startswith("lazygrad")


@pytest.mark.slow
def test_a_search_finds_what_people_type(site: Path) -> None:
    """The words are in the index that the search of the site uses, where they must be."""
    index = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))
    wanted = {**WANTED, **{name: "names.html" for name, _ in called()}}
    separator = re.compile(index["config"]["separator"])

    def tokens(text: str) -> set[str]:
        return {word.lower() for word in separator.split(unescape(text)) if word}

    found: dict[str, set[str]] = {}
    for entry in index["docs"]:
        text = re.sub("<[^>]+>", " ", f"{entry['title']} {entry['text']}")
        found.setdefault(entry["location"].partition("#")[0], set()).update(tokens(text))
    assert [] == [(text, page) for text, page in wanted.items() if not tokens(text) <= found[page]]


@pytest.mark.slow
def test_the_gallery_stands_below_the_reference(site: Path) -> None:
    """In the navigation of every page, and its pages are called by their titles."""
    home = (site / "index.html").read_text(encoding="utf-8")
    assert home.index("api/environment.html") < home.index("gallery/index.html", home.index("md-nav__link"))
    assert "Diffusion maps" in home
    assert "classical_diffusion_maps.py" not in home


MEASURE = """<!doctype html><body><script>(async () => {
  const found = {};
  for (const page of %s) for (const width of [1300, 400]) {
    const frame = document.createElement("iframe");
    frame.style.cssText = `border: 0; height: 900px; width: ${width}px`;
    frame.src = page;
    document.body.append(frame);
    await new Promise(loaded => frame.onload = loaded);
    const shown = frame.contentDocument;
    const parts = shown.querySelectorAll(".doc-signature code, .wrapped code, .language-sh code");
    const wide = [shown.documentElement, ...parts].filter(e => e.clientWidth && e.scrollWidth > e.clientWidth + 1);
    found[`${page} at ${width}`] = wide.map(e => e.textContent.trim().slice(0, 80));
    frame.remove();
  }
  await fetch("/found", {method: "POST", body: JSON.stringify(found)});
})()</script>"""


@pytest.mark.slow
def test_pages_fit_wide_and_narrow_screens(site: Path, tmp_path: Path) -> None:
    """Nothing is scrolled sideways at 1,300 and 400 pixels: no page, no signature, and no program of the home page."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        pytest.skip("there is no Chromium to measure with")
    pages = [
        "index.html",
        "how-to/index.html",
        "gallery/index.html",
        "api/nn.html",
        "api/optim.html",
        "benchmarks.html",
    ]
    (site / "measure.html").write_text(MEASURE % json.dumps(pages), encoding="utf-8")
    answers: queue.Queue[str] = queue.Queue()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_POST(self) -> None:
            answers.put(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    options = ("--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}")
    address = f"http://127.0.0.1:{server.server_port}/measure.html"
    browser = subprocess.Popen([chromium, *options, address], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        found = json.loads(answers.get(timeout=120))
    finally:
        browser.terminate()
        browser.wait()
        server.shutdown()
        server.server_close()
    assert len(found) == 2 * len(pages)
    assert {} == {page: wide for page, wide in found.items() if wide}
