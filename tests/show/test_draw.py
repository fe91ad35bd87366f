"""Drawings: their DOT text byte for byte, what they say, and what they keep in memory."""

from __future__ import annotations

import gc
import os
import re
import subprocess
import sys
import time
import weakref
from pathlib import Path

import numpy as np
import pytest

import tinygrad_lr as tg
from tests.show import programs
from tinygrad_lr import nn
from tinygrad_lr.autodiff.node import Node
from tinygrad_lr.autodiff.rules import RULES, SideGradient
from tinygrad_lr.autodiff.rules.registry import Each
from tinygrad_lr.show import draw, observe
from tinygrad_lr.show.wording import WORDS, rule_in_words

X = np.array([[0.0, 1.0], [1.0, 1.0]])


def box(drawing, name):
    """The box with this name or symbol."""
    (found,) = [b for b in drawing.picture.boxes if name in (b.name, b.symbol)]
    return found


def ways(drawing):
    """(equation, words) of each backward edge, in the order of the backward pass."""
    return [(edge.tag, edge.text) for edge in drawing.picture.edges if edge.kind == "backward" and edge.text]


# -- DOT -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(path.stem for path in programs.GOLDEN.glob("*.gv")))
def test_golden(name):
    golden = (programs.GOLDEN / f"{name}.gv").read_text(encoding="utf-8")
    assert programs.drawings()[name].source == golden, "if the drawing was meant to change: python -m tests.show.programs, and look at it"


def test_every_program_has_a_golden_text():
    assert {path.stem for path in programs.GOLDEN.glob("*.gv")} == set(programs.drawings())


def test_source_is_the_same_in_another_process_and_hash_seed():
    code = "from tests.show.programs import *; import sys; sys.stdout.buffer.write(''.join(d.source for d in drawings().values()).encode())"
    root = Path(__file__).parents[2]
    texts = {
        subprocess.run([sys.executable, "-c", code], cwd=root, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True).stdout
        for seed in ("1", "2")
    }
    assert texts == {"".join(d.source for d in programs.drawings().values()).encode()}


def test_ids_do_not_move_when_modules_are_closed():
    _, loss = programs.two_layers()
    whole = {b.id: b.name for b in draw(loss).picture.boxes}
    for b in draw(loss, depth=1).picture.boxes:
        assert b.kind == "module" or whole[b.id] == b.name


# -- what is in it ---------------------------------------------------------------------------------------


def test_primes_before_and_after_backward():
    loss = programs.primes()
    before = draw(loss)
    assert box(before, "0.weight").grad is None
    loss.backward()
    after = draw(loss)
    assert box(after, "0.weight").grad.shape == (1, 1)
    assert box(after, "z1").grad is None
    assert box(after, "z1").value.shape == (6, 1)  # observed: the numbers are still there
    assert ways(before) == ways(after) == [("BP1", "δ1 = (a1 - y) / m"), ("BP4", "∂L/∂w1 = Σ δ1 xᵀ"), ("BP3", "∂L/∂b1 = Σ δ1")]


def test_retain_graph_shows_all_gradients():
    _, loss = programs.two_layers()
    loss.backward(retain_graph=True)
    drawing = draw(loss)
    assert all(b.grad is not None for b in drawing.picture.boxes if b.kind in ("value", "output", "parameter"))
    np.testing.assert_allclose(box(drawing, "w2").grad, box(drawing, "z2").grad.T @ box(drawing, "a1").value)
    assert [tag for tag, _ in ways(drawing)] == ["BP1", "BP1", "BP2", "BP4", "BP3", "BP2", "BP4", "BP3"]


def test_equations_of_two_layers():
    _, loss = programs.two_layers()
    assert ways(draw(loss)) == [
        ("BP1", "∂L/∂a2 = 2 (a2 - y) / m"),
        ("BP1", "δ2 = ∂L/∂a2 · s′(z2)"),
        ("BP2", "∂L/∂a1 = w2ᵀ δ2"),
        ("BP4", "∂L/∂w2 = Σ δ2 a1ᵀ"),
        ("BP3", "∂L/∂b2 = Σ δ2"),
        ("BP2", "δ1 = (w2ᵀ δ2) · tanh′(z1)"),
        ("BP4", "∂L/∂w1 = Σ δ1 xᵀ"),
        ("BP3", "∂L/∂b1 = Σ δ1"),
    ]


@pytest.mark.parametrize(
    "loss, says",
    [
        (lambda z: nn.BCEWithLogitsLoss()(z, np.ones((2, 2))), "δ1 = (sigmoid(z1) - y) / (m n)"),
        (lambda z: nn.CrossEntropyLoss()(z, np.array([0, 1])), "δ1 = (softmax(z1) - onehot(y)) / m"),
        (lambda z: nn.MSELoss(reduction="sum")(z, np.ones((2, 2))), "δ1 = 2 (z1 - y)"),
        (lambda z: nn.BCELoss()(tg.sigmoid(z), np.ones((2, 2))) * 3, "δ1 = (a1 - y) / (m n) · ∂L/∂BCELoss_1"),
    ],
)
def test_bp1_of_each_loss(loss, says):
    drawing = draw(loss(nn.Dense(2, 2, rng=0)(X)))
    assert ("BP1", says) in ways(drawing)


def test_bp2_where_a_value_feeds_two_layers():
    one, two, three = nn.Dense(2, 2, rng=0), nn.Dense(2, 2, rng=1), nn.Dense(2, 2, rng=2)
    a = np.tanh(one(X))
    assert ("BP2", "δ1 = (w2ᵀ δ2 + w3ᵀ δ3) · tanh′(z1)") in ways(draw((two(a) * three(a)).sum()))


def test_a_single_sample_is_not_summed():
    assert ("BP3", "∂L/∂b1 = δ1") in ways(draw(nn.Dense(2, 1, rng=0)(X[0])))


def test_other_rules_are_said_in_words():
    x = tg.Tensor([1.0, 2.0], requires_grad=True, name="x")
    assert ways(draw(np.sin(x).sum())) == [("", "the same to each element"), ("", "times cos(x)")]


def test_every_rule_has_words():
    for func, rules in RULES.items():
        for i, rule in enumerate(rules if not isinstance(rules, Each) else [rules.rule]):
            words = rule_in_words(func, i)
            assert rule is None or (words and "\n" not in words), (func, i)
            assert not isinstance(rule, SideGradient) or words


FORMULAS = {func: words[0] for func, words in WORDS.items() if isinstance(func, np.ufunc) and func.nin == 1 and re.match("times [^t]|over ", words[0])}


@pytest.mark.parametrize("func", FORMULAS, ids=lambda func: func.__name__)
def test_words_that_are_a_formula_are_the_derivative(func):
    """As they are read: "over 1 + x" is another number than "over (1 + x)"."""
    formula = FORMULAS[func].replace("times ", "1 * ").replace("over ", "1 / ").replace(" squared", "**2").replace("^", "**")
    formula = re.sub(r"(?<=[\w)]) (?=[\w(])", " * ", re.sub(r"log (\d+)", r"log(\1)", formula))
    x = 1.7 if func is np.arccosh else 0.3
    assert eval(formula, {**vars(np), "x": x, "result": func(x)}) == pytest.approx(tg.grad(func)(x), rel=1e-12)


def test_a_rule_of_the_users_own_has_the_words_of_its_docstring():
    def slope(g, y, x):
        """Three times x squared. And more."""
        return g * 3 * x**2

    cube = tg.primitive(lambda x: x**3, slope)
    x = tg.Tensor(2.0, requires_grad=True)
    assert ways(draw(cube(x))) == [("", "Three times x squared")]
    plain = tg.primitive(lambda x: x**3, lambda g, y, x: g * 3 * x**2)
    assert ways(draw(plain(x))) == [("", "rule of <lambda>")]


def test_a_gradient_that_does_not_flow_on_is_an_aside():
    loss = programs.primes()
    loss.backward(retain_graph=True)
    (aside,) = [edge for edge in draw(loss).picture.edges if edge.kind == "aside"]
    assert aside.text == "∂L/∂a1, not passed on"


def test_modules_are_clusters_with_their_parameters_inside():
    _, loss = programs.two_layers()
    picture = draw(loss).picture
    clusters = {cluster.id: (cluster.path, cluster.title) for cluster in picture.clusters}
    assert set(clusters.values()) == {
        *(("", "Sequential"), ("hidden", "Dense(2 -> 2)"), ("squash", "Tanh()"), ("out", "Dense(2 -> 1)"), ("prob", "Sigmoid()"), ("", "MSELoss()")),
    }
    for b in picture.boxes:
        if b.kind == "parameter":
            assert clusters[b.cluster][0] == b.name.rpartition(".")[0]
        if b.kind in ("input", "output"):
            assert b.cluster is None


class Residual(nn.Module):
    """A user's module: a list of parts, one of them used twice, a parameter of its own, and a constant made inside."""

    def __init__(self):
        self.parts = [nn.Dense(2, 2, rng=0), nn.Dense(2, 2, rng=1)]
        self.scale = nn.Parameter([2.0], name="scale")

    def forward(self, x, shift):
        for part in self.parts:
            x = x + part(np.tanh(part(x)))
        return x * self.scale + np.ones(2) - shift


def test_users_own_modules_and_lines():
    drawing = draw(Residual(), X, np.array([0.5, 0.5]))
    assert {c.path for c in drawing.picture.clusters} == {"", "parts.0", "parts.1"}
    assert box(drawing, "x").kind == box(drawing, "shift").kind == "input"
    (made_inside,) = [b for b in drawing.picture.boxes if b.kind == "constant"]
    assert made_inside.cluster == box(drawing, "scale").cluster == drawing.picture.clusters[0].id
    line = next(b.line for b in drawing.picture.boxes if b.kind == "op")
    assert (Path(line.file).name, line.text) == ("test_draw.py", "x = x + part(np.tanh(part(x)))")


def test_a_graph_recorded_before_is_drawn_without_clusters():
    model = nn.Sequential(nn.Dense(2, 1, rng=0), nn.Sigmoid())
    loss = nn.MSELoss()(model(X), np.ones((2, 1)))
    assert not draw(loss).picture.clusters
    assert box(draw(loss, model=model), "0.weight").kind == "parameter"
    loss.backward()
    drawing = draw(loss, model=model)
    assert box(drawing, "z1").shape == (2, 1)
    assert box(drawing, "z1").value is None
    np.testing.assert_array_equal(box(drawing, "0.weight").value, model[0].weight.data)
    np.testing.assert_array_equal(box(drawing, "0.weight").grad, model[0].weight.grad)
    assert box(drawing, "L").value == loss.item()


def test_a_model_without_parameters_is_drawn_by_its_inputs():
    drawing = draw(nn.Sequential(nn.Tanh(), nn.Sigmoid()), X)
    assert [b.name for b in drawing.picture.boxes if b.kind == "op"] == ["np.tanh", "sigmoid"]
    assert box(drawing, "x").name == "x"


def test_an_untracked_tensor_is_one_box():
    (only,) = draw(tg.Tensor([1.0, 2.0])).picture.boxes
    assert (only.kind, only.shape) == ("output", (2,))


def test_drawing_a_model_leaves_no_gradient_and_no_mode():
    model, _ = programs.two_layers()
    with tg.no_grad():
        draw(model, X)
        assert not model(X).requires_grad
    assert all(p.grad is None for p in model.parameters())
    assert type(model(X).node) is Node


def test_settings_stand_in_the_operation():
    names = {(b.name, b.detail) for b in draw(programs.expression()).picture.boxes if b.kind == "op"}
    assert names == {("@", ""), ("np.exp", ""), ("[2:5]", ""), ("** 2", ""), ("*", ""), ("np.sum", "axis=0, keepdims=True"), ("np.mean", ""), ("/ 7", "")}


def test_large_arrays_are_told_in_short():
    x = tg.Tensor(np.append(np.linspace(-1, 3, 1001), [np.nan, np.inf]), requires_grad=True, name="x")
    source = draw(x * 2).source
    for words in ("min</FONT> -1", "mean</FONT> 1", "max</FONT> 3", "not finite</FONT> 2"):
        assert words in source


def test_values_and_grads_can_be_left_out():
    loss = programs.primes()
    loss.backward()
    assert "0.3082" in draw(loss).source
    assert "0.3082" not in draw(loss, grads=False).source
    assert "BP4" not in draw(loss, grads=False).source
    assert "0.6225" in draw(loss).source
    assert "0.6225" not in draw(loss, values=False).source


@pytest.mark.parametrize("data", [np.zeros((0, 3)), np.zeros((2, 2, 2)), np.float32(3), np.array([[1e-300, -1e300]]), np.array([np.nan, np.inf, -np.inf])])
def test_odd_data(data):
    x = tg.Tensor(data, requires_grad=True)
    y = x + 1.0
    y.backward(np.ones_like(y.data))
    assert str(np.shape(data)) in draw(y).source


# -- closing, and large graphs ---------------------------------------------------------------------------


def test_depth():
    _, loss = programs.two_layers()
    assert [(b.name, b.detail, b.holds) for b in draw(loss, depth=1).picture.boxes if b.kind == "module"] == [
        ("hidden", "Dense(2 -> 2)", "1 operation, 6 parameters"),
        ("squash", "Tanh()", "1 operation"),
        ("out", "Dense(2 -> 1)", "1 operation, 3 parameters"),
        ("prob", "Sigmoid()", "1 operation"),
    ]
    assert [b.detail or b.kind for b in draw(loss, depth=0).picture.boxes] == ["Sequential", "input", "input", "MSELoss()", "output"]
    assert draw(loss, depth=2).source == draw(loss).source


def test_max_nodes_closes_modules_and_says_so():
    _, loss = programs.two_layers()
    drawing = draw(loss, max_nodes=9)
    assert "8 of 16 boxes, because max_nodes is 9: modules below level 1 are closed" in drawing.source
    assert not draw(loss, max_nodes=16).picture.note


@pytest.mark.parametrize("most", [3, 4, 10, 11])
def test_max_nodes_leaves_out_the_middle(most):
    drawing = draw(programs.chain(100), max_nodes=most)
    assert len(drawing.picture.boxes) == most
    assert f"{most} of 201 boxes" in drawing.source
    known = {b.id for b in drawing.picture.boxes}
    assert all({edge.tail, edge.head} <= known for edge in drawing.picture.edges)


def test_100_000_operations_in_seconds():
    y = programs.chain(100_000)
    started = time.process_time()
    source = draw(y, max_nodes=None).source
    assert source.count("->") == 200_000
    draw(y)
    assert time.process_time() - started < 60  # about 10 on an idle machine


# -- leaves and memory -----------------------------------------------------------------------------------


def test_a_leaf_knows_its_tensor_without_keeping_it():
    gc.disable()
    try:
        w = tg.Tensor(np.ones(3), requires_grad=True)
        y = w * 2
        gone = weakref.ref(w)
        assert y.node.parents[0].owner() is w
        del w
        assert gone() is None
    finally:
        gc.enable()


def test_a_leaf_shows_what_was_computed_with():
    w = tg.Tensor([1.0, 2.0], requires_grad=True, name="w")
    with observe():
        loss = (w * w).sum()
    loss.backward()
    nn.SGD([w], lr=0.5).step()
    np.testing.assert_array_equal(box(draw(loss), "w").value, [1.0, 2.0])
    unobserved = (w * w).sum()
    del w
    assert box(draw(unobserved), "w").shape == (2,)


def test_nothing_is_noted_outside_observe():
    x = tg.Tensor([1.0], requires_grad=True)
    with observe():
        inside = x * 2
    assert inside.node.line.text == "inside = x * 2"
    assert type((x * 2).node) is Node
    inside.backward()
    assert inside.node.values is None
    assert x.grad == 2


# -- wrong calls -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call, error, says",
    [
        (lambda: draw(3.0), TypeError, "draw.. takes a Tensor or a Module, got float"),
        (lambda: draw(tg.Tensor(1.0), X), TypeError, "calls a Module on inputs, but got a Tensor first"),
        (lambda: draw(nn.Dense(2, 1)), TypeError, "cannot call Dense on 0 inputs"),
        (lambda: draw(tg.Tensor(1.0), direction="up"), ValueError, "direction must be one of 'TB'"),
        (lambda: draw(tg.Tensor(1.0), depth=-1), ValueError, "depth must be at least 0, got -1"),
        (lambda: draw(tg.Tensor(1.0), max_nodes=2), ValueError, "max_nodes must be at least 3, got 2"),
        (lambda: draw(tg.Tensor(1.0)).save("graph.bmp"), ValueError, "must end in .svg, .png, .pdf or .gv"),
    ],
)
def test_wrong_calls(call, error, says):
    with pytest.raises(error, match=says):
        call()
