"""Forests of decision trees: all trees of all rows go one level down at a time."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

import lazygrad as lg
from lazygrad.onnx.ops.table import TABLES, At, op
from lazygrad.onnx.ops.tabular import finished, labelled, refusal

MODES = {
    "BRANCH_LEQ": lg.less_equal,
    "BRANCH_LT": lg.less,
    "BRANCH_GTE": lg.greater_equal,
    "BRANCH_GT": lg.greater,
    "BRANCH_EQ": lg.equal,
    "BRANCH_NEQ": lg.not_equal,
}


class _Forest(NamedTuple):
    """All nodes of all trees, by their places in the file; a leaf leads to itself."""

    feature: Any
    value: Any
    mode: Any  # text
    yes: Any
    no: Any
    missing: Any  # whether what is missing goes the way of yes
    roots: Any
    place: dict[tuple[int, int], int]  # of a tree's number and a node's
    depth: int


def _forest(at: At, settings: dict[str, Any]) -> _Forest:
    keys = list(zip(settings["nodes_treeids"], settings["nodes_nodeids"], strict=True))
    place = {key: k for k, key in enumerate(keys)}
    mode = np.array(settings["nodes_modes"])
    branches = mode != "LEAF"

    def leads(name: str) -> Any:
        found = [place[keys[k][0], child] if branches[k] else k for k, child in enumerate(settings[name])]
        return np.array(found, np.int64)

    yes, no = leads("nodes_truenodeids"), leads("nodes_falsenodeids")
    first: dict[int, int] = {}
    for k, (tree, _) in enumerate(keys):
        first.setdefault(tree, k)
    values = settings.get("nodes_values_as_tensor")
    values = np.array(settings["nodes_values"], np.float32) if values is None else values
    tracks = settings.get("nodes_missing_value_tracks_true") or (0,) * len(keys)
    roots = np.array(list(first.values()), np.int64)
    depth, now = 0, roots
    while branches[now].any():
        now = np.unique(np.concatenate([yes[now], no[now]]))
        depth += 1
        if depth > len(keys):
            raise refusal(at, "a node of its trees leads back to one above it")
    feature = np.where(branches, settings["nodes_featureids"], 0).astype(np.int64)
    return _Forest(feature, values, mode, yes, no, np.array(tracks, bool), roots, place, depth)


def _leaves(at: At, x: Any, forest: _Forest) -> Any:
    """The leaf that each row reaches in each tree, (rows, trees)."""
    now = lg.broadcast_to(lg.asarray(forest.roots), (x.shape[0], len(forest.roots)))
    kinds = [kind for kind in MODES if kind in forest.mode]
    odd = sorted(set(forest.mode) - {*MODES, "LEAF"})
    if odd:
        raise refusal(at, f"its trees have nodes of mode {odd[0]!r:.40}")
    values = forest.value.astype(x.dtype)
    for _ in range(forest.depth):
        seen = lg.take_along_axis(x, lg.take(lg.asarray(forest.feature), now), axis=1)
        limit = lg.take(lg.asarray(values), now)
        goes: Any = None
        for kind in kinds:
            found = MODES[kind](seen, limit)
            goes = found if goes is None else lg.where(lg.take(lg.asarray(forest.mode == kind), now), found, goes)
        if forest.missing.any():
            goes = lg.logical_or(goes, lg.logical_and(lg.isnan(seen), lg.take(lg.asarray(forest.missing), now)))
        now = lg.where(goes, lg.take(lg.asarray(forest.yes), now), lg.take(lg.asarray(forest.no), now))
    return now


def _summed(at: At, x: Any, settings: dict[str, Any], kind: str, count: int) -> tuple[Any, _Forest]:
    """The sums of what the leaves that are reached say of each target, or of each class."""
    forest = _forest(at, settings)
    x = x if x.dtype.kind == "f" else lg.astype(x, np.float32)
    weights = settings.get(f"{kind}_weights_as_tensor")
    weights = np.array(settings[f"{kind}_weights"], np.float32) if weights is None else weights
    table = np.zeros((len(forest.feature), count), weights.dtype)
    keys = zip(settings[f"{kind}_treeids"], settings[f"{kind}_nodeids"], strict=True)
    np.add.at(table, ([forest.place[key] for key in keys], list(settings[f"{kind}_ids"])), weights)
    scores = lg.sum(lg.take(lg.asarray(table), _leaves(at, x, forest), axis=0), axis=1)
    return scores, forest


def _base(settings: dict[str, Any]) -> Any:
    tensor = settings.get("base_values_as_tensor")
    return np.array(settings.get("base_values") or 0, np.float32) if tensor is None else tensor


@op("TreeEnsembleRegressor", domain=TABLES)
def tree_ensemble_regressor(at: At, x: Any, *, aggregate_function: str, post_transform: str, **settings: Any) -> Any:
    """Sums, or means, of what the trees say."""
    if aggregate_function not in ("SUM", "AVERAGE"):
        raise refusal(at, f"its aggregate_function is {aggregate_function!r:.40}")
    scores, forest = _summed(at, x, settings, "target", int(settings["n_targets"]))
    scores = scores / len(forest.roots) if aggregate_function == "AVERAGE" else scores
    return finished(at, lg.astype(scores + _base(settings), np.float32), post_transform)


@op("TreeEnsembleClassifier", domain=TABLES)
def tree_ensemble_classifier(at: At, x: Any, *, post_transform: str, **settings: Any) -> Any:
    """The class of which the trees say most, and what they say of all; of two classes they may speak of one alone."""
    numbers, texts = settings.get("classlabels_int64s"), settings.get("classlabels_strings")
    count = len(numbers or texts or ())
    scores, _ = _summed(at, x, settings, "class", count)
    spoken = set(settings["class_ids"])
    if count > 2 or len(spoken) > 1:
        scores = lg.astype(scores + _base(settings), np.float32)
        return labelled(at, lg.argmax(scores, axis=-1), numbers, texts), finished(at, scores, post_transform)
    score = lg.astype(lg.sum(scores, axis=-1) + _base(settings).reshape(-1)[-1], np.float32)
    given = settings.get("class_weights_as_tensor")
    shares = min(settings["class_weights"] if given is None else given) >= 0
    label = labelled(at, lg.astype(score > (0.5 if shares else 0.0), np.int64), numbers, texts)
    # As onnxruntime has it: by the first class boosting means the second one, and there is no softmax of both.
    if spoken == {1}:
        return label, finished(at, lg.stack([lg.zeros_like(score), score], axis=-1), post_transform)
    if post_transform == "LOGISTIC":
        return label, lg.nn.sigmoid(lg.stack([-score, score], axis=-1))
    return label, lg.stack([1 - score if shares else -score, score], axis=-1)
