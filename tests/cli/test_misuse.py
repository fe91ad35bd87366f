"""The command line under misuse: bad input, terminals, pipes and signals."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time

import numpy as np
import pytest

from tests.cli.conftest import COMMAND, ENVIRONMENT, classes, masked, run, shown, widest, write_table
from tests.regression.test_data import BAD
from tinygrad_lr import cli, nn

# -- bad input -----------------------------------------------------------------------------------------


def assert_refused(done, message):
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == f"error: {message}\n"
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("content, message", BAD.values(), ids=BAD)
def test_bad_file(tmp_path, content, message):
    (tmp_path / "points.csv").write_bytes(content)
    assert_refused(run("fit", "points.csv", "--target", "y", cwd=tmp_path), message)


def test_missing_file(tmp_path):
    assert_refused(run("fit", "points.csv", "--target", "y", cwd=tmp_path), "cannot read points.csv: No such file or directory")


def test_directory(tmp_path):
    reason = "Permission denied" if os.name == "nt" else "Is a directory"
    assert_refused(run("fit", ".", "--target", "y", cwd=tmp_path), f"cannot read .: {reason}")


def test_letters_that_the_output_cannot_show(tmp_path):
    x = np.random.RandomState(0).randn(30).round(3)
    write_table(tmp_path / "t.csv", {"größe": x, "身長": x**2}, classes(x))
    done = subprocess.run(
        [*COMMAND, "fit", "t.csv", "--target", "y"], cwd=tmp_path, env={**ENVIRONMENT, "PYTHONIOENCODING": "ascii"}, capture_output=True, encoding="ascii"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert r"gr\xf6\xdfe" in done.stdout
    assert "größe" in shown("fit", "t.csv", "--target", "y", cwd=tmp_path)


# -- terminals, pipes and signals ----------------------------------------------------------------------


@pytest.fixture(autouse=True, scope="module")
def interruptible():
    """Where a shell runs the tests in the background, SIGINT is ignored, which the commands would inherit."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class OnTerminal:
    """A run whose standard error is a terminal of 80 columns; standard output is a pipe."""

    def __init__(self, *arguments, cwd=None):
        pty = pytest.importorskip("pty")
        self.terminal, inner = pty.openpty()
        self.process = subprocess.Popen([*COMMAND, *arguments], cwd=cwd, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=inner)
        os.close(inner)
        self.seen = ""

    def read(self):
        """Read on; False at the end."""
        try:
            data = os.read(self.terminal, 4096)
        except OSError:  # which Linux raises when the other side is closed
            data = b""
        self.seen += data.decode()
        return bool(data)

    def finish(self):
        """(exit status, standard output, what the terminal received)."""
        while self.read():
            pass
        out = self.process.communicate(timeout=120)[0].decode()
        os.close(self.terminal)
        return self.process.returncode, out, self.seen


def test_progress_on_a_terminal():
    status, out, seen = OnTerminal().finish()
    assert status == 0
    assert masked(out) == masked(shown())
    assert seen.endswith("\r\n")
    drawings = seen[:-2].split("\r")
    assert drawings[0] == ""
    assert all(re.fullmatch(r"  progress   [ \d]{4}/2500 \[#*\.*\] loss \d\.\d{6} *", drawing) for drawing in drawings[1:])
    assert drawings[1].startswith("  progress      1/2500 [..............................] loss 0.813262")
    assert drawings[-1].startswith("  progress   2500/2500 [##############################] loss 0.392235")
    assert len({len(drawing) for drawing in drawings[1:]}) == 1  # each covers the one before
    assert widest(seen) <= 80


def test_progress_moves(plants):
    _, _, seen = OnTerminal("fit", "plants.csv", "--target", "y", "--epochs", "20000", cwd=plants).finish()
    epochs = [int(epoch) for epoch in re.findall(r"(\d+)/20000", seen)]
    assert epochs == sorted(set(epochs))
    assert len(epochs) > 2
    assert epochs[-1] == 20000


def test_no_progress_when_piped():
    assert run().stderr == ""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT to send")
def test_interrupted(plants):
    job = OnTerminal("fit", "plants.csv", "--target", "y", "--epochs", "1000000000", cwd=plants)
    while "loss" not in job.seen:
        assert job.read()
    job.process.send_signal(signal.SIGINT)
    status, _, seen = job.finish()
    assert status == 130
    assert seen.endswith("\r\nstopped\r\n")
    assert "Traceback" not in seen


@pytest.mark.parametrize("arguments", [[], ["fit", "plants.csv", "--target", "y"]])
def test_reader_that_leaves_early(plants, arguments):
    process = subprocess.Popen([*COMMAND, *arguments], cwd=plants, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(timeout=120) == 141
    process.stderr.close()


FULL = "/dev/full"
on_posix = pytest.mark.skipif(not os.path.exists(FULL), reason="there is no /dev/full here")
JOBS = [[], ["fit", "plants.csv", "--target", "y"], ["draw", "model.npz"], ["--version"], ["fit", "--help"]]
each_job = pytest.mark.parametrize("arguments", JOBS, ids=lambda arguments: " ".join(arguments) or "primes")


@pytest.fixture
def jobs(plants):
    """A folder with the files that the jobs need."""
    nn.save(nn.Sequential(nn.Dense(2, 3), nn.Tanh()), plants / "model.npz")
    return plants


def in_a_shell(redirections, *arguments, cwd=None, unbuffered=""):
    command, environment = ["bash", "-c", f'"$@" {redirections}', "bash", *COMMAND, *arguments], {**ENVIRONMENT, "PYTHONUNBUFFERED": unbuffered}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, encoding="utf-8", timeout=120)


@on_posix
@each_job
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_behind_standard_output(jobs, arguments, unbuffered):
    done = in_a_shell(f">{FULL}", *arguments, cwd=jobs, unbuffered=unbuffered)
    assert (done.returncode, done.stderr) == (2, "error: cannot write the output: No space left on device\n")


@on_posix
@each_job
def test_standard_output_is_closed(jobs, arguments):
    done = in_a_shell(">&-", *arguments, cwd=jobs)
    assert (done.returncode, done.stderr) == (2, "error: standard output is closed\n")


@on_posix
@pytest.mark.parametrize("redirections", ["2>&-", f"2>{FULL}"])
def test_standard_error_takes_nothing(jobs, redirections):
    """Then nothing is printed there, but the status is right, and errors do not go to standard output."""
    done = in_a_shell(redirections, "draw", "model.npz", cwd=jobs)
    assert (done.returncode, done.stdout, done.stderr) == (0, "wrote model.svg\n", "")
    assert in_a_shell(redirections, cwd=jobs).returncode == 0
    for arguments in (["draw", "missing.npz"], ["fit", "missing.csv", "--target", "y"], ["fit"], ["fit", "plants.csv", "--target", "y", "--lr", "0"]):
        done = in_a_shell(redirections, *arguments, cwd=jobs)
        assert (done.returncode, done.stdout, done.stderr) == (2, "", "")


@on_posix
@pytest.mark.parametrize("redirections", [">&- 2>&-", f">{FULL} 2>{FULL}", f">{FULL} 2>&-"])
def test_nothing_takes_anything(jobs, redirections):
    for arguments in JOBS:
        done = in_a_shell(redirections, *arguments, cwd=jobs)
        assert (done.returncode, done.stdout, done.stderr) == (2, "", "")


@on_posix
@pytest.mark.parametrize("module", ["typing", "numpy", "numpy.linalg", "argparse", "tinygrad_lr.cli", "tinygrad_lr.nn.module", "tinygrad_lr.show.fit"])
def test_interrupted_while_it_loads(tmp_path, module):
    """Ctrl-C comes while the module is imported; by default Python would print a traceback."""
    (tmp_path / "sitecustomize.py").write_text(
        f"import os, signal, sys\nsys.addaudithook(lambda event, args: event == 'import' and args[0] == {module!r} and os.kill(os.getpid(), signal.SIGINT))\n"
    )
    environment = {**ENVIRONMENT, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ENVIRONMENT['PYTHONPATH']}"}
    done = subprocess.run(COMMAND, env=environment, capture_output=True, encoding="utf-8", timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "\nstopped\n")


@on_posix
def test_a_job_in_the_background_is_not_interrupted(plants):
    ignoring = lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)
    arguments = ["fit", "plants.csv", "--target", "y", "--epochs", "20000"]
    process = subprocess.Popen([*COMMAND, *arguments], cwd=plants, env=ENVIRONMENT, stdout=subprocess.PIPE, preexec_fn=ignoring)
    for _ in range(10):
        time.sleep(0.05)
        process.send_signal(signal.SIGINT)
    assert b"Autodiff agrees with both." in process.communicate(timeout=120)[0]
    assert process.returncode == 0


@on_posix
def test_names_that_would_steer_a_terminal_are_shown_escaped(plants, monkeypatch, capsys):
    name = "pl\n\x1b[2Jants"
    shutil.copy(plants / "plants.csv", plants / f"{name}.csv")
    assert "\n  file       pl\\n\\x1b[2Jants.csv\n" in shown("fit", f"{name}.csv", "--target", "y", cwd=plants)
    nn.save(nn.Sequential(nn.Dense(2, 1)), plants / f"{name}.npz")
    assert shown("draw", f"{name}.npz", cwd=plants) == "wrote pl\\n\\x1b[2Jants.svg\n"
    monkeypatch.chdir(plants)
    for arguments, start in [
        (["fit", f"no{name}.csv", "--target", "y"], r"error: cannot read nopl\n\x1b[2Jants.csv: No such file"),
        (["fit", f"{name}.csv", "--target", name], r"error: pl\n\x1b[2Jants.csv has no column 'pl \x1b[2Jants'; its header has"),
        (["draw", f"no{name}.npz"], r"error: [Errno 2] No such file or directory: 'nopl\n\x1b[2Jants.npz'"),
        (["draw", f"{name}.csv"], r"error: pl\n\x1b[2Jants.csv holds no model saved by"),
        (["draw", f"{name}.npz", "-o", f"{name}.bmp"], r"error: cannot save a drawing as 'pl\n\x1b[2Jants.bmp'"),
        (["draw", f"{name}.npz", "-o", f"no/{name}.gv"], r"error: [Errno 2] No such file or directory: 'no/pl\n\x1b[2Jants.gv'"),
    ]:
        assert cli.main(arguments) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.startswith(start)
        assert said.err.removesuffix("\n").isprintable()
    with pytest.raises(SystemExit):
        cli.main(["fit", f"{name}.csv", "--target", "y", f"--more{name}"])
    assert capsys.readouterr().err.splitlines()[-1] == r"python -m tinygrad_lr: error: unrecognized arguments: --morepl\n\x1b[2Jants"
