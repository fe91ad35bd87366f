"""What a class says of its function: what is refused when it is made, and what is printed of its slopes."""

from __future__ import annotations

import dataclasses
import re
import textwrap
from pathlib import Path

import numpy as np
import pytest

import tinygrad_lr as tg
from tests.nn.rows import BINARY, NUMBERS, Leaky, X
from tinygrad_lr import nn
from tinygrad_lr.nn.descriptions import as_factor
from tinygrad_lr.nn.losses import reduced, share


def double(z):
    return 2 * z


def pinball(p, y, tau=0.5, reduction="mean"):
    return reduced(np.where(p > y, (1 - tau) * (p - y), tau * (y - p)), reduction)


DOUBLE = tg.primitive(double, lambda g, a, z: 2 * g)
PINBALL = tg.primitive(pinball, lambda g, loss, p, y, tau=0.5, reduction="mean": share(g, p.size, reduction) * np.where(p > y, 1 - tau, -tau), None)
ACTIVATION = {"function": DOUBLE, "sentence": "Twice.", "formula": "2 {z}", "prime": "d′", "value": double, "slope": lambda z, a: 2 + 0 * z}
LOSS = {
    "function": PINBALL,
    "sentence": "The pinball loss.",
    "formula": "(1 - {tau}) ({p} - {y}) where {p} > {y}, else {tau} ({y} - {p})",
    "slopes": {"p": "1 - {tau} where {p} > {y}, else -{tau}"},
    "terms": lambda p, y, tau: (np.where(p > y, 1 - tau, -tau), np.zeros_like(p)),
}


class Pinball(nn.Loss):
    about = (nn.LossInfo(**LOSS),)

    def __init__(self, reduction="mean", tau=0.5):
        super().__init__(reduction, tau=tau)


# -- what is refused -----------------------------------------------------------------------------------


def no_rule(z):
    return z


def unreduced(p, y):
    return (p - y) ** 2


UNREDUCED = tg.primitive(unreduced, lambda g, loss, p, y: g * 2 * (p - y), None)


@pytest.mark.parametrize(
    "info, changes, error, message",
    [
        (nn.ActivationInfo, {"function": no_rule}, TypeError, "no_rule has no rule: wrap it in tg.primitive(no_rule, ...)"),
        (nn.ActivationInfo, {"function": np.spacing}, TypeError, "np.spacing has no rule: wrap it in tg.primitive(np.spacing, ...)"),
        (nn.ActivationInfo, {"function": "double"}, TypeError, "the function in the description of 'double' must be callable, got 'double'"),
        (nn.ActivationInfo, {"value": 2.0}, TypeError, "the value in the description of double must be callable, got 2.0"),
        (nn.ActivationInfo, {"slope": "2"}, TypeError, "the slope in the description of double must be callable, got '2'"),
        (nn.LossInfo, {"terms": None}, TypeError, "the terms in the description of pinball must be callable, got None"),
        (nn.ActivationInfo, {"formula": "2 {x}"}, ValueError, "the formula in the description of double may name {z} and the result {a}, got '2 {x}'"),
        (nn.ActivationInfo, {"formula": "2 {z"}, ValueError, "the formula in the description of double may name {z} and the result {a}, got '2 {z'"),
        (nn.ActivationInfo, {"formula": "{}"}, ValueError, "the formula in the description of double may name {z} and the result {a}, got '{}'"),
        (nn.ActivationInfo, {"formula": "{z.x}"}, ValueError, "the formula in the description of double may name {z} and the result {a}, got '{z.x}'"),
        (nn.ActivationInfo, {"slopes": {"z": "{q}"}}, ValueError, "the slopes in the description of double may name {z} and the result {a}, got '{q}'"),
        (nn.ActivationInfo, {"slopes": {"q": "2"}}, ValueError, "the slopes in the description of double may name {z} and the result {a}, got '{q}'"),
        (nn.ActivationInfo, {"words": {"q": "doubled"}}, ValueError, "the words in the description of double may name {z} and the result {a}, got '{q}'"),
        (
            nn.LossInfo,
            {"remarks": {"q": str}},
            ValueError,
            "the remarks in the description of pinball may name {p}, {y}, {tau}, {reduction} and the result {a}, got '{q}'",
        ),
        (
            nn.LossInfo,
            {"function": UNREDUCED, "formula": "", "slopes": {}},
            ValueError,
            'unreduced needs a setting reduction="mean": return reduced(losses, reduction), from tinygrad_lr.nn.losses',
        ),
    ],
)
def test_descriptions_that_do_not_fit_are_refused_when_they_are_made(info, changes, error, message):
    with pytest.raises(error) as caught:
        info(**{**(ACTIVATION if info is nn.ActivationInfo else LOSS), **changes})
    assert str(caught.value) == message


def test_the_description_of_a_class_is_of_its_kind():
    one = nn.LossInfo(**LOSS)
    for base, about, message in [
        (nn.Activation, (nn.ActivationInfo(**ACTIVATION),), "Mine.about must be an ActivationInfo, got ("),
        (nn.Activation, one, "Mine.about must be an ActivationInfo, got LossInfo("),
        (nn.Loss, one, "Mine.about must be a tuple of LossInfo, such as (nn.LossInfo(...),), got LossInfo("),
        (nn.Loss, (), "Mine.about must be a tuple of LossInfo, such as (nn.LossInfo(...),), got ()"),
        (nn.Loss, (nn.ActivationInfo(**ACTIVATION),), "Mine.about must be a tuple of LossInfo, such as (nn.LossInfo(...),), got (Act"),
    ]:
        with pytest.raises(TypeError) as caught:
            type("Mine", (base,), {"about": about})
        assert str(caught.value).startswith(message)


def test_a_class_without_a_description_says_so():
    class Bare(nn.Activation):
        pass

    class BareLoss(nn.Loss):
        pass

    for layer in (Bare(), nn.Activation()):
        with pytest.raises(TypeError) as caught:
            layer([1.0])
        name = type(layer).__name__
        assert str(caught.value) == f"{name} needs a description of its function, about = nn.ActivationInfo(...), or a forward of its own"
    for kind in (BareLoss, nn.Loss):
        with pytest.raises(TypeError) as caught:
            kind()
        assert str(caught.value) == f"{kind.__name__} needs a description of its function, about = (nn.LossInfo(...),), or a forward of its own"

    class Own(nn.Loss):
        def forward(self, p, y):
            return np.sum(p - y)

    assert Own()(tg.Tensor([3.0]), [1.0]).item() == 2.0


def test_functions_of_the_library_are_described_once():
    for base, about, name in [
        (nn.Loss, (dataclasses.replace(nn.MSELoss.about[0], sentence="mine"),), "squared_error"),
        (nn.Activation, dataclasses.replace(nn.Tanh.about, sentence="mine"), "np.tanh"),
    ]:
        with pytest.raises(ValueError) as caught:
            type("Mine", (base,), {"about": about})
        assert str(caught.value) == f"Mine describes {name}, which the library describes already: give it a function of its own"
    type("Mine", (nn.MSELoss,), {"about": nn.MSELoss.about})  # restated, for a class with a forward of its own
    with tg.observe():
        loss = nn.MSELoss()(nn.Dense(3, 2, rng=0)(X), NUMBERS)
    assert "MSELoss" in tg.draw(loss).source
    for sentence in ("first", "again"):  # a cell of a notebook that runs twice
        layer = type("Mine", (nn.Activation,), {"about": nn.ActivationInfo(**{**ACTIVATION, "sentence": sentence})})
        assert layer()([1.0]).tolist() == [2.0]


def test_a_function_described_again_has_the_name_of_the_newest_class():
    renamed = {name: type(name, (nn.Loss,), {"about": (nn.LossInfo(**LOSS),)}) for name in ("Older", "Newer")}
    with tg.observe():
        loss = renamed["Newer"]()(nn.Dense(3, 2, rng=0)(X), NUMBERS)
    assert "Newer" in tg.draw(loss).source


def test_the_settings_of_a_class_are_not_one_dict_for_all():
    with pytest.raises(TypeError, match="does not support item assignment"):
        nn.Tanh().options["slope"] = 0.5
    assert nn.HuberLoss(delta=2.0).options["delta"] == 2.0


# -- what is printed -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "formula, factor",
    [
        *((text, text) for text in ("", "{a} (1 - {a})", "2 ({p} - {y})", "clip({p} - {y}, -1, 1)", "{y}/{p}", "{z}^-2", "1e-05 {z}", "x[1, 2]")),
        *((text, f"({text})") for text in ("-{z}", "1 - {a}^2", "1 where {z} > 0, else 0", "(1 - {y}) - ({p})", "{p}-{y}", "sign({z}) + 1")),
    ],
)
def test_what_is_no_single_term_is_a_factor_in_parentheses(formula, factor):
    assert as_factor(formula) == factor


def test_a_slope_of_several_pieces_is_held_together(tmp_path):
    slope = "(1 - 0.8 where z2 > y, else -0.8)"
    loss_fn, layers = Pinball(tau=0.8), [nn.Dense(3, 2, rng=0), nn.Tanh(), nn.Dense(2, 2, rng=1)]
    model = nn.Sequential(*layers)
    report = tg.backprop_report(model, loss_fn, X, NUMBERS)
    assert not report.disagreements
    assert report.layers[1]["delta"].equation == f"BP1: delta2 = {slope}/(m n)"
    squashed = tg.backprop_report(nn.Sequential(*layers, nn.Sigmoid()), loss_fn, X, BINARY)
    assert squashed.layers[1]["delta"].equation == f"BP1: delta2 = {slope.replace('z2', 'a2')}/(m n) * s'(z2)"
    with tg.observe():
        loss = loss_fn(model(X), NUMBERS)
    assert f"δ2 = {slope} / (m n)" in [edge.text for edge in tg.draw(loss).picture.edges]
    page = tg.explore(model, loss_fn, X, NUMBERS, tmp_path / "page.html").read_text(encoding="utf-8")
    assert slope.replace(">", "\\u003e") in page or slope in page
    assert "· where ·" not in page
    assert "\\u00b7 where" not in page


def test_a_formula_of_several_cases_of_an_activation(tmp_path):
    function = tg.primitive(lambda z, slope=0.01: np.where(z > 0, z, slope * z), lambda g, a, z, slope=0.01: g * np.where(z > 0, 1, slope))

    class Cases(Leaky):
        about = dataclasses.replace(Leaky.about, function=function, formula="{z} where {z} > 0, else {slope} {z}")

    model = nn.Sequential(nn.Dense(3, 2, rng=0), Cases(0.25), nn.Dense(2, 2, rng=1))
    assert not tg.backprop_report(model, nn.MSELoss(), X, NUMBERS).disagreements
    page = tg.explore(model, nn.MSELoss(), X, NUMBERS, tmp_path / "page.html").read_text(encoding="utf-8")
    assert "= z1 where z1 > 0, else 0.25 z1" in page.replace("\\u003e", ">")
    assert "Multiplied by the slope of Cases at z1" in page  # its function, a lambda, has no name
    assert "lambda" not in page.partition("<script")[0]


# -- what CONTRIBUTING says ----------------------------------------------------------------------------


def test_the_classes_of_contributing_work():
    text = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = text.partition("## Add an activation or a loss")[2].partition("\n## ")[0]
    blocks = [textwrap.dedent(block) for block in re.findall(r"(?:^    .*\n|^\n)+", section, re.M)]
    names = {"__name__": "contributing", "np": np, "tg": tg, "nn": nn}
    for block in blocks:
        if "class " in block:
            exec(block, names)
    model, loss_fn = nn.Sequential(nn.Dense(3, 2, rng=0), names["Softsign"](), nn.Dense(2, 2, rng=1)), names["LogCoshLoss"]()
    assert tg.gradcheck_model(model, loss_fn, X, NUMBERS)
    report = tg.backprop_report(model, loss_fn, X, NUMBERS)
    assert not report.disagreements
    assert not report.uncovered
