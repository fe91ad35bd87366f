"""Every formula on the page is a claim about the numbers beside it: here each is read, computed, and compared."""

from __future__ import annotations

import re
from collections import defaultdict

import numpy as np
import pytest

from tests.nn.rows import ACTIVATIONS, LOSSES
from tests.show.networks import NETWORKS
from tests.show.reader import FUNCTIONS, SEVERAL, SLOPES, Claim, as_rows
from tinygrad_lr import nn
from tinygrad_lr.autodiff.rules import RULES, SideGradient
from tinygrad_lr.autodiff.tensor import Tensor
from tinygrad_lr.nn.descriptions import loss_info
from tinygrad_lr.show.explorer import numbers_of, page_data, walk_of
from tinygrad_lr.show.formulas import excerpt
from tinygrad_lr.show.picture import number

X = np.random.default_rng(3).normal(size=(4, 3))


class Assorted(nn.Module):
    """Operators, a column taken out, a factor that is broadcast, a value that is used with itself."""

    def __init__(self):
        self.scale = nn.Parameter([0.5, -1.0, 2.0])
        self.mix = nn.Parameter(np.array([[1.0, 0.5], [-0.5, 1.0], [0.25, -2.0]]))

    def forward(self, x):
        bent = np.exp(self.scale * x) + self.scale
        both = (bent / (1 + bent**2) - np.sin(bent)) @ self.mix
        return (both * both)[:, 0] - np.log(np.square(bent) + 1).mean(axis=1)


def assorted():
    return Assorted(), nn.MSELoss(), X, np.zeros(4)


def penalised():
    """The sigmoid's result is used by the loss, from which nothing flows back to it, and by a penalty."""
    model = nn.Sequential(nn.Dense(3, 2, rng=0), nn.Sigmoid())
    return model, lambda p, y: nn.BCELoss()(p, y) + 0.5 * np.mean(p * p), X, np.tile([[0.0, 1.0]], (4, 1))


def two_losses():
    """Two losses of one result, and a penalty."""
    y = np.tile([[0.0, 1.0]], (4, 1))
    model = nn.Sequential(nn.Dense(3, 2, rng=0), nn.Sigmoid())
    return model, lambda p, y: nn.BCELoss()(p, y) + nn.BCELoss("sum")(p, y) + np.mean(p * p), X, y


def two_outputs():
    """A mean over rows and columns."""
    return nn.Sequential(nn.Dense(3, 2, rng=0), nn.Tanh(), nn.Dense(2, 2, rng=1)), lambda p, y: nn.MSELoss()(p, y), X, np.ones((4, 2))


def one_sample():
    """No batch: rows of the equations are plain vectors."""
    return nn.Sequential(nn.Dense(3, 2, rng=0), nn.ReLU(), nn.Dense(2, 2, rng=1)), nn.MSELoss(), X[0], np.ones(2)


def column():
    """A view of the sigmoid's result goes into the loss."""
    model = nn.Sequential(nn.Dense(3, 1, rng=0), nn.Sigmoid())
    return model, lambda p, y: nn.BCELoss()(p[:, 0], y), X, np.array([0.0, 1.0, 1.0, 0.0])


def deep_rows():
    """Inputs of three axes: the rows of all of them stand below each other."""
    return nn.Sequential(nn.Dense(3, 2, rng=0), nn.Tanh()), nn.MSELoss("sum"), np.stack([X, 2 * X]), np.zeros((2, 4, 2))


def from_logits():
    """Losses that take z itself, and a sum instead of a mean."""
    return nn.Sequential(nn.Dense(3, 2, rng=0)), nn.BCEWithLogitsLoss("sum"), X, np.tile([[0.0, 1.0]], (4, 1))


OTHERS = {
    "assorted": assorted,
    "penalised": penalised,
    "two losses": two_losses,
    "two outputs": two_outputs,
    "one sample": one_sample,
    "column": column,
    "deep": deep_rows,
    "logits": from_logits,
    **{row.name: row.network for row in ACTIVATIONS + LOSSES},
}
IN_WORDS = re.compile(r"mean\(.*\)|.*\[:, 0\]|.*, (an equal share to each element|put back where it was picked)")
"""What the reader cannot compute, all of it in networks of the second kind; `test_parts_are_what_differences_say` has the backward ones."""


@pytest.fixture(params=[*NETWORKS, *OTHERS])
def walked(request):
    """The walk of a network, and its steps."""
    case = (NETWORKS | OTHERS)[request.param]
    walk = walk_of(*case(), 0.1)
    walk.steps()
    return walk, page_data(*case())


# -- reading a formula ----------------------------------------------------------------------------------------------


def test_the_reader_reads():
    a, b = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[0.5, 1.0], [-1.0, 2.0]])
    read = lambda text: Claim(text, {"a": a, "b1": b, "dL/da": 2 * a}, "tanh", (2, 2)).value()
    np.testing.assert_array_equal(read("a b1^T + dL/da * 3"), a @ b.T + 6 * a)
    np.testing.assert_array_equal(read("mean of -a b1 - (1 - a)^2"), np.mean(-a * b - (1 - a) ** 2))
    np.testing.assert_array_equal(read("2 (a - b1)/(m n)"), (a - b) / 2)
    np.testing.assert_array_equal(read("(dL/da b1) * s'(a)"), (2 * a @ b) * (1 - np.tanh(a) ** 2))
    np.testing.assert_array_equal(read("sum of the rows of a"), [[4, 6]])
    np.testing.assert_array_equal(read("a/2 where |a - 3| < 1.5, else max(clip(b1, 0, 0.75), 0.7)"), [[0.7, 1.0], [1.5, 2.0]])
    with pytest.raises(AssertionError, match="cannot read"):
        read("a, of what + b1")


# -- the numbers that stand beside it -------------------------------------------------------------------------------


def parts_beside(walk, steps):
    """For each backward step its part, and what the figures "part k", "sum before" and "sum so far" must show."""
    sums, counts = {}, defaultdict(int)
    for step, part in zip((s for s in steps if s["phase"] == "backward"), walk.parts, strict=True):
        target = walk.box(part.target).id
        counts[target] += 1
        assert part.k == counts[target]
        before = sums.get(target)
        sums[target] = part.value if before is None else before + part.value
        own = {f"part {part.k}": part.value, "part 1" if part.k == 2 else "sum before": before, "sum so far": sums[target]}
        if (source := walk.box(part.source).id) in walk.partly:
            own[walk.partly[source]] = part.arrived
        yield step, part, own


def exact(walk, shown, own=None):
    """The arrays behind figures, by their names."""
    boxes = {box.id: box for box in walk.values}
    found = {}
    for figure in (figure for group in shown for figure in group):
        if not figure["node"]:
            found[figure["name"]] = own[figure["name"]]
        else:
            box = boxes[figure["node"]]
            found[figure["name"]] = box.value if figure["kind"] == "value" else walk.grads[id(box.node)]
    return found


def everywhere(walk):
    """The values and gradients of the page whose name stands for one thing only."""
    found, seen = {}, defaultdict(int)
    for box in walk.values:
        seen[box.label] += 1
        found[box.label] = box.value
        if id(box.node) in walk.grads:
            found[walk.gradient_label(box)] = walk.grads[id(box.node)]
    return {name: array for name, array in found.items() if seen[name] < 2}


def claim(text, walk, step, names):
    """The right side of a formula: its value and its reader."""
    box = walk.boxes[step["node"]]
    loss = next(box.node for box in walk.computed if loss_info(box.node.func))
    m, n = (*np.shape(loss.values[0]), 1, 1)[:2]
    activation = next((use.node.func.__name__ for use in walk.computed if use.node.parents[0] is box.node and use.node.func.__name__ in SLOPES), None)
    reader = Claim(text.removesuffix(", summed over the copies"), everywhere(walk) | names, activation, (m, n))
    value = reader.value()
    if text.endswith(", summed over the copies"):
        assert np.ndim(box.value) < np.ndim(value)
        value = value.sum(axis=0, keepdims=True)
    return value, reader


def close(value, expected):
    np.testing.assert_allclose(value, as_rows(expected), rtol=1e-9, atol=1e-12)


# -- the promises ---------------------------------------------------------------------------------------------------


def test_every_formula_is_true_of_its_numbers(walked):
    walk, data = walked
    own = {id(step): (part, own) for step, part, own in parts_beside(walk, data["steps"])}
    for step in data["steps"]:
        if step["phase"] not in ("forward", "backward"):
            continue
        part, beside = own.get(id(step), (None, None))
        names = exact(walk, step["shown"], beside)
        left, *rights = step["formula"].split(" = ")
        answer = names.pop(f"part {part.k}" if left.startswith("part") else left)
        if part is not None:
            close(as_rows(answer), part.value)
        for right in rights:
            if not IN_WORDS.fullmatch(right):
                close(claim(right, walk, step, names)[0], answer)
        if step["total"]:
            left, _, right = step["total"].partition(" = ")
            close(claim(right, walk, step, names | {f"part {part.k}": answer})[0], exact(walk, step["shown"], beside)[left])


def test_formulas_of_the_five_networks_are_all_read():
    for case in NETWORKS.values():
        assert not any(IN_WORDS.search(step["formula"]) for step in page_data(*case())["steps"])


def test_parts_are_what_differences_say(walked):
    """What an operation sends to an argument is the derivative of the operation times what arrived."""
    walk, _ = walked
    rng = np.random.default_rng(0)
    for part in walk.parts:
        node = part.source
        if not part.flows and node.func in RULES and not isinstance(list(RULES[node.func])[part.i], SideGradient):
            continue
        values = list(node.values)
        for _ in range(3):
            d = rng.normal(size=np.shape(values[part.i]))

            def answer(step, d=d, node=node, values=values, i=part.i, flows=part.flows):
                moved = [value + step * d if k == i else value for k, value in enumerate(values)]
                if not flows:  # a loss on sigmoid(z), as a function of the sigmoid's result
                    p, y = moved[1], moved[2]
                    return nn.BCELoss(node.kwargs.get("reduction", "mean"))(p, y).item()
                return node.func(*moved, **node.kwargs)

            h = 1e-6
            slope = (np.asarray(answer(h)) - np.asarray(answer(-h))) / (2 * h)
            assert np.sum(part.value * d) == pytest.approx(np.sum(part.arrived * slope), rel=1e-5, abs=1e-8)


def test_parts_add_up_to_the_gradient(walked):
    walk, data = walked
    sums, complete = {}, {}
    for step, part, own in parts_beside(walk, data["steps"]):
        sums[walk.box(part.target).id] = own["sum so far"]
        complete[walk.box(part.target).id] = step["done"]
    assert all(complete.values())
    for target, total in sums.items():
        close(as_rows(total), walk.grads[id(walk.boxes[target].node)])
    graded = {box.id for box in walk.values if id(box.node) in walk.grads} - {walk.loss.id}
    assert graded == set(sums)


def test_figures_show_the_numbers_they_name(walked):
    walk, data = walked
    nodes = {node["id"]: node for node in data["nodes"]}
    owns = {id(step): own for step, _, own in parts_beside(walk, data["steps"])}
    owns[id(data["steps"][-1])] = {f"new {box.label}": box.value - 0.1 * walk.grads[id(box.node)] for box in walk.values if id(box.node) in walk.grads}
    for step in data["steps"]:
        for name, array in exact(walk, step["shown"], owns.get(id(step))).items():
            figure = next(figure for group in step["shown"] for figure in group if figure["name"] == name)
            if figure["node"]:
                assert nodes[figure["node"]]["value" if figure["kind"] == "value" else "grad"] == numbers_of(array)
            else:
                assert figure["numbers"] == excerpt(array)


def test_the_last_step_has_the_new_weights(walked):
    walk, data = walked
    last = data["steps"][-1]
    learned = {box.label: box for box in walk.values if box.kind == "parameter"}
    assert [[figure["name"] for figure in group] for group in last["shown"]] == [
        [name, walk.gradient_label(box), f"new {name}"] for name, box in learned.items()
    ]
    assert [[figure["sign"] for figure in group] for group in last["shown"]] == [["", "− 0.1 ·", "="]] * len(learned)
    model, loss_fn, x, y = (NETWORKS | OTHERS)["XOR"]()
    optimizer = nn.SGD(model.parameters(), lr=0.25)
    first = page_data(model, loss_fn, x, y, lr=0.25)["steps"][-1]
    assert first["formula"] == "new w = w - 0.25 dL/dw"
    loss_fn(model(x), y).backward()
    optimizer.step()
    for group, parameter in zip(first["shown"], model.parameters(), strict=True):
        assert group[-1]["numbers"] == excerpt(parameter.numpy())


# -- entries worked out in numbers ----------------------------------------------------------------------------------


class Interval:
    """All numbers that are written as this one, and what is computed from them."""

    def __init__(self, low, high):
        self.low, self.high = min(low, high), max(low, high)

    @classmethod
    def written(cls, text):
        value = float(text)
        return cls(value - 5.1e-4 * abs(value), value + 5.1e-4 * abs(value))

    def __add__(self, other):
        return Interval(self.low + other.low, self.high + other.high)

    def __neg__(self):
        return Interval(-self.high, -self.low)

    def __sub__(self, other):
        return self + -other

    def ends(self, other, op):
        return [op(a, b) for a in (self.low, self.high) for b in (other.low, other.high)]

    def __mul__(self, other):
        return Interval(min(self.ends(other, float.__mul__)), max(self.ends(other, float.__mul__)))

    def __truediv__(self, other):
        return Interval(min(self.ends(other, float.__truediv__)), max(self.ends(other, float.__truediv__)))


def interval_of(calculation):
    """A worked calculation with each number as an interval; it is the page's own text of numbers and operators."""
    functions = {name: lambda *args, f=f, **settings: monotone(f, args) for name, f in (FUNCTIONS | SEVERAL).items()}
    text = re.sub(r"\d+\.?\d*(?:e[+-]\d+)?", lambda match: f"N('{match[0]}')", calculation.replace("·", "*"))
    return eval(text, {"N": Interval.written, **functions})


def monotone(f, args):
    """The interval of a function that grows with each of its arguments."""
    return Interval(*(float(np.asarray(f(*(np.array(end) for end in ends))).item()) for ends in ([a.low for a in args], [a.high for a in args])))


def entries(array, at):
    return as_rows(array)[tuple(k - 1 for k in ([1, *at] if len(at) == 1 else at))] if at else np.asarray(array).item()


def test_every_worked_entry_is_true(walked):
    walk, data = walked
    owns = {id(step): own for step, _, own in parts_beside(walk, data["steps"])}
    owns[id(data["steps"][-1])] = {f"new {box.label}": box.value - 0.1 * walk.grads[id(box.node)] for box in walk.values if id(box.node) in walk.grads}
    calculated = 0
    for step in data["steps"]:
        names = exact(walk, step["shown"], owns.get(id(step)))
        for worked, formula in ((step["worked"], step["formula"]), (step["totalWorked"], step["total"])):
            if not worked:
                continue
            head, *calculation, result = worked.split(" = ")
            name, indices = re.fullmatch(r"(.*?)(?:\[([\d, ]+)\])?", head).groups()
            at = [int(k) for k in indices.split(", ")] if indices else []
            name = re.sub(r"(part \d+) of .*", r"\1", name)
            name = name if name in names else name.removeprefix("(").removesuffix(")")  # an expression stands for a name
            assert float(result) == pytest.approx(float(number(entries(names[name], at))), rel=1e-9), worked
            for text in calculation:
                calculated += 1
                if "..." in text:
                    shown_terms(text, claim(formula.split(" = ")[1], walk, step, names)[1].pairs, at, worked)
                    continue
                interval, written = interval_of(text), Interval.written(result)
                assert interval.low <= written.high + 1e-15, worked
                assert interval.high >= written.low - 1e-15, worked
    assert calculated


def shown_terms(text, pairs, at, worked):
    """A long sum shows its first terms and how many there are."""
    i, j = at if len(at) == 2 else (1, at[0])
    columns = (pairs[0][i - 1], pairs[1][:, j - 1]) if len(pairs) == 2 else (pairs[0][:, j - 1],)
    terms, count = re.fullmatch(r"(.*) \+ \.\.\. \((\d+) terms\)(?: \+ .*)?", text).groups()
    assert int(count) == len(columns[0])
    written = [[float(factor.strip("()")) for factor in term.split(" · ")] for term in terms.split(" + ")]
    np.testing.assert_allclose(written, np.transpose(columns)[: len(written)], rtol=6e-4, err_msg=worked)


# -- named mistakes -------------------------------------------------------------------------------------------------


def test_a_gradient_that_adds_up_is_told_in_parts():
    steps = [step for step in page_data(*NETWORKS["residual"]())["steps"] if step["formula"].partition(" = ")[0].endswith("dL/dw3")]
    assert [step["formula"] for step in steps] == [
        "part 1 of dL/dw3 = delta3[3]^T a2[3]",
        "part 2 of dL/dw3 = delta3[2]^T a2[2]",
        "part 3 of dL/dw3 = delta3[1]^T a2[1]",
    ]
    assert [step["total"] for step in steps] == ["", "sum so far = part 1 + part 2", "dL/dw3 = sum before + part 3"]
    assert [[figure["name"] for figure in step["shown"][0]] for step in steps] == [
        ["delta3[3]", "a2[3]", "part 1"],
        ["delta3[2]", "a2[2]", "part 2", "part 1", "sum so far"],
        ["delta3[1]", "a2[1]", "part 3", "sum before", "dL/dw3"],
    ]
    assert [step["sentence"].split(". ", 1)[1] for step in steps] == [
        "w3 is used 3 times, so its gradient is a sum of 3 parts: this is the first.",
        "Part 2 of 3 is added to the sum so far.",
        "The last of 3 parts is added: the gradient is complete.",
    ]
    assert [step["done"] for step in steps] == [False, False, True]


def test_the_panel_tells_the_whole_sum():
    nodes = {node["label"]: node for node in page_data(*NETWORKS["residual"]())["nodes"]}
    assert nodes["w3"]["equation"] == "dL/dw3 = delta3[3]^T a2[3] + delta3[2]^T a2[2] + delta3[1]^T a2[1]"
    assert nodes["a1"]["equation"] == "dL/da1 = dL/dh[1] + delta2[1] w2"


def test_a_value_used_with_itself_gets_two_parts():
    steps = [step for step in page_data(*assorted())["steps"] if "part" in step["formula"] and "*" in step["formula"]]
    pair = [step["formula"] for step in steps if re.fullmatch(r"part \d of dL/d(\S+) = dL/d(\(.+\)|\S+) \* \1", step["formula"])]
    assert len(pair) == 2


def test_a_mean_over_rows_and_columns_is_told_so():
    (bp1,) = [step["formula"] for step in page_data(*two_outputs())["steps"] if step["tag"] == "BP1"]
    assert bp1 == "delta2 = 2 (z2 - y)/(m n)"
    (bp1,) = [step["formula"] for step in page_data(*one_sample())["steps"] if step["tag"] == "BP1"]
    assert bp1 == "delta2 = 2 (z2 - y)/m"


def test_what_is_broadcast_is_summed_over_its_copies():
    formulas = [step["formula"] for step in page_data(*assorted())["steps"]]
    assert any(formula.startswith("part 1 of dL/dscale = ") and formula.endswith(", summed over the copies") for formula in formulas)


def test_a_gradient_that_flows_on_only_in_part():
    steps = [step for step in page_data(*penalised())["steps"] if step["phase"] == "backward"]
    assert "part 2 of delta1 = (dL/da1 without part 3) * s′(z1)" in [step["formula"] for step in steps]
    assert any("nothing flows on from it" in step["sentence"] for step in steps)


def test_a_clamped_logarithm_is_mentioned():
    model = nn.Sequential(nn.Dense(1, 1, rng=0), nn.Sigmoid())
    model.load_state_dict({"0.weight": [[1000.0]], "0.bias": [0.0]})
    formulas = [step["formula"] for step in page_data(model, nn.BCELoss(), np.array([[1.0], [0.5]]), np.array([[1.0], [0.0]]))["steps"]]
    assert "dL/da1 = ((1 - y)/(1 - a1) - y/a1)/m, without the logarithms that are clamped" in formulas


def test_names_with_braces_stay_as_they_are():
    scale = Tensor(np.ones(3), requires_grad=True, name="{0} {g}")

    class Named(nn.Module):
        def __init__(self):
            self.w = nn.Parameter(np.ones(3))

        def forward(self, x):
            return x * self.w * scale

    formulas = [step["formula"] for step in page_data(Named(), nn.MSELoss(), X, X * 2)["steps"]]
    assert any("{0} {g}" in formula for formula in formulas)
