"""`Module`: its parameters by path, its state, its modes, its repr, and how errors name the layer."""

from __future__ import annotations

import copy
import pickle
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

import tinygrad_lr as tg
from tinygrad_lr import nn

X = np.ones((6, 2))


class Branches(nn.Module):
    """Layers in a list, in a dict and as attributes, parameters of its own between them."""

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


def test_every_parameter_gets_the_gradient_that_differences_give():
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
    assert answer.node.inside[1] == 0  # the array was handed in from outside both, by keyword


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


# -- state ---------------------------------------------------------------------------------------------


def test_state_goes_from_one_model_to_another():
    model, other = Branches(), Branches()
    for p in other.parameters():
        p.data = p.data + 1
    other.load_state_dict(model.state_dict())
    np.testing.assert_array_equal(other(X).data, model(X).data)
    assert list(model.state_dict()) == PATHS


def test_state_is_copied_both_ways():
    model = nn.Dense(2, 1, rng=0)
    state = model.state_dict()
    assert not np.shares_memory(state["weight"], model.weight.data)
    model.load_state_dict(state)
    assert not np.shares_memory(state["weight"], model.weight.data)
    state["weight"][:] = 7
    assert (model.weight != 7).all()


def test_state_may_be_lists_numbers_and_tensors_and_keeps_the_models_type():
    model = nn.Dense(2, 1, dtype=np.float32)
    model.load_state_dict({"weight": [[1, 2]], "bias": tg.Tensor([3.0])})
    np.testing.assert_array_equal(model.weight.data, np.array([[1, 2]], np.float32), strict=True)
    np.testing.assert_array_equal(model.bias.data, np.array([3], np.float32), strict=True)
    assert model.weight.requires_grad


def test_state_that_does_not_fit_is_named_in_full_and_changes_nothing():
    model = nn.Sequential(nn.Dense(2, 3, rng=0), nn.Tanh(), nn.Dense(3, 1, rng=1))
    before = model.state_dict()
    state = {"2.bias": np.zeros(2), "0.weight": np.zeros((2, 3)), "0.bias": np.ones(3), "3.weight": np.zeros(1), "bias": 0.0}
    with pytest.raises(ValueError) as caught:
        model.load_state_dict(state)
    assert str(caught.value) == (
        "state does not fit Sequential: missing '2.weight'; unexpected '3.weight'; unexpected 'bias'; "
        "'0.weight' has shape (2, 3), expected (3, 2); '2.bias' has shape (2,), expected (1,)"
    )
    for path, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[path])


def test_state_that_is_no_numbers_changes_nothing():
    model = nn.Dense(1, 1, rng=0)
    before = model.state_dict()
    with pytest.raises(ValueError, match=r"^state does not fit Dense: 'bias' is <U4, expected float64$"):
        model.load_state_dict({"weight": [[5.0]], "bias": ["five"]})
    np.testing.assert_array_equal(model.weight.data, before["weight"])


def test_complex_state_of_real_parameters_is_refused():
    with pytest.raises(ValueError) as caught:
        nn.Dense(1, 1).load_state_dict({"weight": np.array([[1j]]), "bias": np.array(["0"])})
    assert str(caught.value) == "state does not fit Dense: 'weight' is complex128, expected float64; 'bias' is <U1, expected float64"


def test_two_arrays_under_one_path_are_refused():
    """The state would hold one of them only."""
    model = nn.Sequential(**{"a.b": nn.Dense(1, 1), "a": nn.Sequential(b=nn.Dense(1, 1))})
    for call in (model.state_dict, lambda: model.load_state_dict({})):
        with pytest.raises(ValueError) as caught:
            call()
        assert str(caught.value) == "Sequential holds two arrays under the path 'a.b.weight': rename a layer, a key or an attribute"


# -- buffers -------------------------------------------------------------------------------------------

Pair = namedtuple("Pair", "low high")


class Buffers(nn.Module):
    """Arrays of all sorts in all places, and what is none."""

    def __init__(self, fill=0.0):
        self.weight = nn.Parameter(np.full(2, fill))
        self.mean = np.full(3, fill)
        self.count = np.zeros((), int) + int(fill)  # a 0-d array that has become a NumPy number
        self.limits = Pair(np.full(1, fill), np.full((2, 2), fill, np.float32))
        self.tables = {"left": [np.array([fill, 1.0])], "name": "table"}
        self.constant = tg.Tensor([fill])
        self.free = tg.Tensor([fill], requires_grad=True)
        self.words = np.array(["a", "b"])
        self._computed, self.rng, self.rate, self.dtype = self.free * 2, np.random.default_rng(0), 0.5, np.float32


KEPT = ". (What forward only keeps for itself belongs in an attribute whose name starts with _, which is no state.)"
BUFFERS = ["mean", "count", "limits.0", "limits.1", "tables.left.0", "constant", "free", "words"]


def test_arrays_on_a_module_are_buffers():
    model = nn.Sequential(first=nn.Tanh(), held=Buffers())
    assert [path for path, _ in model.named_buffers()] == [f"held.{path}" for path in BUFFERS]
    assert [path for path, _ in model.named_parameters()] == ["held.weight"]
    assert list(Buffers().state_dict()) == ["weight", *BUFFERS]
    assert dict(model.named_buffers())["held.mean"] is model["held"].mean


def test_buffers_are_loaded_by_binding_not_by_writing():
    model, other = Buffers(), Buffers(7.0)
    before = dict(model.named_buffers())
    numbers = {path: np.array(getattr(value, "data", value)) for path, value in before.items()}
    free, limits, left = model.free, model.limits, model.tables["left"]
    state = other.state_dict()
    model.load_state_dict(state)
    for path, value in model.state_dict().items():
        np.testing.assert_array_equal(value, state[path], strict=True)
    assert (type(model.limits), type(model.tables), type(model.count)) == (Pair, dict, np.int64)
    assert model.tables["name"] == "table"
    assert model.free is free
    assert model.free.requires_grad
    np.testing.assert_array_equal(limits.high, np.zeros((2, 2)))
    assert left is model.tables["left"]
    for path, value in before.items():
        if not isinstance(value, tg.Tensor):
            np.testing.assert_array_equal(value, numbers[path])
    state["mean"][:] = -1
    assert (model.mean == 7).all()


def test_buffers_of_one_array_part_when_one_is_bound_anew():
    class Twins(nn.Module):
        def __init__(self):
            self.mean = self.start = np.zeros(1)

    model = Twins()
    assert list(model.state_dict()) == ["mean", "start"]
    model.load_state_dict({"mean": [1.0], "start": [2.0]})
    assert (model.mean, model.start) == (1.0, 2.0)


def test_a_buffer_that_is_missing_or_misshapen_is_named():
    model = Buffers()
    state = model.state_dict()
    del state["limits.1"]
    with pytest.raises(ValueError) as caught:
        model.load_state_dict({**state, "mean": np.ones(4)})
    assert str(caught.value) == "state does not fit Buffers: missing 'limits.1'; 'mean' has shape (4,), expected (3,)" + KEPT
    assert (model.mean == 0).all()


def test_a_state_of_version_0_1_has_no_buffers():
    class BatchNorm(nn.Module):
        def __init__(self, n):
            self.scale, self.shift = nn.Parameter(np.ones(n)), nn.Parameter(np.zeros(n))
            self.mean, self.variance = np.zeros(n), np.ones(n)

    model = BatchNorm(2)
    with np.load(Path(__file__).parent / "files" / "state_0_1.npz") as state, pytest.warns(UserWarning, match="no buffers") as caught:
        model.load_state_dict(state)
    assert [str(warning.message) for warning in caught] == ["the state holds no buffers, so those of BatchNorm stay as they are: 'mean', 'variance'"]
    assert caught[0].filename == __file__
    np.testing.assert_array_equal(model.scale.data, [2.0, 3.0])
    np.testing.assert_array_equal(model.mean, np.zeros(2))


def test_a_masked_array_is_no_buffer_that_could_be_kept():
    layer = nn.Tanh()
    layer.seen = np.ma.array([1.0, 2.0], mask=[True, False])
    with pytest.raises(TypeError) as caught:
        layer.state_dict()
    assert str(caught.value) == "the buffer 'seen' is a masked array, and its mask would be lost: hold the data and the mask as two arrays"


def test_a_size_that_is_a_numpy_number_is_no_state():
    assert list(nn.Dense(np.int64(3), np.int64(1)).state_dict()) == ["weight", "bias"]


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


def test_buffers_keep_their_kind_and_dtype():
    model = Buffers()
    state = model.state_dict()
    model.load_state_dict({**state, "mean": np.array([1, 2, 3]), "limits.1": np.full((2, 2), 7.0), "words": np.array(["longer", "b"])})
    assert (model.mean.dtype, model.limits.high.dtype, model.words.tolist()) == (np.float64, np.float32, ["longer", "b"])
    for path, value, text in [
        ("count", 1.5, "float64, expected int64"),
        ("mean", np.ones(3, complex), "complex128, expected float64"),
        ("words", [1, 2], "int64, expected <U1"),
    ]:
        with pytest.raises(ValueError) as caught:
            Buffers().load_state_dict({**state, path: value})
        assert str(caught.value) == f"state does not fit Buffers: {path!r} is {text}"


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_state_that_calculates_by_rules_of_its_own_is_refused():
    sparse = pytest.importorskip("scipy.sparse")
    model = nn.Dense(2, 1, rng=0)
    before = model.weight.data
    for wrong, text in [
        (np.ma.masked_array([[1.0, 2.0]], [[True, False]]), "a masked array of shape (1, 2)"),
        (np.matrix([[1.0, 2.0]]), "a numpy.matrix of shape (1, 2)"),
        (np.array([[1.0, None]]), "an array of Python objects of shape (1, 2)"),
        (sparse.csr_array([[1.0, 2.0]]), "a csr_array of shape (1, 2)"),
    ]:
        for call in (lambda state: model.load_state_dict({"bias": [0.0], **state}), lambda state: nn.functional_call(model, state, np.ones(2))):
            with pytest.raises(TypeError) as caught:
                call({"weight": wrong})
            assert str(caught.value).startswith(f"'weight': {text}")
    assert model.weight.data is before


def test_modules_that_share_a_dict_or_list_go_on_sharing_it_when_loaded():
    class Shares(nn.Module):
        def __init__(self, table, steps):
            self.table, self.steps = table, steps

    table, steps = {"mean": np.zeros(2)}, [np.zeros(1)]
    model = nn.Sequential(Shares(table, steps), Shares(table, steps))
    state = {path: value + 1 for path, value in model.state_dict().items()}
    model.load_state_dict(state)
    assert model[0].table is model[1].table is table
    assert model[0].steps is model[1].steps is steps
    assert (table["mean"].tolist(), steps[0].tolist()) == ([1.0, 1.0], [1.0])


def test_attributes_with_an_underscore_are_no_state():
    class Stashes(nn.Module):
        def __init__(self):
            self._weight, self._rows = nn.Parameter([2.0]), []

        def forward(self, x):
            self._x, self._y = x, self._weight * x
            self._rows.append(x)
            return self._y

    model, fresh = Stashes(), Stashes()
    model(np.ones(1))
    assert list(model.state_dict()) == ["_weight"]
    fresh.load_state_dict(model.state_dict())
    np.testing.assert_array_equal(nn.functional_call(model, {"_weight": [3.0]}, np.ones(1)).data, [3.0])
    assert len(model._rows) == 1


def test_where_a_stashed_array_does_not_fit_the_underscore_is_recommended():
    class Stashes(nn.Module):
        def forward(self, x):
            self.x = x

    model, fresh, other = Stashes(), Stashes(), Stashes()
    model(np.ones(2))
    other(np.ones(3))
    for target, text in [(fresh, "unexpected 'x'"), (other, "'x' has shape (2,), expected (3,)")]:
        with pytest.raises(ValueError) as caught:
            target.load_state_dict(model.state_dict())
        assert str(caught.value) == f"state does not fit Stashes: {text}{KEPT}"


def test_a_buffer_computed_from_tracked_tensors_is_refused(tmp_path):
    class Running(nn.Module):
        def __init__(self):
            self.moments = {"mean": np.zeros(2)}

        def forward(self, x):
            self.moments["mean"] = 0.9 * self.moments["mean"] + 0.1 * np.mean(x, axis=0)
            return x

    model = nn.Sequential(nn.Dense(2, 2, rng=0), Running())
    model(np.ones((3, 2)))
    for call in (model.state_dict, lambda: nn.save(model, tmp_path / "model.npz")):
        with pytest.raises(TypeError) as caught:
            call()
        assert str(caught.value) == (
            "'1.moments.mean' was computed from tracked Tensors, so it is no part of the state: assign its .numpy(), or call it _moments if it is none"
        )
    assert list(tmp_path.iterdir()) == []
    model[1].moments["mean"] = model[1].moments["mean"].numpy()
    assert "1.moments.mean" in model.state_dict()


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
    """Its gradient was rounded to integers."""
    model = nn.Dense(2, 1, rng=0)
    model.weight.data = np.array([[1, 2]])
    loss = nn.MSELoss()(model(np.full((1, 2), 0.25)), [[0.0]])
    with pytest.raises(TypeError) as caught:
        loss.backward()
    assert str(caught.value) == "the data of weight became int64 after gradients were required of it, and has none: assign floats to .data"
    leaf = tg.Tensor([1.0], requires_grad=True)
    leaf.data = np.array([1])
    with pytest.raises(TypeError, match=r"^a leaf's data became int64 after"):
        np.sum(leaf * 0.5).backward()
