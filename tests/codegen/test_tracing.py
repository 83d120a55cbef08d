"""Tracing kernels: what cannot be written down is called as it is; what is at fault is said to be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from native_steps import plan_of, whole

import lazygrad as lg
from lazygrad.define import elementwise
from lazygrad.engine.lanes.registers import F32
from lazygrad.engine.lanes.writer import Writer
from lazygrad.engine.numpy.step import Program
from lazygrad.engine.table.lower import lowered
from lazygrad.engine.table.native import NumpyCall
from lazygrad.engine.trace.reading import Whole
from lazygrad.engine.trace.recorder import Recorder, Value
from lazygrad.engine.trace.tracing import NotTraced, traced
from lazygrad.graph.spec import Spec

pytest.importorskip("llvmlite", reason="llvmlite is not installed")

X = whole((4, 5))


def register() -> Any:
    """One that is loaded."""
    writer = Writer(8)
    return writer.load(writer.argument(0), 0, F32)


STANDS: dict[str, Callable[[], Any]] = {
    "operand": lambda: Whole(0),
    "value": lambda: Value(Recorder(np), Spec((2, 3), F32)),
    "register": register,
}


@pytest.mark.parametrize("stand", STANDS)
@pytest.mark.parametrize(
    "use",
    [
        bool,
        float,
        len,
        list,
        np.asarray,
        np.sin,
        lambda x: x[0],
        lambda x: x.T,
        lambda x: x @ x,
        lambda x: x.reshape(-1),
        lambda x: "yes" if x > 0 else "no",
        lambda x: divmod(x, 2),
    ],
)
def test_what_stands_for_an_array_refuses_what_it_cannot_write_down(stand: str, use: Callable[[Any], Any]) -> None:
    """By one error, which is a TypeError; NumPy's own is one too."""
    with pytest.raises(TypeError):
        use(STANDS[stand]())


def test_a_stand_can_be_asked_whether_it_is_another_and_kept_in_a_dictionary() -> None:
    """Values are keys."""
    one, other = STANDS["value"](), STANDS["value"]()
    assert one == one
    assert one != other
    assert {one: 1, other: 2}[one] == 1


@pytest.mark.parametrize("reason", [ZeroDivisionError, AttributeError, TypeError, KeyError])
def test_a_kernel_of_our_own_that_is_at_fault_is_an_error_and_not_slow(
    reason: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Native code and the program for NumPy are not made without it; nothing is called back in silence."""
    plan = plan_of(lambda ctx, x: (lg.tanh(x), lg.sum(x, axis=0)), X)
    ops = {node.op.name: node.op for node in plan.graph.nodes}
    for name in ("tanh", "sum"):
        with monkeypatch.context() as patch:

            def kernel(*_: Any, **__: Any) -> Any:
                raise reason("a fault")

            patch.setattr(ops[name], "kernel", kernel)
            for make in (lambda: lowered(plan, 8), lambda: Program(plan, np)):
                with pytest.raises(reason, match="a fault"):
                    make()


@elementwise(vjp=lambda g, y, x: g)
def _reaching(xp: Any, x: Any) -> Any:
    """A kernel of the user's that asks for an array."""
    return np.sin(x) if x.flags else x


def test_a_kernel_of_the_users_may_do_anything_and_is_called_as_it_is() -> None:
    """It knows nothing of tracing."""
    plan = plan_of(lambda ctx, x: _reaching(x) + 1, X)
    calls = [step.node for step in lowered(plan, 8).program if isinstance(step, NumpyCall)]
    op = next(node.op for node in plan.graph.nodes if node.op.name == "reaching")
    assert [op] == [plan.graph.nodes[i].op for i in calls]
    with pytest.raises(NotTraced, match="flags"):
        traced(op, np, [Whole(0)], {})
