"""``python -m tinygrad_lr check``: every rule and every layer has a sample, and passes."""

from __future__ import annotations

import numpy as np

import tinygrad_lr as tg
from tinygrad_lr import nn
from tinygrad_lr.autodiff.rules import COMPOSITES, RULES
from tinygrad_lr.autodiff.rules.registry import PUBLIC, load_all, name_of, public_name
from tinygrad_lr.check.everything import check_everything, networks, sample_of


def test_everything_passes():
    load_all()
    everything = [func for func in (*RULES, *COMPOSITES) if name_of(func) != "<lambda>"]  # doctests make some
    own = [func for func in everything if getattr(func, "__module__", "numpy").startswith(("numpy", "tinygrad_lr"))]  # and tests
    ok, table = check_everything(own)
    assert ok, table
    lines = table.splitlines()
    assert lines[0].split()[-8:] == ["float64,", "1", "float64,", "2", "float32,", "1", "float32,", "2"]
    names = {line.split()[0] for line in lines[1:] if line}
    assert {public_name(func) for func in own} <= names
    assert not {name_of(func) for func in PUBLIC} & names
    assert {"Dense", "Sigmoid", "BCELoss()", "log_ndtr"} <= names


def test_every_layer_and_loss_is_among_them():
    kinds = {thing.__name__ for thing in vars(nn).values() if isinstance(thing, type) and issubclass(thing, nn.Module)} - {"Module", "Activation", "Loss"}
    used = " ".join(f"{name} {model!r} {loss_fn!r}" for name, (model, loss_fn, _, _) in networks("float64").items())
    assert [kind for kind in sorted(kinds) if f"{kind}(" not in used] == []


def test_a_new_rule_needs_no_line():
    cube = tg.primitive(lambda x: x**3, lambda g, y, x: g * 3 * x**2)
    try:
        assert sample_of(cube) is not None
    finally:
        del RULES[cube]


def test_a_wrong_rule_and_a_missing_sample_are_reported():
    wrong = tg.primitive(lambda x: x**3, lambda g, y, x: g * 2 * x**2)
    picky = tg.primitive(lambda x: np.reshape(x, (7, 11)), lambda g, y, x: np.reshape(g, x.shape))
    try:
        ok, table = check_everything([wrong])
        assert not ok
        assert "wrong: <lambda>" in table
        ok, table = check_everything([picky])
        assert not ok
        assert "without a sample: <lambda>" in table
    finally:
        del RULES[wrong], RULES[picky]
