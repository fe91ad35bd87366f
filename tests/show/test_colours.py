"""Signs, and classes, differ in colour for the colour-blind too: measured on the page's own style sheet.

Colour blindness is simulated by the matrices of Machado, Oliveira and Fernandes (2009) at full severity, on linear
RGB; differences are CIEDE2000, after the paper of Sharma, Wu and Dalal (2005), with its test pairs.
"""

from __future__ import annotations

import itertools
import re
from importlib.resources import files

import numpy as np
import pytest

LEAST = 20

SEEN = {
    "by most people": np.eye(3),
    "with protanopia": np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]),
    "with deuteranopia": np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]),
    "with tritanopia": np.array([[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]),
}
XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]])


def tones(theme):
    """The style sheet's colours of one theme, by their names."""
    style = (files("tinygrad_lr.show") / "page" / "page.css").read_text(encoding="utf-8")
    return {name: both[theme == "dark"] for name, *both in re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", style)}


def linear(colour):
    c = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def lab(colour, seen):
    ratio = XYZ @ np.clip(SEEN[seen] @ linear(colour), 0, 1) / (0.95047, 1, 1.08883)
    f = np.where(ratio > 216 / 24389, np.cbrt(ratio), (24389 / 27 * ratio + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def difference(one, other):
    """CIEDE2000 of two colours in L*a*b*."""
    (l1, a1, b1), (l2, a2, b2) = one, other
    mean = (np.hypot(a1, b1) + np.hypot(a2, b2)) / 2
    a1, a2 = (a * (1.5 - np.sqrt(mean**7 / (mean**7 + 25**7)) / 2) for a in (a1, a2))
    c1, c2 = np.hypot(a1, b1), np.hypot(a2, b2)
    h1, h2 = (np.degrees(np.arctan2(b, a)) % 360 for a, b in ((a1, b1), (a2, b2)))
    turn = (h2 - h1 + 180) % 360 - 180 if c1 * c2 else 0
    l, c, h = (l1 + l2) / 2, (c1 + c2) / 2, h1 + turn / 2 if c1 * c2 else h1 + h2  # noqa: E741
    t = 1 - 0.17 * cos(h - 30) + 0.24 * cos(2 * h) + 0.32 * cos(3 * h + 6) - 0.2 * cos(4 * h - 63)
    d_l = (l2 - l1) / (1 + 0.015 * (l - 50) ** 2 / np.sqrt(20 + (l - 50) ** 2))
    d_c = (c2 - c1) / (1 + 0.045 * c)
    d_h = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn / 2)) / (1 + 0.015 * c * t)
    r = -2 * np.sqrt(c**7 / (c**7 + 25**7)) * np.sin(np.radians(60 * np.exp(-((((h % 360) - 275) / 25) ** 2))))
    return np.sqrt(d_l**2 + d_c**2 + d_h**2 + r * d_c * d_h)


def cos(degrees):
    return np.cos(np.radians(degrees))


@pytest.mark.parametrize(
    "one, other, expected",
    [
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, 2.49, -0.001), (50, -2.49, 0.0011), 7.2195),
        ((50, 2.5, 0), (73, 25, -18), 27.1492),
        ((50, 2.5, 0), (58, 24, 15), 19.4535),
        ((63.0109, -31.0961, -5.8663), (62.8187, -29.7946, -4.0864), 1.2630),
        ((2.0776, 0.0795, -1.135), (0.9033, -0.0636, -0.5514), 0.9082),
    ],
)
def test_the_measure_of_difference(one, other, expected):
    assert difference(one, other) == pytest.approx(expected, abs=1e-4)


def test_the_simulation_keeps_greys():
    for seen in SEEN:
        np.testing.assert_allclose(lab("#808080", seen), lab("#808080", "by most people"), atol=0.1)


@pytest.mark.parametrize("seen", SEEN)
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("kind", ["value", "gradient"])
def test_signs_differ_in_colour(kind, theme, seen):
    names = (kind, f"{kind}-negative", "card", "paper", "sunk")
    plus, minus, *grounds = (lab(tones(theme)[name], seen) for name in names)
    assert difference(plus, minus) > LEAST
    for ground in grounds:
        assert difference(plus, ground) > LEAST
        assert difference(minus, ground) > LEAST


@pytest.mark.parametrize("seen", SEEN)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_values_and_gradients_differ_in_colour(theme, seen):
    assert difference(lab(tones(theme)["value"], seen), lab(tones(theme)["gradient"], seen)) > LEAST


@pytest.mark.parametrize("seen", SEEN)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_classes_have_colours_of_their_own(theme, seen):
    """Six classes cannot be 20 away from the four tones of the signs for everyone; their shapes tell them apart as well."""
    classes = [lab(tones(theme)[f"class-{k}"], seen) for k in range(6)]
    signs = [lab(tones(theme)[name], seen) for name in ("value", "value-negative", "gradient", "gradient-negative")]
    assert min(difference(one, other) for one, other in itertools.combinations(classes, 2)) > LEAST
    assert min(difference(one, other) for one in classes for other in signs) > (18 if seen == "by most people" else 8)
