"""How values are named: by the user's variables, by loop counters, and by the same name in drawing, page and report."""

from __future__ import annotations

import re
import time
import weakref

import numpy as np
import pytest

import tinygrad_lr as tg
from tinygrad_lr import nn
from tinygrad_lr.check.backprop import backprop_report
from tinygrad_lr.show import draw, observe
from tinygrad_lr.show.explorer import page_data

X = np.array([[0.0, 1.0], [1.0, 1.0]])
Y = np.array([[0.0], [1.0]])


def computed(loss):
    """What the computed values behind ``loss`` are called, in the order of computing."""
    return [box.label for box in draw(loss).picture.boxes if box.kind in ("value", "output")]


def given(loss):
    return [box.label for box in draw(loss).picture.boxes if box.kind in ("parameter", "constant", "input")]


def weights(name="w"):
    return tg.Tensor([1.0, 2.0], requires_grad=True, name=name)


# -- variables ---------------------------------------------------------------------------------------------


def test_values_are_called_after_the_variables_that_hold_them():
    w = tg.Tensor([1.0, 2.0], requires_grad=True)
    shift = np.array([0.5, 0.5])
    with observe():
        hidden = np.exp(w * X[0])
        squared = (hidden - shift) ** 2
        loss = squared.sum()
    assert computed(loss) == ["multiply_1", "hidden", "hidden - shift", "squared", "L"]
    assert given(loss) == ["w", "constant_1", "shift"]
    assert draw(loss).picture.boxes[-1].name == "loss"


def test_a_variable_that_holds_something_else_gives_no_name():
    """Names come from what variables hold, not from what is to the left of an equals sign."""
    w = weights()

    def total(values):
        return values.sum()

    with observe():
        other, loss = 3.0, total(np.exp(w))
        same = loss
    names = [box.name for box in draw(loss).picture.boxes if box.kind in ("value", "output")]
    assert names == ["values", "loss"]  # only the callee had a variable for the first one; `same` came later
    assert same is loss
    assert other == 3.0


def test_the_frame_that_computed_it_comes_before_those_that_it_was_passed_to():
    def inner(argument):
        return argument * 2

    w = weights()
    with observe():
        mine = np.exp(w)
        loss = inner(mine).sum()
    assert computed(loss) == ["mine", "mine * 2", "L"]


def test_what_a_function_that_has_returned_called_it():
    def inner(x):
        result = x * 2
        return result  # noqa: RET504

    w = weights()
    with observe():
        loss = inner(w).sum()
    assert computed(loss) == ["result", "L"]


def test_a_rebound_variable_is_numbered():
    w = weights()
    with observe():
        x = np.exp(w)
        x = np.sin(x)
        x = x.sum() * 2
    assert [box.name for box in draw(x).picture.boxes if box.kind in ("value", "output")] == ["x[1]", "x[2]", "sum(x[2])", "x[3]"]


def test_values_of_a_loop_are_told_apart_by_its_counter():
    w = weights()
    with observe():
        h = np.exp(w)
        for t in range(3):  # noqa: B007
            h = np.tanh(h) * w
        loss = h.sum()
    assert computed(loss) == ["h", "tanh(h)", "h[t=0]", "tanh(h[t=0])", "h[t=1]", "tanh(h[t=1])", "h[t=2]", "L"]
    assert t == 2


def test_a_loop_without_a_counter_is_numbered():
    w = weights()
    with observe():
        h = np.exp(w)
        for factor in (0.5, 0.25):
            h = h * factor
        loss = h.sum()
    assert computed(loss) == ["h", "h[1]", "h[2]", "L"]


def test_values_of_nested_loops_are_told_apart_by_both_counters():
    w = weights()
    with observe():
        h = w
        for i in range(2):
            for j in range(2):
                h = h * (i + j + 1.0)
        loss = h.sum()
    assert computed(loss) == ["h[i=0, j=0]", "h[i=0, j=1]", "h[i=1, j=0]", "h[i=1, j=1]", "L"]


def test_the_counter_may_be_in_the_caller():
    def cell(x, h):
        mixed = x * h
        return np.tanh(mixed)

    w, x = weights(), np.arange(6.0).reshape(3, 2)
    with observe():
        h = w
        for t in range(3):
            h = cell(x[t], h)
        loss = h.sum()
    assert computed(loss) == ["mixed[t=0]", "h[t=0]", "mixed[t=1]", "h[t=1]", "mixed[t=2]", "h[t=2]", "L"]
    assert given(loss) == ["w", "x[t=0]", "x[t=1]", "x[t=2]"]


def test_the_counter_is_read_when_the_value_is_made():
    """The value of one iteration is seen again in the next, when the counter has moved on."""
    w = weights()
    with observe():
        h, t = w, 0
        while t < 2:
            h = np.sin(h)
            t += 1
        loss = h.sum()
    assert computed(loss) == ["h[t=0]", "h[t=1]", "L"]


def test_nothing_is_kept_of_the_frames():
    class Witness:
        pass

    def inner(x):
        witness = Witness()
        gone.append(weakref.ref(witness))
        return x * 2

    gone = []
    with observe():
        loss = inner(weights()).sum()
        assert gone[0]() is not None  # its frame is still to be read
    assert gone[0]() is None
    assert loss.node.variable.name == "loss"


def test_two_thousand_operations_in_seconds():
    h = weights()
    started = time.process_time()
    with observe():
        for _ in range(2000):
            h = h * 0.99
    assert time.process_time() - started < 20  # 0.3 on an idle machine


def test_private_and_odd_variables_give_no_name():
    w = weights()
    with observe():
        _ = np.exp(w)
        _hidden = np.sin(_)
        loss = _hidden.sum()
    assert computed(loss) == ["exp(w)", "sin_1", "L"]


def test_a_number_is_not_taken_twice():
    w = weights()
    with observe():
        sin_1 = np.exp(w)
        loss = np.sin(sin_1 * 1.23456789 * w).sum()
    assert computed(loss) == ["sin_1", "sin_1 * 1.235", "multiply_1", "sin_2", "L"]


def test_names_that_users_gave_stay_theirs():
    w, v = weights("w"), weights("v")
    with observe():
        renamed = w
        loss = (renamed * v).sum()
    assert given(loss) == ["w", "v"]


# -- modules -----------------------------------------------------------------------------------------------


class Block(nn.Module):
    def __init__(self, seed):
        self.inner, self.outer = nn.Dense(2, 2, rng=seed), nn.Dense(2, 2, rng=seed + 1)

    def forward(self, x):
        h = np.maximum(self.inner(x), 0)
        return x + self.outer(h)


class Residual(nn.Module):
    def __init__(self):
        self.blocks, self.head = [Block(2 * k) for k in range(3)], nn.Dense(2, 1, rng=9)

    def forward(self, x):
        h = np.exp(x * np.ones(2))
        for block in self.blocks:
            h = block(h)
        return self.head(h)


class Recurrent(nn.Module):
    def __init__(self):
        self.wx, self.wh, self.out = nn.Dense(2, 2, rng=0), nn.Dense(2, 2, rng=1), nn.Dense(2, 1, rng=2)

    def forward(self, x):
        h = np.zeros((len(x), 2))
        for t in range(x.shape[1]):
            h = np.tanh(self.wx(x[:, t]) + self.wh(h))
        return self.out(h)


def labels(data):
    return [node["label"] for node in data["nodes"]]


def test_variables_of_parts_are_told_apart_by_their_paths():
    found = labels(page_data(Residual(), nn.MSELoss(), X, Y))
    assert [name for name in found if name.endswith("h")] == ["h", "blocks.0.h", "blocks.1.h", "blocks.2.h"]
    assert [name for name in found if re.fullmatch(r"h\[\d\]", name)] == ["h[1]", "h[2]", "h[3]"]


def test_an_unrolled_loop_is_named_step_by_step():
    x = np.random.default_rng(0).normal(size=(2, 3, 2))
    found = labels(page_data(Recurrent(), nn.MSELoss(), x, Y))
    step = ["x[t={t}]", "z1[t={t}]", "z2[t={t}]", "z1[t={t}] + z2[t={t}]", "h[t={t}]"]
    assert [name for name in found if name not in ("w1", "b1", "w2", "b2", "h")] == [
        *(name.format(t=t) for t in range(3) for name in step),
        "w3",
        "b3",
        "z3",
        "y",
        "L",
    ]
    formulas = [step["formula"] for step in page_data(Recurrent(), nn.MSELoss(), x, Y)["steps"]]
    assert "z2[t=2] = h[t=1] w2^T + b2" in formulas
    assert "h[t=2] = tanh(z1[t=2] + z2[t=2])" in formulas
    assert "z1[t=2] + z2[t=2]" in formulas
    assert "dL/dw2 = delta2[t=2]^T h[t=1]" in " ".join(formulas)


def test_two_views_of_the_same_numbers_are_one_box():
    w = weights()
    with observe():
        loss = (X[:, 0] * w + X[:, 0]).sum()
    assert [box.kind for box in draw(loss).picture.boxes].count("constant") == 1


@pytest.mark.parametrize("depth", range(4))
def test_no_name_is_used_twice(depth):
    class Deep(nn.Module):
        def __init__(self):
            self.layer = nn.Dense(2, 2, rng=0)

        def forward(self, x):
            for _ in range(depth):
                y = self.layer(x)
                x = np.sin(y) * y + x
            for _ in range(2):
                x = self.layer(x) * 2
            y = x + 1
            return y  # noqa: RET504

    found = labels(page_data(Deep(), nn.MSELoss(), X, np.zeros((2, 2))))
    assert len(set(found)) == len(found)
    assert not [name for name in found if re.fullmatch(r"[vc]\d+(_\d+)?", name)]


def test_a_frozen_parameter_has_its_path():
    model = nn.Sequential(nn.Dense(2, 2, rng=0), nn.Dense(2, 1, rng=1))
    model[0].weight.requires_grad = False
    model[0].weight.node = None
    assert "0.weight" in {box.name for box in draw(model, X).picture.boxes}


# -- drawing, page and report agree --------------------------------------------------------------------------

SHARED = nn.Dense(2, 2, rng=0)
STACKS = {
    "plain": lambda: nn.Sequential(nn.Dense(2, 3, rng=0), nn.Tanh(), nn.Dense(3, 1, rng=1), nn.Sigmoid()),
    "activation first": lambda: nn.Sequential(nn.Tanh(), nn.Dense(2, 2, rng=0), nn.ReLU(), nn.Sigmoid(), nn.Dense(2, 1, rng=1)),
    "no activation": lambda: nn.Sequential(nn.Dense(2, 3, rng=0), nn.Dense(3, 1, rng=1)),
    "shared": lambda: nn.Sequential(SHARED, nn.Tanh(), SHARED, nn.Sigmoid(), nn.Dense(2, 1, rng=1)),
}


@pytest.mark.parametrize("stack", STACKS)
def test_drawing_page_and_report_agree(stack):
    """What the report calls z, w, b and a has these numbers on the page and in the drawing."""
    model, loss_fn = STACKS[stack](), nn.MSELoss()
    report = backprop_report(model, loss_fn, X, Y)
    with observe():
        loss = loss_fn(model(X), Y)
    pictured = {box.label: np.asarray(box.value) for box in draw(loss, model=model).picture.boxes if box.kind != "op"}
    shown = {node["label"] for node in page_data(model, loss_fn, X, Y)["nodes"]}
    checked = 0
    for n, layer in enumerate(report.layers, start=1):
        for name in ("z", "a"):
            if f"{name}{n}" in pictured:
                np.testing.assert_allclose(pictured[f"{name}{n}"], layer[name].autodiff)
                assert f"{name}{n}" in shown
                checked += 1
        if "w" in layer["z"].equation:
            names = set(re.findall(r"[wb]\d+", layer["z"].equation))
            assert names <= pictured.keys()
            assert names <= shown
    assert checked >= 2


def test_the_report_calls_a_shared_weight_by_one_name():
    report = backprop_report(STACKS["shared"](), nn.MSELoss(), X, Y)
    equations = [row.equation for layer in report.layers[:2] for row in layer.rows]
    assert equations[0].endswith("w1^T + b1")
    assert "z2 = a1 w1^T + b1" in equations
    assert "BP2: delta1 = (delta2 w1) * s'(z1)" in equations
    assert [e for e in equations if "dL/dw" in e] == ["BP4: dL/dw1 += delta1^T X", "sum of dL/dw of layers 1, 2", "BP4: dL/dw1 += delta2^T a1"]


def test_equations_of_a_shared_layer_are_true():
    """There is no w3: what is shared keeps its name, and each use adds its part."""
    layer = nn.Dense(2, 2, rng=0)
    with observe():
        h = X
        for k in range(2):  # noqa: B007
            h = np.tanh(layer(h))
        loss = nn.MSELoss()(h, X)
    words = [edge.text for edge in draw(loss).picture.edges if edge.kind == "backward" and edge.text]
    assert words == [
        *("∂L/∂a1[k=1] = 2 (a1[k=1] - h) / (m n)", "δ1[k=1] = ∂L/∂a1[k=1] · tanh′(z1[k=1])", "∂L/∂a1[k=0] = w1ᵀ δ1[k=1]"),
        *("∂L/∂w1 += Σ δ1[k=1] a1[k=0]ᵀ", "∂L/∂b1 += Σ δ1[k=1]", "δ1[k=0] = (w1ᵀ δ1[k=1]) · tanh′(z1[k=0])"),
        *("∂L/∂w1 += Σ δ1[k=0] hᵀ", "∂L/∂b1 += Σ δ1[k=0]"),
    ]
    assert k == 1


def test_an_equation_includes_the_path_around_a_layer():
    """If a1 also bypasses the next layer, its gradient is more than that layer's share."""
    one, two = nn.Dense(2, 2, rng=0), nn.Dense(2, 2, rng=1)
    a = np.tanh(one(X))
    words = [edge.text for edge in draw((a + two(a)).sum()).picture.edges if edge.kind == "backward"]
    assert "∂L/∂a1 += w2ᵀ δ2" in words
    assert "δ1 = ∂L/∂a1 · tanh′(z1)" in words
