"""The story of the page in a real browser: no step hides anything, steps have addresses, and signs and sizes are legible."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from tests.show.networks import NETWORKS
from tinygrad_lr import nn
from tinygrad_lr.show.explorer import explore

PHONE, DESK, PROJECTOR = (390, 844), (1440, 900), (1920, 1080)
SIZES = {"phone": PHONE, "desk": DESK, "projector": PROJECTOR}


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The page of each network, written when it is first used."""
    folder, made = tmp_path_factory.mktemp("pages"), {}

    def page_of(name):
        if name not in made:
            made[name] = explore(*NETWORKS[name](), folder / f"{name}.html")
        return made[name]

    return page_of


def steps_of(path):
    return json.loads(re.search(r'id="data">(.*?)</script>', path.read_text(encoding="utf-8"), re.DOTALL)[1])["steps"]


# -- nothing is clipped ---------------------------------------------------------------------------------------------

HIDDEN = """
() => {
  const found = [];
  const [main, story] = [document.querySelector("main"), document.querySelector(".story")];
  const page = document.documentElement;
  const inside = (a, b) => a.left >= b.left - 1 && a.right <= b.right + 1 && a.top >= b.top - 1 && a.bottom <= b.bottom + 1;
  const part = (node) => node.parentElement.closest("[id], figcaption, td, .sign");
  const say = (node, what) => found.push(`${part(node).id || part(node).className || part(node).tagName}: ${node.data.slice(0, 30)} ${what}`);
  const texts = [];
  const walker = document.createTreeWalker(story, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) if (walker.currentNode.data.trim() && walker.currentNode.parentElement.checkVisibility()) texts.push(walker.currentNode);
  const boxes = (node) => {
    const range = document.createRange();
    range.selectNodeContents(node);
    return [...range.getClientRects()].filter((box) => box.width && box.height);
  };
  main.scrollTop = 0;
  const more = !document.getElementById("more").hidden;
  const edge = (more ? document.getElementById("more") : document.querySelector("#pass .controls")).getBoundingClientRect().top;
  let below = false;
  for (const node of texts) {
    const all = boxes(node);
    if (!all.length) say(node, "has no place");
    for (const box of all) {
      if (box.left < 0 || box.right > page.clientWidth) say(node, "runs off the page");
      if (box.bottom > edge) below = true;
      for (let around = node.parentElement; around !== main; around = around.parentElement) {
        const style = getComputedStyle(around);
        const clips = style.overflowX !== "visible" || style.overflowY !== "visible";
        if (clips && !inside(box, around.getBoundingClientRect())) say(node, `is clipped by ${around.id}`);
        if (around === story && !inside(box, story.getBoundingClientRect())) say(node, "sticks out of the story");
      }
    }
  }
  if (below && !more) found.push("something lies below, and nothing says so");
  for (const node of texts) { // what is on top where it stands, scrolled there if need be, must be the text itself
    let [box] = boxes(node);
    if (box.bottom > edge || box.top < main.getBoundingClientRect().top) {
      node.parentElement.scrollIntoView({ block: "center" });
      document.getElementById("more").hidden = true;
      [box] = boxes(node);
    }
    const top = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
    if (!top || !(top.contains(node) || part(node).contains(top))) say(node, `lies behind ${top?.id || top?.tagName}`);
  }
  main.scrollTop = 0;
  if (main.scrollWidth > main.clientWidth || page.scrollWidth > page.clientWidth) found.push("the page scrolls sideways");
  for (const one of story.querySelectorAll("*")) {
    const wide = one.clientWidth && one.scrollWidth > one.clientWidth + 1;
    if (wide && getComputedStyle(one).display !== "inline") found.push(`${one.tagName} ${one.id} is wider than its place`);
  }
  const text = (id) => document.getElementById(id).textContent;
  return { found, more, figures: story.querySelectorAll("figure").length, sentence: text("sentence"), formula: text("formula") };
}
"""


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", NETWORKS)
def test_no_step_hides_anything(pages, opened, name, size):
    page = opened(pages(name), SIZES[size], reduced_motion="reduce")
    steps = steps_of(pages(name))
    hidden = {}
    scrolled = 0
    for k, step in enumerate(steps):
        page.get_by_role("slider", name="Step").fill(str(k))
        seen = page.evaluate(HIDDEN)
        if seen["found"]:
            hidden[k] = seen["found"][:4]
        scrolled += seen["more"]
        assert seen["figures"] == sum(map(len, step["shown"]))
        assert bool(seen["formula"]) == bool(step["formula"])
        assert len(seen["sentence"]) >= len(step["sentence"]) - 9  # delta1 is set as δ1
    assert hidden == {}
    assert scrolled <= (0 if size != "phone" else 1)  # on a phone the last step has more than a screenful


def test_the_measuring_sees_what_is_clipped(pages, opened):
    page = opened(pages("XOR"), DESK)
    page.get_by_role("slider", name="Step").fill("9")
    for fault, word in [
        (".story { height: 6rem !important; min-height: 0 !important; }", "sticks out"),
        ("#figures { max-width: 9rem; overflow: hidden; flex-wrap: nowrap !important; } .group { flex-wrap: nowrap !important; }", "is clipped by figures"),
        ("#figures { position: relative; left: 40rem; }", "runs off"),
        ("#formula { width: 2rem; white-space: nowrap; }", "wider than its place"),
        ("#stage { margin-top: -6rem; }", "lies behind"),
    ]:
        style = page.add_style_tag(content=fault)
        assert any(word in text for text in page.evaluate(HIDDEN)["found"]), word
        style.evaluate("one => one.remove()")
        assert page.evaluate(HIDDEN)["found"] == []


def test_wide_figures_are_condensed_and_say_so(pages, opened):
    page = opened(pages("MLP"), DESK)
    page.get_by_role("slider", name="Step").fill("1")
    captions = page.locator("#figures figcaption").all_inner_texts()
    assert [re.sub(r"\s+", " ", text) for text in captions] == ["X 32 × 64", "w1 128 × 64", "b1 128 numbers", "z1 32 × 128"]
    model, _, x, _ = NETWORKS["MLP"]()
    z = x @ model.layers["0"].weight.numpy().T + model.layers["0"].bias.numpy()
    rows = [row.inner_text().split() for row in page.locator("#figures figure:last-child tr").all()]
    assert rows[0][0] == f"{z[0, 0]:.4g}"
    assert rows[0][-1] == f"{z[0, -1]:.4g}"
    assert rows[-1][-1] == f"{z[-1, -1]:.4g}"
    assert rows[0][-2] == "…"
    assert set(rows[-2]) <= {"⋮", "⋱"}


def test_small_figures_are_whole(pages, opened):
    for size in SIZES.values():
        page = opened(pages("XOR"), size)
        page.get_by_role("slider", name="Step").fill("1")
        assert page.locator("#figures td.gap").count() == 0
        assert page.locator("#figures td").count() == 8 + 6 + 3 + 12


def test_the_graph_stays_where_it_is_from_step_to_step(pages, opened):
    page = opened(pages("XOR"), DESK)
    tops = set()
    for k in range(15):
        page.get_by_role("slider", name="Step").fill(str(k))
        tops.add(page.locator("#stage").bounding_box()["y"])
    assert len(tops) == 1


def test_the_sum_of_a_shared_weight(pages, opened):
    page = opened(pages("residual"), DESK)
    k = next(k for k, step in enumerate(steps_of(pages("residual"))) if step["total"].startswith("dL/dw3"))
    page.get_by_role("slider", name="Step").fill(str(k))
    assert page.inner_text("#formula") == "part 3 of ∂L/∂w3 = δ3[1]T a2[1]"
    assert page.inner_text("#total") == "∂L/∂w3 = sum before + part 3"
    figures = page.locator("#figures figure").all()
    assert [one.locator(".sign").inner_text() if one.locator(".sign").count() else "" for one in figures] == ["", "", "→", "+", "="]
    table = lambda one: np.array([[float(cell) for cell in row.split() if cell != "…"] for row in one.locator("tr").all_inner_texts() if "⋮" not in row])
    part, before, total = (table(one) for one in figures[2:])
    np.testing.assert_allclose(part + before, total, atol=2e-3 * np.abs(total).max())


def test_more_of_a_step_is_one_press_away(pages, opened):
    page = opened(pages("MLP"), PHONE, reduced_motion="reduce")
    page.keyboard.press("End")
    more = page.get_by_role("button", name="more of this step below")
    last = page.locator("#figures figure:last-child").last
    assert more.is_visible()
    assert last.bounding_box()["y"] > PHONE[1] / 2
    for _ in range(9):
        if more.is_visible():
            more.click()
            page.wait_for_timeout(50)
    assert more.is_hidden()
    box = last.bounding_box()
    assert box["y"] + box["height"] <= page.locator("#pass .controls").bounding_box()["y"]
    page.keyboard.press("PageUp")
    page.wait_for_function("() => document.getElementById('more').hidden === false")


@pytest.mark.parametrize("size", [(320, 640), (768, 1024), (1024, 768), (1280, 500)])
def test_other_sizes_hide_nothing_either(pages, opened, size):
    page = opened(pages("residual"), size, reduced_motion="reduce")
    for k in (1, 16, 24, 33, 46, 52):
        page.get_by_role("slider", name="Step").fill(str(k))
        assert page.evaluate(HIDDEN)["found"] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESK])
def test_sums_and_new_weights_are_accessible(pages, opened, axe_findings, size, scheme):
    page = opened(pages("residual"), size, scheme, reduced_motion="reduce")
    for k in (33, 52):
        page.get_by_role("slider", name="Step").fill(str(k))
        assert axe_findings(page) == []


# -- links ----------------------------------------------------------------------------------------------------------


def test_a_link_opens_its_step(pages, opened):
    page = opened(pages("XOR"))
    address = page.url
    page.goto(f"{address}#step=9")
    page.reload()
    assert page.inner_text("#count") == "step 9 of 15"
    assert page.inner_text("#tag") == "BP4"
    for odd, step in [("#step=999", 15), ("#step=x", 15), ("#elsewhere", 15), ("#step=0", 0)]:
        page.evaluate("(hash) => { location.hash = hash; }", odd)
        page.wait_for_function("(text) => document.getElementById('count').textContent === text", arg=f"step {step} of 15")


def test_the_address_follows_the_steps_and_the_page_the_address(pages, opened):
    page = opened(pages("XOR"))
    assert "#" not in page.url
    entries = page.evaluate("history.length")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.wait_for_function("() => location.hash === '#step=3'")
    assert page.evaluate("history.length") == entries
    page.evaluate("location.hash = '#step=7'")
    page.wait_for_function("() => document.getElementById('count').textContent === 'step 7 of 15'")
    page.go_back()
    page.wait_for_function("() => document.getElementById('count').textContent === 'step 3 of 15'")
    page.go_forward()
    page.wait_for_function("() => document.getElementById('count').textContent === 'step 7 of 15'")


def test_a_link_leads_from_the_training_view_to_the_step(tmp_path, opened):
    model, loss_fn, x, y = NETWORKS["XOR"]()
    page = opened(explore(model, loss_fn, x, y, tmp_path / "page.html", [(1.0, model.state_dict())]))
    page.get_by_role("tab", name="Training").click()
    page.evaluate("location.hash = '#step=4'")
    page.wait_for_function("() => document.getElementById('count').textContent === 'step 4 of 15'")
    assert page.locator("#pass").is_visible()
    assert page.locator("#figures figure").count() == 2


# -- words ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "tag, step, words",
    [("BP1", 7, "error at the output"), ("BP2", 12, "back by one layer: through the weights of the next layer"), ("BP3", 10, "biases"), ("BP4", 9, "weights")],
)
def test_the_equations_explain_themselves(pages, opened, tag, step, words):
    page = opened(pages("XOR"))
    page.get_by_role("slider", name="Step").fill(str(step))
    button, tip = page.get_by_role("button", name=tag), page.get_by_role("tooltip")
    assert tip.is_hidden()
    button.hover()
    assert words in tip.inner_text()
    below = page.locator("#formula").bounding_box()
    assert tip.bounding_box()["y"] >= below["y"] + below["height"]  # the formula that it explains stays in view
    at = button.bounding_box()
    page.mouse.move(at["x"] + 10, at["y"] + at["height"] + 20)  # the pointer may pause between the tag and the tip
    page.wait_for_timeout(300)
    tip.hover()  # and the tip stays while the pointer is over it
    page.wait_for_timeout(300)
    assert tip.is_visible()
    page.mouse.move(5, 5)
    page.wait_for_timeout(300)
    assert tip.is_hidden()
    button.focus()
    assert tip.is_visible()
    assert button.get_attribute("aria-describedby") == tip.get_attribute("id")
    page.keyboard.press("Escape")
    assert tip.is_hidden()
    assert page.evaluate("document.activeElement.id") == "tag"
    page.keyboard.press("Enter")
    assert tip.is_visible()
    page.keyboard.press("ArrowRight")
    assert tip.is_hidden()


def test_a_tap_explains_too(pages, opened, axe_findings):
    page = opened(pages("XOR"), PHONE, has_touch=True, reduced_motion="reduce")
    page.get_by_role("slider", name="Step").fill("9")
    page.get_by_role("button", name="BP4").tap()
    page.wait_for_timeout(300)
    tip = page.get_by_role("tooltip")
    assert tip.is_visible()
    box = tip.bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= PHONE[0]
    assert axe_findings(page) == []
    page.get_by_role("button", name="Step forward").tap()
    assert tip.is_hidden()


def test_steps_without_an_equation_have_no_tag(pages, opened):
    page = opened(pages("XOR"))
    assert page.locator("#tag").is_hidden()


# -- legible --------------------------------------------------------------------------------------------------------

SMALL = """
(least) => {
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const [node, one] = [walker.currentNode, walker.currentNode.parentElement];
    if (!node.data.trim() || one.closest("script, noscript") || !one.checkVisibility()) continue;
    const scale = one.ownerSVGElement ? one.getScreenCTM().a : 1;
    const size = scale * parseFloat(getComputedStyle(one).fontSize);
    if (size < least - 0.01) found.push(`${node.data.trim().slice(0, 20)} in ${one.tagName} ${one.getAttribute("class") ?? ""} is ${size.toFixed(1)} px`);
  }
  return found;
}
"""


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", NETWORKS)
def test_all_text_is_legible_at_the_start(pages, opened, name, size):
    page = opened(pages(name), SIZES[size], reduced_motion="reduce")
    assert page.evaluate(SMALL, 11) == []
    assert len(page.evaluate(SMALL, 40)) > 10
    page.get_by_role("slider", name="Step").fill("5")
    assert [text for text in page.evaluate(SMALL, 11) if not re.search("text|tspan", text)] == []  # the story at any step


def test_signs_are_told_by_more_than_hue(tmp_path, opened):
    rng = np.random.default_rng(0)
    model = nn.Sequential(nn.Dense(4, 12, rng=0), nn.Tanh(), nn.Dense(12, 1, rng=1))
    page = opened(explore(model, nn.MSELoss(), rng.normal(size=(30, 4)), rng.normal(size=(30, 1)), tmp_path / "page.html"), DESK)
    assert page.locator(".legend > span").all_inner_texts() == ["+− value", "+− gradient"]
    page.keyboard.press("End")
    page.locator('.card[aria-label^="a1,"]').click(force=True)
    marks = page.evaluate("""() => {
      const { width, height } = document.querySelector("#panel canvas.map");
      const { data } = document.querySelector("#panel canvas.map").getContext("2d").getImageData(0, 0, width, height);
      const at = (x, y) => data.slice(4 * (y * width + x), 4 * (y * width + x) + 3).join();
      const cells = [];
      for (let y = 0; y < height; y += 7) for (let x = 0; x < width; x += 7) cells.push(at(x, y) !== at(x + 3, y + 3));
      return cells;
    }""")
    a = np.tanh(np.random.default_rng(0).normal(size=(30, 4)) @ model.layers["0"].weight.numpy().T)
    assert marks == (a < 0).ravel().tolist()
