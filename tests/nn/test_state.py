"""The state of a module: parameters and buffers as arrays by path, and what is refused as one."""

from __future__ import annotations

from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

import tinygrad_lr as tg
from tests.nn.test_module import PATHS, Branches
from tinygrad_lr import nn

X = np.ones((6, 2))


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


def test_state_that_is_not_numeric_changes_nothing():
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
    """The state could hold only one of them."""
    model = nn.Sequential(**{"a.b": nn.Dense(1, 1), "a": nn.Sequential(b=nn.Dense(1, 1))})
    for call in (model.state_dict, lambda: model.load_state_dict({})):
        with pytest.raises(ValueError) as caught:
            call()
        assert str(caught.value) == "Sequential holds two arrays under the path 'a.b.weight': rename a layer, a key or an attribute"


# -- buffers -------------------------------------------------------------------------------------------

Pair = namedtuple("Pair", "low high")


class Buffers(nn.Module):
    """Arrays of all kinds in all places, and things that are not arrays."""

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


KEPT = ". (Whatever is not part of the state, such as the last input, belongs in an attribute whose name starts with _.)"
BUFFERS = ["mean", "count", "limits.0", "limits.1", "tables.left.0", "constant", "free", "words"]


def test_arrays_on_a_module_are_buffers():
    model = nn.Sequential(first=nn.Tanh(), held=Buffers())
    assert [path for path, _ in model.named_buffers()] == [f"held.{path}" for path in BUFFERS]
    assert [path for path, _ in model.named_parameters()] == ["held.weight"]
    assert list(Buffers().state_dict()) == ["weight", *BUFFERS]
    assert dict(model.named_buffers())["held.mean"] is model["held"].mean


def test_loading_replaces_buffers_and_does_not_write_into_them():
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


def test_buffers_that_share_an_array_part_when_one_is_replaced():
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


def test_a_masked_array_cannot_be_saved():
    layer = nn.Tanh()
    layer.seen = np.ma.array([1.0, 2.0], mask=[True, False])
    with pytest.raises(TypeError) as caught:
        layer.state_dict()
    assert str(caught.value) == "the buffer 'seen' is a masked array, and its mask would be lost: hold the data and the mask as two arrays"


def test_a_size_that_is_a_numpy_number_is_not_state():
    assert list(nn.Dense(np.int64(3), np.int64(1)).state_dict()) == ["weight", "bias"]


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


def test_attributes_with_an_underscore_are_not_state():
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


def test_the_underscore_is_recommended_if_a_stashed_array_does_not_fit():
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
            "'1.moments.mean' was computed from tracked Tensors, so it is not part of the state: "
            "assign its .numpy(), or name it _moments if it is not meant to be"
        )
    assert list(tmp_path.iterdir()) == []
    model[1].moments["mean"] = model[1].moments["mean"].numpy()
    assert "1.moments.mean" in model.state_dict()
