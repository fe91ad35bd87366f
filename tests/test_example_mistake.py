"""The example of a published mistake, run as a user runs it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[1] / "examples" / "05_a_published_mistake.py"


def run(*arguments, without=None):
    """The example in a process of its own, with warnings as errors; ``without`` a module, as if it were not installed."""
    code = f"import runpy, sys; sys.modules[{without!r}] = None; sys.argv = {[str(EXAMPLE), *arguments]!r}; runpy.run_path(sys.argv[0], run_name='__main__')"
    command = [sys.executable, "-W", "error", *(["-c", code] if without else [str(EXAMPLE), *arguments])]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def output():
    pytest.importorskip("sklearn")
    finished = run()
    assert finished.returncode == 0, finished.stderr
    assert finished.stderr == ""
    return finished.stdout


def test_the_mistake_is_found_and_the_mended_gradient_passes(output):
    published, _, mended = output.partition("Mended:")
    assert "The gradient is wrong: w[0], w[1], w[2] and 8 more." in published
    assert len(re.findall(r"^(?:w\[\d\]|b) .* wrong\b", published, re.MULTILINE)) == 11
    assert re.search(r"^w\[3\] .* -0\.4727407\d* +-0\.5033571\d* .* wrong", published, re.MULTILINE)
    assert "No gradient is wrong: 2 inputs" in mended
    assert "wrong\n" not in mended


def test_what_it_did_to_the_training(output):
    rows = [[float(field) for field in line.split()] for line in output.splitlines() if re.match(r" +\d+  0\.", line)]
    assert [row[0] for row in rows] == [*range(0, 101, 10)]
    assert rows[0] == [0, 0.694487, 0.468, 0.694487, 0.468]
    assert rows[-1] == [100, 0.658387, 0.896, 0.656294, 0.899]
    assert all(published > mended for _, published, _, mended, _ in rows[1:])
    assert re.search(r"^as published  loss 0\.262508, accuracy 0\.889, largest slope left in the loss 6e-02$", output, re.MULTILINE)
    assert re.search(r"^mended        loss 0\.196976, accuracy 0\.920, largest slope left in the loss \de-1\d$", output, re.MULTILINE)


def test_the_second_trap(output):
    assert "The Hessian is 11 x 11 and of rank 9" in output
    assert "some columns depend on others, so the maximum is not unique" in output
    assert output.endswith("deviance 393.95, residual degrees of freedom 991\n")


def test_the_pictures(tmp_path):
    pytest.importorskip("sklearn")
    image = pytest.importorskip("matplotlib.image")
    path = tmp_path / "mistake.png"
    finished = run("--plot", str(path))
    assert finished.returncode == 0, finished.stderr
    assert f"saved {path}" in finished.stdout
    assert image.imread(path).shape[:2] == (480, 1200)


def test_without_scikit_learn_one_line_names_the_extra():
    finished = run(without="sklearn.datasets")
    assert finished.returncode == 1
    assert finished.stdout == ""
    assert finished.stderr == "this example draws its data with scikit-learn; pip install scikit-learn\n"


def test_without_matplotlib_all_but_the_pictures(output, tmp_path):
    finished = run("--plot", str(tmp_path / "none.png"), without="matplotlib.pyplot")
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.startswith(output)
    assert finished.stdout.endswith("nothing drawn: --plot needs matplotlib; pip install matplotlib\n")
