"""Law 5. Errors come where the mistake is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from snapshots import at
from ways import CALLS, counted

import lazygrad as lg

pytestmark = pytest.mark.usefixtures("numpy_alone")  # what holds bit for bit, and kernels that are made to fail


def test_a_mismatch_is_raised_when_the_op_is_written_and_names_the_line(env: lg.VariableEnvironment) -> None:
    """Before anything is evaluated, with the line, and with where both operands come from."""

    def step(ctx: lg.Context) -> Any:
        wide = lg.ones((2, 4))
        counted(ctx.variable("w"), label="evaluated").eval()
        return ctx.variable("w") + wide

    with pytest.raises(lg.SpecError) as caught:
        env.run(step)
    made = at(step, "lg.ones").rsplit("  ", 1)[1].removesuffix(", in step")
    assert (
        str(caught.value)
        == f"""cannot add float32[3] and float32[2, 4]

{at(step, "+ wide")}

    left:   float32[3]      variable 'w'
    right:  float32[2, 4]   full, {made}
    The last axes are 3 and 4; they must be equal, or one of them 1."""
    )
    assert CALLS == ["evaluated"]


def test_an_exception_of_a_kernel_says_which_line_wrote_it(env: lg.VariableEnvironment) -> None:
    """What can only be known when evaluating carries a note, under run and as a program."""

    def step(ctx: lg.Context, i: Any) -> Any:
        return lg.take(ctx.variable("w"), i)

    expected = f"while evaluating gather(float32[3], int64[1]), {at(step, 'lg.take').strip()}"
    fast = env.compile(step)
    for call in (lambda i: env.run(step, i), fast):
        for i in (0, 1, 5):
            if i < 5:
                call(np.array([i]))
            else:
                with pytest.raises(IndexError) as caught:
                    call(np.array([i]))
                assert [expected] == caught.value.__notes__
