"""The data behind the page of `explore`: steps, numbers, equations, history, escaping. No browser is needed here."""

from __future__ import annotations

import json
import pickle
import re
import time
from base64 import b64decode
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from tinygrad_lr import nn
from tinygrad_lr.autodiff.rules.elementwise import sigmoid
from tinygrad_lr.autodiff.tensor import Tensor
from tinygrad_lr.check.backprop import backprop_report
from tinygrad_lr.show.cells import heat_map
from tinygrad_lr.show.explorer import explore, numbers_of, page_data, page_of
from tinygrad_lr.show.picture import number

X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
Y = np.array([[0.0], [1.0], [1.0], [0.0]])
EVIL = ["<script>alert(1)</script>", '}"; x', "</script><!--", "\u2028\u2029", "\ud800", "a & b &lt; 'c'", "{{data}} \\1 \\g<0>"]


def network():
    return nn.Sequential(nn.Dense(2, 3, rng=0), nn.Tanh(), nn.Dense(3, 1, rng=1), nn.Sigmoid())


def by_hand(model):
    """The gradients of the network, by the equations."""
    w1, b1, w2, b2 = (p.numpy() for p in model.parameters())
    a1 = np.tanh(X @ w1.T + b1)
    a2 = 1 / (1 + np.exp(-(a1 @ w2.T + b2)))
    delta2 = (a2 - Y) / len(Y)
    delta1 = (delta2 @ w2) * (1 - a1**2)
    return {"z2": delta2, "b2": delta2.sum(axis=0), "w2": delta2.T @ a1, "a1": delta2 @ w2, "z1": delta1, "b1": delta1.sum(axis=0), "w1": delta1.T @ X}


def table(array):
    return [[number(x) for x in row] for row in np.atleast_2d(array)]


def data_in(path):
    """What the page says of itself."""
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', path.read_text(encoding="utf-8"), re.DOTALL)[1])


def test_gradients_are_those_of_the_equations():
    model = network()
    nodes = {node["label"]: node for node in page_data(model, nn.BCELoss(), X, Y)["nodes"]}
    for label, gradient in by_hand(model).items():
        np.testing.assert_allclose(np.array(nodes[label]["grad"]["table"], float), np.atleast_2d(gradient), rtol=2e-3, atol=1e-12)
    assert nodes["X"]["value"]["table"] == table(X)
    assert nodes["X"]["grad"] is None


def test_steps_are_told_in_order():
    steps = page_data(network(), nn.BCELoss(), X, Y)["steps"]
    assert [step["phase"] for step in steps] == ["start", *["forward"] * 5, "turn", *["backward"] * 8, "end"]
    backward = [(step["tag"], step["formula"].split(" = ")[0]) for step in steps if step["tag"]]
    layer = [("BP2", "dL/da1"), ("BP2", "delta1"), ("BP4", "dL/dw1"), ("BP3", "dL/db1")]
    assert backward == [("BP1", "delta2"), ("BP4", "dL/dw2"), ("BP3", "dL/db2"), *layer]
    told = {f"{step['tag']}: {step['formula']}" for step in steps}
    equations = [row.equation for layer in backprop_report(network(), nn.BCELoss(), X, Y).layers for row in layer.rows if row.equation.startswith("BP")]
    assert len(equations) == 6
    assert told >= set(equations)
    assert [step["formula"] for step in steps if step["phase"] == "forward"] == [
        "z1 = X w1^T + b1",
        "a1 = tanh(z1)",
        "z2 = a1 w2^T + b2",
        "a2 = sigmoid(z2) = 1/(1 + exp(-z2))",
        "L = mean of -y log a2 - (1 - y) log(1 - a2)",
    ]


@pytest.mark.parametrize("loss", [nn.BCELoss(), nn.BCELoss("sum")])
def test_worked_entries_are_true(loss):
    steps = page_data(network(), loss, X, Y)["steps"]
    worked = [step["worked"].split(" = ") for step in steps if step["worked"].count(" = ") == 2]
    assert len(worked) == 13
    for name, calculation, result in worked:
        value = eval(calculation.replace("·", "*"), {"tanh": np.tanh, "sigmoid": sigmoid})  # its own output: numbers and operators
        assert value == pytest.approx(float(result), rel=5e-3, abs=2e-4), name


def test_other_networks_have_words_for_their_steps():
    class Own(nn.Module):
        def __init__(self):
            self.scale = nn.Parameter([2.0, 3.0])

        def forward(self, x):
            return (np.exp(self.scale * x) + self.scale).sum(axis=1)

    data = page_data(Own(), nn.MSELoss(), X, np.zeros(4))
    texts = [step["formula"] for step in data["steps"]]
    assert "scale * X" in texts  # it has no other name
    twice = [step for step in data["steps"] if step["formula"].partition(" = ")[0].endswith("dL/dscale")]
    assert ["this is the first" in step["sentence"] for step in twice] == [True, False]
    assert ["The last of 2 parts" in step["sentence"] for step in twice] == [False, True]
    assert [step["done"] for step in twice] == [False, True]
    lines = {node["line"]["text"] for node in data["nodes"] if node["line"]}
    assert "return (np.exp(self.scale * x) + self.scale).sum(axis=1)" in lines


def test_each_call_of_a_module_is_a_cluster():
    class Recurrent(nn.Module):
        def __init__(self):
            self.cell = nn.Dense(2, 2, rng=0)

        def forward(self, x):
            return np.tanh(self.cell(np.tanh(self.cell(x))))

    data = page_data(Recurrent(), nn.MSELoss(), X, X.copy())
    clusters = {cluster["id"]: cluster for cluster in data["clusters"]}
    homes = {node["label"]: clusters.get(node["cluster"], {"title": None})["title"] for node in data["nodes"]}
    assert homes == {
        **dict.fromkeys(["X", "y", "L"]),
        **dict.fromkeys(["z1[1]", "w1", "b1"], "Dense(2 -> 2)"),
        "z1[2]": "Dense(2 -> 2), call 2",
        **dict.fromkeys(["a1[1]", "a1[2]"], "Recurrent"),
    }
    assert all(cluster["parent"] in {None, *clusters} for cluster in clusters.values())


def test_two_calls_in_a_row_are_two_clusters():
    class Twice(nn.Module):
        def __init__(self):
            self.cell = nn.Dense(2, 2, rng=0)

        def forward(self, x):
            return self.cell(self.cell(x))

    titles = [cluster["title"] for cluster in page_data(Twice(), nn.MSELoss(), X, X.copy())["clusters"]]
    assert titles == ["Twice", "Dense(2 -> 2)", "Dense(2 -> 2), call 2", "MSELoss()"]


def test_nothing_of_the_user_changes():
    model = network()
    loss = nn.BCELoss()(model(X), Y)
    loss.backward()
    before = {path: (p.data, p.grad.copy()) for path, p in model.named_parameters()}
    page_data(model, nn.BCELoss(), X, Y, [(0.5, {path: 0 * value for path, value in model.state_dict().items()})])
    for path, p in model.named_parameters():
        assert p.data is before[path][0]
        np.testing.assert_array_equal(p.grad, before[path][1])


def test_what_is_refused():
    with pytest.raises(ValueError, match="single number"):
        page_data(network(), nn.BCELoss("none"), X, Y)
    with pytest.raises(ValueError, match="follows gradients"):
        page_data(nn.Sigmoid(), nn.BCELoss(), X, np.zeros((4, 2)))
    with pytest.raises(ValueError, match="state does not fit"):
        page_data(network(), nn.BCELoss(), X, Y, [(1.0, {})])


# -- numbers -----------------------------------------------------------------------------------------------


def test_large_arrays_become_maps_and_histograms():
    array = np.arange(100_000.0).reshape(1000, 100) - 50_000
    shown = numbers_of(array)
    assert "table" not in shown
    assert (shown["map"]["rows"], shown["map"]["columns"]) == (32, 48)
    assert sum(shown["histogram"]["counts"]) == array.size
    assert dict(shown["short"])["min"] == "-5e+04"


def test_a_heat_map_shows_sign_size_and_holes():
    shown = heat_map(np.array([[0.0, 1.0], [-1.0, np.nan]]))
    assert list(b64decode(shown["cells"])) == [128, 255, 1, 0]


@pytest.mark.parametrize("array", [np.array([np.inf, np.nan, 1.0] * 99), np.zeros((0, 3)), np.array(3.0), np.zeros((3, 4, 5)), np.ones(400, bool), None])
def test_odd_arrays(array):
    json.dumps(numbers_of(array), allow_nan=False)


# -- the file ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", EVIL)
def test_users_texts_stay_texts(text, tmp_path):
    class Named(nn.Module):
        def __init__(self):
            self.w = nn.Parameter(np.ones((2, 1)), name=text)

        def forward(self, x):
            return x @ self.w + Tensor(np.ones(1), requires_grad=True, name=text)

        def __repr__(self):
            return text

    page = explore(Named(), nn.MSELoss(), X, Y, tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count("<script") == page.count("</script>") == 2
    data = data_in(tmp_path / "page.html")
    assert text in {node["label"] for node in data["nodes"]}
    assert text in {cluster["title"] for cluster in data["clusters"]}


def test_a_page_stands_alone(tmp_path):
    page = explore(network(), nn.BCELoss(), X, Y, tmp_path / "page.html").read_text(encoding="utf-8")
    assert "{{" not in page
    assert "default-src 'none'" in page
    assert set(re.findall(r"https?://[^\"' ]*", page)) == {"http://www.w3.org/2000/svg"}


def test_a_notebook_shows_the_page_in_a_frame(tmp_path):
    page = explore(network(), nn.BCELoss(), X, Y, tmp_path / "network.html")
    assert isinstance(page, Path)
    assert page == tmp_path / "network.html"
    assert str(page) == str(tmp_path / "network.html")
    shown = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attributes):
            shown.append((tag, dict(attributes)))

    Reader().feed(page._repr_html_())
    ((tag, attributes),) = shown  # nothing of the page is outside the frame
    assert tag == "iframe"
    assert attributes["srcdoc"] == page.read_text(encoding="utf-8")
    assert attributes["sandbox"] == "allow-scripts"  # no access to the notebook's origin
    assert attributes["title"] == "network"


def test_what_is_no_page_is_shown_as_a_path(tmp_path):
    page = explore(network(), nn.BCELoss(), X, Y, tmp_path / "network.html")
    assert page.parent._repr_html_() is None
    assert page.with_suffix(".png")._repr_html_() is None
    page.with_suffix(".png").write_bytes(b"\x89PNG")
    assert page.with_suffix(".png")._repr_html_() is None
    assert pickle.loads(pickle.dumps(page)) == page


def test_titles_are_escaped():
    data = page_data(network(), nn.BCELoss(), X, Y) | {"title": "<b>{{data}}"}
    assert "<title>&lt;b&gt;{{data}}</title>" in page_of(data)


def test_two_thousand_nodes(tmp_path):
    def block(k):
        return nn.Sequential(*[layer for i in range(10) for layer in (nn.Dense(4, 4, rng=k * 10 + i), nn.Tanh())])

    model = nn.Sequential(*[block(k) for k in range(50)], nn.Dense(4, 1, rng=1))
    start = time.perf_counter()
    path = explore(model, nn.MSELoss(), np.ones((8, 4)), np.ones((8, 1)), tmp_path / "page.html")
    seconds = time.perf_counter() - start
    assert len(data_in(path)["nodes"]) == 2006
    assert path.stat().st_size < 5_000_000
    assert seconds < 30  # 1 on a quiet machine
