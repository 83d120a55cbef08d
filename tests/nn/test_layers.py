"""What all layers share: names, variables, first numbers, both modes, errors."""

import re

import numpy as np
import pytest
from layer_checks import both, check_slope, environment, numbers, scrambled

import lazygrad as lg

nn = lg.nn


def labels():
    """Whole numbers from 0 to 6."""
    return np.random.default_rng(0).integers(0, 7, (2, 3))


# How to make each layer, and what it is called with.
LAYERS = {
    "Linear": (lambda env, **k: nn.Linear(env, 4, 3, **k), numbers(2, 5, 4)),
    "Conv2d": (lambda env, **k: nn.Conv2d(env, 2, 3, 2, padding=1, **k), numbers(2, 2, 4, 3)),
    "ConvTranspose2d": (lambda env, **k: nn.ConvTranspose2d(env, 2, 3, 2, stride=2, **k), numbers(2, 2, 3, 2)),
    "MaxPool2d": (lambda env, **k: nn.MaxPool2d(env, 2, **k), numbers(2, 2, 4, 4)),
    "AvgPool2d": (lambda env, **k: nn.AvgPool2d(env, 2, 1, 1, count_include_pad=False, **k), numbers(2, 2, 4, 4)),
    "SumPool2d": (lambda env, **k: nn.SumPool2d(env, (2, 3), 1, **k), numbers(2, 2, 4, 4)),
    "BatchNorm": (lambda env, **k: nn.BatchNorm(env, 3, **k), numbers(4, 3, 2)),
    "LayerNorm": (lambda env, **k: nn.LayerNorm(env, (3, 2), **k), numbers(4, 3, 2)),
    "GroupNorm": (lambda env, **k: nn.GroupNorm(env, 4, 2, **k), numbers(3, 4, 2)),
    "Dropout": (lambda env, **k: nn.Dropout(env, 0.5, **k), numbers(3, 4)),
    "Embedding": (lambda env, **k: nn.Embedding(env, 7, 3, **k), labels()),
    "RNN": (lambda env, **k: nn.RNN(env, 3, 2, **k), numbers(2, 4, 3)),
    "LSTM": (lambda env, **k: nn.LSTM(env, 3, 2, **k), numbers(2, 4, 3)),
    "GRU": (lambda env, **k: nn.GRU(env, 3, 2, **k), numbers(2, 4, 3)),
    "MultiHeadAttention": (lambda env, **k: nn.MultiHeadAttention(env, 4, 2, **k), numbers(2, 3, 4)),
    "TransformerBlock": (lambda env, **k: nn.TransformerBlock(env, 4, 2, causal=True, **k), numbers(2, 3, 4)),
}  # fmt: skip
BY_KIND = pytest.mark.parametrize("kind", LAYERS)


def output(layer, x, **settings):
    """The output alone, of recurrent layers too."""
    y = layer(x, **settings)
    return y[0] if isinstance(y, tuple) else y


def without_place(error):
    """A message without the line of this file that it names."""
    return re.sub(r"\n    [^\n]*test_layers\w*\.py:\d+[^\n]*\n", "\n    PLACE\n", str(error.value), count=1)


@BY_KIND
def test_a_layer_gives_the_same_by_run_and_compile_and_its_slope_is_right(kind):
    """Along every trainable variable and the input at once."""
    make, x = LAYERS[kind]
    env = environment()
    layer = make(env)
    scrambled(env)
    both(env, lambda x: output(layer, x), x)
    check_slope(env, lambda x: output(layer, x), x)


@BY_KIND
def test_a_layer_is_named_after_its_class_and_numbered(kind):
    """The second of a kind gets 1."""
    make, _ = LAYERS[kind]
    env = environment()
    first, second = make(env), make(env)
    assert re.sub("_", "", first.path) == kind.lower()
    assert f"{first.path}_1" == second.path
    assert all(v.path.startswith(f"{second.path}/") for v in second.variables)


@BY_KIND
def test_a_layer_goes_on_with_the_variables_of_a_file(kind, tmp_path):
    """Made anew in a loaded environment, it gives what it gave before."""
    make, x = LAYERS[kind]
    env = environment()
    layer = make(env)
    before = scrambled(env).run(lambda ctx, x: output(layer, x), x)
    env.save(tmp_path / "file.json")
    loaded = lg.VariableEnvironment.load(tmp_path / "file.json")
    again = make(loaded)
    assert [v.path for v in layer.variables] == [v.path for v in again.variables]
    np.testing.assert_array_equal(before, loaded.run(lambda ctx, x: output(again, x), x))


@BY_KIND
def test_a_layer_refuses_the_tensors_of_another_environment(kind):
    """It would read variables that are not there."""
    make, x = LAYERS[kind]
    layer, other = make(environment()), environment()
    with pytest.raises(lg.GraphError) as error:
        other.run(lambda ctx, x: output(layer, x), x)
    assert str(error.value).startswith(f"{layer!r} belongs to another environment")
    assert f"tensor:  of {other!r}" in str(error.value)


@BY_KIND
def test_the_first_numbers_depend_on_seed_and_path_alone(kind):
    """Neither on the order in which layers are made nor on draws."""
    make, _ = LAYERS[kind]
    alone, later, other = environment(3), environment(3), environment(4)
    later.run(lambda ctx: ctx.random.normal((2,)))
    nn.Linear(later, 2, 2, name="before")
    for env in (alone, later, other):
        make(env, name="layer")
    for v in alone:
        np.testing.assert_array_equal(alone[v.path], later[v.path])
        drawn = np.ptp(alone[v.path]) > 0
        assert drawn == (not np.array_equal(alone[v.path], other[v.path]))


def test_making_a_layer_does_not_disturb_the_draws():
    """A program that gets a layer more draws as before."""
    plain, with_layer = environment(), environment()
    nn.Linear(with_layer, 3, 2)
    draws = [env.run(lambda ctx: ctx.random.normal((4,))) for env in (plain, with_layer)]
    np.testing.assert_array_equal(draws[0], draws[1])


def test_a_layer_lies_in_the_namespace_that_it_is_given():
    """So models nest."""
    env = environment()
    layer = nn.Linear(env.namespace("encoder").namespace("head"), 3, 2)
    assert ["encoder/head/linear/weight", "encoder/head/linear/bias"] == [v.path for v in layer.variables]
    assert ("linear", "encoder/head/linear") == (layer.name, layer.path)


def test_the_parts_of_a_block_lie_in_its_namespace():
    """Two levels deep."""
    env = environment()
    block = nn.TransformerBlock(env, 4, 2, name="block")
    assert "block/attention/query/weight" in env
    assert [v.path for v in env] == [v.path for v in block.variables]


@pytest.mark.parametrize(
    ("make", "shown"),
    [
        (lambda env: nn.Linear(env, 784, 128, name="hidden"), "<Linear 'hidden' 784 → 128>"),
        (lambda env: nn.Conv2d(env, 1, 8, (3, 5)), "<Conv2d 'conv2d' 1 → 8, 3 × 5>"),
        (lambda env: nn.MaxPool2d(env, 2), "<MaxPool2d 'max_pool2d' 2 × 2>"),
        (lambda env: nn.Dropout(env, 0.25), "<Dropout 'dropout' 0.25>"),
        (lambda env: nn.BatchNorm(env, 8), "<BatchNorm 'batch_norm' 8>"),
        (lambda env: nn.LayerNorm(env, (4, 5)), "<LayerNorm 'layer_norm' 4 × 5>"),
        (lambda env: nn.GroupNorm(env, 8, 2), "<GroupNorm 'group_norm' 8, 2 groups>"),
        (lambda env: nn.Embedding(env, 65, 32), "<Embedding 'embedding' 65 → 32>"),
        (lambda env: nn.LSTM(env, 32, 64), "<LSTM 'lstm' 32 → 64>"),
        (lambda env: nn.MultiHeadAttention(env, 8, 2), "<MultiHeadAttention 'multi_head_attention' 8, 2 heads>"),
        (lambda env: nn.TransformerBlock(env, 8, 2), "<TransformerBlock 'transformer_block' 8, 2 heads, 32 hidden>"),
    ],
)
def test_a_layer_shows_its_kind_name_and_sizes(make, shown):
    """What one wants to know of it at a prompt."""
    assert shown == repr(make(environment()))


def test_an_array_is_taken_as_input_within_a_step():
    """As by every function."""
    env = environment()
    layer, x = nn.Linear(env, 3, 2), numbers(4, 3)
    np.testing.assert_array_equal(env.run(lambda ctx, x: layer(x), x), env.run(lambda ctx: layer(x)))


def test_the_numbers_have_the_dtype_of_the_environment():
    """float32, if it is not told otherwise."""
    env = lg.VariableEnvironment(seed=0)
    layer = nn.TransformerBlock(env, 4, 2)
    assert {np.dtype("float32")} == {v.dtype for v in layer.variables}
    assert np.float32 == env.run(lambda ctx, x: layer(x), np.ones((2, 4), "float32")).dtype


def test_a_model_is_a_plain_class_and_learns():
    """The example of the first page: the loss falls in both modes, by the same steps."""

    class MLP:
        def __init__(self, env, n_in, n_out):
            self.hidden = nn.Linear(env, n_in, 16, name="hidden")
            self.out = nn.Linear(env, 16, n_out, name="out")

        def __call__(self, x):
            return self.out(nn.relu(self.hidden(x)))

    x, t = numbers(32, 4), np.sin(numbers(32, 4)[:, :1])
    losses = {}
    for mode in ("run", "compile"):
        env = environment()
        model, adam = MLP(env, 4, 1), lg.optim.Adam(env, 0.02)

        def step(ctx, x, t, model=model, adam=adam):
            loss = lg.mean(nn.mean_squared_error(model(x), t))
            return loss, adam.minimize(loss)

        call = env.compile(step, wait=True) if mode == "compile" else (lambda x, t, e=env, s=step: e.run(s, x, t))
        losses[mode] = [float(call(x, t)[0]) for _ in range(60)]
    assert losses["run"][-1] < 0.2 * losses["run"][0]
    np.testing.assert_allclose(losses["compile"], losses["run"], rtol=1e-8)


# What is refused.


def test_a_second_layer_of_the_same_name_is_refused():
    """Two layers would share their variables without having been asked to."""
    env = environment()
    nn.Linear(env, 3, 2, name="out")
    with pytest.raises(lg.errors.DefinitionError) as error:
        nn.Linear(env, 3, 2, name="out")
    assert (
        "there is a layer Linear named 'out' already\n\n    PLACE\n\n"
        "    Give the second one another name, or leave it out."
    ) == without_place(error)


def test_a_layer_with_the_name_of_an_optimizer_is_refused():
    """Their variables would lie together."""
    env = environment()
    lg.optim.Adam(env, 0.1, name="out")
    with pytest.raises(lg.errors.DefinitionError, match="there is an optimizer named 'out' already"):
        nn.Linear(env, 3, 2, name="out")


def test_variables_of_another_shape_under_its_name_are_refused():
    """A file of another model."""
    env = environment()
    env.name("out/weight").set(np.zeros((3, 5)))
    with pytest.raises(lg.errors.VariableError) as error:
        nn.Linear(env, 3, 2, name="out")
    assert (
        "Linear 'out' cannot use variable 'out/weight'\n\n    PLACE\n\n"
        "    wanted:      float64[3, 2]\n"
        "    registered:  <Variable 'out/weight' float64[3, 5]>\n"
        "    Make the layer as it was when the file was saved, or give it another name."
    ) == without_place(error)


def test_a_layer_that_could_not_be_made_leaves_nothing_behind():
    """Neither name nor variables, nor those of the layers within it: it can be made again."""
    env = environment()
    env.name("block/contract/weight").set(np.zeros(1))
    for _ in range(2):
        with pytest.raises(lg.errors.VariableError):
            nn.TransformerBlock(env, 4, 2, name="block")
        assert ["block/contract/weight"] == [v.path for v in env]
    with pytest.raises(lg.SpecError):
        nn.Linear(env, 3, 0, name="out")
    nn.Linear(env, 3, 2, name="out")


def test_a_layer_is_not_made_within_a_step():
    """Every call of the step would make another."""
    env = environment()
    with pytest.raises(lg.GraphError, match="cannot make Linear: a step is being written"):
        env.run(lambda ctx, x: nn.Linear(env, 3, 2)(x), np.ones((2, 3)))


def test_a_layer_needs_an_environment():
    """Even one without variables."""
    with pytest.raises(lg.errors.DefinitionError) as error:
        nn.Dropout(0.5)
    assert without_place(error) == (
        "cannot make Dropout in 0.5\n\n    PLACE\n\n    Write Dropout(env, ...), with a VariableEnvironment, or a "
        "namespace of one."
    )


def test_a_wrong_number_of_columns_names_layer_weight_and_what_came():
    """At the user's line."""
    env = lg.VariableEnvironment(seed=0)
    layer = nn.Linear(env, 784, 128, name="hidden")
    with pytest.raises(lg.SpecError) as error:
        env.run(lambda ctx, x: layer(x), np.ones((200, 10), "float32"))
    assert (
        "cannot apply <Linear 'hidden' 784 → 128> to float32[200, 10]\n\n    PLACE\n\n"
        "    x:       float32[200, 10]    placeholder 'x'\n"
        "    weight:  float32[784, 128]   variable 'hidden/weight'\n"
        "    The last axis of x must have size 784."
    ) == without_place(error)


@pytest.mark.parametrize(
    ("kind", "shape", "cure"),
    [
        ("Conv2d", (2, 3, 4, 4), "x has the axes (image, channel, row, column), and 2 channels."),
        ("ConvTranspose2d", (2, 4, 4), "x has the axes (image, channel, row, column), and 2 channels."),
        ("BatchNorm", (2, 4), "x has the axes (example, feature, ...), and 3 features."),
        ("LayerNorm", (2, 3), "The last axes of x must have the sizes [3, 2]."),
        ("GroupNorm", (2, 3), "x has the axes (example, channel, ...), and 4 channels."),
        ("Embedding", (2, 3), "Labels are whole numbers: cast them with .astype(int)."),
        ("RNN", (2, 3), "x has the axes (example, step, feature), one step or more, and 3 features."),
        ("LSTM", (2, 0, 3), "x has the axes (example, step, feature), one step or more, and 3 features."),
        ("GRU", (2, 4, 4), "x has the axes (example, step, feature), one step or more, and 3 features."),
        ("MultiHeadAttention", (2, 3), "x has the axes (..., position, feature), and 4 features."),
        ("TransformerBlock", (4,), "x has the axes (..., position, feature), and 4 features."),
    ],
)
def test_an_input_of_another_shape_is_refused(kind, shape, cure):
    """With what the layer takes."""
    env = environment()
    layer = LAYERS[kind][0](env)
    with pytest.raises(lg.SpecError) as error:
        env.run(lambda ctx, x: output(layer, x), np.ones(shape))
    assert str(error.value).startswith(f"cannot apply {layer!r} to float64{list(shape)}\n")
    assert str(error.value).endswith(f"    {cure}")


@pytest.mark.parametrize(
    ("make", "cure"),
    [
        (lambda env: nn.Linear(env, 0, 2), "n_in is a whole number, 1 or more, not 0."),
        (lambda env: nn.Linear(env, 3, 2.0), "n_out is a whole number, 1 or more, not 2.0."),
        (lambda env: nn.Conv2d(env, 3, 2, 0), "size is a whole number or two of them, each 1 or more, not 0."),
        (lambda env: nn.Conv2d(env, 3, 4, 2, groups=2), "3 channels cannot be divided into 2 groups."),
        (lambda env: nn.MaxPool2d(env, 2, 0), "stride is a whole number or two of them, each 1 or more, not 0."),
        (lambda env: nn.Dropout(env, 1.0), "rate is 1.0; it must be 0 or more, and below 1."),
        (lambda env: nn.BatchNorm(env, 3, momentum=2), "momentum is 2; it must be 0 or more, and at most 1."),
        (lambda env: nn.LayerNorm(env, ()), "shape has one size or more."),
        (lambda env: nn.GroupNorm(env, 8, 3), "8 channels cannot be divided into 3 groups."),
        (lambda env: nn.MultiHeadAttention(env, 8, 3), "A width of 8 cannot be divided among 3 heads."),
        (lambda env: nn.TransformerBlock(env, 8, 2, rate=-1), "rate is -1; it must be 0 or more, and below 1."),
    ],
)
def test_settings_out_of_range_are_refused(make, cure):
    """When the layer is made, not when it is called."""
    env = environment()
    with pytest.raises(lg.SpecError) as error:
        make(env)
    assert str(error.value).startswith("cannot make ")
    assert str(error.value).endswith(f"    {cure}")
    assert 0 == len(env)


@pytest.mark.parametrize("fill", [nn.initializers.Zeros, 0.0, lambda rng, shape, fans: np.zeros(3)])
def test_what_fills_no_variable_is_refused(fill):
    """A class in place of an initialiser, a number, an array of another shape."""
    with pytest.raises(lg.SpecError, match="cannot fill 'linear/weight' with"):
        nn.Linear(environment(), 3, 2, weight=fill)


def test_any_function_may_fill_a_variable():
    """It gets shape and fans."""
    env = environment()
    seen = []

    def fill(rng, shape, fans):
        seen.append((shape, fans))
        return np.full(shape, 2)

    nn.Conv2d(env, 4, 6, (3, 2), groups=2, weight=fill, use_bias=False)
    assert [((6, 2, 3, 2), (2 * 6, 3 * 6))] == seen
    assert ["conv2d/weight"] == [v.path for v in env]
    np.testing.assert_array_equal(np.full((6, 2, 3, 2), 2.0), env["conv2d/weight"])


def test_an_optimizer_cannot_take_the_name_of_a_layer() -> None:
    """Its state would lie among the layer's variables; without a name of its own it gets a free one."""
    env = lg.VariableEnvironment(seed=0)
    lg.nn.Linear(env, 2, 2, name="adam")
    with pytest.raises(lg.DefinitionError, match="there is a layer Linear named 'adam' already"):
        lg.optim.Adam(env, name="adam")
    assert "adam_1" == lg.optim.Adam(env).name
