"""Which sizes of a model are open, and the model in which they are."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from lazygrad.errors import ExportError, nearest, report
from lazygrad.export.onnx.forms import Point, points, whole
from lazygrad.export.onnx.opening import Axis, Fixed, Unlike, lighten, opened
from lazygrad.export.onnx.tried import differ
from lazygrad.export.source import Given, Source
from lazygrad.graph.registry import here, level
from lazygrad.graph.spec import Shape, Spec
from lazygrad.plan import walked

__all__ = ["model_for"]

AUTO, BATCH = "auto", "batch"
MOST = 3  # names of open sizes: the step is written for two sizes of each, with all of the others
Again: TypeAlias = Callable[[Sequence[Shape]], Source]  # the step written for arrays of other shapes
Batch: TypeAlias = "str | Mapping[str, str | Mapping[int, str]] | None"


class _Open(NamedTuple):
    """An open size.

    Attributes:
        name: as the model calls it.
        size: of the arguments given.
        places: the arguments, and which of their axes, that are so long.
    """

    name: str
    size: int
    places: tuple[tuple[int, int], ...]


def model_for(source: Source, again: Again, write: Callable[[Source], Any], batch: Batch) -> Any:
    """The model of a step, in which sizes are open as ``batch`` asks.

    Args:
        source: the step for the arguments given.
        again: writes it for arguments of other shapes.
        write: makes a model of what was written.
        batch: ``"auto"``: the first axis of all arguments, if it is one size and may be another one; a name: the same,
            and an error if not; None: nothing; or a dict, of names by axes by arguments.

    Raises:
        ExportError: an axis that was asked for cannot be open, or is none.
        UserWarning: the first axis cannot be open, and nothing was said.
    """
    openings = _asked(source, batch)
    if not openings:
        return write(source)
    try:
        return _open(source, again, write, openings)
    except Fixed as reason:
        names = " and ".join(repr(one.name) for one in openings)
        if batch == AUTO:
            given = ", ".join(f"{one.said!r} {one.spec}" for one in source.inputs)
            warnings.warn(
                f"the model of {source.name} takes arrays of these sizes alone: {given}. {_sentence(reason)} "
                "batch=None says that this is meant.",
                UserWarning,
                stacklevel=level(),
            )
            return write(source)
        raise ExportError(
            report(
                f"cannot export {source.name} with the size{'s' * (len(openings) > 1)} {names} open",
                at=here(),
                facts=[reason.why, *([f"line:  {reason.at}"] if reason.at else [])],
                cure="Leave the size as it is with batch=None, or write the step so that it does the same for all.",
            )
        ) from reason


def _sentence(reason: Fixed) -> str:
    said = reason.why[0].upper() + reason.why[1:]
    return f"{said}{f' ({reason.at})' if reason.at else ''}."


def _open(source: Source, again: Again, write: Callable[[Source], Any], openings: Sequence[_Open]) -> Any:
    """The model with open sizes.

    Raises:
        Fixed: there is none.
    """
    taken, begin = _taken(source), [one.size for one in openings]
    at = points(begin, taken)
    try:
        model, results = _compared(source, again, write, openings, at)
    except Unlike as reason:
        # Passes choose by what is cheaper, and so for larger sizes otherwise; if the step wrote the same for all, what
        # they chose for sizes near each other does for all.
        first, *others = [_written(source, again, openings, point).outline for point in at]
        parted = next((where for outline in others if (where := first.parted(outline))), None)
        if parted is not None:
            raise Unlike(reason.why, f"{parted.place}  {parted.text}") from reason
        at = points(begin, taken, near=True)
        model, results = _compared(source, again, write, openings, at)
    # What the step writes for the size that is given must be the same; for one row, which may be spared a sum or a
    # repetition, what comes out. Numbers may have a form that does not hold for so few, as where a part is cut off.
    parted = _written(source, again, openings, at[0]).outline.parted(source.outline)
    if parted is not None or _results(source) != _expected(results, at, tuple(begin)):
        line = f"{parted.place}  {parted.text}" if parted is not None else ""
        raise Fixed(f"the step does other things for {_said(openings, begin)}", line)
    if differ(model, write(source)):
        raise Fixed(f"the step does other things for {_said(openings, begin)}")
    single = [1] * len(openings)
    try:
        alone = _written(source, again, openings, tuple(single))
        written = write(alone)
    except (Fixed, ExportError):  # one row is too few for it
        return model
    if _results(alone) != _expected(results, at, tuple(single)) or differ(model, written):
        raise Fixed(f"the step does other things for {_said(openings, single)}")
    return model


def _compared(
    source: Source, again: Again, write: Callable[[Source], Any], openings: Sequence[_Open], at: Sequence[Point]
) -> tuple[Any, list[list[Spec]]]:
    """The model for all sizes, and for each that was tried the results.

    Raises:
        Fixed: there is none.
    """
    models, results = [], []
    try:
        for point in at:
            one = _written(source, again, openings, point)
            results.append(_results(one))
            models.append(write(one))
            lighten(models)
    except ExportError as reason:
        write(source)  # what has no form whatever its sizes are is said of these
        raise Fixed(f"for other sizes the step raises ExportError: {str(reason).splitlines()[0]}") from reason
    names = [info.name for info in models[0].graph.input]
    axes = [Axis(one.name, names[one.places[0][0]], one.places[0][1]) for one in openings]
    return opened(models, at, axes), results


def _taken(source: Source) -> set[int]:
    """Sizes that occur in the step, and whole numbers among its settings."""
    taken: set[int] = set()
    for node in walked(source.plan.graph):
        for spec in [node.spec] if isinstance(node.spec, Spec) else node.spec:
            taken |= {*spec.shape, spec.size}
        for value in node.params.values():
            taken |= {one for one in (value if isinstance(value, tuple) else (value,)) if type(one) is int}
    return taken


def _written(source: Source, again: Again, openings: Sequence[_Open], point: Point) -> Source:
    """The step for these sizes.

    Raises:
        Fixed: it cannot be written for them.
    """
    shapes = [list(one.spec.shape) for one in source.inputs]
    for one, size in zip(openings, point, strict=True):
        for which, axis in one.places:
            shapes[which][axis] = size
    try:
        found = again([tuple(shape) for shape in shapes])
    except Exception as reason:  # whatever the step raises
        first = str(reason).splitlines()[0] if str(reason) else ""
        raise Fixed(f"for {_said(openings, point)} the step raises {type(reason).__name__}: {first}") from reason
    for given, shape in zip(found.inputs, shapes, strict=True):
        if given.spec.shape != tuple(shape):
            raise Fixed(f"{given.said!r} is a placeholder, whose sizes the step says itself")
    return found


def _said(openings: Sequence[_Open], point: Sequence[int]) -> str:
    return ", ".join(f"{one.name}={size}" for one, size in zip(openings, point, strict=True))


def _results(source: Source) -> list[Spec]:
    return [source.plan.spec(i) for i in source.plan.values]


def _expected(results: Sequence[Sequence[Spec]], at: Sequence[Point], point: Point) -> list[Spec]:
    """The results for other sizes, by their forms."""
    found = []
    for specs in zip(*results, strict=True):
        forms = [whole(sizes, at) for sizes in zip(*[spec.shape for spec in specs], strict=True)]
        found.append(Spec(tuple([-1 if form is None else form(point) for form in forms]), specs[0].dtype))
    return found


# What is asked for.


def _asked(source: Source, batch: Batch) -> list[_Open]:
    if batch is None:
        return []
    if isinstance(batch, str):
        found = _first_axes(source, BATCH if batch == AUTO else _checked_name(batch))
        if not found and batch != AUTO:
            facts = [f"{one.said}:  {one.spec}" for one in source.inputs]
            cure = "Say which axes are so long, such as batch={'x': {0: 'batch'}}."
            what = f"cannot export {source.name} with the size {batch!r} open: its arguments share no first axis"
            raise ExportError(report(what, at=here(), facts=facts, cure=cure))
        return found
    if not isinstance(batch, Mapping):
        cure = "It is a name for the size of the first axis, None, or a dict such as {'x': {0: 'batch', 1: 'time'}}."
        raise ExportError(report(f"cannot export with batch={batch!r:.60}", at=here(), cure=cure))
    return _listed(source, batch)


def _first_axes(source: Source, name: str) -> list[_Open]:
    """The first axis that all arguments with axes share; none if they do not."""
    places = [k for k, one in enumerate(source.inputs) if one.spec.shape]
    sizes = {source.inputs[k].spec.shape[0] for k in places}
    return [_Open(name, sizes.pop(), tuple((k, 0) for k in places))] if len(sizes) == 1 else []


def _listed(source: Source, batch: Mapping[str, Any]) -> list[_Open]:
    said = [one.said for one in source.inputs]
    places: dict[str, list[tuple[int, int]]] = {}
    for key, axes in batch.items():
        if key not in said:
            what = f"cannot export with batch={dict(batch)!r:.80}: there is no argument {key!r}"
            raise ExportError(report(what, at=here(), cure=nearest(str(key), said)))
        which = said.index(key)
        for axis, name in ({0: axes} if isinstance(axes, str) else _axes(batch, axes)).items():
            places.setdefault(_checked_name(name), []).append((which, _checked_axis(source.inputs[which], axis)))
    _check_once(places, said)
    found = []
    for name, listed in places.items():
        sizes = {source.inputs[which].spec.shape[axis] for which, axis in listed}
        if len(sizes) > 1:
            facts = [f"{said[which]}, axis {axis}:  {source.inputs[which].spec}" for which, axis in listed]
            what = f"cannot export {source.name}: the size {name!r} is {' and '.join(map(str, sorted(sizes)))}"
            raise ExportError(report(what, at=here(), facts=facts, cure="Give arrays that fit, or two names."))
        found.append(_Open(name, sizes.pop(), tuple(dict.fromkeys(listed))))
    if len(found) > MOST:
        what = f"cannot export {source.name} with {len(found)} open sizes: there may be {MOST}"
        raise ExportError(report(what, at=here(), facts=[", ".join(places)], cure="Leave some as they are."))
    return found


def _check_once(places: Mapping[str, Sequence[tuple[int, int]]], said: Sequence[str]) -> None:
    known: dict[tuple[int, int], str] = {}
    for name, listed in places.items():
        for place in listed:
            other = known.setdefault(place, name)
            if other != name:
                which, axis = place
                what = f"cannot export: axis {axis} of {said[which]!r} has the names {other!r} and {name!r}"
                raise ExportError(report(what, at=here(), cure="A size has one name."))


def _axes(batch: Any, axes: Any) -> Mapping[Any, Any]:
    if isinstance(axes, Mapping):
        return axes
    cure = "For each argument it has names by axes: {'x': {0: 'batch', 1: 'time'}}, or the name of the first."
    raise ExportError(report(f"cannot export with batch={batch!r:.80}", at=here(), cure=cure))


def _checked_name(name: Any) -> str:
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
        cure = "It is a name of letters, digits and _, such as 'batch'."
        raise ExportError(report(f"cannot export with a size called {name!r:.60}", at=here(), cure=cure))
    return name


def _checked_axis(given: Given, axis: Any) -> int:
    ndim = given.spec.ndim
    if isinstance(axis, bool) or not isinstance(axis, int) or not -ndim <= axis < ndim:
        what = f"cannot export with axis {axis!r:.40} of {given.said!r} open: it is {given.spec}"
        raise ExportError(report(what, at=here(), cure=f"Its axes are counted from 0 to {ndim - 1}." if ndim else ""))
    return axis % ndim
