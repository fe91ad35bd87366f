"""The graph on the page: an unrolled loop as a row, text that can be read, a camera that follows quietly; and the page in a notebook."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tests.show.test_layout import RecurrentNet, ResidualNet
from tinygrad_lr import nn
from tinygrad_lr.show.explorer import explore

LAPTOP, PROJECTOR, PHONE = (1440, 900), (1920, 1080), (390, 844)
SIZES = pytest.mark.parametrize("size", [LAPTOP, PROJECTOR, PHONE], ids=["laptop", "projector", "phone"])
ALL = "all => all.map((one) => ({ label: one.getAttribute('aria-label').split(',')[0], ...one.querySelector('.body').getBoundingClientRect().toJSON() }))"
ZOOM = "document.getElementById('camera').getCTM().a"
WALK = """(keys) => {
  const place = (one) => one.getBoundingClientRect();
  const stage = () => place(document.getElementById('stage'));
  const box = (one) => { // on the stage, which grows and shrinks with the story above it
    const { left, top, width, height } = place(one.querySelector('.body'));
    return { left: left - stage().left, top: top - stage().top, width, height };
  };
  const boxes = () => new Map([...document.querySelectorAll('.card')].map((one) => [one.dataset.id, box(one)]));
  const camera = document.getElementById('camera');
  return keys.map((key) => {
    const [before, style] = [boxes(), camera.getAttribute('style')];
    document.body.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
    const part = [...document.querySelectorAll('.card.now, .card.source')];
    return {
      step: document.getElementById('count').textContent, phase: document.getElementById('phase').textContent,
      zoom: camera.getCTM().a, camera: [camera.getCTM().e, camera.getCTM().f], moved: camera.getAttribute('style') !== style,
      stage: { x: 0, y: 0, width: stage().width, height: stage().height },
      now: part.filter((one) => one.classList.contains('now')).map(box), before: part.map((one) => before.get(one.dataset.id)),
    };
  });
}"""


class Shared(nn.Module):
    """One layer, used three times, each time with a residual connection."""

    def __init__(self):
        self.layer, self.head = nn.Dense(2, 2, rng=0), nn.Dense(2, 1, rng=1)

    def forward(self, x):
        h = x
        for k in range(3):  # noqa: B007 - it is the name of each step
            h = h + np.tanh(self.layer(h))
        return self.head(h)


def pages():
    rng = np.random.default_rng(0)
    xor = nn.Sequential(nn.Dense(2, 3, rng=0), nn.Tanh(), nn.Dense(3, 1, rng=1), nn.Sigmoid())
    x, y = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), np.array([[0.0], [1.0], [1.0], [0.0]])
    return {
        "xor": (xor, nn.BCELoss(), x, y),
        "residual": (ResidualNet(), nn.BCELoss(), x, y),
        "shared": (Shared(), nn.MSELoss(), x, y),
        "recurrent": (RecurrentNet(), nn.MSELoss(), rng.normal(size=(3, 8, 2)), y[:3]),
    }


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    return {name: explore(*parts, folder / f"{name}.html") for name, parts in pages().items()}


def cards(page):
    """The positions of all cards on the screen, by their labels."""
    return {card["label"]: card for card in page.locator(".card").evaluate_all(ALL)}


def last_step(page):
    return int(page.locator("#steps").get_attribute("max"))


# -- the layout --------------------------------------------------------------------------------------------


@SIZES
def test_an_unrolled_loop_is_a_row(written, opened, size):
    page = opened(written["recurrent"], size, reduced_motion="reduce")
    places = cards(page)
    for name in ("x[t={}]", "z1[t={}]", "z2[t={}]", "z1[t={0}] + z2[t={0}]", "h[t={}]"):
        steps = [places[name.format(t)] for t in range(8)]
        for one, following in itertools.pairwise(steps):
            assert following["left"] > one["right"], name
    chain = [places[f"h[t={t}]"] for t in range(8)]
    for one, following in itertools.pairwise(chain):
        assert abs(following["top"] - one["top"]) < 0.2 * one["height"]
    for t in range(1, 8):  # what belongs to a step stands between the steps before and after it
        for name in (f"z1[t={t}]", f"z2[t={t}]", f"z1[t={t}] + z2[t={t}]"):
            assert chain[t - 1]["right"] < places[name]["left"]
            assert places[name]["right"] < chain[t]["left"]


@pytest.mark.parametrize("name", ["residual", "shared", "recurrent"])
def test_cards_do_not_overlap(written, opened, name):
    page = opened(written[name], LAPTOP)
    for a, b in itertools.combinations(cards(page).values(), 2):
        assert a["right"] <= b["left"] or b["right"] <= a["left"] or a["bottom"] <= b["top"] or b["bottom"] <= a["top"], (a["label"], b["label"])


def test_a_parameter_used_again_appears_by_name(written, opened):
    page = opened(written["shared"], LAPTOP, reduced_motion="reduce")
    again = page.locator('.card.repeat[aria-label="w1 again, layer.weight"]')
    assert again.count() == 2
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    assert page.locator(".card.now").get_attribute("aria-label").startswith("z1[k=1],")
    assert sorted(page.locator(".card.source").evaluate_all("all => all.map((one) => one.getAttribute('aria-label').split(',')[0])")) == [
        *("b1 again", "h[k=0]", "w1 again"),
    ]
    assert page.locator(".wire.forward").count() == 3
    again.first.click()
    assert page.inner_text("#panel h2 span") == "w1"
    page.keyboard.press("Escape")
    page.keyboard.press("End")
    while page.locator("#tag").inner_text() != "BP4":
        page.keyboard.press("ArrowLeft")
    assert page.locator(".card.now").get_attribute("aria-label").startswith("w1,")  # the first use, which comes last
    page.keyboard.press("ArrowLeft")
    while page.locator("#tag").inner_text() != "BP4":
        page.keyboard.press("ArrowLeft")
    assert page.locator(".card.now").get_attribute("aria-label") == "w1 again, layer.weight"


@SIZES
def test_a_step_of_a_loop_has_its_parts_in_one_place(written, opened, size):
    """In the backward pass too: the camera does not move to the first step and back for each parameter."""
    page = opened(written["recurrent"], size, reduced_motion="reduce")
    steps = last_step(page)
    widths = [box["right"] - box["left"] for box in cards(page).values()]
    walked = page.evaluate(WALK, ["ArrowRight"] * steps)
    moves = [abs(one["camera"][0] - following["camera"][0]) for one, following in itertools.pairwise(walked)]
    turn = next(k for k, one in enumerate(walked) if one["phase"] == "Turn")
    assert max(moves[turn:-1]) < max(size[0], 3 * max(widths))


# -- the camera --------------------------------------------------------------------------------------------


@SIZES
@pytest.mark.parametrize("name", list(pages()))
def test_text_can_be_read_at_the_start(written, opened, name, size):
    page = opened(written[name], size, reduced_motion="reduce")
    sizes = page.locator("#graph text").evaluate_all("all => all.map((one) => parseFloat(getComputedStyle(one).fontSize) * one.getScreenCTM().a)")
    assert min(sizes) >= 11
    stage = page.locator("#stage").bounding_box()
    page.keyboard.press("ArrowRight")  # what the first step computes was there before the step
    assert inside(page.locator(".card.now .body").bounding_box(), stage)
    assert page.evaluate(ZOOM) >= 1


@SIZES
@pytest.mark.parametrize("name", list(pages()))
def test_steps_do_not_jump(written, opened, name, size):
    """Through all steps and back: the zoom stays, the step's card is in view, and where all its cards were in view nothing moves."""
    page = opened(written[name], size, reduced_motion="reduce")
    zoom, steps = page.evaluate(ZOOM), last_step(page)
    walked = page.evaluate(WALK, ["ArrowRight"] * steps + ["ArrowLeft"] * steps)
    assert len({one["step"] for one in walked}) == steps + 1
    assert {one["zoom"] for one in walked} == {zoom}
    for one in walked:
        assert all(inside(card, one["stage"]) for card in one["now"]), one["step"]
        if all(inside(card, one["stage"], 24) for card in one["before"]):
            assert not one["moved"], one["step"]
    assert sum(bool(one["now"]) for one in walked) >= 2 * steps - 2  # all but the first and the last


def inside(box, stage, margin=0):
    left, top = box.get("left", box.get("x")), box.get("top", box.get("y"))
    bottom = 60 if margin else 0  # where the buttons stand
    return (
        left >= stage["x"] + margin - 0.5
        and top >= stage["y"] + margin - 0.5
        and left + box["width"] <= stage["x"] + stage["width"] - margin + 0.5
        and top + box["height"] <= stage["y"] + stage["height"] - bottom + 0.5
    )


def test_the_users_zoom_stays(written, opened):
    page = opened(written["recurrent"], LAPTOP, reduced_motion="reduce")
    zooms = []
    for name in ("Zoom in", "Zoom out", "Show the whole graph"):
        page.get_by_role("button", name=name).click()
        zoom = page.evaluate(ZOOM)
        zooms.append(zoom)
        for _ in range(6):
            page.keyboard.press("ArrowRight")
            assert page.evaluate(ZOOM) == zoom
    assert zooms == pytest.approx([1.25, 1.0, zooms[2]])
    assert zooms[2] < 0.3


def test_the_camera_glides(written, opened):
    page = opened(written["recurrent"], LAPTOP)
    for _ in range(8):
        page.keyboard.press("ArrowRight")
    assert page.locator("#camera").evaluate("one => getComputedStyle(one).transitionDuration") == "0.45s"


def test_a_model_is_not_folded_into_one_card(tmp_path, opened):
    """A hundred calls: parts are folded, the model is not."""
    page = opened(explore(RecurrentNet(), nn.MSELoss(), np.zeros((2, 100, 2)), np.zeros((2, 1)), tmp_path / "long.html"), LAPTOP)
    assert page.locator(".card.module").count() == 201
    assert page.locator('.frame [aria-label="module RecurrentNet"]').count() == 1


# -- in a notebook -----------------------------------------------------------------------------------------


def test_the_page_works_in_a_notebooks_frame(written, tmp_path, opened):
    """What `explore` shows in a notebook, put into another page."""
    notebook = tmp_path / "notebook.html"
    notebook.write_text(f"<!DOCTYPE html><title>notebook</title><body><p id=own>cell</p>{written['xor']._repr_html_()}", encoding="utf-8")
    page = opened(notebook, LAPTOP, reduced_motion="reduce")
    frame = page.frame_locator("iframe")
    assert frame.locator(".card").count() == 11
    for _ in range(3):
        frame.get_by_role("button", name="Step forward").click()
    assert frame.locator("#count").inner_text() == "step 3 of 15"
    frame.locator('.card[aria-label^="z1,"]').click()
    assert frame.locator("#panel").is_visible()
    (inner,) = page.frames[1:]
    assert inner.evaluate("try { parent.document.title } catch (error) { error.name }") == "SecurityError"
    assert page.inner_text("#own") == "cell"
