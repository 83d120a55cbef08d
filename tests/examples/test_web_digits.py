"""The page that reads digits: its WebAssembly in Node, and digits drawn in it in a browser."""

from __future__ import annotations

import base64
import importlib.util
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

PAGE = Path(__file__).parents[2] / "docs" / "gallery" / "web_digits_page.html"
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

SCRIPT = """
const {readFileSync} = require("fs");
const images = JSON.parse(readFileSync("images.json"));
const {memory, predict, predict_workspace_size, __heap_base} =
  new WebAssembly.Instance(new WebAssembly.Module(readFileSync("predict.wasm"))).exports;
const x = __heap_base.value, y = x + 4 * 784, workspace = y + 4 * 10;
memory.grow(Math.ceil(predict_workspace_size() / 65536) + 1);
const read = images.map(image => {
  new Float32Array(memory.buffer, x, 784).set(image);
  if (predict(x, y, workspace)) throw new Error("it failed");
  const found = Array.from(new Float32Array(memory.buffer, y, 10));
  return found.indexOf(Math.max(...found));
});
console.log(JSON.stringify(read));
"""

# Strokes of a pen, in pixels of the board of 280 by 280.
STROKES = {
    0: [[[140, 50], [80, 90], [70, 150], [90, 210], [140, 235], [195, 205], [210, 150], [195, 85], [140, 50]]],
    1: [[[140, 40], [140, 240]]],
    4: [[[170, 50], [70, 160], [220, 160]], [[170, 50], [170, 240]]],
    7: [[[70, 60], [210, 60], [130, 230]]],
}
DRAWN = """<script>
addEventListener("load", () => {
  const said = [];
  for (const strokes of STROKES) {
    document.getElementById("clear").click();
    const box = board.getBoundingClientRect();
    const send = (target, kind, [x, y]) => target.dispatchEvent(new PointerEvent(kind,
      {clientX: box.left + x * box.width / 280, clientY: box.top + y * box.height / 280, bubbles: true}));
    for (const stroke of strokes) {
      send(board, "pointerdown", stroke[0]);
      for (const point of stroke.slice(1)) send(window, "pointermove", point);
      send(window, "pointerup", stroke.at(-1));
    }
    said.push(answer.textContent);
  }
  document.getElementById("clear").click();
  said.push(answer.textContent);
  document.title = said.join(" ");
});
</script></html>"""


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node")
@pytest.mark.skipif(
    shutil.which("wasm-ld") is None and importlib.util.find_spec("ziglang") is None,
    reason="there is no linker of WebAssembly: pip install ziglang",
)
def test_the_page_reads_what_the_network_reads(
    example: Callable[[str], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The module in the page, run in Node over the digits of the test, is right as often as the example says."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    images = np.zeros((len(x), 28, 28))
    images[:, 2:26, 2:26] = np.kron(x.reshape(-1, 8, 8), np.ones((3, 3))) * (255 / 16)
    monkeypatch.setattr(example("data"), "_few_digits", lambda: (images.reshape(len(x), -1)[:1700], y[:1700]))
    numbers = example("web_digits").main(["--quick", "--page", str(tmp_path / "page.html")])
    assert numbers["test accuracy"] > 0.5
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    (tmp_path / "predict.wasm").write_bytes(base64.b64decode(re.search(r'const wasm = "(.*?)"', page)[1]))
    digits = example("data").mnist(None, quick=True)
    (tmp_path / "images.json").write_text(json.dumps(digits.test_x.tolist()))
    done = subprocess.run(["node", "-e", SCRIPT], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.stderr == ""
    accuracy = np.mean(np.array(json.loads(done.stdout)) == digits.test_y)
    assert accuracy == pytest.approx(numbers["test accuracy"], abs=1.01 / len(digits.test_y))


@pytest.mark.skipif(BROWSER is None, reason="there is no Chromium")
def test_digits_that_are_drawn_in_a_browser_are_read(tmp_path: Path) -> None:
    """In the page that is kept, by the events of a pen; after Clear there is none."""
    strokes = json.dumps(list(STROKES.values()))
    text = PAGE.read_text(encoding="utf-8").replace("</html>", DRAWN.replace("STROKES", strokes))
    (tmp_path / "page.html").write_text(text, encoding="utf-8")
    settings = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    command = [str(BROWSER), *settings, "--virtual-time-budget=3000", "--dump-dom", (tmp_path / "page.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert re.search(r"<title>(.*?)</title>", done.stdout)[1] == " ".join([*map(str, STROKES), "?"])


def test_the_page_fetches_nothing() -> None:
    """There is no address in it, but that of no one: all that it needs is in it."""
    text = PAGE.read_text(encoding="utf-8")
    assert not re.search(
        r"https?:|//[a-z]+\.|\bfetch\(|XMLHttpRequest|@import|\bsrc=|\bhref=",
        re.sub(r'"[A-Za-z0-9+/=]{99,}"', "", text),
    )
