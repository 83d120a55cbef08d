"""Compiled steps are drawn as they run: their kernels, what these took, and what the values are."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from snapshots import at
from steps import STEPS, Made, linear_regression, recurrent, three_layers

import lazygrad as lg
from lazygrad.define.kinds import Movement
from lazygrad.errors import SaveError, SpecError, TraceError
from lazygrad.searching.statistics import statistics
from lazygrad.visualize.picture import Picture

LOOPS = ("scan", "while_loop", "cond")

needs_dot = pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz, the program dot, is not installed")

RENDER = "step.render(path, profile=profile)"


def compiled(make: Callable[[], Made]) -> tuple[Any, tuple[Any, ...], lg.VariableEnvironment]:
    """A step, what it is called with, and its environment."""
    env, step, args = make()
    return env.compile(step), args, env


def picture(step: Any, args: tuple[Any, ...], **settings: Any) -> Picture:
    """The picture of a step."""
    found, _ = step._picture(args, None, {}, **settings)
    return found


@pytest.mark.parametrize("make", STEPS, ids=lambda make: make.__name__)
def test_every_node_that_is_computed_has_the_kernel_that_computes_it(make: Callable[[], Made]) -> None:
    """What has none is given, is another view of what is there, or is the same in every run."""
    step, args, _ = compiled(make)
    found = picture(step, args)
    plan = step.prepare(*args)
    if not step.is_native:
        pytest.skip("there is no native code: llvmlite is missing, or it is switched off, as on the double of CuPy")
    for number, kernel in enumerate(found.kernels):
        assert kernel.nodes
        assert abs(sum(kernel.work) - 1) < 1e-9  # rounded once a node
        assert all(found.nodes[i].kernel <= number for i in kernel.nodes)
    for i, node in enumerate(plan.graph.nodes):
        if found.nodes[i].kernel < 0 and node.inputs:
            assert isinstance(node.op, Movement) or plan.static[i] or node.op.name == "greater_equal", node.op
    assert all(kernel.seconds is None for kernel in found.kernels)
    assert f"{len(found.kernels)} kernels, native" in found.facts


def test_a_profile_gives_times() -> None:
    """Those of its kernels, and each box's share; measured now, or before."""
    step, args, _ = compiled(three_layers)
    profile = step.profile(*args, runs=2)
    found = picture(step, args, profile=profile)
    assert [k.seconds for k in profile.kernels] == [k.seconds for k in found.kernels]
    assert [k.cost.flops for k in profile.kernels] == [k.flops for k in found.kernels]
    assert f"{1e6 * profile.seconds:,.1f} µs a run" in found.facts
    assert all(kernel.seconds is not None for kernel in picture(step, args, profile=True).kernels)


def test_boxes_have_the_time_that_the_profile_says(tmp_path: Path) -> None:
    """A layer's share in the picture is that of its row in the table."""
    step, args, _ = compiled(three_layers)
    profile = step.profile(*args, runs=2)
    step.render(tmp_path / "step.dot", profile=profile)
    text = (tmp_path / "step.dot").read_text(encoding="utf-8")
    shares = {row.name: row.share for row in profile.rows("layer")}
    for layer in ("fc1", "fc2", "fc3"):
        (line,) = [line for line in text.splitlines() if f"<B>{layer}</B>" in line]
        assert f"{100 * shares[layer]:.1f} % of the time" in line


def looping() -> Made:
    """A loop in a choice in a loop, and its gradient."""
    env = lg.VariableEnvironment(seed=0)
    env.name("w").set(0.1 * np.eye(16, dtype="float32"))

    def step(ctx: Any, x: Any) -> Any:
        w = ctx.variable("w")

        def turn(c: Any, u: Any) -> Any:
            product = c @ w
            total = product + u + lg.arange(16, dtype="float32")
            return lg.tanh(total), c

        def body(carry: Any) -> Any:
            i, h = carry
            h = lg.cond(lg.sum(h) > 0, lambda h: lg.scan(turn, h, x)[0], lambda h: -h, h)
            return i + 1, h

        _, h = lg.while_loop(lambda carry: carry[0] < 4, body, (0, x[0]), max_steps=8)
        loss = lg.sum(h * h)
        return loss, lg.grad(loss, w)

    return env, step, (np.ones((5, 8, 16), "float32"),)


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize("make", [recurrent, looping])
def test_what_is_in_the_body_of_a_loop_has_its_kernel_and_its_share(
    make: Callable[[], Made], native: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By every line of the program, in bodies within bodies too, the times are those of the profile's table."""
    if not native:
        monkeypatch.setenv("LAZYGRAD_NATIVE", "off")
    step, args, _ = compiled(make)
    profile = step.profile(*args, runs=2)
    found = picture(step, args, profile=profile)
    inner = [node for node in found.nodes[len(step.prepare(*args).graph.nodes) :] if node.shape == "op"]
    assert len(inner) > 5
    assert all(found.kernels[node.kernel].what.partition(",")[0] in LOOPS for node in inner)
    times: dict[str, float] = {}
    for kernel in found.kernels:
        assert 1 == pytest.approx(sum(kernel.work))
        for i, share in zip(kernel.nodes, kernel.work, strict=True):
            place = found.places[found.nodes[i].place]
            line = f"{place.where}  {place.text}"
            times[line] = times.get(line, 0.0) + share * (kernel.seconds or 0.0)
    for row in profile.rows("line"):
        assert times.pop(row.name) == pytest.approx(row.seconds)
    assert not any(times.values())


def test_without_native_code_a_profile_is_of_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    """And without a profile there are no kernels, and why is said."""
    monkeypatch.setenv("LAZYGRAD_NATIVE", "off")
    step, args, env = compiled(three_layers)
    assert () == picture(step, args).kernels
    assert f"{env.backend}, node by node: LAZYGRAD_NATIVE is off" in picture(step, args).facts
    found = picture(step, args, profile=True)
    assert [(found.nodes[k.nodes[0]].op, 1) for k in found.kernels] == [
        (k.what.removeprefix("_"), len(k.nodes)) for k in found.kernels
    ]


def test_statistics_are_those_of_the_values() -> None:
    """Of every node, by NumPy's own functions; nothing has changed by it."""
    env = lg.VariableEnvironment(seed=0)
    env.name("w").set(np.arange(12, dtype="float32").reshape(4, 3))

    @env.compile
    def step(ctx: Any, x: Any) -> Any:
        y = x @ ctx.variable("w")
        return y, lg.log(y) < 3, ctx.assign("w", ctx.variable("w") + 1)

    x = np.array([[1, 2, 3, 4], [-1, 0, 0, 0], [0, 0, 0, 0]], "float32")
    found = picture(step, (x,), statistics=True)
    y = x @ env["w"]
    (product,) = [node.statistics for node in found.nodes if node.op == "matmul"]
    assert product is not None
    # In float64, from the float32 that NumPy gave: equal to a few of its roundings.
    expected = [y.min(), y.max(), y.astype("float64").mean(), y.astype("float64").std()]
    assert np.allclose(expected, [product[k] for k in ("min", "max", "mean", "std")], rtol=1e-14)
    assert (0, 0, int((y == 0).sum()), 9) == tuple(product[k] for k in ("nan", "inf", "zeros", "size"))
    assert list(np.histogram(y, 16)[0]) == product["histogram"]
    (logarithm,) = [node.statistics for node in found.nodes if node.op == "log"]
    assert logarithm is not None
    with np.errstate(all="ignore"):
        z = np.log(y)
    assert (int(np.isnan(z).sum()), int(np.isinf(z).sum())) == (logarithm["nan"], logarithm["inf"])
    assert np.array_equal(np.arange(12, dtype="float32").reshape(4, 3), env["w"])


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        (np.array([]), (None, None, 0)),
        (np.array([np.nan, np.inf]), (None, None, 2)),
        (np.array(3.0), (3.0, 0.0, 1)),
        (np.array([True, False]), (0.5, 0.5, 2)),
        (np.array([1e308, -1e308, 1e308]), (1e308 / 3, 1e308 * np.sqrt(8 / 9), 3)),
        (np.array([5e-324, 0.0]), (0.0, 0.0, 2)),
        (np.array([1.0, 1.0 - 2**-53]), (1.0, 0.0, 2)),
    ],
)
def test_statistics_of_odd_arrays(x: Any, expected: Any) -> None:
    """None, nothing finite, one number, truth values, and numbers whose squares no double holds."""
    found = statistics(x)
    assert found is not None
    mean, std, size = expected
    assert size == found["size"]
    if mean is None:
        assert (None, None) == (found["mean"], found["std"])
    else:
        # A few roundings; and the spread of two neighbours is itself one.
        assert np.allclose([mean, std], [found["mean"], found["std"]], rtol=1e-14, atol=1e-16)
    assert sum(found["histogram"]) == np.isfinite(x).sum()


def test_complex_numbers_and_several_results_have_no_statistics() -> None:
    """They have no order."""
    assert statistics(np.array([1j])) is None
    assert statistics((np.ones(2), np.ones(3))) is None


def test_laws_layers_and_lines_are_those_of_the_plan() -> None:
    """What passes changed, of what kind layers are."""
    step, args, _ = compiled(three_layers)
    found = picture(step, args)
    assert step.plan.laws() == list(found.laws)
    assert found.laws
    assert {"Linear, float32[6, 20] → float32[6, 12]"} <= {box.note for box in found.boxes}
    assert "step" == found.title


def test_without_arguments_the_last_call_is_drawn(tmp_path: Path) -> None:
    """Whatever it was called with."""
    step, args, env = compiled(three_layers)
    step(*args)
    before = env.to_dict()
    step(args[0][:3], args[1][:3])
    path = step.render(tmp_path / "step.dot")
    assert "float32[3, 20] → float32[3, 12]" in path.read_text(encoding="utf-8")
    now = env.to_dict()
    step.render(tmp_path / "other.dot", *args, statistics=True, profile=True)
    assert all(np.array_equal(now[name], x) for name, x in env.to_dict().items())
    assert before.keys() == now.keys()


def test_a_step_that_takes_nothing_is_drawn_before_it_is_called(tmp_path: Path) -> None:
    """And measured: there is nothing to give."""
    step, _, _ = compiled(linear_regression)
    assert step.render(tmp_path / "step.dot", profile=True, statistics=True).exists()
    step()
    assert picture(step, (), statistics=True).nodes[0].statistics is not None


@needs_dot
def test_compiled_steps_are_drawn_into_every_form(tmp_path: Path) -> None:
    """By the suffix; with loops too, folded or not."""
    step, args, _ = compiled(recurrent)
    for suffix, magic in ((".svg", b"<?xml"), (".png", b"\x89PNG"), (".pdf", b"%PDF"), (".dot", b"digraph")):
        for fold in (None, False, 2):
            assert step.render(tmp_path / f"step{suffix}", *args, fold=fold).read_bytes().startswith(magic)


def test_the_page_of_a_step_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a compiled step and of a graph; no program draws it."""
    monkeypatch.setenv("PATH", "")
    env, step, args = recurrent()
    graph = env.trace(step, *args)
    for path in (env.compile(step).render(tmp_path / "step.html", *args), graph.render(tmp_path / "graph.HTML")):
        assert path.read_text(encoding="utf-8").lower().startswith("<!doctype html>")
    assert {"step.html", "graph.HTML"} == {path.name for path in tmp_path.iterdir()}


# What goes wrong.


def test_a_step_that_was_not_called_says_what_to_give() -> None:
    """It needs arguments, and there are none."""
    step, _, _ = compiled(three_layers)
    path, profile = "step.svg", None
    with pytest.raises(TraceError) as caught:
        step.render(path, profile=profile)
    assert str(caught.value) == (
        "cannot draw 'step': it has not been called yet\n\n"
        f"{at(test_a_step_that_was_not_called_says_what_to_give, RENDER)}\n\n"
        "    Give arguments: step.render(path, x, y) is called with those of the step behind the path."
    )


@pytest.mark.parametrize("settings", [{"profile": True}, {"statistics": True}])
def test_what_is_measured_needs_arguments(settings: Any, tmp_path: Path) -> None:
    """Those of the last call are not kept."""
    step, args, _ = compiled(three_layers)
    step(*args)
    with pytest.raises(TraceError, match=r"what is measured needs arguments"):
        step.render(tmp_path / "step.dot", **settings)
    assert [] == list(tmp_path.iterdir())


def test_the_profile_of_another_step_is_refused(tmp_path: Path) -> None:
    """Of another one, or of this one with arguments of other shapes."""
    step, args, _ = compiled(three_layers)
    other, others, _ = compiled(recurrent)
    path, step_, profile = tmp_path / "step.dot", step, step.profile(args[0][:3], args[1][:3], runs=1)
    step_.prepare(*args)
    with pytest.raises(SpecError) as caught:
        step.render(path, profile=profile)
    assert str(caught.value) == (
        f"the profile is of another step\n\n{at(test_the_profile_of_another_step_is_refused, RENDER)}\n\n"
        f"    profile:  of 'step', {len(profile.kernels)} kernels\n"
        "    step:     'step'\n"
        "    Give the profile of this step with arguments of these shapes, or profile=True with the arguments."
    )
    with pytest.raises(SpecError):
        step.render(path, profile=other.profile(*others, runs=1))
    env, renamed, _ = three_layers()
    renamed.__name__ = "other"
    with pytest.raises(SpecError):
        env.compile(renamed).render(path, *args, profile=step.profile(*args, runs=1))
    with pytest.raises(SpecError, match="as a profile"):
        step.render(path, profile="fast")
    assert [] == list(tmp_path.iterdir())


def test_bad_paths_are_refused_before_anything_is_computed(tmp_path: Path) -> None:
    """A suffix that says nothing, and a folder that is not there."""
    step, args, _ = compiled(three_layers)
    for path in (tmp_path / "step.txt", tmp_path / "step", args[0]):
        with pytest.raises(SaveError, match=r"its suffix says no form|it is no path"):
            step.render(path, *args)
    assert 0 == len(step._entries)
    with pytest.raises(SaveError, match="cannot write"):
        step.render(tmp_path / "nowhere" / "step.dot", *args)
    assert [] == list(tmp_path.iterdir())


def test_an_old_file_stays_whole_if_the_new_one_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is there is replaced at once, or not at all, and nothing is left beside it."""
    step, args, _ = compiled(three_layers)
    path, profile = tmp_path / "step.dot", None
    path.write_text("old")
    step.prepare(*args)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(SaveError) as caught:
        step.render(path, profile=profile)
    assert str(caught.value) == (
        f"cannot write the text of the picture to {str(path)!r}\n\n"
        f"{at(test_an_old_file_stays_whole_if_the_new_one_cannot_be_written, RENDER)}\n\n"
        "    OSError: No space left on device\n"
        "    Choose a file in a folder that exists and that you may write to. An old file there is unchanged."
    )
    assert "old" == path.read_text()
    assert [path] == list(tmp_path.iterdir())
