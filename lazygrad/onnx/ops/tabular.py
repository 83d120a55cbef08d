"""The ops of ``ai.onnx.ml`` for tables of numbers: scaling, linear models, encoders, as scikit-learn's are exported."""

from __future__ import annotations

from typing import Any

import numpy as np

import lazygrad as lg
from lazygrad.errors import ExportError, report
from lazygrad.graph.registry import here
from lazygrad.onnx.ops.table import TABLES, At, op


def refusal(at: At, what: str, cure: str = "") -> ExportError:
    """An error that says what a node has that is not here."""
    return ExportError(report(f"cannot import {at.node}: {what}", at=here(), cure=cure))


def _floats(x: Any) -> Any:
    return x if x.dtype.kind == "f" else lg.astype(x, np.float32)


def finished(at: At, scores: Any, post_transform: str) -> Any:
    """Scores as what the node is asked for."""
    if post_transform not in ("NONE", "SOFTMAX", "LOGISTIC"):
        raise refusal(at, f"its post_transform is {post_transform!r:.40}")
    if post_transform == "NONE":
        return scores
    return lg.nn.softmax(scores, axis=-1) if post_transform == "SOFTMAX" else lg.nn.sigmoid(scores)


def labelled(at: At, places: Any, numbers: Any, texts: Any) -> Any:
    """The labels of classes by their places, which are whole numbers here."""
    if texts:
        raise refusal(at, "its labels are text", "Train the model with whole numbers as classes.")
    return lg.take(lg.asarray(np.array(numbers, np.int64)), places)


@op("Scaler", domain=TABLES)
def scaler(at: At, x: Any, *, offset: Any, scale: Any) -> Any:
    """(x − offset)·scale."""
    return (_floats(x) - np.array(offset or 0, np.float32)) * np.array(scale or 1, np.float32)


@op("Normalizer", domain=TABLES)
def normalizer(at: At, x: Any, *, norm: str) -> Any:
    """Rows divided by their largest number, by their sum, or by their length; rows of zeros stay."""
    x = _floats(x)
    if norm == "MAX":
        size = lg.max(x, axis=-1, keepdims=True)
    elif norm == "L1":
        size = lg.sum(lg.abs(x), axis=-1, keepdims=True)
    else:
        size = lg.sqrt(lg.sum(lg.square(x), axis=-1, keepdims=True))
    return x / lg.where(size == 0, 1, size)


@op("Binarizer", domain=TABLES)
def binarizer(at: At, x: Any, *, threshold: float) -> Any:
    """1 above a number, else 0."""
    return lg.astype(x > threshold, x.dtype)


@op("Imputer", domain=TABLES)
def imputer(
    at: At,
    x: Any,
    *,
    imputed_value_floats: Any,
    imputed_value_int64s: Any,
    replaced_value_float: Any,
    replaced_value_int64: Any,
) -> Any:
    """Numbers in place of those that are missing, one for each column or for all."""
    whole = x.dtype.kind in "iu"
    values = np.array(imputed_value_int64s if whole else imputed_value_floats, x.dtype)
    sought = replaced_value_int64 if whole else replaced_value_float
    missing = lg.isnan(x) if not whole and np.isnan(sought) else x == sought
    return lg.where(missing, values, x)


@op("ArrayFeatureExtractor", domain=TABLES)
def array_feature_extractor(at: At, x: Any, places: Any) -> Any:
    """Columns."""
    x = x if x.ndim > 1 else lg.expand_dims(x, 0)
    return lg.take(x, lg.reshape(places, (-1,)), axis=-1)


@op("FeatureVectorizer", domain=TABLES)
def feature_vectorizer(at: At, *xs: Any, inputdimensions: Any) -> Any:
    """Columns of several tables side by side."""
    return lg.concat([lg.astype(x, np.float32) for x in xs], axis=-1)


@op("OneHotEncoder", domain=TABLES)
def one_hot_encoder(at: At, x: Any, *, cats_int64s: Any, cats_strings: Any, zeros: int) -> Any:
    """1 at the category of each number, 0 elsewhere; a number that is none has zeros."""
    if cats_strings:
        raise refusal(at, "its categories are text")
    return lg.astype(lg.expand_dims(x, -1) == np.array(cats_int64s, np.int64), np.float32)


@op("LabelEncoder", domain=TABLES)
def label_encoder(
    at: At,
    x: Any,
    *,
    keys_floats: Any,
    keys_int64s: Any,
    keys_tensor: Any,
    values_floats: Any,
    values_int64s: Any,
    values_tensor: Any,
    default_float: Any,
    default_int64: Any,
    default_tensor: Any,
    default_string: Any,
    keys_strings: Any,
    values_strings: Any,
    classes_strings: Any,
) -> Any:
    """Other numbers in place of numbers."""
    if keys_strings or values_strings or classes_strings:
        raise refusal(at, "it maps text", "Train the model with whole numbers as classes.")
    keys = keys_tensor if keys_tensor is not None else np.array(keys_floats or keys_int64s)
    values, other = values_tensor, default_tensor
    if values is None and values_floats:
        values, other = np.array(values_floats, np.float32), default_float
    elif values is None:
        values, other = np.array(values_int64s, np.int64), default_int64
    same = lg.expand_dims(x, -1) == keys.astype(x.dtype)
    if keys.dtype.kind == "f" and at.since >= 4:
        same = lg.logical_or(same, lg.logical_and(lg.isnan(lg.expand_dims(x, -1)), np.isnan(keys)))
    found = lg.take(lg.asarray(values), lg.argmax(lg.astype(same, np.int32), axis=-1))
    return lg.where(lg.any(same, axis=-1), found, np.asarray(other, values.dtype).reshape(()))


@op("LinearRegressor", domain=TABLES)
def linear_regressor(at: At, x: Any, *, coefficients: Any, intercepts: Any, post_transform: str, targets: int) -> Any:
    """x·W + b."""
    weight = np.array(coefficients, np.float32).reshape(targets, -1)
    y = lg.astype(x, np.float32) @ weight.T
    return finished(at, y + np.array(intercepts, np.float32) if intercepts else y, post_transform)


@op("LinearClassifier", domain=TABLES)
def linear_classifier(
    at: At,
    x: Any,
    *,
    classlabels_ints: Any,
    classlabels_strings: Any,
    coefficients: Any,
    intercepts: Any,
    multi_class: int,
    post_transform: str,
) -> Any:
    """The class with the largest of x·W + b, and what these are."""
    x = lg.astype(x, np.float32)
    weight = np.array(coefficients, np.float32).reshape(-1, x.shape[-1])
    if len(weight) == 1:
        raise refusal(at, "it has one score for two classes", "skl2onnx writes one for each.")
    scores = x @ weight.T
    scores = scores + np.array(intercepts, np.float32) if intercepts else scores
    label = labelled(at, lg.argmax(scores, axis=-1), classlabels_ints, classlabels_strings)
    return label, finished(at, scores, post_transform)


@op("SVMRegressor", domain=TABLES)
def svm_regressor(
    at: At,
    x: Any,
    *,
    coefficients: Any,
    kernel_params: Any,
    kernel_type: str,
    n_supports: int,
    one_class: int,
    post_transform: str,
    rho: Any,
    support_vectors: Any,
) -> Any:
    """Σ αᵢ·k(x, xᵢ) + ρ (Vapnik 1995)."""
    x = lg.astype(x, np.float32)
    gamma, coef, degree = kernel_params or (0.0, 0.0, 0.0)
    shape = (n_supports, -1) if n_supports else (1, -1)
    supports = np.array(support_vectors if n_supports else coefficients, np.float32).reshape(shape)
    if not n_supports or kernel_type == "LINEAR":
        near = x @ supports.T
    elif kernel_type == "RBF":
        near = lg.exp(-gamma * lg.sum(lg.square(lg.expand_dims(x, 1) - supports), axis=-1))
    elif kernel_type == "POLY":
        near = (gamma * (x @ supports.T) + coef) ** degree
    else:
        near = lg.tanh(gamma * (x @ supports.T) + coef)
    y = near @ np.array(coefficients, np.float32).reshape(-1, 1) if n_supports else near
    y = y + np.float32(rho[0])
    return finished(at, lg.astype(lg.where(y > 0, 1.0, -1.0), np.float32) if one_class else y, post_transform)


@op("ZipMap", domain=TABLES)
def zip_map(at: At, x: Any, *, classlabels_int64s: Any, classlabels_strings: Any) -> Any:
    """The table itself, whose columns are the classes in their order, in place of a list of dictionaries."""
    return x
