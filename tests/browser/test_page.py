"""The page of `explore` in a real browser: stepping, keys, search, folding, the slider, escaping, accessibility."""

from __future__ import annotations

import re
import time

import numpy as np
import pytest

from tinygrad_lr import nn
from tinygrad_lr.autodiff.tensor import Tensor
from tinygrad_lr.show.explorer import explore
from tinygrad_lr.show.picture import number

X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
Y = np.array([[0.0], [1.0], [1.0], [0.0]])
PHONE, LAPTOP, PROJECTOR = (390, 844), (1280, 800), (1920, 1080)
EVIL = ["<script>alert(1)</script>", '}"; x']


def network():
    return nn.Sequential(nn.Dense(2, 3, rng=0), nn.Tanh(), nn.Dense(3, 1, rng=1), nn.Sigmoid())


@pytest.fixture(scope="module")
def history():
    model, loss_fn = network(), nn.BCELoss()
    optimizer = nn.SGD(model.parameters(), lr=1.0)
    snapshots = []
    for _ in range(100):
        loss = loss_fn(model(X), Y)
        snapshots.append((loss.item(), model.state_dict()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return snapshots


@pytest.fixture(scope="module")
def xor(tmp_path_factory, history):
    return explore(network(), nn.BCELoss(), X, Y, tmp_path_factory.mktemp("pages") / "xor.html", history)


def deltas():
    """The network's numbers from the equations, as the page writes them."""
    w1, b1, w2, b2 = (p.numpy() for p in network().parameters())
    a1 = np.tanh(X @ w1.T + b1)
    a2 = 1 / (1 + np.exp(-(a1 @ w2.T + b2)))
    delta2 = (a2 - Y) / 4
    delta1 = (delta2 @ w2) * (1 - a1**2)
    numbers = {"delta1": delta1, "w1": delta1.T @ X, "loss": -np.mean(np.where(Y == 1, np.log(a2), np.log(1 - a2)))}
    return {name: [[number(x) for x in row] for row in np.atleast_2d(array)] for name, array in numbers.items()}


def rows(page, selector):
    return [row.split() for row in page.locator(f"{selector} tr").all_inner_texts()]


def card(page, label):
    return page.locator(f'.card[aria-label^="{label},"]')


# -- stepping ----------------------------------------------------------------------------------------------


def test_stepping_to_the_end_shows_the_right_numbers(xor, opened):
    page = opened(xor)
    for _ in range(5):
        page.get_by_role("button", name="Step forward").click()
    assert page.inner_text("#phase") == "Forward"
    assert rows(page, "#figures figure:last-child") == deltas()["loss"]
    while page.inner_text("#formula").split(" =")[0] != "δ1":
        page.get_by_role("button", name="Step forward").click()
    assert page.inner_text("#tag") == "BP2"
    assert rows(page, "#figures figure:last-child") == deltas()["delta1"]
    assert "graded" not in card(page, "w1").get_attribute("class")
    while page.get_by_role("button", name="Step forward").is_enabled():
        page.get_by_role("button", name="Step forward").click()
    assert page.inner_text("#phase") == "Done"
    card(page, "w1").click()
    assert rows(page, "#panel div.gradient") == deltas()["w1"]
    assert page.locator(".card.computed").count() == page.locator(".card").count() == 11


def test_formulas_are_typeset(xor, opened):
    page = opened(xor)
    page.keyboard.press("ArrowRight")
    assert page.inner_html("#formula") == '<span class="left"><i>z</i><sub>1</sub></span> = <i>X</i> <i>w</i><sub>1</sub><sup>T</sup> + <i>b</i><sub>1</sub>'


def test_keys(xor, opened):
    page = opened(xor)
    count = page.locator("#count")
    for key, step in [("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1), ("End", 15), ("ArrowRight", 15), ("Home", 0), ("ArrowLeft", 0)]:
        page.keyboard.press(key)
        assert count.inner_text() == f"step {step} of 15"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert "data-id" in page.evaluate("document.activeElement.getAttributeNames()")
    card(page, "z1").focus()
    page.keyboard.press("Enter")
    assert page.locator("#panel").is_visible()
    assert "not computed yet" in page.inner_text("#panel")
    assert page.evaluate("document.activeElement.tagName") == "H2"
    page.keyboard.press("ArrowRight")
    assert "not computed yet" not in page.inner_text("#panel")
    page.keyboard.press("Escape")
    assert page.locator("#panel").is_hidden()
    assert page.evaluate("document.activeElement.getAttribute('aria-label')").startswith("z1,")


def test_playing_goes_on_by_itself_and_stops(xor, opened):
    page = opened(xor)
    page.clock.install()
    page.keyboard.press(" ")
    page.clock.run_for(3500)
    assert page.inner_text("#count") == "step 2 of 15"
    page.keyboard.press(" ")
    page.clock.run_for(3500)
    assert page.inner_text("#count") == "step 2 of 15"


def test_the_slider_of_steps(xor, opened):
    page = opened(xor)
    page.get_by_role("slider", name="Step").fill("7")
    assert page.inner_text("#count") == "step 7 of 15"
    assert page.inner_text("#tag") == "BP1"


# -- the graph ---------------------------------------------------------------------------------------------


def test_cards_and_frames_do_not_overlap(xor, opened):
    page = opened(xor)
    boxes = page.locator(".card > .body").evaluate_all("all => all.map((one) => one.getBoundingClientRect().toJSON())")
    assert len(boxes) == 11
    for k, a in enumerate(boxes):
        for b in boxes[:k]:
            assert a["right"] <= b["left"] or b["right"] <= a["left"] or a["bottom"] <= b["top"] or b["bottom"] <= a["top"]
    left = {label: card(page, label).bounding_box()["x"] for label in ("X", "z1", "a1", "z2", "L")}
    assert list(left.values()) == sorted(left.values())


def test_search(xor, opened):
    page = opened(xor)
    page.keyboard.press("/")
    page.keyboard.type("tanh")
    assert page.inner_text("#found") == "1 found"
    assert page.locator(".card.match").get_attribute("aria-label").startswith("a1,")
    page.get_by_role("searchbox").fill("weight")
    for found in ("1 of 2", "2 of 2", "1 of 2"):
        page.keyboard.press("Enter")
        assert page.inner_text("#found") == found
    page.get_by_role("searchbox").fill("nothing like this")
    assert page.inner_text("#found") == "0 found"
    assert page.locator(".card.match").count() == 0


def test_folding(xor, opened):
    page = opened(xor)
    page.locator('.title[aria-label="module 0  Dense(2 -> 3)"]').click()
    assert page.locator(".card.module").count() == 1
    assert card(page, "z1").count() == 0
    assert page.evaluate("document.activeElement.getAttribute('aria-expanded')") == "false"
    page.keyboard.press("ArrowRight")
    assert "Inside 0 Dense(2 -> 3)" in page.inner_text("#sentence").replace("  ", " ")
    page.keyboard.press("Enter")
    assert card(page, "z1").count() == 1
    assert page.locator(".card.now").get_attribute("aria-label").startswith("z1,")
    page.get_by_role("button", name="Fold modules").click()
    assert page.locator(".card.module").count() == 4
    page.get_by_role("searchbox").fill("w2")
    page.get_by_role("searchbox").press("Enter")
    assert card(page, "w2").count() == 1
    page.get_by_role("button", name="Unfold modules").click()
    assert page.locator(".card.module").count() == 0


def test_a_folded_module_is_passed_in_one_step(xor, opened):
    page = opened(xor)
    page.keyboard.press("End")
    page.get_by_role("button", name="Fold modules").click()
    page.keyboard.press("ArrowLeft")
    assert page.inner_text("#count") == "step 12 of 15"  # delta1, dL/dw1 and dL/db1 are in one module
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#count") == "step 14 of 15"


def test_zoom_pan_and_fit(xor, opened):
    page = opened(xor, reduced_motion="reduce")
    page.keyboard.press("0")
    place = card(page, "z1").bounding_box()
    page.get_by_role("button", name="Zoom in").click()
    assert card(page, "z1").bounding_box()["width"] > 1.2 * place["width"]
    stage = page.locator("#graph").bounding_box()
    before = card(page, "X").bounding_box()["x"]
    page.mouse.move(stage["x"] + 20, stage["y"] + 20)
    page.mouse.down()
    page.mouse.move(stage["x"] + 120, stage["y"] + 60, steps=5)
    page.mouse.up()
    assert card(page, "X").bounding_box()["x"] == pytest.approx(before + 100, abs=6)
    zoomed = page.locator("#camera").get_attribute("style")
    page.mouse.wheel(0, -300)
    page.wait_for_function("(before) => document.getElementById('camera').getAttribute('style') !== before", arg=zoomed)
    page.keyboard.press("0")
    assert card(page, "z1").bounding_box() == pytest.approx(place, abs=0.5)


def test_the_panel(xor, opened):
    page = opened(xor)
    page.keyboard.press("End")
    card(page, "z1").click()
    text = page.inner_text("#panel")
    assert "linear · 4 × 3, float64" in text
    assert "δ1 = (δ2 w2) ⊙ s′(z1)" in text
    assert "test_page.py" in text
    assert rows(page, "#panel div.gradient") == deltas()["delta1"]
    page.locator("#panel .links button", has_text="w1").click()
    assert page.inner_text("#panel h2 span") == "w1"
    page.get_by_role("button", name="Close").click()
    assert page.locator("#panel").is_hidden()


def test_a_module_called_again_and_again(tmp_path, opened):
    class Recurrent(nn.Module):
        def __init__(self):
            self.cell, self.out = nn.Dense(2, 2, rng=0), nn.Dense(2, 1, rng=1)

        def forward(self, x):
            state = x[:, 0]
            for k in range(1, 5):
                state = np.tanh(self.cell(state)) + x[:, k]
            return self.out(state)

    x = np.random.default_rng(0).normal(size=(3, 5, 2))
    page = opened(explore(Recurrent(), nn.MSELoss(), x, np.ones((3, 1)), tmp_path / "page.html"))
    page.get_by_role("button", name=re.compile("old modules")).click()
    page.keyboard.press("End")
    page.keyboard.press("Home")
    for _ in range(60):
        page.keyboard.press("ArrowRight")
    assert page.inner_text("#phase") == "Done"


def test_large_arrays_have_a_heat_map_and_a_histogram(tmp_path, opened):
    rng = np.random.default_rng(0)
    model = nn.Sequential(nn.Dense(20, 30, rng=0), nn.ReLU(), nn.Dense(30, 3, rng=1))
    page = opened(explore(model, nn.CrossEntropyLoss(), rng.normal(size=(200, 20)), rng.integers(0, 3, 200), tmp_path / "page.html"))
    page.keyboard.press("End")
    card(page, "a1").click()
    assert page.locator("#panel canvas.map").count() == 2
    assert page.locator("#panel svg.histogram rect").count() == 48
    assert page.evaluate("[...document.querySelector('#panel canvas').getContext('2d').getImageData(0, 0, 20, 20).data].some((x) => x < 200)")


# -- texts, sizes, people ----------------------------------------------------------------------------------


@pytest.mark.parametrize("text", EVIL)
def test_users_texts_appear_as_texts(text, tmp_path, opened):
    class Named(nn.Module):
        def __init__(self):
            self.part = {text: nn.Dense(2, 1, rng=0)}

        def forward(self, x):
            shift = Tensor(np.ones(1), requires_grad=True, name=text)
            return self.part[text](x) + shift

        def __repr__(self):
            return text

    model = Named()
    page = opened(explore(model, nn.MSELoss(), X, Y, tmp_path / "page.html", [(1.0, model.state_dict())]))
    shown = page.locator(".card .symbol").all_text_contents()
    assert text in shown or text[:21] + "…" in shown
    page.get_by_role("searchbox").fill(text)
    page.get_by_role("searchbox").press("Enter")
    page.locator(".card.chosen").click()
    while page.get_by_role("button", name="Step forward").is_enabled():
        page.get_by_role("button", name="Step forward").click()
    page.get_by_role("tab", name="Training").click()
    assert text in page.inner_text("#training .parameters")
    assert page.locator("body script").count() == 2


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, LAPTOP])
def test_accessibility(xor, opened, axe_findings, size, scheme):
    page = opened(xor, size, scheme, reduced_motion="reduce")
    assert axe_findings(page) == []
    page.get_by_role("slider", name="Step").fill("12")
    page.locator(".card.now").click(force=True)
    assert axe_findings(page) == []
    page.get_by_role("button", name="Close").click()
    page.get_by_role("tab", name="Training").click()
    assert axe_findings(page) == []


def test_the_scan_sees_a_fault(xor, opened, axe_findings):
    page = opened(xor)
    page.evaluate("document.getElementById('fit').removeAttribute('aria-label')")
    assert [name for name, _, _ in axe_findings(page)] == ["button-name"]


@pytest.mark.parametrize("size", [PHONE, LAPTOP, PROJECTOR])
def test_nothing_runs_off_the_page(xor, opened, size):
    page = opened(xor, size)
    for tab in ("Training", "One pass"):
        page.get_by_role("tab", name=tab).click()
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    for name in ("Step back", "Step forward", "Play", "First step", "Last step"):
        box = page.get_by_role("button", name=name, exact=True).bounding_box()
        assert box["y"] + box["height"] <= size[1]
        assert min(box["width"], box["height"]) >= 40
    assert page.locator("#stage").bounding_box()["height"] > 300


def test_on_a_phone_the_camera_follows_the_step(xor, opened):
    page = opened(xor, PHONE, reduced_motion="reduce", has_touch=True)
    stage = page.locator("#stage").bounding_box()
    for _ in range(14):
        page.get_by_role("button", name="Step forward").tap()
        box = page.locator(".card.now .body").bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= PHONE[0]
        assert stage["y"] <= box["y"] + box["height"] / 2 <= stage["y"] + stage["height"]


def test_the_step_is_announced(xor, opened):
    page = opened(xor)
    assert page.get_attribute("#story", "aria-live") == "polite"
    assert page.get_by_role("slider", name="Step").get_attribute("aria-valuetext") == "Start, step 0 of 15"
    page.keyboard.press("ArrowRight")
    assert page.get_by_role("slider", name="Step").get_attribute("aria-valuetext") == "Forward, step 1 of 15"


def test_less_motion_where_it_is_asked_for(xor, opened):
    page = opened(xor, reduced_motion="reduce")
    page.keyboard.press("ArrowRight")
    assert page.locator(".wire.forward").first.evaluate("one => getComputedStyle(one).animationName") == "none"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_follow_the_system_and_the_button(xor, opened, scheme):
    page = opened(xor, scheme=scheme)

    def brightness():
        return sum(map(int, re.findall(r"\d+", page.evaluate("getComputedStyle(document.body).backgroundColor"))[:3]))

    at_first = brightness()
    assert (at_first < 380) == (scheme == "dark")
    page.get_by_role("button", name="Dark colours").click()
    assert (brightness() < 380) == (scheme == "light")


def test_two_thousand_nodes(tmp_path, opened):
    def block(k):
        return nn.Sequential(*[layer for i in range(10) for layer in (nn.Dense(4, 4, rng=k * 10 + i), nn.Tanh())])

    model = nn.Sequential(*[nn.Sequential(*[block(5 * k + j) for j in range(5)]) for k in range(10)], nn.Dense(4, 1, rng=1))
    path = explore(model, nn.MSELoss(), np.ones((8, 4)), np.ones((8, 1)), tmp_path / "page.html")
    start = time.perf_counter()
    page = opened(path)
    assert page.locator(".card").count() < 80
    page.get_by_role("button", name="Unfold modules").click()
    assert page.locator(".card").count() == 2006
    page.keyboard.press("End")
    assert page.inner_text("#phase") == "Done"
    assert time.perf_counter() - start < 30  # 2 on a quiet machine
