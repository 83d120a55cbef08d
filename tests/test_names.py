"""Names that other libraries have: what they are called here."""

import re

import numpy as np
import pytest

import lazygrad as lg
from lazygrad import names


def said(place, name):
    """What the AttributeError for a name says, without its first line and its place."""
    with pytest.raises(AttributeError) as caught:
        getattr(place, name)
    return str(caught.value).split("\n\n")[-1].strip()


OF_PACKAGES = [
    (lg, "softmax", "It is lg.nn.softmax."),
    (lg, "concatenate", "Write lg.concat."),
    (lg, "cumsum", "Write lg.cumulative_sum."),
    (lg, "inv", "It is lg.linalg.inv."),
    (lg, "Adam", "It is lg.optim.Adam."),
    (lg, "HeNormal", "It is lg.nn.initializers.HeNormal."),
    (lg.nn, "Dense", "Write lg.nn.Linear."),
    (lg.nn, "ReLU", "It is lg.nn.relu."),
    (lg.nn, "concat", "It is lg.concat."),
    (lg.nn, "CrossEntropyLoss", "Write lg.nn.cross_entropy."),
    (lg.optim, "adamw", "It is lg.optim.AdamW."),
    (lg.optim, "Cosine", "It is lg.optim.schedules.Cosine."),
    (lg.linalg, "inverse", "Write lg.linalg.inv."),
    (lg, "norm", "It is lg.linalg.norm."),
    (lg, "expit", "Write lg.nn.sigmoid."),
    (lg, "special", "Special functions stand in lg itself: lg.erf, lg.gammainc."),
    (lg.stats, "Normal", "It is lg.nn.initializers.Normal."),
    (lg.stats, "StudentT", "Write lg.stats.t."),
    (lg.stats, "weibull", "Write lg.stats.weibull_min."),
    (lg, "poisson", "It is lg.stats.poisson."),
    (lg, "sofmax", "Did you mean lg.nn.softmax or lg.fmax or lg.nn.log_softmax?"),
    (lg, "qwertz", "there is no lg.qwertz"),
]


@pytest.mark.parametrize(("place", "name", "advice"), OF_PACKAGES)
def test_a_name_that_a_package_has_not_is_answered_with_what_it_is_called(place, name, advice):
    """By the name it has elsewhere, by the name that another library gives it, or by what is near."""
    assert advice == said(place, name)
    assert not hasattr(place, name)


OF_TENSORS = [
    ("detach", "Write lg.stop_gradient."),
    ("view", "Write x.reshape(shape)."),
    ("exp", "It is lg.exp."),
    ("softmax", "It is lg.nn.softmax."),
    ("item", "Return the tensor from the step and use the array it gives, or call .eval() inside env.run."),
    ("clone", "It is not needed: a tensor never changes."),
    ("t", "Write x.T."),
    ("requires_grad", "Write trainable=, when a variable is registered."),
    ("masked_fill", "Write lg.where."),
    ("ravel", "Write lg.flatten."),
    ("grad", "Write lg.grad(loss, variables)."),
    ("cumsum", "Write lg.cumulative_sum."),
]


@pytest.mark.parametrize(("name", "advice"), OF_TENSORS)
def test_a_method_that_tensors_have_not_is_answered_with_what_to_write(name, advice):
    """A method of arrays elsewhere is a function here."""

    def step(ctx, x):
        assert advice == said(x, name)
        assert not hasattr(x, name)
        return x

    lg.VariableEnvironment().run(step, np.ones(3))


def test_the_error_of_a_tensor_says_where():
    """It is an error like any other; names that Python and NumPy look for are answered at once."""

    def step(ctx, x):
        with pytest.raises(AttributeError) as caught:
            x.unsqueeze(0)
        assert re.fullmatch(
            r"a tensor has no 'unsqueeze'\n\n    x\.unsqueeze\(0\) +tests/test_names\.py:\d+, in step\n\n"
            r"    Write lg\.expand_dims\.",
            str(caught.value),
        )
        assert "'Tensor' object has no attribute '__array_interface__'" == said(x, "__array_interface__")
        return x

    lg.VariableEnvironment().run(step, np.ones(3))


@pytest.mark.parametrize("called", sorted(set(names.CALLED.values())))
def test_what_is_advised_exists(called):
    """Every lg.* in the table is a public name, so that it is corrected with them; so is what tensors have."""
    for path in re.findall(r"\blg((?:\.\w+)+)", called):
        found = lg
        for part in path[1:].split("."):
            assert part in found.__all__ if hasattr(found, "__all__") else hasattr(found, part)
            found = getattr(found, part)
    for method in re.findall(r"\bx\.(\w+)", called):
        assert hasattr(lg.Tensor, method)


def test_no_name_in_the_table_is_a_public_one():
    """A name that comes to be is removed from the table, but for those of distributions, which are others' too."""
    ours = {name for place in names.public.values() if place is not lg.stats for name in place.__all__}
    there = {"AvgPool2d", "MaxPool2d", "clip_by_global_norm", "Exponential"}  # so called in lg.nn, lg.optim
    assert there >= ours & names.CALLED.keys()


@pytest.mark.parametrize("place", [lg, lg.nn, lg.linalg, lg.optim, lg.stats], ids=lambda place: place.__name__)
def test_the_names_that_a_package_lists_are_its_public_ones(place):
    """``dir()``, and so what an editor completes."""
    assert sorted(place.__all__) == dir(place)
