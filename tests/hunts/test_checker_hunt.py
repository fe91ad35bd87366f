"""A hunt for false alarms of the gradient check, and for faults that it misses.

A few cases of each family by default; ``TINYGRAD_LR_HUNT=20 pytest tests/hunts/test_checker_hunt.py`` draws twenty times as many
(some 2,000 right gradients).
"""

from __future__ import annotations

import os

import pytest

from benchmarks.gradcheck_families import FAMILIES, right, wrong

CASES = 8 * int(os.environ.get("TINYGRAD_LR_HUNT", "1"))
HIDDEN = {"saturated": 0.8, "cancelling": 0.8, "log softmax": 0.95, "hidden": 0.8}
"""The part of faults that is found in families whose rounding may be larger than the fault."""


@pytest.mark.parametrize("family", FAMILIES)
def test_no_right_gradient_is_called_wrong(family):
    reports = {seed: right(family, seed) for seed in range(CASES)}
    assert {seed: str(report) for seed, report in reports.items() if not report.ok} == {}


@pytest.mark.parametrize("family", FAMILIES)
def test_wrong_gradients_are_found(family):
    reports = {seed: report for seed in range(CASES) if (report := wrong(family, seed)) is not None}
    missed = {seed: str(report) for seed, report in reports.items() if report.ok}
    assert len(reports) > CASES / 2
    assert len(missed) <= (1 - HIDDEN[family]) * len(reports) + 1 if family in HIDDEN else not missed
