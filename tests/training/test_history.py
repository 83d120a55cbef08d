"""What was measured, and its picture."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import lazygrad as lg


@pytest.fixture
def history() -> lg.History:
    """Three epochs."""
    found = lg.History()
    for loss, other in [(3.0, 5.0), (1.0, float("nan")), (2.0, 4.0)]:
        found.add({"loss": loss, "validation_loss": other}, 0.5)
    return found


def test_it_is_a_mapping_of_metrics_to_their_epochs(history: lg.History) -> None:
    """With the seconds beside them."""
    assert ["loss", "validation_loss"] == list(history)
    assert [3.0, 1.0, 2.0] == history["loss"]
    assert (3, [0.5] * 3) == (history.epochs, history.seconds)
    assert "<History of 3 epochs: loss 2, validation_loss 4>" == repr(history)


def test_the_best_epoch_is_counted_from_one(history: lg.History) -> None:
    """A NaN is never best."""
    assert (2, 1.0) == history.best("loss")
    assert (1, 3.0) == history.best("loss", mode="max")
    assert (3, 4.0) == history.best("validation_loss")


def test_an_unknown_metric_names_those_that_are_near(history: lg.History) -> None:
    """As a mapping does, with KeyError."""
    with pytest.raises(KeyError, match=r"there is no metric 'los'\. Did you mean 'loss'"):
        history["los"]
    with pytest.raises(lg.DataError, match="cannot use 'least' as mode"):
        history.best("loss", mode="least")


def test_it_plots_one_panel_a_metric(history: lg.History, tmp_path: Path) -> None:
    """Training and validation together, the epochs counted from 1."""
    figure = history.plot(tmp_path / "curves.png")
    (axes,) = figure.axes
    assert ["loss", "validation loss"] == [line.get_label() for line in axes.lines]
    assert [1, 2, 3] == list(axes.lines[0].get_xdata())
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(KeyError):
        history.plot(metrics=["accuracy"])


def test_a_plot_that_cannot_be_written_is_an_error_and_an_old_one_stays(history: lg.History, tmp_path: Path) -> None:
    """With the path, and what endings there are; otherwise it is replaced whole."""
    (tmp_path / "old.svg").write_text("a picture", encoding="utf-8")
    with pytest.raises(lg.SaveError, match=r"cannot plot to '.*curves\.xyz': its ending says no format\n(.|\n)*png"):
        history.plot(tmp_path / "curves.xyz")
    for path in (tmp_path / "nowhere" / "curves.png", tmp_path / "old.svg" / "curves.png", "\0.png"):
        with pytest.raises(lg.SaveError, match="cannot write the plot to"):
            history.plot(path)
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(lg.SaveError, match="cannot write the plot to"):
        history.plot(tmp_path / "folder.png")
    assert "a picture" == (tmp_path / "old.svg").read_text(encoding="utf-8")
    assert ["folder.png", "old.svg"] == sorted(path.name for path in tmp_path.iterdir())
    history.plot(tmp_path / "old.svg")
    assert "<svg" in (tmp_path / "old.svg").read_text(encoding="utf-8")
    assert ["folder.png", "old.svg"] == sorted(path.name for path in tmp_path.iterdir())


def test_a_point_is_seen_where_no_line_leads_to_it() -> None:
    """The only epoch, and one between NaNs; epochs are whole numbers."""
    pytest.importorskip("matplotlib", reason="it draws")
    (axes,) = lg.History({"loss": [2.0]}, [0.1]).plot().axes
    assert ("o", [0]) == (axes.lines[0].get_marker(), axes.lines[0].get_markevery())
    assert all(tick == int(tick) for tick in axes.get_xticks())
    nan = float("nan")
    (axes,) = lg.History({"loss": [2.0, 1.0, nan, 3.0, nan]}, [0.1] * 5).plot(metrics="loss").axes
    assert [3] == axes.lines[0].get_markevery()


def test_nothing_to_plot_and_no_path_are_errors(history: lg.History) -> None:
    """In words, before anything is drawn."""
    pytest.importorskip("matplotlib", reason="it draws")
    with pytest.raises(lg.DataError, match="cannot plot: nothing was measured"):
        lg.History().plot()
    with pytest.raises(lg.SaveError, match="cannot plot to a int: it is no path"):
        history.plot(3)  # type: ignore[arg-type]


def test_what_is_measured_later_on_stays_at_its_epoch() -> None:
    """NaN before, and where it is left out."""
    history = lg.History()
    for metrics in ({"loss": 1.0}, {"loss": 2.0, "late": 3.0}, {"loss": 4.0}, {"late": 5.0}):
        history.add(metrics, 0.1)
    np.testing.assert_array_equal([np.nan, 3.0, np.nan, 5.0], history["late"])


def test_without_matplotlib_the_message_says_what_to_install(
    history: lg.History, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not needed to train."""
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(lg.BackendError, match="cannot plot: matplotlib is not installed"):
        history.plot()
