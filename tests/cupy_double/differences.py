"""Tests that are skipped on the double, by the reason, which ``docs/cupy.md`` gives too."""

from __future__ import annotations

__all__ = ["DIFFERENCES", "why_skipped"]

DIFFERENCES = {
    "The array that a hook, or the kernel of one's own op, is given is CuPy's, and the test takes it for NumPy's.": (
        "tests/test_gradient.py::test_gradients_pass_through_hooks_shows_and_dependences",
        "tests/conformance/test_rust_autograd_issues.py::test_all_intermediate_results_can_be_asked_for",
        "tests/conformance/test_rust_autograd_names.py::test_map_is_an_op_of_the_users_own",
    ),
    "The test names a device, which is right on CuPy and wrong on NumPy, or the other way round.": (
        "tests/ops/test_array_functions.py::test_a_mistake_is_told_with_what_would_do"
        "[VariableEnvironment(backend='numpy') or 'cupy']",
        "tests/test_array_api.py::test_copies_and_devices_are_named_and_change_nothing",
    ),
    "CuPy has no stdtr: it is made of the incomplete beta function there, which has fewer digits near 0.": (
        "tests/ops/test_special_functions.py::test_special_functions_and_their_derivatives_keep_their_digits"
        "[stdtr near 0-32]",
    ),
    "The emulator takes minutes for so many numbers; tests/gpu compares fewer of them.": (
        "tests/test_philox.py::test_native_code_makes_the_words_that_numpy_makes",
    ),
    "The test asks whether the backend is NumPy's.": (
        "tests/conformance/test_rust_autograd_issues.py::test_backend_is_chosen_when_the_environment_is_made",
        "tests/test_environment.py::test_an_environment_shows_what_it_is",
    ),
    "The test counts the calls between it and lazygrad, and what brings results to NumPy is one more.": (
        "tests/test_signatures.py::test_the_warning_names_the_users_line",
    ),
    "The test looks at the program of NumPy calls, or fails at each of its lines; on CuPy there is none.": (
        "tests/test_compile.py::test_the_plan_and_the_source_can_be_looked_at",
        "tests/laws/test_law_2_failures.py::test_an_exception_at_any_line_of_a_program_leaves_the_environment_as_it_was",
    ),
}


def why_skipped(test: str) -> str | None:
    """The reason for which a test is skipped on the double, by its name with its file; None if it is run."""
    known = {test, test.partition("[")[0]}  # one of its cases, or all
    return next((reason for reason, names in DIFFERENCES.items() if not known.isdisjoint(names)), None)
