"""`Module`: its parameters by path, its calls, its modes, its repr, and how errors name the layer."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import tinygrad_lr as tg
from tinygrad_lr import nn
from tinygrad_lr.nn.module import watching

X = np.ones((6, 2))


class Branches(nn.Module):
    """Layers in a list, in a dict and as attributes, with parameters of its own among them."""

    def __init__(self):
        self.scale = nn.Parameter(np.ones(3))
        self.stages = [nn.Dense(2, 3, rng=0), nn.Sequential(nn.Tanh(), nn.Dense(3, 3, rng=1))]
        self.heads = {"mean": nn.Dense(3, 1, rng=2), "spread": (nn.Dense(3, 1, bias=False, rng=3),)}
        self.offset = nn.Parameter(0.5, name="offset")
        self.label = "not a part"

    def forward(self, x):
        for stage in self.stages:
            x = stage(x)
        x = x * self.scale
        return self.heads["mean"](x) + self.heads["spread"][0](x) + self.offset


PATHS = [
    "scale",
    "offset",
    "stages.0.weight",
    "stages.0.bias",
    "stages.1.1.weight",
    "stages.1.1.bias",
    "heads.mean.weight",
    "heads.mean.bias",
    "heads.spread.0.weight",
]


# -- parameters ----------------------------------------------------------------------------------------


def test_a_parameter_is_a_tensor_that_learns():
    p = nn.Parameter([1, 2], dtype=np.float32, name="w")
    assert isinstance(p, tg.Tensor)
    assert (p.requires_grad, p.is_leaf, p.name, p.dtype) == (True, True, "w", np.float32)
    assert not nn.Parameter([1.0], requires_grad=False).requires_grad
    with pytest.raises(TypeError, match=r"^only floating Tensors can require gradients, got dtype int64"):
        nn.Parameter([1, 2])


def test_parameters_are_found_by_path_in_the_order_they_were_set():
    model = Branches()
    assert [path for path, _ in model.named_parameters()] == PATHS
    assert [id(p) for p in model.parameters()] == [id(p) for _, p in model.named_parameters()]
    assert dict(model.named_parameters())["stages.1.1.weight"] is model.stages[1][1].weight


def test_modules_are_found_by_path():
    model = Branches()
    found = dict(model.named_modules())
    assert list(found) == ["", "stages.0", "stages.1", "stages.1.0", "stages.1.1", "heads.mean", "heads.spread.0"]
    assert found[""] is model
    assert found["heads.mean"] is model.heads["mean"]


def test_a_shared_part_counts_once():
    layer = nn.Dense(2, 2, rng=0)
    model = nn.Sequential(layer, nn.Tanh(), layer)
    assert [path for path, _ in model.named_parameters()] == ["0.weight", "0.bias"]
    tied = nn.Sequential(nn.Dense(2, 2, rng=0), nn.Dense(2, 2, rng=1))
    tied[1].weight = tied[0].weight
    assert [path for path, _ in tied.named_parameters()] == ["0.weight", "0.bias", "1.bias"]
    np.sum(model(X)).backward()
    once, twice = layer.weight.grad, nn.Sequential(nn.Dense(2, 2), nn.Tanh(), nn.Dense(2, 2))
    twice.load_state_dict({f"{i}.{name}": value for i in (0, 2) for name, value in layer.state_dict().items()})
    np.sum(twice(X)).backward()
    np.testing.assert_allclose(once, twice[0].weight.grad + twice[2].weight.grad, rtol=1e-14)


def test_a_module_that_knows_its_parent():
    model = nn.Sequential(nn.Dense(2, 1, rng=0))
    model[0].parent = model
    assert [path for path, _ in model.named_parameters()] == ["0.weight", "0.bias"]


def test_parts_may_be_added_replaced_and_removed():
    model = Branches()
    model.extra = nn.Dense(1, 1)
    del model.heads
    model.stages[1] = nn.Tanh()
    assert [path for path, _ in model.named_parameters()] == ["scale", "offset", "stages.0.weight", "stages.0.bias", "extra.weight", "extra.bias"]


def test_zero_grad():
    model = Branches()
    np.sum(model(X)).backward()
    assert all(p.grad is not None for p in model.parameters())
    model.zero_grad()
    assert all(p.grad is None for p in model.parameters())


def test_the_gradient_of_every_parameter_agrees_with_differences():
    model = Branches()
    np.sum(model(X) ** 2).backward()
    for _, p in model.named_parameters():
        kept, step = p.data, 1e-6
        for i in np.ndindex(p.shape):
            sides = []
            for sign in (1, -1):
                moved = kept.copy()
                moved[i] += sign * step
                p.data = moved
                sides.append(np.sum(model(X) ** 2).item())
            p.data = kept
            assert p.grad[i] == pytest.approx((sides[0] - sides[1]) / (2 * step), rel=1e-6, abs=1e-7)


def test_forward_is_for_the_user_to_write():
    class Empty(nn.Module):
        pass

    with pytest.raises(NotImplementedError) as caught:
        Empty()(X)
    assert str(caught.value) == "Empty needs a forward method: def forward(self, x): ..."


class Sum(nn.Module):
    def forward(self, a, b=0.0, *, inputs=0.0, module=0.0):
        return a + b * inputs + module


def test_forward_may_take_several_inputs_and_keywords():
    assert Sum()(1.0, 2.0, inputs=3.0) == Sum()(a=1.0, b=2.0, inputs=3.0) == 7.0


def test_keywords_pass_through_summary_and_observe():
    class Outer(nn.Module):
        def __init__(self):
            self.part = Sum()

        def forward(self, x, scale):
            return self.part(x, b=2.0, inputs=scale, module=scale)

    scale = np.ones(4)
    table = Outer().summary(np.zeros(4), scale=scale)
    assert [(row.path, row.shapes, row.calls) for row in table.rows] == [("", ((4,),), 1), ("part", ((4,),), 1)]
    with tg.observe():
        answer = Outer()(tg.Tensor(np.zeros(4), requires_grad=True), scale=scale)
    assert [type(module).__name__ for module in answer.node.modules] == ["Outer", "Sum"]
    assert answer.node.inside[1] == 0  # the array was passed to both from outside, by keyword


def test_calls_of_modules_can_be_watched():
    """With their inputs and results; also those that fail, and only in this context."""
    seen = []

    def watch(module, inputs, named):
        seen.append((type(module).__name__, inputs, named))
        result = module.forward(*inputs, **named)
        seen.append(result)
        return result

    model = nn.Sequential(Sum(), Sum())
    with watching(watch):
        assert model(1.0) == 1.0
        assert seen == [("Sequential", (1.0,), {}), ("Sum", (1.0,), {}), 1.0, ("Sum", (1.0,), {}), 1.0, 1.0]
        seen.clear()
        with pytest.raises(TypeError):
            model(1.0, extra=2.0)
        assert seen == [("Sequential", (1.0,), {"extra": 2.0})]
        with ThreadPoolExecutor() as pool:
            assert pool.submit(model, 1.0).result() == 1.0
    model(1.0)
    assert len(seen) == 1


def test_an_error_under_watch_names_the_layer():
    with watching(lambda module, inputs, named: module.forward(*inputs, **named)), pytest.raises(ValueError, match=r"^layer '1\.0': Dense"):
        nn.Sequential(nn.Tanh(), nn.Sequential(nn.Dense(3, 1)))(X)


# -- modes ---------------------------------------------------------------------------------------------


def test_train_and_eval_reach_all_parts():
    model = Branches()
    assert all(m.training for _, m in model.named_modules())
    assert model.eval() is model
    assert not any(m.training for _, m in model.named_modules())
    assert model.train() is model
    assert all(m.training for _, m in model.named_modules())
    model.train(False)
    assert not model.heads["mean"].training
    assert nn.Dense(1, 1).training  # others keep their mode


# -- how it shows itself -------------------------------------------------------------------------------


def test_names_that_would_break_a_line_are_shown_escaped():
    model = nn.Sequential(**{"a\nb\x1b[2J": nn.Dense(2, 1, rng=0), "größe": nn.Sequential(nn.Tanh())})
    assert repr(model) == "Sequential(\n  a\\nb\\x1b[2J: Dense(2 -> 1)\n  größe: Sequential(\n    0: Tanh()\n  )\n)"
    with pytest.raises(ValueError) as caught:
        model(np.ones((1, 3)))
    assert str(caught.value) == r"layer 'a\nb\x1b[2J': Dense(2 -> 1) got input of shape (1, 3): expected (..., 2)"
    for report in (tg.gradcheck_model(model, nn.MSELoss(), X, np.zeros((6, 1)), rng=0), tg.backprop_report(model, nn.MSELoss(), X, np.zeros((6, 1)))):
        assert r"a\nb\x1b[2J" in str(report)
        assert str(report).replace("\n", "").isprintable()
    lines = repr(model.summary(X)).splitlines()
    assert len(lines) == 11
    assert lines[5].startswith(r"a\nb\x1b[2J  Dense(2 -> 1)")


def test_repr():
    assert repr(nn.Tanh()) == "Tanh()"
    assert repr(nn.Sequential(nn.Dense(2, 3), nn.Sequential(nn.ReLU(), nn.Dense(3, 1, bias=False)))) == (
        "Sequential(\n  0: Dense(2 -> 3)\n  1: Sequential(\n    0: ReLU()\n    1: Dense(3 -> 1, bias=False)\n  )\n)"
    )
    assert repr(Branches()).startswith("Branches(\n  stages.0: Dense(2 -> 3)\n  stages.1: Sequential(\n    0: Tanh()")


# -- errors name the layer -----------------------------------------------------------------------------


class Holder(nn.Module):
    def __init__(self, part):
        self.part = part

    def forward(self, x):
        part = self.part
        while not isinstance(part, nn.Module):
            part = next(iter(part.values())) if isinstance(part, dict) else part[0]
        return part(x)


WRONG = {
    "alone": (lambda d: d, ""),
    "in a Sequential": (lambda d: nn.Sequential(nn.Tanh(), d), "layer '1': "),
    "named": (lambda d: nn.Sequential(squash=nn.Tanh(), out=d), "layer 'out': "),
    "in nested Sequentials": (lambda d: nn.Sequential(nn.Tanh(), hidden=nn.Sequential(nn.Sequential(d), nn.Tanh())), "layer 'hidden.0.0': "),
    "in an attribute": (lambda d: Holder(d), "layer 'part': "),
    "in a list": (lambda d: Holder([d]), "layer 'part.0': "),
    "in a dict": (lambda d: Holder({"left": d}), "layer 'part.left': "),
    "in lists of dicts": (lambda d: Holder([{"left": (d,)}]), "layer 'part.0.left.0': "),
    "in all of them": (lambda d: nn.Sequential(nn.Tanh(), Holder({"left": [nn.Sequential(Holder(d))]})), "layer '1.part.left.0.0.part': "),
}


@pytest.mark.parametrize("build, where", WRONG.values(), ids=WRONG.keys())
def test_an_input_of_the_wrong_shape_names_the_layer(build, where):
    model = build(nn.Dense(3, 1))
    for _ in range(2):  # the error keeps no memory of the first time
        with pytest.raises(ValueError) as caught:
            model(X)
        assert str(caught.value) == f"{where}Dense(3 -> 1) got input of shape (6, 2): expected (..., 3)"


def test_the_second_layer_is_named_where_it_is_the_wrong_one():
    model = nn.Sequential(nn.Dense(2, 4), nn.Tanh(), nn.Dense(3, 1))
    with pytest.raises(ValueError) as caught:
        model(X)
    assert str(caught.value) == "layer '2': Dense(3 -> 1) got input of shape (6, 4): expected (..., 3)"


def test_a_caught_error_does_not_stick_to_the_layer():
    layer = nn.Dense(3, 1)
    one, other = nn.Sequential(a=layer), nn.Sequential(nn.Sequential(b=layer))
    for model, path in [(one, "a"), (other, "0.b"), (one, "a")]:
        with pytest.raises(ValueError, match=f"^layer '{path}': "):
            model(X)


def test_a_parameter_is_not_overwritten_by_an_array():
    model = nn.Dense(2, 1, rng=0)
    np.sum(model(np.ones(2))).backward()
    weight, message = (
        model.weight,
        (
            "Dense.weight is a Parameter, and would no longer be learnt: to set its numbers assign to its .data, as in m.weight.data = ...; "
            "or assign an nn.Parameter, None or a Module"
        ),
    )
    with pytest.raises(TypeError) as caught:
        model.weight -= 0.1 * model.weight.grad
    assert str(caught.value) == message
    for other in (np.zeros((1, 2)), tg.Tensor(np.zeros((1, 2))), 0.0):
        with pytest.raises(TypeError) as caught:
            model.weight = other
        assert str(caught.value) == message
    assert model.weight is weight
    model.weight, model.bias = nn.Parameter(np.ones((1, 2))), None
    assert model(np.ones(2)).tolist() == [2.0]
    model.bias = nn.Parameter([1.0])
    for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert again(np.ones(2)).tolist() == [3.0]


def test_a_parameter_with_data_of_integers_is_refused_by_backward():
    """Its gradient used to be rounded to integers."""
    model = nn.Dense(2, 1, rng=0)
    model.weight.data = np.array([[1, 2]])
    loss = nn.MSELoss()(model(np.full((1, 2), 0.25)), [[0.0]])
    with pytest.raises(TypeError) as caught:
        loss.backward()
    assert str(caught.value) == "the data of weight became int64 after gradients were required of it, and integers have none: assign floats to .data"
    leaf = tg.Tensor([1.0], requires_grad=True)
    leaf.data = np.array([1])
    with pytest.raises(TypeError, match=r"^a leaf's data became int64 after"):
        np.sum(leaf * 0.5).backward()
