"""`functional_call`: a model differentiated with respect to arrays that are not its own, and left as it was."""

from __future__ import annotations

import threading
from collections import OrderedDict, defaultdict

import numpy as np
import pytest

import tinygrad_lr as tg
from tinygrad_lr import nn

X, Y = np.array([[0.5, -1.0], [2.0, 0.3], [-0.7, 0.9]]), np.array([[1.0], [0.0], [1.0]])


def network():
    return nn.Sequential(nn.Dense(2, 3, rng=0), nn.Tanh(), nn.Dense(3, 1, rng=1))


class BatchNorm(nn.Module):
    """Written by hand: the running moments are plain arrays, and each call in training sets new ones."""

    def __init__(self, n):
        self.scale, self.shift = nn.Parameter(np.ones(n)), nn.Parameter(np.zeros(n))
        self.moments = {"mean": np.zeros(n), "variance": np.ones(n)}
        self.calls = np.zeros((), int)

    def forward(self, x):
        if self.training:
            mean, variance = np.mean(x, axis=0), np.var(x, axis=0)
            news = {"mean": mean, "variance": variance}
            self.moments = {name: 0.9 * old + 0.1 * getattr(news[name], "data", news[name]) for name, old in self.moments.items()}
            self.calls = self.calls + 1
        else:
            mean, variance = self.moments["mean"], self.moments["variance"]
        return self.scale * (x - mean) / np.sqrt(variance + 1e-5) + self.shift


def snapshot(model):
    """What a model holds: the objects, and copies of their numbers."""
    bound = {path: dict(vars(module)) for path, module in model.named_modules()}
    tensors = [(p, p.data, p.node, p.grad) for p in model.parameters()]
    return bound, tensors, model.state_dict()


def assert_as_before(model, before):
    bound, tensors, state = before
    for path, module in model.named_modules():
        assert list(vars(module)) == list(bound[path])
        assert all(vars(module)[name] is value for name, value in bound[path].items())
    for p, data, node, grad in tensors:
        assert p.data is data
        assert p.node is node
        assert p.grad is grad
    assert list(model.state_dict()) == list(state)
    for path, value in model.state_dict().items():
        np.testing.assert_array_equal(value, state[path], strict=True)


def test_gradients_are_those_of_backward():
    model = network()
    nn.MSELoss()(model(X), Y).backward()
    before = snapshot(model)
    loss, gradient = tg.value_and_grad(lambda weights: nn.MSELoss()(nn.functional_call(model, weights, X), Y))(model.state_dict())
    assert loss == nn.MSELoss()(model(X), Y).item()
    assert list(gradient) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    for path, p in model.named_parameters():
        np.testing.assert_array_equal(gradient[path], p.grad)
    assert_as_before(model, before)


def test_load_state_dict_of_a_tracked_tensor_is_refused():
    """Its gradient used to be zero."""
    model = network()
    before = snapshot(model)

    def loss(weights):
        model.load_state_dict(weights)
        return np.sum(model(X))

    for call in (lambda: tg.grad(loss)(model.state_dict()), lambda: model.load_state_dict(dict(network().named_parameters()))):
        with pytest.raises(TypeError) as caught:
            call()
        assert str(caught.value) == (
            "load_state_dict got a tracked Tensor for '0.weight' and would cut it out of its graph: to differentiate with respect to it "
            "call nn.functional_call(model, arrays_by_path, *inputs); to copy its numbers pass t.detach()"
        )
        assert_as_before(model, before)
    other = network()
    model.load_state_dict({path: p.detach() for path, p in other.named_parameters()})
    np.testing.assert_array_equal(model(X).data, other(X).data)


def test_second_derivatives():
    model = nn.Sequential(nn.Dense(2, 1, rng=0), nn.Sigmoid())
    hessian = tg.hessian(lambda w: nn.BCELoss()(nn.functional_call(model, {"0.weight": w}, X), Y))(model[0].weight.data)
    a = model(X).data
    np.testing.assert_allclose(hessian.reshape(2, 2), (X * a * (1 - a)).T @ X / 3, rtol=1e-12)


def test_a_step_of_descent_is_differentiated_through():
    """MAML (Finn et al. 2017): the gradient of the loss after one step with respect to where the step began."""
    model, rate = nn.Dense(2, 1, bias=False, rng=0), 0.1
    support, query = (X, Y), (X[::-1] * 1.5, Y)
    loss = lambda weights, batch: nn.MSELoss()(nn.functional_call(model, weights, batch[0]), batch[1])

    def after_one_step(weights):
        gradient = tg.grad(lambda weights: loss(weights, support))(weights)
        return loss({path: w - rate * gradient[path] for path, w in weights.items()}, query)

    w = model.weight.data
    (x, y), (u, v) = support, query
    adapted = w - rate * 2 * (x @ w.T - y).T @ x / 3
    want = (2 * (u @ adapted.T - v).T @ u / 3) @ (np.eye(2) - rate * 2 * x.T @ x / 3)
    before = snapshot(model)
    np.testing.assert_allclose(tg.grad(after_one_step)({"weight": w})["weight"], want, rtol=1e-12)
    assert_as_before(model, before)


def test_arrays_that_are_not_given_are_the_models_own():
    model = network()
    bias = tg.Tensor([1.0], requires_grad=True)
    np.sum(nn.functional_call(model, {"2.bias": bias}, X)).backward()
    assert bias.grad.tolist() == [3.0]
    assert model[2].bias.grad is None
    assert model[0].weight.grad is not None


def test_a_parameter_held_twice_is_replaced_everywhere():
    layer = nn.Dense(2, 2, rng=0)
    model = nn.Sequential(layer, nn.Tanh(), layer)
    weights = {"0.weight": 2 * np.eye(2), "0.bias": np.zeros(2)}
    np.testing.assert_allclose(nn.functional_call(model, weights, X).data, 2 * np.tanh(2 * X), rtol=1e-15)


@pytest.mark.parametrize("training", [True, False])
def test_buffers_are_replaced_and_what_forward_does_to_them_is_lost(training):
    model = nn.Sequential(nn.Dense(2, 2, rng=0), BatchNorm(2)).train(training)
    before = snapshot(model)
    answer = nn.functional_call(model, {"1.moments.mean": [5.0, 6.0], "1.scale": [2.0, 2.0]}, X).data
    z = model[0](X).data
    mean, variance = (z.mean(axis=0), z.var(axis=0)) if training else ([5.0, 6.0], 1.0)
    np.testing.assert_allclose(answer, 2 * (z - mean) / np.sqrt(np.add(variance, 1e-5)), rtol=1e-12)
    assert_as_before(model, before)


def test_a_buffer_may_be_differentiated():
    model = BatchNorm(2).eval()
    gradient = tg.grad(lambda mean: np.sum(nn.functional_call(model, {"moments.mean": mean}, X)))(np.zeros(2))
    np.testing.assert_allclose(gradient, [-3 / np.sqrt(1 + 1e-5)] * 2, rtol=1e-12)


def test_buffers_wherever_they_are_held():
    class Places(nn.Module):
        def __init__(self):
            self.pair = (np.zeros(1), np.zeros(1))
            self.shared = tg.Tensor([0.0])
            self.inner = nn.Sequential(nn.Tanh())
            self.inner[0].shared = self.shared
            self.scalar = np.float64(0)
            self.same = self.also = np.zeros(1)

        def forward(self):
            self.pair[0][:] += 100  # as it should not
            self.shared.data += 100
            return [*self.pair, self.shared, self.inner[0].shared, self.scalar, self.same, self.also]

    model = Places()
    assert list(model.state_dict()) == ["pair.0", "pair.1", "shared", "scalar", "same", "also"]
    before = snapshot(model)
    answers = nn.functional_call(model, {"pair.1": np.ones(1), "shared": np.full(1, 2.0), "scalar": 3.0, "also": [4.0]})
    assert [float(a) for a in (np.ravel(a)[0] for a in answers)] == [100, 1, 102, 102, 3, 0, 4]
    assert answers[2] is answers[3]
    assert isinstance(answers[4], np.float64)
    assert_as_before(model, before)


def test_what_forward_adds_to_a_structure_is_lost():
    class Notes(nn.Module):
        def __init__(self):
            self.means = OrderedDict(first=np.zeros(1))
            self.seen = {"list": [], "counts": defaultdict(int)}

        def forward(self, x):
            self.means["next"] = self.means["first"] + x
            self.seen["list"].append(x)
            self.seen["counts"]["calls"] += 1
            return self.means["next"]

    model = Notes()
    assert nn.functional_call(model, {"means.first": np.ones(1)}, 1.0) == 2.0
    assert list(model.state_dict()) == ["means.first"]
    assert (model.means["first"], model.seen) == (0.0, {"list": [], "counts": {}})
    model.load_state_dict({"means.first": np.ones(1)})
    assert type(model.means) is OrderedDict


def test_random_generators_move_on():
    class Dropout(nn.Module):
        def __init__(self):
            self.rng = np.random.default_rng(0)

        def forward(self, x):
            return x * (self.rng.uniform(size=x.shape) < 0.5)

    model = Dropout()
    first, second = (nn.functional_call(model, {}, np.ones(50)) for _ in range(2))
    assert (first != second).any()
    assert list(model.state_dict()) == []  # a generator is not an array


def test_the_model_is_as_before_where_an_error_is_raised():
    class Fails(BatchNorm):
        def forward(self, x):
            super().forward(x)
            self.new = 1
            del self.calls
            raise ZeroDivisionError

    model = nn.Sequential(nn.Dense(2, 2, rng=0), Fails(2))
    before = snapshot(model)
    with pytest.raises(ZeroDivisionError):
        tg.grad(lambda weights: np.sum(nn.functional_call(model, weights, X)))({"0.weight": np.ones((2, 2))})
    assert_as_before(model, before)
    with pytest.raises(ValueError, match=r"^layer '0': Dense\(2 -> 2\) got input"):
        nn.functional_call(model, {}, X[:, :1])


def test_keyword_arguments():
    class Scaled(nn.Module):
        def __init__(self):
            self.w = nn.Parameter(2.0)

        def forward(self, model, *, arrays_by_path=1.0, self_=0.0):
            return self.w * model * arrays_by_path + self_

    gradient = tg.grad(lambda w: nn.functional_call(Scaled(), {"w": w}, model=3.0, arrays_by_path=5.0, self_=1.0))(2.0)
    assert gradient == 15.0


def test_arrays_that_do_not_fit_are_named():
    model = network()
    with pytest.raises(ValueError) as caught:
        nn.functional_call(model, {"3.weight": 0.0, "0.bias": np.zeros(2), "bias": np.zeros(1)}, X)
    assert str(caught.value) == (
        "functional_call got arrays that do not fit Sequential: unexpected '3.weight'; unexpected 'bias'; '0.bias' has shape (2,), expected (3,)"
    )
    with pytest.raises(TypeError) as caught:
        nn.functional_call(model, X)
    assert str(caught.value) == "functional_call takes arrays by path, as model.state_dict() returns them, got ndarray"


def test_threads_may_call_one_model_at_once():
    model = nn.Sequential(nn.Dense(2, 2, rng=0), BatchNorm(2)).eval()
    before, plain, wrong = snapshot(model), model(X).data, []
    weights = [{"0.weight": k * np.eye(2), "1.moments.mean": np.full(2, float(k))} for k in range(3)]
    wants = [nn.functional_call(model, arrays, X).data for arrays in weights]

    def work(call, want):
        for _ in range(100):
            try:
                if not np.array_equal(call().data, want):
                    wrong.append("other numbers")
            except Exception as error:
                wrong.append(repr(error))

    tasks = [(lambda arrays=arrays: nn.functional_call(model, arrays, X), want) for arrays, want in zip(weights, wants)]
    threads = [threading.Thread(target=work, args=task) for task in [*tasks, (lambda: model(X), plain)]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert_as_before(model, before)


def test_the_model_is_itself_while_it_is_called_with_other_arrays():
    """So Ctrl-C leaves nothing half restored."""

    class Looks(nn.Module):
        def __init__(self):
            self.w, self.mean = nn.Parameter(2.0), np.zeros(2)

        def forward(self, x):
            seen.append((model.w.item(), model.mean.tolist(), self.w.item(), self.mean.tolist()))
            raise KeyboardInterrupt

    seen, model = [], Looks()
    with pytest.raises(KeyboardInterrupt):
        nn.functional_call(model, {"w": 5.0, "mean": [1.0, 1.0]}, X)
    assert seen == [(2.0, [0.0, 0.0], 5.0, [1.0, 1.0])]


def test_what_modules_share_they_share_in_the_call():
    class Writes(nn.Module):
        def __init__(self, table, rows):
            self.table, self.rows = table, rows

        def forward(self, x):
            self.table["last"] = x
            self.rows.append(x)
            return x

    class Reads(Writes):
        def forward(self, x):
            return self.table["last"] + self.table["offset"] + len(self.rows)

    table, rows = {"last": np.zeros(1), "offset": np.zeros(1)}, []
    model = nn.Sequential(Writes(table, rows), Reads(table, rows))
    assert nn.functional_call(model, {}, np.ones(1)).tolist() == [2.0]
    assert nn.functional_call(model, {"0.table.offset": [10.0]}, np.ones(1)).tolist() == [12.0]
    assert (table["last"].tolist(), table["offset"].tolist(), rows) == ([0.0], [0.0], [])


def test_a_forward_that_writes_in_place_does_not_reach_the_callers_arrays():
    class Counts(nn.Module):
        def __init__(self):
            self.calls = np.zeros(1)

        def forward(self, x):
            self.calls += 1
            return x * self.calls

    mine, model = np.full(1, 4.0), Counts()
    assert nn.functional_call(model, {"calls": mine}, 1.0).tolist() == [5.0]
    assert nn.functional_call(model, {"calls": np.array([4])}, 1.0).dtype == float
    assert (mine.tolist(), model.calls.tolist()) == ([4.0], [0.0])


def test_methods_and_parents_among_the_attributes_are_those_of_the_copy():
    class Inner(nn.Module):
        def forward(self, x):
            return self.parent.scale(x)

    class Outer(nn.Module):
        def __init__(self):
            self.w, self.call, self.inner, self.xp = nn.Parameter(2.0), self.scale, Inner(), np
            self.inner.parent = self

        def scale(self, x):
            return self.w * x

        def forward(self, x):
            return self.call(x) + self.inner(x) + self.xp.zeros(())

    assert tg.grad(lambda w: nn.functional_call(Outer(), {"w": w}, 3.0))(2.0) == 6.0


def test_a_model_that_cannot_be_copied_says_so():
    model = nn.Sequential(nn.Tanh())
    model.lock = threading.Lock()
    with pytest.raises(TypeError) as caught:
        nn.functional_call(model, {}, X)
    assert str(caught.value) == (
        "arrays are replaced in a copy of the model, but this Sequential holds something that "
        "cannot be copied (cannot pickle '_thread.lock' object): "
        "define __deepcopy__ on the class that holds it"
    )
