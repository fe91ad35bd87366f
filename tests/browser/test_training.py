"""The training view of the page in a real browser: epochs, keys, axes, classes, parameters, and that nothing is cut off."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from tinygrad_lr import cli, nn
from tinygrad_lr.show.explorer import explore
from tinygrad_lr.show.picture import number

X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
Y = np.array([[0.0], [1.0], [1.0], [0.0]])
SIZES = [(1440, 900), (1920, 1080), (390, 844)]


def trained(model, loss_fn, x, y, epochs, every=1, lr=0.5):
    """The loss at each epoch, and the state every few epochs."""
    optimizer = nn.SGD(model.parameters(), lr=lr)
    history = []
    for epoch in range(epochs):
        loss = loss_fn(model(x), y)
        history.append((loss.item(), None if epoch % every else model.state_dict()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return history


def xor_page(path):
    model = nn.Sequential(nn.Dense(2, 3, rng=0), nn.Tanh(), nn.Dense(3, 1, rng=1), nn.Sigmoid())
    history = trained(model, nn.BCELoss(), X, Y, epochs=100, lr=1.0)
    return explore(model, nn.BCELoss(), X, Y, path, history), history


def classes_page(path, classes=8):
    rng = np.random.default_rng(0)
    y = np.arange(80) % classes
    x = 2 * np.stack([np.cos(2 * np.pi * y / classes), np.sin(2 * np.pi * y / classes)], axis=1) + 0.2 * rng.normal(size=(80, 2))
    model = nn.Sequential(nn.Dense(2, 16, rng=0), nn.Tanh(), nn.Dense(16, classes, rng=1))
    return explore(model, nn.CrossEntropyLoss(), x, y, path, trained(model, nn.CrossEntropyLoss(), x, y, 60))


def mlp_page(path):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(32, 100)), np.arange(32) % 10
    model = nn.Sequential(nn.Dense(100, 64, rng=0), nn.ReLU(), nn.Dense(64, 10, rng=1))
    return explore(model, nn.CrossEntropyLoss(), x, y, path, trained(model, nn.CrossEntropyLoss(), x, y, 30))


def curve_page(path, history=None):
    x = np.linspace(-3, 3, 30)[:, None]
    model = nn.Sequential(nn.Dense(1, 6, rng=0), nn.Tanh(), nn.Dense(6, 1, rng=1))
    return explore(model, nn.MSELoss(), x, np.sin(x), path, history or trained(model, nn.MSELoss(), x, np.sin(x), 200, lr=0.1))


def three_page(path):
    x = np.linspace(-3, 3, 30)[:, None]
    y = (x[:, 0] > -1).astype(int) + (x[:, 0] > 1)
    model = nn.Sequential(nn.Dense(1, 8, rng=0), nn.Tanh(), nn.Dense(8, 3, rng=1))
    return explore(model, nn.CrossEntropyLoss(), x, y, path, trained(model, nn.CrossEntropyLoss(), x, y, 60))


@pytest.fixture(scope="module")
def xor(tmp_path_factory):
    return xor_page(tmp_path_factory.mktemp("pages") / "xor.html")


@pytest.fixture(scope="module")
def pages(tmp_path_factory, xor):
    folder = tmp_path_factory.mktemp("pages")
    makers = {"classes": classes_page, "mlp": mlp_page, "curve": curve_page, "three": three_page}
    return {"xor": xor[0]} | {name: maker(folder / f"{name}.html") for name, maker in makers.items()}


def training(page):
    """The page in its training view, chosen by mouse."""
    page.get_by_role("tab", name="Training").click()
    return page


def epoch(page):
    return int(re.match(r"epoch ([\d,]+) of", page.inner_text("#epoch"))[1].replace(",", ""))


def rows(page, path):
    return [row.split() for row in parameter(page, path).locator(".numbers tr").all_inner_texts()]


def parameter(page, path):
    return page.locator("#training .parameter").filter(has=page.locator("h3", has_text=path))


# -- the epochs --------------------------------------------------------------------------------------------


def test_the_primes_page_of_the_main_job_has_its_2500_epochs(capsys, opened):
    assert cli.main([]) == 0
    printed = capsys.readouterr().out
    page = training(opened(Path(re.search(r"\S+primes\.html", printed)[0])))
    slider = page.get_by_role("slider", name="Epoch")
    assert (slider.get_attribute("min"), slider.get_attribute("max")) == ("0", "2500")
    loss = float(re.search(r"([\d.]+) at the end", printed)[1])
    status = page.inner_text("#epoch").split("\n")
    assert status[0].startswith("epoch 2,500 of 2,500, loss ")
    assert float(status[0].split()[-1]) == pytest.approx(loss, abs=1e-6)
    w, b = (float(re.search(rf"^  {name} +(\S+)", printed, re.M)[1]) for name in "wb")
    assert (rows(page, "0.weight"), rows(page, "0.bias")) == ([[number(w)]], [[number(b)]])
    page.evaluate("document.body.focus()")
    page.keyboard.press("ArrowLeft")
    assert page.inner_text("#epoch").split("\n")[1] == "network as of epoch 2,475, the snapshot before"
    assert "epochs 0 to 2,500" in page.inner_text("#training")


def test_each_epoch_has_its_loss_and_the_nearest_earlier_snapshot(tmp_path, opened):
    model = nn.Sequential(nn.Dense(2, 3, rng=0), nn.Tanh(), nn.Dense(3, 1, rng=1), nn.Sigmoid())
    history = trained(model, nn.BCELoss(), X, Y, epochs=70, every=30)
    page = training(opened(explore(model, nn.BCELoss(), X, Y, tmp_path / "page.html", history)))
    for at, snapshot in ((0, 0), (29, 0), (30, 30), (59, 30), (69, 60)):
        page.get_by_role("slider", name="Epoch").fill(str(at))
        first, second = page.inner_text("#epoch").split("\n")
        assert first == f"epoch {at} of 69, loss {history[at][0]:.6g}"
        assert second == ("network as of this epoch" if at == snapshot else f"network as of epoch {snapshot}, the snapshot before")
        assert rows(page, "0.weight") == [[number(x) for x in row] for row in history[snapshot][1]["0.weight"]]
        assert rows(page, "0.bias") == [[number(x) for x in history[snapshot][1]["0.bias"]]]


def test_losses_and_snapshots_at_some_epochs_only(tmp_path, opened):
    model = nn.Dense(1, 1, rng=0)
    history = [(10, 0.5, None), (20, 0.25, model.state_dict()), (40, 0.125, None)]
    page = training(opened(explore(model, nn.MSELoss(), X[:, :1], Y, tmp_path / "page.html", history)))
    slider = page.get_by_role("slider", name="Epoch")
    slider.fill("33")
    assert page.inner_text("#epoch").split("\n") == ["epoch 33 of 40, loss at epoch 20 0.25", "network as of epoch 20, the snapshot before"]
    slider.fill("10")
    assert page.inner_text("#epoch").split("\n") == ["epoch 10 of 40, loss 0.5", "network as of epoch 20, the first snapshot"]
    history = [(1_234_567, 0.5, model.state_dict()), (1_234_569, 0.25, None)]
    page = training(opened(explore(model, nn.MSELoss(), X[:, :1], Y, tmp_path / "page.html", history)))
    assert page.inner_text("#epoch").split("\n") == ["epoch 1,234,569 of 1,234,569, loss 0.25", "network as of epoch 1,234,567, the snapshot before"]


def test_the_output_moves_with_the_epoch(xor, opened, pages):
    page = training(opened(xor[0]))
    picture = page.locator("#training image.regions")
    last = picture.get_attribute("href")
    page.get_by_role("button", name="First epoch").click()
    assert picture.get_attribute("href") != last
    page = training(opened(pages["curve"]))
    last = page.locator("#training .curve").get_attribute("d")
    page.get_by_role("button", name="First epoch").click()
    assert page.locator("#training .curve").get_attribute("d") != last


def test_the_curve_of_one_feature_rises_as_its_neuron_does(tmp_path, opened):
    model = nn.Sequential(nn.Dense(1, 1, rng=0), nn.Sigmoid())
    history = [(1.0, model.state_dict()), (0.5, {"0.weight": np.array([[9.0]]), "0.bias": np.array([-4.5])})]
    page = training(opened(explore(model, nn.BCELoss(), X[:, :1], X[:, :1], tmp_path / "page.html", history)))
    line = page.locator("#training .curve").get_attribute("d")
    heights = [float(point.split(",")[1]) for point in line[1:].split("L")]
    assert heights == sorted(heights, reverse=True)
    assert heights[0] - heights[-1] > 200


# -- keys --------------------------------------------------------------------------------------------------


def test_keys_work_without_finding_the_slider_first(xor, opened):
    page = training(opened(xor[0]))
    assert page.evaluate("document.activeElement === document.body")
    for key, at in [
        ("ArrowLeft", 98),
        ("ArrowLeft", 97),
        ("ArrowRight", 98),
        ("Home", 0),
        ("ArrowLeft", 0),
        ("ArrowRight", 1),
        ("End", 99),
        ("ArrowRight", 99),
    ]:
        page.keyboard.press(key)
        assert epoch(page) == at
    assert page.inner_text("#training .keys").split() == ["←", "→", "epoch,", "Shift", "←", "→", "snapshot,", "Space", "plays"]


def test_keys_act_on_the_view_that_is_shown(xor, opened):
    page = training(opened(xor[0]))
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    page.get_by_role("tab", name="One pass").click()
    assert page.inner_text("#count") == "step 0 of 15"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#count") == "step 2 of 15"
    training(page)
    assert epoch(page) == 1


def test_shift_steps_from_snapshot_to_snapshot(tmp_path, opened):
    page = training(opened(curve_page(tmp_path / "page.html", [(1.0 / (k + 1), STATE if k in (0, 30, 60) else None) for k in range(81)])))
    for key, at in [
        ("Shift+ArrowLeft", 60),
        ("Shift+ArrowLeft", 30),
        ("ArrowRight", 31),
        ("Shift+ArrowLeft", 30),
        ("Shift+ArrowRight", 60),
        ("Shift+ArrowRight", 80),
    ]:
        page.keyboard.press(key)
        assert epoch(page) == at
    page.get_by_role("slider", name="Epoch").focus()
    page.keyboard.press("Shift+ArrowLeft")
    assert epoch(page) == 60


STATE = nn.Sequential(nn.Dense(1, 6, rng=0), nn.Tanh(), nn.Dense(6, 1, rng=1)).state_dict()


def test_space_plays_to_the_last_epoch_and_pauses(xor, opened):
    page = opened(xor[0])
    page.clock.install()
    training(page)
    page.keyboard.press(" ")  # from the last epoch it starts over
    assert page.get_by_role("button", name="Pause").get_attribute("aria-pressed") == "true"
    assert page.get_attribute("#epoch", "aria-live") == "off"
    page.clock.run_for(3000)
    page.keyboard.press(" ")
    reached = epoch(page)
    assert 15 < reached < 99
    page.clock.run_for(3000)
    assert epoch(page) == reached
    page.get_by_role("button", name="Play").click()
    page.clock.run_for(12_000)
    assert epoch(page) == 99
    assert page.get_by_role("button", name="Play").get_attribute("aria-pressed") == "false"
    assert page.get_attribute("#epoch", "aria-live") == "polite"


def test_playing_stops_when_the_view_is_left(xor, opened):
    page = opened(xor[0])
    page.clock.install()
    training(page)
    page.keyboard.press(" ")
    page.clock.run_for(1000)
    page.get_by_role("tab", name="One pass").click()
    page.clock.run_for(3000)
    assert page.inner_text("#count") == "step 0 of 15"
    training(page)
    assert epoch(page) < 90
    assert page.get_by_role("button", name="Play").get_attribute("aria-pressed") == "false"


def test_fields_sliders_and_buttons_keep_their_own_keys(xor, opened):
    page = training(opened(xor[0]))
    page.get_by_role("slider", name="Epoch").focus()
    page.keyboard.press("ArrowLeft")
    assert epoch(page) == 98  # once, not twice
    page.keyboard.press("PageDown")
    assert epoch(page) < 95
    toggle = page.get_by_role("button", name="Log scale")
    toggle.focus()
    page.keyboard.press(" ")
    assert toggle.get_attribute("aria-pressed") == "true"
    assert page.get_by_role("button", name="Play").is_visible()  # and does not say Pause
    page.get_by_role("tab", name="One pass").focus()
    page.keyboard.press("ArrowLeft")
    assert page.locator("#pass").is_visible()
    before = epoch_of_slider(page)
    page.get_by_role("searchbox").focus()
    page.keyboard.type("w 1")
    page.keyboard.press("Home")
    assert page.get_by_role("searchbox").input_value() == "w 1"
    assert (epoch_of_slider(page), page.inner_text("#count")) == (before, "step 0 of 15")


def epoch_of_slider(page):
    return page.evaluate("document.getElementById('epochs').value")


# -- axes --------------------------------------------------------------------------------------------------


def axis(page, plot, name):
    """The numbers at the ticks of an axis, and their positions."""
    texts = page.locator(f"{plot} text.tick").evaluate_all(
        "all => all.map((one) => [one.textContent, +one.getAttribute('x'), +one.getAttribute('y'), one.getAttribute('text-anchor')])"
    )
    chosen = [(float(text.replace(",", "").replace("−", "-")), x, y) for text, x, y, anchor in texts if anchor == {"x": "middle", "y": "end"}[name]]
    return [value for value, _, _ in chosen], [x if name == "x" else y - 4 for _, x, y in chosen]  # a text stands on its line


LOSS = '#training svg[aria-label^="the loss"]'


@pytest.mark.parametrize("size", SIZES)
def test_axes_have_titles_and_ticks_with_round_numbers(pages, opened, size):
    for name, path in pages.items():
        page = training(opened(path, size))
        plots = page.locator("#training .plot svg[role=img]").all()
        assert len(plots) == {"xor": 6, "classes": 3, "mlp": 2, "curve": 6, "three": 5}[name]
        for plot in plots:
            titles = plot.locator("text.title").all_text_contents()
            assert titles[0] in {"loss", "value", "output", "probability of each class", "input x[:, 1]"}
            assert titles[1] in {"epoch", "input x", "input x[:, 0]"}
            label = plot.get_attribute("aria-label")
            for which in "xy":
                values, places = axis(page, f'#training svg[aria-label="{label}"]', which)
                assert len(values) >= 2
                steps = np.diff(values)
                np.testing.assert_allclose(steps, steps[0], rtol=1e-6)
                assert f"{steps[0]:.0e}"[0] in "125"
                np.testing.assert_allclose(np.diff(places), np.diff(places)[0], atol=0.1)
        assert all(value == int(value) for value in axis(page, LOSS, "x")[0])


def test_the_marker_is_at_the_epoch_and_its_loss(xor, opened):
    page = training(opened(xor[0]))
    page.get_by_role("slider", name="Epoch").fill("40")
    for which, value, at in (("x", 40, "cx"), ("y", xor[1][40][0], "cy")):
        values, places = axis(page, LOSS, which)
        slope, start = np.polyfit(values, places, 1)
        assert float(page.locator(f"{LOSS} .here").get_attribute(at)) == pytest.approx(start + slope * value, abs=0.2)


@pytest.mark.parametrize("losses, ticks", [(np.geomspace(3e4, 2e-6, 50), 3), (np.linspace(0.9, 0.11, 50), 3), (np.linspace(0.6932, 0.6929, 50), 3)])
def test_the_loss_on_a_log_scale(tmp_path, opened, losses, ticks):
    page = training(opened(curve_page(tmp_path / "page.html", [(loss, STATE) for loss in losses])))
    toggle = page.get_by_role("button", name="Log scale")
    assert toggle.get_attribute("aria-pressed") == "false"
    toggle.click()
    assert toggle.get_attribute("aria-pressed") == "true"
    values, places = axis(page, LOSS, "y")
    assert len(values) >= ticks
    slope, start = np.polyfit(np.log(values), places, 1)
    np.testing.assert_allclose(places, start + slope * np.log(values), atol=0.2)
    assert float(page.locator(f"{LOSS} .here").get_attribute("cy")) == pytest.approx(start + slope * np.log(losses[-1]), abs=0.3)
    toggle.click()
    assert 0 in axis(page, LOSS, "y")[0]


def test_a_loss_without_a_logarithm_or_a_number(tmp_path, opened):
    page = training(opened(curve_page(tmp_path / "page.html", [(loss, STATE) for loss in (2.0, 0.0, np.nan, np.inf, -1.0, 0.5)])))
    toggle = page.get_by_role("button", name="Log scale")
    note = page.get_by_text("a loss of 0 or below has no place on a log scale")
    assert note.is_hidden()
    assert page.locator(f"{LOSS} .losses").get_attribute("d").count("M") == 2  # a gap where there is no number
    toggle.click()
    assert note.is_visible()
    for at, loss in enumerate(["2", "0", "nan", "inf", "-1", "0.5"]):
        page.get_by_role("slider", name="Epoch").fill(str(at))
        assert page.inner_text("#epoch").split("\n")[0] == f"epoch {at} of 5, loss {loss}"
        assert page.locator(f"{LOSS} .here").count() == (loss in ("2", "0.5"))
    page = training(opened(curve_page(tmp_path / "page.html", [(0.0, STATE)])))
    assert page.get_by_role("button", name="Log scale").is_disabled()


# -- classes -----------------------------------------------------------------------------------------------


def test_the_legend_tells_the_classes_apart_as_the_data_shows_them(pages, opened):
    page = training(opened(pages["classes"]))
    legend = page.get_by_role("list", name="Classes")
    assert legend.get_by_role("listitem").all_inner_texts() == [f"class {k}" for k in range(8)]
    look = "all => all.map((one) => [getComputedStyle(one).fill, one.getAttribute('d')])"
    marks = [tuple(mark) for mark in legend.locator(".point").evaluate_all(look)]
    assert len(set(marks)) == 8
    assert len({fill for fill, _ in marks}) == len({shape for _, shape in marks}) == 6
    shown = [tuple(mark) for mark in page.locator("#training svg[role=img] .point").evaluate_all(look)]
    assert shown == [marks[k % 8] for k in range(80)]


def test_two_classes_have_a_scale_of_the_probability(xor, opened):
    page = training(opened(xor[0]))
    assert page.locator("#training .scale").first.inner_text().split("\n") == ["probability of class 1", "0", "0.5", "1"]
    assert page.get_by_role("list", name="Classes").get_by_role("listitem").count() == 2
    assert page.locator("#training svg[role=img] .point").count() == 4


# -- parameters --------------------------------------------------------------------------------------------


def test_the_weights_of_every_layer_are_shown_with_name_and_shape(pages, opened):
    page = training(opened(pages["mlp"]))
    heads = [re.sub(r"\s+", " ", head) for head in page.locator("#training .parameter h3").all_inner_texts()]
    assert heads == ["w1 0.weight 64 × 100", "b1 0.bias 64", "w2 2.weight 10 × 64", "b2 2.bias 10"]
    maps = page.locator("#training .map canvas")
    assert maps.count() == 3
    painted = "all => all.map((one) => one.toDataURL())"
    last = maps.evaluate_all(painted)
    legend = parameter(page, "0.weight").locator(".scale .ends").inner_text().split()
    assert legend[1] == "0"
    assert legend[0] == "−" + legend[2].removeprefix("+")
    assert float(legend[2]) > 0
    assert "a cell is the mean of up to 2 × 3" in parameter(page, "0.weight").inner_text()
    page.keyboard.press("Home")
    assert all(a != b for a, b in zip(maps.evaluate_all(painted), last))
    assert parameter(page, "0.weight").locator(".scale .ends").inner_text().split() == legend  # one scale for all epochs


def test_few_numbers_are_lines_over_the_epochs(xor, opened):
    page = training(opened(xor[0]))
    page.get_by_role("slider", name="Epoch").fill("0")
    plot = parameter(page, "0.weight").locator("svg")
    assert plot.locator(".line").count() == 6
    assert sorted(plot.locator(".name").all_text_contents()) == [f"[{i}, {j}]" for i in range(3) for j in range(2)]
    values, places = axis(page, '#training svg[aria-label="0.weight over the epochs"]', "y")
    slope, start = np.polyfit(values, places, 1)
    heights = plot.locator(".dot").evaluate_all("all => all.map((one) => +one.getAttribute('cy'))")
    np.testing.assert_allclose(heights, start + slope * xor[1][0][1]["0.weight"].ravel(), atol=0.2)


# -- sizes and people --------------------------------------------------------------------------------------

# What is wrong with the texts and boxes of the view: too small, cut off, or one over the other.
FAULTS = """() => {
  const faults = [];
  const view = document.getElementById("training");
  const rect = (one) => one.getBoundingClientRect();
  const seen = (one) => one.checkVisibility() && one.getClientRects().length;
  const name = (one) => `${one.tagName}.${one.getAttribute("class") ?? ""} ${one.textContent.slice(0, 40)}`;
  const inside = (a, b, by) => a.left >= b.left - by && a.right <= b.right + by && a.top >= b.top - by && a.bottom <= b.bottom + by;
  const overlap = (a, b) => [Math.min(a.right, b.right) - Math.max(a.left, b.left), Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top)];

  for (const one of [...view.querySelectorAll("*")].filter(seen)) {
    const words = [...one.childNodes].some((child) => child.nodeType === Node.TEXT_NODE && child.data.trim());
    if (words && parseFloat(getComputedStyle(one).fontSize) < 11) faults.push(`small: ${name(one)}`);
    if (!(one instanceof HTMLElement) || !one.clientWidth || getComputedStyle(one).display === "inline") continue;
    if (one.scrollWidth > one.clientWidth + 1) faults.push(`wide: ${name(one)}`);
    const scrolls = one.matches(".board"), lines = one.matches("tr, tbody, table, .symbol");
    if (!scrolls && !lines && one.scrollHeight > one.clientHeight + 2) faults.push(`high: ${name(one)}`);
  }

  for (const svg of view.querySelectorAll("svg[role=img]")) {
    const label = svg.getAttribute("aria-label");
    const texts = [...svg.querySelectorAll("text")];
    texts.forEach((text, k) => {
      if (!inside(rect(text), rect(svg), 0.5)) faults.push(`outside: ${name(text)} of ${label}`);
      for (const other of texts.slice(0, k)) {
        const [across, down] = overlap(rect(text), rect(other));
        if (across > 0.5 && down > 2.5) faults.push(`over: ${name(text)} and ${name(other)} of ${label}`); // 2 pixels above the letters
      }
    });
    for (const mark of svg.querySelectorAll(".point, .here, .dot")) if (!inside(rect(mark), rect(svg), 1)) faults.push(`outside: a mark of ${label}`);
  }

  for (const parent of view.querySelectorAll(".board, .side, .plot, .head, .parameters, .parameter, .controls, .numbers tr, .scale, .classes")) {
    const children = [...parent.children].filter(seen);
    children.forEach((child, k) => {
      const under = children.slice(0, k).filter((other) => Math.min(...overlap(rect(child), rect(other))) > 0.5);
      faults.push(...under.map((other) => `over: ${name(child)} and ${name(other)}`));
    });
  }

  const board = view.querySelector(".board");
  for (const plot of board.querySelectorAll(".plot")) {
    plot.scrollIntoView({ block: "end" });
    const [box, frame] = [rect(plot), rect(board)];
    if (box.left < frame.left - 1 || box.right > frame.right + 1 || box.bottom > frame.bottom + 1) faults.push(`cannot be reached: ${name(plot)}`);
  }
  if (!inside(rect(view.querySelector(".controls")), { left: 0, top: 0, right: innerWidth, bottom: innerHeight }, 0.5)) faults.push("controls outside");
  if (document.documentElement.scrollWidth > innerWidth) faults.push("the page is wider than the window");
  return faults;
}"""


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["xor", "classes", "mlp", "curve", "three"])
def test_nothing_is_cut_off_or_too_small(pages, opened, name, size):
    page = training(opened(pages[name], size))
    for key in ("End", "Home"):
        page.keyboard.press(key)
        assert page.evaluate(FAULTS) == []
    page.get_by_role("button", name="Log scale").click()
    assert page.evaluate(FAULTS) == []


def test_the_measure_sees_faults(xor, opened):
    page = training(opened(xor[0]))
    for style in (
        "#training svg text { font-size: 9px }",
        "#training svg text { font-size: 40px }",
        "#training .side { width: 60rem }",
        "#training .head { height: 1rem; overflow: hidden }",
    ):
        tag = page.add_style_tag(content=style)
        assert page.evaluate(FAULTS) != []
        tag.evaluate("one => one.remove()")
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")  # the plots are drawn again
    assert page.evaluate(FAULTS) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["classes", "mlp", "curve"])
@pytest.mark.parametrize("size", [(390, 844), (1440, 900)])
def test_accessibility(pages, opened, axe_findings, name, scheme, size):
    page = training(opened(pages[name], size, scheme, reduced_motion="reduce"))
    assert axe_findings(page) == []


def test_colours_follow_the_theme(xor, opened):
    page = training(opened(xor[0]))
    pictures = (
        "[...document.querySelectorAll('#training .bar canvas')].map((one) => one.toDataURL()).concat(document.querySelector('#training image').href.baseVal)"
    )
    light = page.evaluate(pictures)
    page.get_by_role("button", name="Dark colours").click()
    assert all(a != b for a, b in zip(light, page.evaluate(pictures)))


def test_without_a_history_there_is_no_training_view(tmp_path, opened):
    model = nn.Sequential(nn.Dense(2, 1, rng=0), nn.Sigmoid())
    page = opened(explore(model, nn.BCELoss(), X, Y, tmp_path / "page.html"))
    assert page.get_by_role("tab").count() == 0
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#count").startswith("step 1 of")
