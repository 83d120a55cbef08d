"""The picture of a compiled step: the nodes of its plan, what computes them, what that took, what their values are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lazygrad.errors import SpecError, TraceError, report
from lazygrad.graph.body import bodies
from lazygrad.graph.registry import here
from lazygrad.origin import Origin
from lazygrad.plan import Plan
from lazygrad.step.traced import Traced
from lazygrad.store.draws import Drawing
from lazygrad.store.store import Store
from lazygrad.visualize.picture import Kernel, Picture
from lazygrad.visualize.reading import pictured

if TYPE_CHECKING:
    from lazygrad.engine.table.costs import Cost
    from lazygrad.profiling.profile import Profile

__all__ = ["measured", "picture_of", "uncalled", "values_of"]


def picture_of(
    name: str, store: Store, entry: Traced, profile: Profile | None, statistics: dict[int, dict[str, Any]] | None
) -> Picture:
    """What a step looks like as it runs.

    Args:
        name: of the step.
        store: of its environment.
        entry: what it was traced and compiled to.
        profile: what it took, if that was measured.
        statistics: of the values of its nodes, if they were computed.

    Raises:
        SpecError: the profile is of another step.
    """
    plan = entry.runner.plan
    own = _costs(entry)
    if profile is not None and not _is_of(profile, name, plan, own):
        raise _other(profile, name)
    nbytes = sum(plan.spec(i).nbytes for i in plan.variables.values())
    facts = [f"{nbytes:,} bytes of variables"] if plan.variables else []
    if profile is not None:
        found = [k.cost for k in profile.kernels]
        kernels = [_kernel(k.cost, k.seconds, k.limit) for k in profile.kernels]
        what = "kernels, native" if profile.how == "native" else f"nodes timed, {profile.how}"
        facts = [f"{len(kernels)} {what}", f"{1e6 * profile.seconds:,.1f} µs a run", *facts]
    elif own is not None:
        found, kernels = own, [_kernel(cost, None, None) for cost in own]
        facts = [f"{len(kernels)} kernel{'' if len(kernels) == 1 else 's'}, native", *facts]
    else:
        found, kernels, facts = [], [], [f"{store.backend.name}, node by node: {entry.native.why_not}", *facts]
    layers = {path: kind for path, (kind, _) in store.layers.items()}
    return pictured(
        plan.graph, name, facts=facts, kernels=kernels, laws=plan.laws(), layers=layers, statistics=statistics,
        portions=_portions(plan, found),
    )  # fmt: skip


def values_of(store: Store, entry: Traced, inputs: Sequence[Any], draw: Drawing) -> dict[int, dict[str, Any]]:
    """The statistics of what every node computes, in one run on NumPy and on copies."""
    from lazygrad.searching.computed import Computed
    from lazygrad.searching.statistics import statistics_of

    plan, host, parity = entry.runner.plan, store.backend.to_numpy, store.state.parity
    given = {i: np.array(host(x)) for i, x in zip(entry.runner.input_nodes, inputs, strict=True)}
    given |= {i: np.array(host(store.find(name).live(parity))) for name, i in plan.variables.items()}
    return statistics_of(Computed(plan, given, draw).checked().arrays)


def measured(profile: Any) -> bool:
    """Whether a profile is to be made: ``profile=True`` says so.

    Raises:
        SpecError: it is neither that, nor a profile, nor None.
    """
    from lazygrad.profiling.profile import Profile

    if profile is None or profile is False or isinstance(profile, Profile):
        return False
    if profile is not True:
        cure = "Give profile=True, or what step.profile(...) returned."
        raise SpecError(report(f"cannot draw {profile!r:.60} as a profile", at=here(), cure=cure))
    return True


def uncalled(name: str, what: str) -> TraceError:
    """The error that a step is to be drawn without arguments, and cannot."""
    cure = f"Give arguments: {name}.render(path, x, y) is called with those of the step behind the path."
    return TraceError(report(f"cannot draw {name!r}: {what}", at=here(), cure=cure))


def _costs(entry: Traced) -> list[Cost] | None:
    """What the native code of a step consists of, if there is some."""
    from lazygrad.engine.table.costs import costs

    return costs(entry.native.loaded.native) if entry.native.is_ready() and entry.native.loaded is not None else None


def _kernel(cost: Cost, seconds: float | None, limit: float | None) -> Kernel:
    amounts = [sum(portion.amount for portion in cost.work if portion.node == i) for i in cost.nodes]
    whole = sum(amounts)
    shares = tuple([amount / whole if whole else 1 / len(amounts) for amount in amounts])
    return Kernel(cost.what, cost.over, seconds, cost.moved, cost.flops, limit, cost.nodes, shares)


def _portions(plan: Plan, found: Sequence[Cost]) -> dict[int, list[tuple[Origin, float]]]:
    """Of every loop, whose lines in its bodies its work is, and what share of it."""
    portions: dict[int, list[tuple[Origin, float]]] = {}
    for cost in found:
        for i in cost.nodes:
            if any(bodies(plan.graph.nodes[i])):
                own = [portion for portion in cost.work if portion.node == i]
                whole = sum(portion.amount for portion in own) or 1.0
                portions[i] = [(portion.origin, portion.amount / whole) for portion in own]
    return portions


def _is_of(profile: Profile, name: str, plan: Plan, own: Sequence[Cost] | None) -> bool:
    """Whether a profile is of this step with arguments of these shapes."""
    nodes, found = plan.graph.nodes, [k.cost for k in profile.kernels]
    if profile.name != name or not all(
        portion.node < len(nodes) and (portion.op == nodes[portion.node].op.name or any(bodies(nodes[portion.node])))
        for cost in found
        for portion in cost.work
    ):
        return False
    if profile.how != "native":
        return all(cost.over == ", ".join(map(str, plan.specs(cost.nodes[0]))) for cost in found)
    return own is None or [(c.what, c.over, c.nodes) for c in found] == [(c.what, c.over, c.nodes) for c in own]


def _other(profile: Profile, name: str) -> SpecError:
    facts = [f"profile:  of {profile.name!r}, {len(profile.kernels)} kernels", f"step:     {name!r}"]
    cure = "Give the profile of this step with arguments of these shapes, or profile=True with the arguments."
    return SpecError(report("the profile is of another step", at=here(), facts=facts, cure=cure))
