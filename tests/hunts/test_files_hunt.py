"""Model files at random: crafted ones damaged further, kills in the middle of saving, and all of it through the command line.

TINYGRAD_LR_HUNT=20 makes the hunt 20 times as long.
"""

from __future__ import annotations

import contextlib
import io
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

import tinygrad_lr
from tests.nn.broken_files import crafted, damaged, edited, saved
from tinygrad_lr import cli, nn

SIZE = int(os.environ.get("TINYGRAD_LR_HUNT", "1"))
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(tinygrad_lr.__file__).parents[1])}


def assert_drawn_or_refused(path):
    """`draw` writes its picture, or says on one line what is wrong; tell which."""
    out, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        status = cli.main(["draw", str(path), "-o", str(path.with_suffix(".gv"))])
    if status == 0:
        assert (out.getvalue(), errors.getvalue()) == (f"wrote {path.with_suffix('.gv')}\n", "")
    else:
        assert (status, out.getvalue()) == (2, "")
        assert errors.getvalue().startswith("error: ")
        assert errors.getvalue().removesuffix("\n").isprintable()
    return status == 0


@pytest.mark.parametrize("name", crafted())
def test_crafted_files_are_refused_on_one_line(tmp_path, name):
    (tmp_path / "model.npz").write_bytes(crafted()[name])
    assert not assert_drawn_or_refused(tmp_path / "model.npz")


def test_damaged_files_are_refused_or_whole(tmp_path):
    """A file that loads in spite of its damage holds the model that was saved."""
    rng, path = np.random.default_rng(0), tmp_path / "model.npz"
    model = nn.Sequential(nn.Dense(2, 3, rng=0), nn.Tanh(), nn.Dense(3, 1, dtype=np.float32, rng=1))
    whole, state, loads = saved(model), model.state_dict(), 0
    for _ in range(400 * SIZE):
        path.write_bytes(damaged(whole, rng))
        try:
            other = nn.load(path)
        except ValueError:
            continue
        loads += 1
        assert repr(other) == repr(model)
        for name, value in other.state_dict().items():
            np.testing.assert_array_equal(value, state[name], strict=True)
    assert loads < 100 * SIZE


def test_edited_files_are_drawn_or_refused_on_one_line(tmp_path):
    rng = np.random.default_rng(1)
    drawn = 0
    for _ in range(300 * SIZE):
        (tmp_path / "model.npz").write_bytes(edited(rng))
        drawn += assert_drawn_or_refused(tmp_path / "model.npz")
    assert 0 < drawn < 200 * SIZE


def test_crafted_files_damaged_further(tmp_path):
    rng, files = np.random.default_rng(2), list(crafted().values())
    for _ in range(200 * SIZE):
        (tmp_path / "model.npz").write_bytes(damaged(files[rng.integers(len(files))], rng))
        assert_drawn_or_refused(tmp_path / "model.npz")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_kills_never_lose_a_model(tmp_path):
    """A process that saves one model after another is killed at random; 30 of 50 kills destroyed the file."""
    code = """
        import sys
        from tinygrad_lr import nn
        models = [nn.Dense(300, 400, rng=i) for i in (0, 1)]
        while True:
            for model in models:
                nn.save(model, sys.argv[1])
                print(end=".", flush=True)
    """
    path, moments = tmp_path / "model.npz", random.Random(0)
    weights = [nn.Dense(300, 400, rng=i).weight.data.tobytes() for i in (0, 1)]
    for _ in range(10 * SIZE):
        process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code), path], env=ENVIRONMENT, stdout=subprocess.PIPE)
        process.stdout.read(1)
        time.sleep(moments.uniform(0, 0.05))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert nn.load(path).weight.data.tobytes() in weights
