"""The ops of ONNX give what its own tests of single nodes want, within the tolerances that these have."""

from __future__ import annotations

import collections
from pathlib import Path
from typing import Any

import pytest
from onnx_cases import cases, check, is_here, ops_of, why_not

PARTS = 24

# The ops in these cases that are not here. One that comes must go from here.
NOT_HERE = {
    "of text": {"RegexFullMatch", "StringConcat", "StringNormalizer", "StringSplit", "TfIdfVectorizer"},
    "of files of images": {"ImageDecoder"},
    "of the bits of numbers": {"BitCast"},
    "of boxes, and of filters that bend": {"DeformConv", "RoiAlign"},
    "of filters for sound, which only the model's file knows": {"MelWeightMatrix"},
    "of trees as they are written since version 5, and steps of training, in domains of their own": {
        *("TreeEnsemble", "Adagrad", "Adam", "Momentum"),
    },
}

# Cases of ops that are here, but ask for what is not.
APART = {
    "test_training_dropout": "it draws as NumPy's RandomState does",
    "test_bernoulli": "it draws as NumPy's RandomState does",
    "test_col2im_5d": "windows go over two axes",
}


def apart(name: str) -> str | None:
    """Why a case of an op that is here is none for us."""
    return next((why for start, why in APART.items() if name.startswith(start)), None)


def failing(chosen: list[Any], folder: Path) -> dict[str, str]:
    """What is wrong with each of them that should pass."""
    found = {}
    for case in chosen:
        if why_not(case) is None and apart(case.name) is None:
            try:
                check(case, folder)
            except Exception as reason:
                found[case.name] = f"{type(reason).__name__}: {reason}"
    return found


@pytest.mark.parametrize("part", range(PARTS))
def test_every_case_of_an_op_that_is_here_passes(part: int, tmp_path: Path) -> None:
    """Inputs are arguments of the step, but for those that must be known while it is written."""
    assert {} == failing(cases()[part::PARTS], tmp_path)


def test_most_cases_are_ours() -> None:
    """Fewer, if an op is lost; the others are of ops, of types and of opsets that are not here."""
    reasons = collections.Counter(why_not(case) or apart(case.name) for case in cases())
    assert reasons[None] >= 0.86 * len(cases()), reasons  # 1,635 of 1,884 with onnx 1.23


def test_the_ops_that_are_not_here_are_those_that_are_kept() -> None:
    """Each for a reason; an op that comes with a newer package is noticed, and so is one that is here after all."""
    asked = {op for case in cases() for op in ops_of(case)}
    kept = set().union(*NOT_HERE.values())
    assert {name for domain, name in asked if not is_here(domain, name)} - kept == set()
    assert {name for domain, name in asked if is_here(domain, name)} & kept == set()
