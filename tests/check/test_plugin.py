"""The pytest fixture, in pytest runs of its own."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
from zlib import crc32

import pytest

pytest_plugins = ["pytester"]

PLUGIN = "tinygrad_lr.check.pytest_plugin"
INSTALLED = any(point.value == PLUGIN for point in entry_points(group="pytest11"))


def run(pytester: pytest.Pytester, *args: str) -> pytest.RunResult:
    """A run in this process, with the plugin, whether or not it is installed as an entry point."""
    return pytester.runpytest("-p", "no:benchmark", "-p", "no:cacheprovider", *(() if INSTALLED else ("-p", PLUGIN)), *args)


def test_a_right_gradient_passes(pytester):
    pytester.makepyfile(
        """
        import numpy as np

        def test_tanh(gradcheck):
            report = gradcheck(np.tanh, np.array([0.5, -1.0, 2.0]))
            assert report.ok
        """
    )
    run(pytester).assert_outcomes(passed=1)


def test_a_wrong_one_fails_with_the_table(pytester):
    pytester.makepyfile(
        """
        import numpy as np

        def test_square(gradcheck):
            gradcheck(lambda x: np.sum(x**2), np.array([0.5, -1.0, 2.0]), gradient=lambda x: x * [2, 2, 1])
        """
    )
    result = run(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*GradientError: The gradient is wrong: x[[]2].",
            "E*element  shape  order  analytic  numeric  rel. error  verdict  note",
            "E*x[[]2]     (3,)       1         2        4     5.0e-01  wrong    1/2 times the right one",
            "*test_a_wrong_one_fails_with_the_table.py:4: GradientError",
        ]
    )


def test_models(pytester):
    pytester.makepyfile(
        """
        import numpy as np
        from tinygrad_lr import nn

        def test_model(gradcheck):
            report = gradcheck.model(nn.Dense(2, 1, rng=0), nn.MSELoss(), np.ones((3, 2)), np.zeros((3, 1)))
            assert [row.path for row in report.rows if row.order == 1] == ["weight", "bias", "input"]
        """
    )
    run(pytester).assert_outcomes(passed=1)


def test_each_test_has_a_seed_that_stays(pytester):
    pytester.makepyfile(
        """
        seeds = []

        def test_one(gradcheck):
            seeds.append(gradcheck.seed)

        def test_two(gradcheck):
            seeds.append(gradcheck.seed)
            print("seeds:", *seeds)
        """
    )
    module = "test_each_test_has_a_seed_that_stays.py"
    seeds = [crc32(f"{module}::{test}".encode()) for test in ("test_one", "test_two")]
    run(pytester, "-s").stdout.fnmatch_lines([f"*seeds: {seeds[0]} {seeds[1]}*"])


def test_it_costs_pytest_nothing():
    code = f"import pytest, sys; before = set(sys.modules); import {PLUGIN}; print(*set(sys.modules) - before)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {name for name in loaded if name.split(".")[0] not in sys.stdlib_module_names} == {"tinygrad_lr", "tinygrad_lr.check", PLUGIN}
