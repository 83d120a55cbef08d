"""The names of NumPy, PyTorch and JAX: each is here, or leads to what it is called here, or is absent for a reason."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import lazygrad as lg
from lazygrad import names


def words(text: str) -> list[str]:
    """The words of a text."""
    return text.split()


def functions_of(module: Any) -> list[str]:
    """What a module of NumPy's has that is neither a module nor a class."""
    every = [name for name in dir(module) if not name.startswith("_")]
    return [n for n in every if not inspect.ismodule(getattr(module, n)) and not inspect.isclass(getattr(module, n))]


# The functions and methods of PyTorch that are used most, and those of JAX.
PYTORCH = words(
    """abs absolute acos acosh add addbmm addcdiv addcmul addmm addmv addr all allclose amax amin aminmax any arange
arccos arccosh arcsin arcsinh arctan arctan2 arctanh argmax argmin argsort as_strided as_tensor asin asinh
atan atan2 atanh atleast_1d atleast_2d atleast_3d baddbmm bernoulli bincount bitwise_and bitwise_not
bitwise_or bitwise_xor block_diag bmm broadcast_tensors broadcast_to bucketize cartesian_prod cat cdist ceil
celu chain_matmul cholesky cholesky_inverse cholesky_solve chunk clamp clamp_max clamp_min clip clone
column_stack combinations concat concatenate conj copysign corrcoef cos cosh cosine_similarity count_nonzero
cov cross cummax cummin cumprod cumsum cumulative_trapezoid deg2rad dequantize det detach diag diag_embed
diagflat diagonal diff digamma dist div divide dot dropout dsplit dstack einsum elu empty empty_like eq equal
erf erfc erfinv exp exp2 expm1 eye fft finfo fix flatten flip fliplr flipud float_power floor floor_divide
fmax fmin fmod frac from_numpy full full_like gather gcd ge geqrf ger gradient greater greater_equal gt
heaviside histc histogram hsplit hstack hypot i0 igamma igammac iinfo index_add index_copy index_fill
index_put index_select inner inverse is_floating_point is_tensor isclose isfinite isin isinf isnan isneginf
isposinf istft kron kthvalue lcm ldexp le lerp less less_equal lgamma linspace load log log10 log1p log2
log_softmax logaddexp logaddexp2 logcumsumexp logdet logical_and logical_not logical_or logical_xor logit
logspace logsumexp lstsq lt lu lu_solve manual_seed masked_fill masked_scatter masked_select matmul matrix_exp
matrix_power max maximum mean median meshgrid min minimum mm mode moveaxis movedim msort mul multinomial
multiply mv mvlgamma nan_to_num nanmean nanmedian nanquantile nansum narrow ne neg negative nextafter no_grad
nonzero norm normal not_equal numel ones ones_like outer pairwise_distance pdist permute pinverse poisson
polar polygamma positive pow prelu prod qr quantile rad2deg rand rand_like randint randn randn_like randperm
ravel real reciprocal relu remainder renorm repeat_interleave reshape roll rot90 round rsqrt save scatter
scatter_add scatter_reduce searchsorted select selu sgn sigmoid sign signbit sin sinc sinh slice_scatter
slogdet softmax sort split sqrt square squeeze stack std std_mean stft stop_gradient sub subtract sum svd
swapaxes swapdims t take take_along_dim tan tanh tensor tensor_split tensordot threshold tile topk trace
transpose trapezoid trapz tri triangular_solve tril tril_indices triu triu_indices true_divide trunc unbind
unflatten unfold unique unique_consecutive unravel_index unsqueeze vander var var_mean vdot view view_as vmap
vsplit vstack where xlogy zeros zeros_like addmm_ add_ mul_ copy_ zero_ fill_ clamp_ requires_grad_ expand
expand_as repeat item tolist numpy cpu cuda to type float double half long int bool dim size shape contiguous
backward grad data device dtype ndim register_hook"""
)
JAX = words(
    """jit grad value_and_grad vmap pmap jacfwd jacrev jacobian hessian jvp vjp linearize checkpoint remat custom_vjp
custom_jvp stop_gradient device_put device_get block_until_ready eval_shape make_jaxpr pure_callback cond scan
while_loop fori_loop switch map associative_scan dynamic_slice dynamic_update_slice select select_n top_k
conv_general_dilated reduce_window cumsum cumprod cummax cummin cumlogsumexp erf_inv expit rsqrt clamp iota
broadcast_in_dim concatenate convert_element_type bitcast_convert_type population_count relu relu6 sigmoid
softplus silu swish log_sigmoid leaky_relu hard_sigmoid hard_silu hard_swish hard_tanh elu celu selu gelu glu
squareplus softmax log_softmax logsumexp standardize one_hot mish sparse_plus dot_product_attention
segment_sum segment_max segment_min segment_prod ravel_pytree tree_map tree_leaves tree_flatten PRNGKey
gammaln digamma polygamma erf erfc erfinv betainc betaln entr exp1 expi expn factorial gammainc gammaincc
hyp1f1 i0 i0e i1 i1e kl_div log_ndtr logit multigammaln ndtr ndtri rel_entr spence xlog1py xlogy zeta
lu_factor lu_solve cho_factor cho_solve expm sqrtm eigh_tridiagonal polar schur toeplitz block_diag
solve_triangular convolve correlate fft ifft rfft irfft map_coordinates minimize odeint cdist
cumulative_trapezoid batch_norm layer_norm adam sgd adamw apply_updates clip_by_global_norm"""
)
NUMPY = {"numpy": functions_of(np), "numpy.linalg": functions_of(np.linalg)}
LISTS = [*NUMPY.items(), ("torch", PYTORCH), ("jax", JAX)]

COMPLEX = "tensors are real"
LATER = "how many there are is known only when the graph is run"
PYTHON = "of Python, or of NumPy itself, not of tensors"
ABSENT = {
    **dict.fromkeys(
        words(
            """angle iscomplex isreal real_if_close sort_complex polar roots poly eigh_tridiagonal schur sqrtm fft ifft
            rfft irfft stft istft"""
        ),
        COMPLEX,
    ),
    **dict.fromkeys(words("trim_zeros setxor1d unique_consecutive"), LATER),
    **dict.fromkeys(
        words(
            """False_ True_ ScalarType array2string array_repr array_str base_repr binary_repr format_float_positional
            format_float_scientific get_include get_printoptions set_printoptions printoptions getbufsize setbufsize
            geterr seterr geterrcall seterrcall index_exp s_ info isfortran isscalar iterable little_endian
            may_share_memory shares_memory mintypecode min_scalar_type nested_iters sctypeDict show_config show_runtime
            test typecodes typename einsum_path euler_gamma"""
        ),
        PYTHON,
    ),
    **dict.fromkeys(
        words("busday_count busday_offset is_busday datetime_as_string datetime_data isnat"), "there are no dates"
    ),
    **dict.fromkeys(
        words("frombuffer fromfile fromiter fromregex fromstring genfromtxt loadtxt savetxt"),
        "reads or writes arrays, which are arguments and results of steps",
    ),
    **dict.fromkeys(
        words("bitwise_count frexp packbits unpackbits bitcast_convert_type population_count gcd lcm dequantize"),
        "of the bits of numbers, or of whole numbers alone",
    ),
    **dict.fromkeys(words("polyder polydiv polyint"), "of coefficients as lists, which numpy.polynomial has"),
    **dict.fromkeys(words("histogram2d histogramdd"), "bincount of ravel_multi_index of digitize says it"),
    **dict.fromkeys(words("segment_max segment_min segment_prod"), "there is segment_sum alone"),
    **dict.fromkeys(
        words("pmap map associative_scan reduce_window"),
        "lg.vmap runs a function over an axis, and lg.scan goes along it in order",
    ),
    **dict.fromkeys(words("tree_map tree_leaves tree_flatten"), "of nested structures, not of tensors"),
    **dict.fromkeys(words("exp1 expi expn hyp1f1 spence"), "special functions that are not there yet"),
    **dict.fromkeys(
        words("as_strided unfold combinations geqrf mode renorm toeplitz standardize map_coordinates"),
        "seldom asked for; an index, or a few ops, say it",
    ),
}


def known(name: str) -> bool:
    """Whether it is public, a method of tensors, or in the table."""
    ours = {names._plain(n) for place in names.public.values() for n in place.__all__}
    plain = names._plain(name)
    return plain in ours or plain in names._CALLED or plain in names.OTHERWISE or hasattr(lg.Tensor, name)


@pytest.mark.parametrize(("library", "listed"), LISTS, ids=[library for library, _ in LISTS])
def test_every_name_is_here_or_called_otherwise_or_absent_for_a_reason(library: str, listed: list[str]) -> None:
    """Whoever adds a function takes its name from the list of what is absent."""
    assert len(listed) > 25
    assert [] == [name for name in listed if not known(name) and name not in ABSENT]


def test_no_reason_is_given_for_what_is_here() -> None:
    """So the list of what is absent stays true."""
    assert [] == [name for name in ABSENT if known(name)]


def test_a_function_of_numpy_that_is_given_a_tensor_says_what_to_call() -> None:
    """The one of the same name, or what it is called here."""

    def step(ctx: lg.Context, x: lg.Tensor) -> Any:
        for call, answer in [
            (lambda: np.quantile(x, 0.5), "It is lg.quantile."),
            (lambda: np.ravel(x), "Write lg.flatten."),
            (lambda: np.gradient(x), "Write lg.central_difference"),
            (lambda: np.union1d(x, x), "Write lg.unique"),
            (lambda: np.linalg.eigvals(x), "Write lg.linalg.eigvalsh"),
        ]:
            with pytest.raises(lg.TraceError, match=answer):
                call()
        return x

    lg.VariableEnvironment().run(step, np.eye(2))
