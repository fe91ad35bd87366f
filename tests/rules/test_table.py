"""The table of supported functions: complete, true to the code, and as README.md beside the rules has it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import special

import tinygrad_lr as tg
from tests.rules import table
from tinygrad_lr.autodiff import rules
from tinygrad_lr.autodiff.rules import COMPOSITES, QUERIES, RULES
from tinygrad_lr.autodiff.rules.registry import UFUNC_METHODS

README = Path(rules.__file__).with_name("README.md")
WRITE = "python -m tests.rules.table > tinygrad_lr/autodiff/rules/README.md"
LINES = [entry for chapter in table.CHAPTERS for entry in table.entries(chapter)]


def resolved(name):
    """The function that a name of the table stands for."""
    known = {spelling: func for func, spelling in table.PYTHON_SPELLINGS.items()}
    chapters = {key: value for chapter in table.CHAPTERS for key, value in vars(chapter).items()}
    if name in known:
        return chapters[known[name]]
    first, *rest = name.split(".")
    if not rest:
        return chapters[first]
    found = {"np": np, "tg": tg, "special": special}[first]
    for part in rest:
        found = getattr(found, part)
    return found


# -- complete ------------------------------------------------------------------------------------------


def test_every_supported_function_is_listed_once():
    named = [resolved(line.name) for line in LINES]
    ours = ("numpy", "tinygrad_lr.autodiff")  # layers and losses are called by their classes
    supported = {func for func in (*RULES, *COMPOSITES) if getattr(func, "__module__", "numpy").startswith(ours) and func.__name__.isidentifier()}
    supported |= {func for func in (*RULES, *COMPOSITES) if isinstance(func, np.ufunc) and getattr(np, func.__name__, None) is func}
    assert set(named) >= supported
    twice = {func.__name__ for func in named if named.count(func) > 1 and func not in (np.amax, np.amin, np.round)}
    assert not twice
    assert {resolved(name) for name in table.queried()} == QUERIES


def test_every_line_says_how():
    for line in LINES:
        assert line.how.strip("` "), line.name
        assert "\n" not in line.how
        assert line.kind == ("rule" if resolved(line.name) in RULES else "composed")


def test_the_ufunc_methods_it_mentions():
    ufuncs = {ufunc.__name__ for ufunc, _ in UFUNC_METHODS} - {"logaddexp"}  # has a line of its own
    assert ufuncs == {"add", "multiply", "maximum", "minimum"}
    assert {method for _, method in UFUNC_METHODS} == {"reduce", "accumulate"}
    assert {ufunc.__name__ for ufunc, method in UFUNC_METHODS if method == "accumulate"} == ufuncs


# -- true ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, kind, arguments, how",
    [
        ("np.tanh", "rule", "x", "`g * (1 - y * y)`"),
        ("np.divide", "rule", "a, b", "a: `g / b`; b: `-g * y / b`"),
        ("np.where", "rule", "a, b", "a: `np.where(c, g, 0)`; b: `np.where(c, 0, g)`"),
        ("np.floor", "rule", "none", "0 wherever there is a derivative"),
        ("np.std", "rule", "x", "`root_of(var_input)`"),
        ("np.linalg.inv", "rule", "a", "-y^T g y^T"),
        ("np.amax", "composed", "", "`np.max`"),
        ("np.vdot", "composed", "", "`np.matmul(np.ravel(a), np.ravel(b))`"),
        ("np.ptp", "composed", "", "The largest number minus the smallest (peak to peak)"),
        ("tg.sigmoid", "rule", "z", "`g * a * (1 - a)`"),
        ("t[index]", "rule", "x", "`scatter(g, index, x.shape)`"),
    ],
)
def test_lines(name, kind, arguments, how):
    assert (name, kind, arguments, how) in LINES


def test_the_arguments_named_are_those_that_get_gradients():
    for line in LINES:
        if line.kind == "rule" and line.arguments != "every array":
            rules = RULES[resolved(line.name)]
            assert len(line.arguments.split(", ")) == max(1, sum(rule is not None for rule in rules)), line.name
            assert (line.arguments == "none") == all(rule is None for rule in rules)


def test_what_says_nothing_is_an_error():
    def silent(x):
        x = x * 2
        return x + 1

    with pytest.raises(ValueError, match=r"^silent has neither a docstring nor a single expression for its line of the table: give it a docstring$"):
        table.in_words(silent)


# -- printed -------------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(np, "matvec"), reason="the file is written with a NumPy that has all the functions")
def test_the_readme_is_up_to_date():
    assert README.read_text(encoding="utf-8") == table.markdown(), f"write it again: {WRITE}"


def test_the_command_prints_it():
    printed = subprocess.run([sys.executable, "-W", "error", "-m", "tests.rules.table"], capture_output=True, text=True, check=True).stdout
    assert printed == table.markdown()
    assert "| `np.tanh` | rule | x | `g * (1 - y * y)` |" in printed


def test_rows_of_the_markdown_have_four_cells():
    rows = [line for line in table.markdown().splitlines() if line.startswith("|")]
    assert len(rows) > 200
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {5}


# -- a function without a rule -------------------------------------------------------------------------


def advice(func, *args):
    """The error that a call without a rule gives, and the lines of code in it."""
    with pytest.raises(TypeError) as caught:
        func(*args)
    message = str(caught.value)
    return message, [line.strip() for line in message.splitlines() if line.startswith("    ")]


def test_the_error_names_the_function_and_three_lines_that_add_a_rule(monkeypatch):
    """The lines are run as they stand, the dots filled in: here with the derivative of the Bessel function of order 0."""
    message, lines = advice(np.i0, tg.Tensor([0.5, 1.0], requires_grad=True))
    assert message.startswith("np.i0 has no rule, so its gradient is unknown. To add one:\n")
    assert len(lines) == 3
    angles = 2 * np.pi * np.arange(64) / 64
    monkeypatch.setitem(RULES, np.i0, ())  # so that the rule to come is taken out again when the test is over
    del RULES[np.i0]
    slope = lambda x: np.mean(np.cos(angles) * np.exp(np.expand_dims(x, -1) * np.cos(angles)), axis=-1)
    assert "g * ..." in lines[1]
    exec("\n".join(lines).replace("g * ...", "g * slope(x)"), {"np": np, "slope": slope})
    first, second = tg.grad(lambda x: np.sum(np.i0(x))), tg.grad(tg.grad(lambda x: np.i0(x)))
    x = np.array([0.5, 1.0, 2.0])
    np.testing.assert_allclose(first(x), (np.i0(x + 1e-5) - np.i0(x - 1e-5)) / 2e-5, rtol=1e-9)
    assert second(np.array(1.0)) == pytest.approx(np.i0(1.0) - slope(np.array(1.0)), rel=1e-12)  # x^2 y'' + x y' = x^2 y


@pytest.mark.parametrize(
    "name, args",
    [("np.spacing", ()), ("np.unwrap", ()), ("np.polydiv", (np.arange(1.0, 3.0),)), ("np.fft.fft", ())],
)
def test_it_names_other_functions_as_they_are_typed(name, args):
    message, lines = advice(resolved(name), tg.Tensor([0.5, 1.0], requires_grad=True), *args)
    assert message.startswith(f"{name} has no rule")
    assert lines[2].startswith(f"tg.primitive({name}, rule)")


def test_it_names_a_ufunc_of_another_library():
    message, lines = advice(special.j0, tg.Tensor([0.5], requires_grad=True))
    assert message.startswith("j0 has no rule")
    assert lines[2].startswith("tg.primitive(j0, rule)")
