"""Models of tables, as scikit-learn's are exported, give what onnxruntime gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx_models import helper, model_of, numbers, onnx, ours, saved, theirs

import lazygrad as lg

TABLES = "ai.onnx.ml"
X = numbers(12, 4)
ROWS = X[:5].ravel().tolist()  # five support vectors


def model(op: str, outputs: int = 1, kind: int = onnx.TensorProto.FLOAT, columns: int = 4, **settings: Any) -> Any:
    """A model of one such node, of a table ``x``."""
    names = ["y", "z"][:outputs]
    node = helper.make_node(op, ["x"], names, "node", domain=TABLES, **settings)
    proto = model_of([node], {"x": [None, columns]}, {}, {})
    proto.graph.input[0].type.tensor_type.elem_type = kind
    proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    proto.opset_import.append(helper.make_opsetid(TABLES, 3))
    return proto


def check(proto: Any, folder: Path, x: Any = X) -> list[Any]:
    """The layer gives what onnxruntime gives, which has its own mind on the type of an output that is not described."""
    for value, kind in zip(proto.graph.output, kinds(proto), strict=True):
        value.type.tensor_type.elem_type = kind
    path = saved(proto, folder)
    found, wanted = ours(lg.import_onnx(path), x=x), theirs(path, x=x)
    for got, want in zip(found, wanted, strict=True):
        assert (want.shape, want.dtype) == (got.shape, got.dtype)
        np.testing.assert_allclose(got, want, rtol=2e-5, atol=2e-6)
    return found


def kinds(proto: Any) -> list[int]:
    """The types of the outputs of these ops."""
    node = proto.graph.node[0]
    whole = node.op_type.endswith("Classifier") or any(a.name == "values_int64s" for a in node.attribute)
    first = onnx.TensorProto.INT64 if whole else onnx.TensorProto.FLOAT
    if node.op_type == "ArrayFeatureExtractor" or node.op_type == "Imputer":
        first = proto.graph.input[0].type.tensor_type.elem_type
    return [first, onnx.TensorProto.FLOAT][: len(node.output)]


SIMPLE: list[tuple[str, dict[str, Any]]] = [
    ("Scaler", {"offset": [1.0, 2.0, 3.0, 4.0], "scale": [0.5, 1.0, 2.0, 4.0]}),
    ("Scaler", {"offset": [1.0], "scale": [0.5]}),
    ("Normalizer", {"norm": "L1"}),
    ("Normalizer", {"norm": "L2"}),
    ("Normalizer", {"norm": "MAX"}),
    ("Binarizer", {"threshold": 0.2}),
    ("LinearRegressor", {"coefficients": ROWS[:8], "intercepts": [1.0, -1.0], "targets": 2}),
    ("LinearRegressor", {"coefficients": ROWS[:8], "targets": 2, "post_transform": "LOGISTIC"}),
    ("SVMRegressor", {"coefficients": ROWS[:4], "rho": [0.5], "kernel_params": [0.0, 0.0, 0.0]}),
]
SIMPLE += [
    ("SVMRegressor", {"coefficients": ROWS[:5], "support_vectors": ROWS, "n_supports": 5, "rho": [0.3], **more})
    for more in (
        {"kernel_type": "LINEAR", "kernel_params": [0.0, 0.0, 0.0]},
        {"kernel_type": "RBF", "kernel_params": [0.3, 0.0, 3.0]},
        {"kernel_type": "POLY", "kernel_params": [0.3, 0.1, 3.0]},
        {"kernel_type": "SIGMOID", "kernel_params": [0.3, 0.1, 3.0]},
        {"kernel_type": "RBF", "kernel_params": [0.3, 0.0, 3.0], "one_class": 1},
    )
]


@pytest.mark.parametrize(("op", "settings"), SIMPLE)
def test_scaling_and_linear_models(op: str, settings: Any, tmp_path: Path) -> None:
    """By row."""
    check(model(op, **settings), tmp_path)


@pytest.mark.parametrize("transform", ["NONE", "SOFTMAX", "LOGISTIC"])
def test_linear_classifiers(transform: str, tmp_path: Path) -> None:
    """Labels, and scores; ``ZipMap`` leaves these a table."""
    settings = {"coefficients": ROWS[:12], "intercepts": [0.1, 0.2, 0.3], "classlabels_ints": [7, 3, 5]}
    proto = model("LinearClassifier", 2, post_transform=transform, **settings)
    found = check(proto, tmp_path)
    proto.graph.node.append(helper.make_node("ZipMap", ["z"], ["map"], domain=TABLES, classlabels_int64s=[7, 3, 5]))
    proto.graph.output[1].name = "map"
    np.testing.assert_array_equal(ours(lg.import_onnx(saved(proto, tmp_path)), x=X)[1], found[1])


def test_missing_numbers_are_replaced(tmp_path: Path) -> None:
    """Those that are NaN, or a number."""
    x = X.copy()
    x[::3, 1] = np.nan
    check(model("Imputer", imputed_value_floats=[1.0, 2.0, 3.0, 4.0], replaced_value_float=float("nan")), tmp_path, x)
    whole = np.arange(12).reshape(3, 4) % 5
    settings = {"imputed_value_int64s": [9], "replaced_value_int64": 3}
    check(model("Imputer", kind=onnx.TensorProto.INT64, **settings), tmp_path, whole)


def test_numbers_are_encoded(tmp_path: Path) -> None:
    """As other numbers, with one for all that are unknown, and as columns."""
    x, kind = np.array([[1, 4, 2, 9], [2, 2, 1, 4]]), onnx.TensorProto.INT64
    keys = {"keys_int64s": [1, 2, 4]}
    check(model("LabelEncoder", kind=kind, values_floats=[0.5, 1.5, 2.5], default_float=-1.0, **keys), tmp_path, x)
    check(model("LabelEncoder", kind=kind, values_int64s=[10, 20, 30], default_int64=-7, **keys), tmp_path, x)
    check(model("OneHotEncoder", kind=kind, cats_int64s=[1, 2, 4], zeros=1), tmp_path, x)
    floats = {"keys_floats": [float("nan"), 2.0], "values_floats": [5.0, 6.0]}
    proto = model("LabelEncoder", **floats)
    for version in (3, 4):  # from 4 on NaN is a key as others are
        proto.opset_import[-1].version = version
        check(proto, tmp_path, np.array([[np.nan, 2, 3, 2]], np.float32))


def test_columns_are_chosen_and_put_together(tmp_path: Path) -> None:
    """By their places, which may be computed."""
    proto = model("ArrayFeatureExtractor")
    proto.graph.node[0].input.append("places")
    proto.graph.initializer.append(onnx.numpy_helper.from_array(np.array([3, 0, 0]), "places"))
    np.testing.assert_array_equal(X[:, [3, 0, 0]], check(proto, tmp_path)[0])
    proto = model("FeatureVectorizer", inputdimensions=[4, 4])
    proto.graph.node[0].input.append("x")
    np.testing.assert_array_equal(np.hstack([X, X]), check(proto, tmp_path)[0])


def forest(trees: int, depth: int, kinds: tuple[str, ...], seed: int = 0) -> dict[str, list[Any]]:
    """The nodes of full trees of random questions."""
    rng = np.random.default_rng(seed)
    found: dict[str, list[Any]] = {}
    for tree in range(trees):
        for node in range(2 ** (depth + 1) - 1):
            leaf = node >= 2**depth - 1
            row = {
                "treeids": tree,
                "nodeids": node,
                "modes": "LEAF" if leaf else str(rng.choice(kinds)),
                "featureids": int(rng.integers(4)),
                "values": float(rng.normal()),
                "truenodeids": 0 if leaf else 2 * node + 1,
                "falsenodeids": 0 if leaf else 2 * node + 2,
                "missing_value_tracks_true": int(rng.integers(2)),
            }
            for key, value in row.items():
                found.setdefault(f"nodes_{key}", []).append(value)
    return found


def leaves(nodes: dict[str, list[Any]], kind: str, ids: list[int], seed: int = 1, low: float = -1.0) -> dict[str, Any]:
    """Random weights of all targets, or classes, at all leaves."""
    rng = np.random.default_rng(seed)
    places = [(k, each) for k, mode in enumerate(nodes["nodes_modes"]) if mode == "LEAF" for each in ids]
    return {
        f"{kind}_treeids": [nodes["nodes_treeids"][k] for k, _ in places],
        f"{kind}_nodeids": [nodes["nodes_nodeids"][k] for k, _ in places],
        f"{kind}_ids": [each for _, each in places],
        f"{kind}_weights": rng.uniform(low, 1, len(places)).tolist(),
    }


def holed() -> Any:
    """The table with numbers missing."""
    x = numbers(40, 4, seed=3)
    x[::4, 2] = np.nan
    return x


@pytest.mark.parametrize("kinds", [("BRANCH_LEQ",), ("BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_LEQ")])
@pytest.mark.parametrize("more", [{}, {"aggregate_function": "AVERAGE"}, {"base_values": [0.5, -0.5]}])
def test_forests_for_numbers(kinds: Any, more: Any, tmp_path: Path) -> None:
    """Of two targets; what is missing goes the way that its node says."""
    nodes = forest(4, 3, kinds)
    check(
        model("TreeEnsembleRegressor", n_targets=2, **nodes, **leaves(nodes, "target", [0, 1]), **more),
        tmp_path,
        holed(),
    )


@pytest.mark.parametrize("labels", [[2, 4, 9], [5, 1, 0, 3]])
@pytest.mark.parametrize("transform", ["NONE", "SOFTMAX"])
def test_forests_for_classes(labels: Any, transform: str, tmp_path: Path) -> None:
    """Labels, and what the trees say of each: shares, which are 1 in all."""
    nodes = forest(3, 3, ("BRANCH_LEQ",))
    said = leaves(nodes, "class", list(range(len(labels))), low=0.0)
    shares = np.reshape(said["class_weights"], (-1, len(labels)))
    said["class_weights"] = (shares / shares.sum(axis=1, keepdims=True) / 3).ravel().tolist()
    settings = {"classlabels_int64s": labels, "post_transform": transform}
    found = check(model("TreeEnsembleClassifier", 2, **nodes, **said, **settings), tmp_path, holed())
    assert 1 < len(set(found[0]))


def test_of_two_classes_that_trees_name_the_larger_one_is_the_label(tmp_path: Path) -> None:
    """Onnxruntime asks there whether the second one has more than 0, which every share has; scores agree."""
    nodes = forest(3, 3, ("BRANCH_LEQ",))
    said = leaves(nodes, "class", [0, 1], low=0.0)
    proto = model("TreeEnsembleClassifier", 2, **nodes, **said, classlabels_int64s=[0, 1])
    del proto.graph.output[0]
    proto.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    path, x = saved(proto, tmp_path), holed()
    scores = theirs(path, x=x)[0]
    np.testing.assert_allclose(ours(lg.import_onnx(path), x=x)[0], scores, rtol=2e-5)
    proto.graph.output[0].name, proto.graph.output[0].type.tensor_type.elem_type = "y", onnx.TensorProto.INT64
    np.testing.assert_array_equal(ours(lg.import_onnx(saved(proto, tmp_path)), x=x)[0], scores.argmax(axis=1))


@pytest.mark.parametrize("low", [0.0, -1.0])
@pytest.mark.parametrize("transform", ["NONE", "SOFTMAX", "LOGISTIC"])
@pytest.mark.parametrize("spoken", [0, 1])
def test_forests_that_speak_of_one_of_two_classes(low: float, transform: str, spoken: int, tmp_path: Path) -> None:
    """As boosting writes them: with shares of it, or with scores of both signs."""
    nodes = forest(3, 3, ("BRANCH_LEQ",))
    said = leaves(nodes, "class", [spoken], low=low)
    said["class_weights"] = [w / 3 for w in said["class_weights"]]
    settings = {"classlabels_int64s": [3, 5], "post_transform": transform}
    check(model("TreeEnsembleClassifier", 2, **nodes, **said, **settings), tmp_path, holed())


def test_what_has_no_form_is_said(tmp_path: Path) -> None:
    """Text as labels, a tree that runs in a circle, a way to add up that is not known."""
    nodes = forest(1, 1, ("BRANCH_LEQ",))
    circle = {**nodes, "nodes_truenodeids": [0, 0, 0]}
    linear = {"coefficients": ROWS[:8], "classlabels_strings": ["a", "b"]}
    said = leaves(nodes, "target", [0])
    for proto, match in (
        (model("LinearClassifier", 2, **linear), "its labels are text"),
        (model("TreeEnsembleRegressor", n_targets=1, **circle, **said), "leads back to one above"),
        (model("TreeEnsembleRegressor", n_targets=1, aggregate_function="MAX", **nodes, **said), "aggregate_function"),
        (model("LinearRegressor", coefficients=ROWS[:4], post_transform="PROBIT"), "post_transform is 'PROBIT'"),
    ):
        for value in proto.graph.output:
            value.type.tensor_type.elem_type = 1
        with pytest.raises(lg.ExportError, match=match):
            ours(lg.import_onnx(saved(proto, tmp_path)), x=X)
