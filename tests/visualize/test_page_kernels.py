"""Kernels on the page of a step: colours, a table, and what takes long."""

from __future__ import annotations

from collections.abc import Callable

from browsing import Opened
from pages import ITEM, details, item, measured, of
from steps import three_layers

Opens = Callable[..., Opened]


def test_kernels_are_colours_that_differ_and_are_named(opens: Opens) -> None:
    """Nodes of one kernel have one colour, those of the next another one; each says its kernel."""
    picture = measured(of(three_layers))
    opened = opens(picture)
    opened.page.select_option("#colours", "kernel")
    opened.press("u")
    found = opened.page.locator(f"{ITEM}.node").evaluate_all("""every => every.map(one => {
        const fill = getComputedStyle(one.querySelector(".body")).fill;
        return [+one.dataset.key, fill, one.querySelector(".label")?.textContent]; })""")
    colours: dict[int, set[str]] = {}
    for i, colour, label in found:
        kernel = picture.nodes[i].kernel
        assert label == (f"k{kernel}" if kernel >= 0 else None)
        colours.setdefault(kernel, set()).add(colour)
    assert all(len(one) == 1 for one in colours.values())
    assert all(colours[k] != colours[k + 1] for k in range(len(picture.kernels) - 1))


def test_the_list_of_kernels_sorts_by_every_column(opens: Opens) -> None:
    """The slowest first; a click on a head sorts by it, another one the other way."""
    picture = measured(of(three_layers))
    opened = opens(picture)
    opened.page.click("#tab-kernels")

    def order() -> list[int]:
        return list(
            opened.page.locator("#kernels tbody tr").evaluate_all("every => every.map(one => +one.dataset.kernel)")
        )

    numbers = range(len(picture.kernels))
    assert order() == sorted(numbers, key=lambda k: -(picture.kernels[k].seconds or 0))
    opened.page.click('#kernels [data-column="bytes"]')
    assert order() == sorted(numbers, key=lambda k: -picture.kernels[k].bytes)
    opened.page.click('#kernels [data-column="bytes"]')
    assert order() == sorted(numbers, key=lambda k: picture.kernels[k].bytes)
    assert opened.page.locator('#kernels th[aria-sort="ascending"]').inner_text().startswith("bytes")


def test_a_kernel_that_is_chosen_is_unfolded_and_lit(opens: Opens) -> None:
    """All its nodes, and no others, are marked."""
    picture = measured(of(three_layers))
    opened = opens(picture)
    opened.page.click("#tab-kernels")
    opened.page.click('#kernels tr[data-kernel="7"]')
    marked = opened.page.locator(f"{ITEM}.node.chosen").evaluate_all("every => every.map(one => +one.dataset.key)")
    assert sorted(marked) == list(picture.kernels[7].nodes)
    assert "kernel 7" in details(opened)


def test_time_colours_what_takes_long(opens: Opens) -> None:
    """The hotter, the longer: of two boxes the slower one has more of the hot colour."""
    opened = opens(measured(of(three_layers)))
    opened.press("c", "c")
    assert opened.page.input_value("#colours") == "time"
    heats = [
        float(item(opened, name).evaluate("one => parseFloat(one.style.getPropertyValue('--heat'))"))
        for name in ("fc1", "gradient", "update")
    ]
    assert heats == sorted(heats)
    assert heats[0] < heats[-1] <= 100


def test_a_graph_that_is_not_compiled_has_no_kernels_to_show(opens: Opens) -> None:
    """The modes that would be empty are not offered."""
    opened = opens(of(three_layers))
    assert not opened.page.locator("#kernelwise").is_visible()
    opened.press("c")
    assert opened.page.input_value("#colours") == "part"
