"""Drawings laid out by both engines: names that try to break out, what fits where, and missing engines."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import tinygrad_lr as tg
from tests.show import programs
from tests.show.test_draw import X
from tinygrad_lr import nn
from tinygrad_lr.show import draw, observe
from tinygrad_lr.show.picture import number

# -- names that try to break out -------------------------------------------------------------------------


def shown(text):
    return text.replace("\x00", "␀").replace("\x1b", "␛").replace("\ud800", "?")


def texts_of(svg):
    return ["".join(t.itertext()).replace("\xa0", " ").strip() for t in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize("own", [True, False], ids=["dot", "pygraphviz"])
def test_names_show_as_they_are(own, monkeypatch):
    choose(own, monkeypatch)
    svg = draw(programs.badly_named()).svg()
    texts = texts_of(svg)
    for name in programs.NAMES:
        for line in shown(name).split("\n"):
            assert (line if len(line) <= 60 else line[:59] + "…") in texts
    assert {e.tag.rpartition("}")[2] for e in ET.fromstring(svg).iter()} <= {"svg", "g", "title", "text", "path", "polygon", "polyline", "a"}


@pytest.mark.parametrize("own", [True, False], ids=["dot", "pygraphviz"])
def test_modules_with_bad_names_and_reprs(own, monkeypatch):
    choose(own, monkeypatch)

    class Bad(nn.Tanh):
        def settings(self):
            return '"}\\N<script>'

    model = nn.Sequential(**{'}"; <a href="x">\\L': nn.Dense(2, 2, rng=0), "b": Bad()})
    for depth in (None, 1):
        texts = texts_of(draw(model, X, depth=depth).svg())
        assert '}"; <a href="x">\\L' in texts
        assert 'Bad("}\\N<script>)' in texts


# -- layout ----------------------------------------------------------------------------------------------


def choose(own, monkeypatch):
    """Lay out by the ``dot`` on PATH, or with none there by pygraphviz."""
    if own:
        if shutil.which("dot") is None:
            pytest.skip("no Graphviz: there is no program dot on PATH")
    else:
        pytest.importorskip("pygraphviz", reason="pygraphviz is not installed")
        monkeypatch.setenv("PATH", "")


@pytest.mark.parametrize("own", [True, False], ids=["dot", "pygraphviz"])
@pytest.mark.parametrize("suffix, start", [("svg", b"<?xml"), ("png", b"\x89PNG\r\n"), ("pdf", b"%PDF-")])
def test_save(own, suffix, start, tmp_path, monkeypatch):
    choose(own, monkeypatch)
    path = draw(programs.primes()).save(tmp_path / f"graph.{suffix}")
    assert path.read_bytes().startswith(start)


class Block(nn.Module):
    def __init__(self, seed):
        self.inner, self.outer = nn.Dense(4, 4, rng=seed), nn.Dense(4, 4, rng=seed + 1)

    def forward(self, x):
        return x + self.outer(np.maximum(self.inner(x), 0))


class ResidualNet(nn.Module):
    """Three residual blocks between a layer and another."""

    def __init__(self, blocks=3):
        self.stem, self.blocks, self.head = nn.Dense(2, 4, rng=0), [Block(2 * k) for k in range(blocks)], nn.Dense(4, 1, rng=9)

    def forward(self, x):
        h = np.tanh(self.stem(x))
        for block in self.blocks:
            h = block(h)
        return tg.sigmoid(self.head(h))


class RecurrentNet(nn.Module):
    def __init__(self):
        self.wx, self.wh, self.out = nn.Dense(2, 4, rng=0), nn.Dense(4, 4, rng=1), nn.Dense(4, 1, rng=2)

    def forward(self, x):
        h = np.zeros((len(x), 4))
        for t in range(x.shape[1]):
            h = np.tanh(self.wx(x[:, t]) + self.wh(h))
        return self.out(h)


def layout_of(drawing):
    """The places of boxes in Graphviz's layout, in points: name to (left, bottom, right, top); and the whole."""
    layout = json.loads(subprocess.run(["dot", "-Tjson"], input=drawing.source.encode(), capture_output=True, check=True).stdout)
    places = {}
    for one in layout["objects"]:
        if "pos" in one and one["name"][0] in "cvm":
            (x, y), w, h = map(float, one["pos"].split(",")), 72 * float(one["width"]), 72 * float(one["height"])
            places[one["name"]] = (x - w / 2, y - h / 2, x + w / 2, y + h / 2)
    return places, [float(number) for number in layout["bb"].split(",")[2:]]


@pytest.mark.parametrize("graded", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    "net, x, most, filled",
    [(ResidualNet, np.ones((4, 2)), (2000, 2850), 0.2), (RecurrentNet, np.ones((3, 8, 2)), (3200, 3400), 0.13)],
    ids=["residual", "recurrent"],
)
def test_a_drawing_fits(net, x, most, filled, graded, monkeypatch):
    """It was 4,059 by 4,523 pixels (6,979 by 4,537 with gradients), with 4 % of them in boxes; an unrolled loop 8,058 by 1,309."""
    choose(True, monkeypatch)
    with observe():
        loss = nn.MSELoss()(net()(x), np.ones((len(x), 1)))
    if graded:
        loss.backward(retain_graph=True)
    places, size = layout_of(draw(loss))
    width, height = (length * 96 / 72 for length in size)  # Graphviz's own 96 dpi
    assert width < most[0]
    assert height < most[1]
    assert sum((right - left) * (top - bottom) for left, bottom, right, top in places.values()) / (size[0] * size[1]) > filled


def test_the_way_of_the_data_is_straight(monkeypatch):
    """Each layer stands below the one before it, its weight on its left and its bias on its right."""
    choose(True, monkeypatch)
    _, loss = programs.two_layers()
    drawing = draw(loss)
    places, _ = layout_of(drawing)
    ids = {b.label: b.id for b in drawing.picture.boxes if b.kind != "op"}
    spine = [places[ids[name]] for name in ("x", "z1", "a1", "z2", "a2", "L")]
    for above, below in itertools.pairwise(spine):
        assert above[1] > below[3]
        assert abs((above[0] + above[2]) - (below[0] + below[2])) / 2 < 30
    for n in "12":
        w, z, b = (places[ids[letter + n]] for letter in "wzb")
        assert w[2] < z[0] < z[2] < b[0]


def test_a_parameter_used_again_stands_there_by_its_name():
    layer = nn.Dense(2, 2, rng=0)
    with observe():
        loss = layer(np.tanh(layer(X))).sum()
    source = draw(loss).source
    assert source.count("<<I><B>w1</B></I>>") == source.count("<<I><B>b1</B></I>>") == 1
    assert source.count(number(layer.weight.data[0, 0])) == 1


@pytest.mark.parametrize("own", [True, False], ids=["dot", "pygraphviz"])
def test_notebooks_show_it(own, monkeypatch):
    choose(own, monkeypatch)
    bundle = draw(programs.primes())._repr_mimebundle_()
    assert set(bundle) == {"image/svg+xml", "text/plain"}
    assert "0.weight" in texts_of(bundle["image/svg+xml"])


def test_without_an_engine_the_source_is_still_there(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    drawing = draw(programs.primes())
    assert drawing.save(tmp_path / "graph.gv").read_text(encoding="utf-8") == drawing.source
    with pytest.raises(RuntimeError, match=r"tinygrad_lr\[draw\].*dot is on PATH.*graph\.gv") as raised:
        drawing.save(tmp_path / "graph.svg")
    assert ".svg" in str(raised.value)
    assert not (tmp_path / "graph.svg").exists()
    assert drawing._repr_svg_() is None
    assert "tinygrad_lr[draw]" in drawing._repr_mimebundle_()["text/plain"]


def test_a_failing_dot_is_reported(tmp_path, monkeypatch):
    script = tmp_path / "dot"
    script.write_text("#!/bin/sh\necho went wrong >&2\nexit 3\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(RuntimeError, match="failed with status 3: went wrong"):
        draw(programs.primes()).svg()
