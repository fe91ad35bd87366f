"""The command line run as a user runs it, and tables for it: the fixture ``plants`` is one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tinygrad_lr
from tinygrad_lr.autodiff.rules.elementwise import sigmoid

COMMAND = [sys.executable, "-W", "error", "-m", "tinygrad_lr"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(tinygrad_lr.__file__).parents[1]), "PYTHONIOENCODING": "utf-8", "COLUMNS": "80", "PYTHONUNBUFFERED": ""}

DIFFERENCES = re.compile(r"^(  0\..* +-?\d\.\d{9}) +(-?\d\.\d{9})( +-?\d\.\d{9}) +(\d\.\de[+-]\d\d)$", re.MULTILINE)
DISTANCES = re.compile(r"^(  at the (?:start|end)) +(\d\.\de[+-]\d\d) +(\d\.\de[+-]\d\d) +(\d\.\de[+-]\d\d)$", re.MULTILINE)


def run(*arguments, cwd=None):
    return subprocess.run([*COMMAND, *arguments], cwd=cwd, env=ENVIRONMENT, capture_output=True, encoding="utf-8", timeout=120)


def shown(*arguments, cwd=None):
    """The output of a successful run."""
    done = run(*arguments, cwd=cwd)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def masked(text):
    """The text without the digits that depend on rounding, and so on the machine, and without the page's folder."""
    text = re.sub(r"browser:\s+.*primes\.html", "browser: primes.html", text)
    return DISTANCES.sub(r"\1 ...", DIFFERENCES.sub(r"\1 ...\3 ...", text))


def write_table(path, columns, y):
    """Write a CSV file of the columns, by name, and the classes y."""
    rows = zip(*columns.values(), y)
    lines = [",".join([*columns, "y"]), *(",".join([*(f"{x:.12g}" for x in row[:-1]), f"{row[-1]:d}"]) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def classes(z, seed=1):
    """Classes drawn with log-odds z."""
    return (np.random.RandomState(seed).rand(len(z)) < sigmoid(z)).astype(int)


@pytest.fixture
def plants(tmp_path):
    """A table of 60 plants with three features."""
    rng = np.random.RandomState(0)  # the one stream of random numbers that NumPy has frozen
    height, weight, age = rng.randn(3, 60).round(3)
    write_table(tmp_path / "plants.csv", {"height": 150 + 10 * height, "weight": weight, "age": age}, classes(height - 2 * weight))
    return tmp_path


def widest(text):
    return max(map(len, text.splitlines()))
