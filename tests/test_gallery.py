"""The gallery and the results: the pages are those of the runs that are kept, and what must hold, held."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import gallery  # noqa: E402
from benchmarks.claims import CLAIMS, Claim  # noqa: E402


def test_every_example_has_its_page() -> None:
    """Whoever adds an example runs `python -m benchmarks.gallery NAME`."""
    assert set(gallery.names()) <= set(gallery.kept())


def test_every_example_is_in_one_group() -> None:
    """Whoever adds an example says in `benchmarks/gallery.py` with which others it is shown."""
    assert gallery.names() == sorted(name for members in gallery.grouped().values() for name in members)


@pytest.mark.thinned(3)
@pytest.mark.parametrize("page", gallery.pages(), ids=lambda page: page.name)
def test_a_page_is_what_is_made_of_the_runs(page: Path) -> None:
    """`python -m benchmarks.gallery --pages` writes it anew."""
    assert gallery.pages()[page] == page.read_text(encoding="utf-8")


def test_every_figure_of_a_run_is_kept_and_no_other() -> None:
    """A figure that no page shows is left over."""
    wanted = {figure["file"] for found in gallery.kept().values() for figure in found["figures"]}
    assert wanted == {path.name for path in gallery.GALLERY.iterdir() if path.suffix in (".png", ".svg")}


def test_no_run_was_a_quick_one() -> None:
    """And none says where its data lay."""
    commands = [found["command"] for found in gallery.kept().values()]
    assert [] == [command for command in commands if "--quick" in command or "/" in command.partition("--data")[2]]


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: f"{claim.example}: {claim.number}")
def test_what_must_hold_held(claim: Claim) -> None:
    """In the run that is kept."""
    assert claim.holds(gallery.kept()[claim.example]["numbers"][claim.number])


def test_a_claim_that_is_missed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the table of results, in bold."""
    claim = Claim("something", "mnist_cnn", "test accuracy", least=2.0)
    assert "(**missed**)" in gallery.claimed(claim, gallery.kept())[2]
