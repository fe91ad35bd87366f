"""What the page knows about training: the user's epochs, snapshots, parameters, and the output of the network. No browser is needed here."""

from __future__ import annotations

import json
import re
from base64 import b64decode

import numpy as np
import pytest

from tinygrad_lr import nn
from tinygrad_lr.autodiff.tensor import Tensor
from tinygrad_lr.regression.data import PRIMES
from tinygrad_lr.regression.descent import neuron, train
from tinygrad_lr.show.epochs import DRAWN, MOST, training_of
from tinygrad_lr.show.explorer import explore

X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
Y = np.array([[0.0], [1.0], [1.0], [0.0]])


def one():
    return nn.Sequential(nn.Dense(1, 1, rng=0), nn.Sigmoid())


def state(weight, bias=0.0):
    return {"0.weight": np.full((1, 1), weight), "0.bias": np.full(1, bias)}


def page_data(history, model=None, loss_fn=None, x=X[:, :1], y=Y):
    training = training_of(model or one(), loss_fn or nn.BCELoss(), x, y, history)
    json.dumps(training, allow_nan=False)
    return training


def curve(training, snapshot, output=0):
    codes = np.frombuffer(b64decode(training["decision"]["curves"][snapshot][output]), "<u2").astype(float)
    low, high = training["decision"]["low"], training["decision"]["high"]
    return np.where(codes == 0, np.nan, low + (high - low) * (3 * (codes - 1) / 65534 - 1))


# -- epochs ------------------------------------------------------------------------------------------------


def test_a_loss_and_a_state_per_epoch():
    training = page_data([(1 / (k + 1), state(k)) for k in range(50)])
    assert (training["first"], training["last"]) == (0, 49)
    assert training["snapshots"] == list(range(50))
    assert training["losses"]["epochs"] is None
    assert training["losses"]["values"].split()[:3] == ["1", "0.5", "0.333333"]
    assert training["parameters"][0]["numbers"][7] == "7"


def test_losses_at_all_epochs_and_snapshots_at_some():
    training = page_data([(1 / (k + 1), state(k) if k % 25 == 0 else None) for k in range(2501)])
    assert (training["first"], training["last"]) == (0, 2500)
    assert training["snapshots"] == list(range(0, 2501, 25))
    assert len(training["losses"]["values"].split()) == 2501
    assert training["parameters"][0]["numbers"][-1] == "2500"


def test_epochs_have_the_numbers_they_are_given():
    training = page_data([(10, 0.5, state(1.0)), (np.int64(20), np.float32(0.25), None), [35, 0.125, state(2.0)]])
    assert (training["first"], training["last"]) == (10, 35)
    assert training["losses"] == {"epochs": [10, 20, 35], "values": "0.5 0.25 0.125"}
    assert training["snapshots"] == [10, 35]


def test_the_primes_page_counts_the_epochs_of_the_main_job(capsys, tmp_path):
    history = []
    model = neuron(1, bias=-1.0)
    watch = lambda epoch, loss: history.append((loss, None if epoch % 25 else model.state_dict()))
    last = train(model, PRIMES.X, PRIMES.y, epochs=2500, lr=0.1, watch=watch).last
    training = page_data(history, model, x=PRIMES.X, y=PRIMES.y)
    assert (training["first"], training["last"]) == (0, 2500)
    assert training["snapshots"] == list(range(0, 2501, 25))
    assert training["losses"]["values"].split()[-1] == f"{last:.6g}"
    assert training["parameters"][0]["numbers"][-1] == f"{model[0].weight.item():.4g}"
    assert len(json.dumps(training)) < 65_000
    without = explore(model, nn.BCELoss(), PRIMES.X, PRIMES.y, tmp_path / "without.html").stat().st_size
    assert explore(model, nn.BCELoss(), PRIMES.X, PRIMES.y, tmp_path / "with.html", history).stat().st_size - without < 65_000


def test_a_spike_of_the_loss_survives_thinning():
    losses = np.ones(40_000)
    losses[[12_345, 23_456]] = 9.0, 0.25
    training = page_data([(loss, state(0.0) if k == 0 else None) for k, loss in enumerate(losses)])
    epochs, values = training["losses"]["epochs"], training["losses"]["values"].split()
    assert len(epochs) == len(values) <= DRAWN
    assert (epochs[0], epochs[-1]) == (0, 39_999)
    assert {(epoch, value) for epoch, value in zip(epochs, values) if value != "1"} == {(12_345, "9"), (23_456, "0.25")}


def test_losses_that_are_not_finite():
    training = page_data([(np.nan, state(0.0)), (np.inf, None), (-np.inf, None), (1e-300, None)])
    assert training["losses"]["values"] == "nan inf -inf 1e-300"
    assert page_data([(np.nan, state(0.0))] * 9000)["losses"]["values"].startswith("nan nan")


BAD = {
    "no snapshot": ([(0.5, None), (0.4, None)], "history has no snapshot: at least one entry needs model.state_dict()"),
    "a number": ([0.5], "history[0] is a float: expected (loss, state) or (epoch, loss, state)"),
    "four": ([(0.5, None), (1, 0.5, None, None)], "history[1] is a tuple of 4: expected (loss, state) or (epoch, loss, state)"),
    "no state": ([(1, 0.5)], "history[0] has a float as its state: expected model.state_dict(), or None in an epoch without a snapshot"),
    "half an epoch": ([(0.5, 0.5, None)], "history[0] has the epoch 0.5: expected a whole number"),
    "going back": ([(7, 0.5, None), (7, 0.5, None)], "history[1] has the epoch 7 after the epoch 7: epochs must increase"),
    "a tracked loss": (
        [(np.sum(Tensor([1.0, 2.0], requires_grad=True)), None)],
        "history[0] has a Tensor as its loss: expected a number, such as loss.item()",
    ),
    "another model": ([(0.5, {"weight": np.ones(3)})], "state does not fit Sequential: missing '0.weight'; missing '0.bias'; unexpected 'weight'"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_history_that_is_refused(name):
    history, message = BAD[name]
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        page_data(history)


def test_a_state_of_another_model_is_refused_without_a_picture_of_answers_too():
    model = nn.Dense(3, 1, rng=0)
    with pytest.raises(ValueError, match="state does not fit Dense"):
        page_data([(1.0, state(0.0))], model, nn.MSELoss(), np.zeros((2, 3)), np.zeros((2, 1)))


# -- parameters --------------------------------------------------------------------------------------------


def test_small_parameters_as_numbers_and_large_ones_as_maps_on_one_scale():
    model = nn.Sequential(nn.Dense(60, 40, rng=0), nn.ReLU(), nn.Dense(40, 2, rng=1))
    states = [{path: np.full(value.shape, scale) for path, value in model.state_dict().items()} for scale in (-1.0, 0.5, 2.0)]
    training = page_data([(1.0, each) for each in states], model, nn.CrossEntropyLoss(), np.ones((3, 60)), np.array([0, 1, 0]))
    assert training["decision"] is None
    large, bias, outer, small = training["parameters"]
    assert [parameter["path"] for parameter in training["parameters"]] == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert (large["shape"], large["columns"], small["shape"], small["columns"]) == ([40, 60], 60, [2], 2)
    assert small["numbers"] == ["-1 -1", "0.5 0.5", "2 2"]
    assert large["map"]["largest"] == bias["map"]["largest"] == outer["map"]["largest"] == "2"
    assert [set(b64decode(cells)) for cells in large["map"]["cells"]] == [{64}, {160}, {255}]
    assert (large["map"]["rows"], large["map"]["columns"]) == (32, 48)
    assert large["short"][1] == "min 0.5, mean 0.5, max 0.5"


def test_a_large_network_keeps_fewer_snapshots():
    model = nn.Sequential(*[nn.Dense(64, 64, rng=k) for k in range(6)])
    history = [(1.0, model.state_dict()) for _ in range(200)]
    training = page_data(history, model, nn.MSELoss(), np.ones((2, 64)), np.ones((2, 64)))
    assert 12 <= len(training["snapshots"]) < 40
    assert (training["snapshots"][0], training["snapshots"][-1]) == (0, 199)
    assert len(page_data([(1.0, state(k)) for k in range(200)])["snapshots"]) == MOST


@pytest.mark.parametrize("shape", [(), (1,), (0, 3), (40,), (2, 3, 4), (5, 4, 3, 2)])
def test_parameters_of_every_shape(shape):
    class Holder(nn.Module):
        def __init__(self):
            self.w = nn.Parameter(np.ones(shape))

        def forward(self, x):
            return x * np.sum(self.w)

    model = Holder()
    (parameter,) = page_data([(1.0, model.state_dict())] * 2, model, nn.MSELoss())["parameters"]
    assert parameter["shape"] == list(shape)


# -- the output of the network -----------------------------------------------------------------------------


def test_the_answer_of_one_feature_at_each_snapshot():
    training = page_data([(1.0, state(k)) for k in range(20)])
    np.testing.assert_allclose(curve(training, 0), 0.5, atol=1e-4)
    x = np.linspace(*training["decision"]["ranges"][0], len(curve(training, 0)))
    np.testing.assert_allclose(curve(training, -1), 1 / (1 + np.exp(-19 * x)), atol=1e-4)
    assert training["decision"]["kind"] == "probability"


def test_regions_of_classes():
    model = nn.Dense(2, 3, rng=0)
    model.load_state_dict({"weight": np.array([[9.0, 0.0], [-9.0, 0.0], [0.0, 9.0]]), "bias": np.zeros(3)})
    decision = page_data([(1.0, model.state_dict())], model, nn.CrossEntropyLoss(), 2 * X - 1, np.array([0, 1, 2, 0]))["decision"]
    winners = np.frombuffer(b64decode(decision["winners"][0]), np.uint8).reshape(40, 40)
    assert (decision["classes"], decision["kind"]) == (3, "class")
    assert (winners[0, 0], winners[0, -1], winners[-1, 20]) == (1, 0, 2)  # bottom left, bottom right, top


def test_answers_beyond_the_data_do_not_flatten_the_picture():
    line = nn.Dense(1, 1, rng=0)
    states = [{"weight": np.full((1, 1), w), "bias": np.zeros(1)} for w in (1.0, 1e30, np.nan, np.inf)]
    decision = page_data([(1.0, each) for each in states], line, nn.MSELoss(), X[:, 1:], X[:, 1:])
    assert (decision["decision"]["low"], decision["decision"]["high"]) == (-1.0, 2.0)
    x = np.linspace(*decision["decision"]["ranges"][0], len(curve(decision, 0)))
    np.testing.assert_allclose(curve(decision, 0), x, atol=1e-3)
    assert np.isnan(curve(decision, 2)).all()  # not drawn as some number


def test_a_regression_on_zeros_and_ones_keeps_what_lies_beyond_them():
    line = nn.Dense(1, 1, rng=0)
    training = page_data([(1.0, {"weight": np.full((1, 1), 1.5), "bias": np.zeros(1)})], line, nn.MSELoss(), X[:, :1], Y)
    assert training["decision"]["kind"] == "number"
    assert training["decision"]["high"] > 1.5


@pytest.mark.parametrize("x", [np.zeros((2, 3)), np.array([[np.nan], [1.0]]), np.zeros((2, 1, 1))])
def test_no_picture_of_answers_where_there_is_no_plane_to_draw_on(x):
    model = nn.Dense(x.shape[-1], 1, rng=0)
    assert page_data([(1.0, model.state_dict())], model, nn.MSELoss(), x, np.zeros((2, 1)))["decision"] is None


class Doubting(nn.Module):
    """Returns noise while it trains."""

    def __init__(self):
        self.dense = nn.Dense(1, 1, rng=0)
        self.noise = np.random.default_rng(0)

    def forward(self, x):
        return self.dense(x) + (self.noise.normal(size=(len(x), 1)) if self.training else 0)


def test_what_the_network_answers_is_its_evaluation():
    model = Doubting()
    states = [{"dense.weight": np.full((1, 1), w), "dense.bias": np.zeros(1)} for w in (0.5, 1.0)]
    training = page_data([(1.0, each) for each in states], model, nn.MSELoss(), X[:, 1:], X[:, 1:])
    x = np.linspace(*training["decision"]["ranges"][0], len(curve(training, 0)))
    np.testing.assert_allclose(curve(training, 0), x / 2, atol=1e-4)
    assert model.training
    assert model.dense.training


@pytest.mark.parametrize("fits", [True, False])
def test_the_model_is_afterwards_as_it_was(fits):
    model = Doubting().eval()
    model.dense.train()
    before = [(p, p.data, p.data.copy()) for p in model.parameters()]
    good = {path: value + 1 for path, value in model.state_dict().items()}
    history = [(1.0, good), (1.0, good if fits else {})]
    if fits:
        page_data(history, model, nn.MSELoss())
    else:
        with pytest.raises(ValueError, match="state does not fit"):
            page_data(history, model, nn.MSELoss())
    for p, data, numbers in before:
        assert p.data is data
        np.testing.assert_array_equal(data, numbers)
    assert (model.training, model.dense.training) == (False, True)
