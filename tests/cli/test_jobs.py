"""The command line's jobs, run as a user runs them: whole outputs against golden files, tables of all sorts, options, pages and drawings.

To renew a golden file after a change on purpose, run the command of its test and read the difference before committing it.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import tinygrad_lr
from tests.cli.conftest import DIFFERENCES, DISTANCES, classes, masked, run, shown, widest, write_table
from tests.nn.broken_files import crafted
from tinygrad_lr import cli, nn
from tinygrad_lr.check import neuron as sources
from tinygrad_lr.check.backprop import backprop_report
from tinygrad_lr.check.gradcheck import central_differences
from tinygrad_lr.regression.descent import neuron

GOLDEN = Path(__file__).parent / "golden"


def assert_gradients_agree(text, rows):
    """All printed gradients agree to nine digits, but for the error of differences, and the printed distances are small."""
    gradients = DIFFERENCES.findall(text)
    assert len(gradients) == rows
    for autodiff, differences, equations, apart in gradients:
        exact = float(autodiff.split()[-1])
        assert exact == pytest.approx(float(differences), abs=2e-9)
        assert exact == float(equations)
        assert float(apart) < 2e-9
    distances = DISTANCES.findall(text)
    assert [when for when, *_ in distances] == ["  at the start", "  at the end"]
    for _, _, from_differences, from_equations in distances:
        assert float(from_differences) < 2e-9
        assert float(from_equations) < 1e-14
    assert float(distances[0][1]) > 0.1  # else the check at the start would prove nothing
    assert text.count("\n  Autodiff agrees with both.\n") == 1


# -- the two jobs --------------------------------------------------------------------------------------


def test_primes():
    text = shown()
    assert masked(text) == masked((GOLDEN / "primes.txt").read_text(encoding="utf-8"))
    assert_gradients_agree(text, rows=2)
    assert widest(text.rsplit("\n", 2)[0]) <= 80  # the last line is a path


def test_primes_reference_numbers():
    lines = [line.split() for line in shown().splitlines()]
    assert ["w", f"{0.5508471805947:.8f}", f"{0.551775920706039:.8f}"] in lines
    assert ["b", f"{-3.5424342357071:.8f}", f"{-3.54907067213626:.8f}"] in lines
    assert ["mean", "loss", "0.39223450", f"{2.353404089449422 / 6:.8f}"] in lines
    assert ["2", "0", "0.0801", f"{0.07976687:.4f}"] in lines
    assert ["13", "1", "0.9739", f"{0.97401776:.4f}"] in lines
    assert ["8.5", "?", "0.7576", f"{0.75786772:.4f}"] in lines


def test_plants(plants):
    text = shown("fit", "plants.csv", "--target", "y", cwd=plants)
    assert masked(text) == masked((GOLDEN / "plants.txt").read_text(encoding="utf-8"))
    assert_gradients_agree(text, rows=4)
    assert widest(text) <= 80


def test_primes_as_a_table(tmp_path):
    write_table(tmp_path / "primes.csv", {"x": [2, 3, 5, 7, 11, 13]}, [0, 0, 1, 0, 1, 1])
    lines = [line.split() for line in shown("fit", "primes.csv", "--target", "y", cwd=tmp_path).splitlines()]
    assert ["x", "0.5517759", "0.5517759"] in lines
    assert ["(bias)", "-3.549071", "-3.549071"] in lines
    assert ["6", "13", "1", "0.9740", "0.9740"] in lines


# -- tables of all sorts -------------------------------------------------------------------------------


def table(text, head):
    """The rows below the heading that starts with these words, split into words."""
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.split()[: len(head.split())] == head.split())
    rows = []
    for line in lines[start + 1 :]:
        if not line:
            break
        rows.append(line.split())
    return rows


def weights(text):
    """Name to (learned, maximum likelihood), as printed."""
    return {" ".join(row[:-2]): tuple(row[-2:]) for row in table(text, "learned maximum")}


def test_thirty_features(tmp_path):
    X = np.random.RandomState(0).randn(30, 400).round(3)
    write_table(tmp_path / "t.csv", {f"x{i + 1}": x for i, x in enumerate(X)}, classes(X[0] - X[1] + X[29]))
    text = shown("fit", "t.csv", "--target", "y", cwd=tmp_path)
    assert list(weights(text)) == [*(f"x{i}" for i in range(1, 31)), "(bias)", "(mean loss)"]
    assert "\n  The 20 of 31 parameters where they differ most:\n" in text
    assert_gradients_agree(text, rows=20)
    apart = [float(row[-1]) for row in DIFFERENCES.findall(text)]
    assert apart == sorted(apart, reverse=True)
    assert f"{max(apart):.1e}" == f"{max(map(float, DISTANCES.findall(text)[1][2:])):.1e}"
    assert widest(text) <= 80


def test_long_names(tmp_path):
    X = np.random.RandomState(0).randn(2, 50).round(3)
    long = "the mean concentration of lead in the soil at a depth of "
    write_table(tmp_path / "t.csv", {long + "1 metre": X[0], long + "2 metres": X[1]}, classes(X[0]))
    text = shown("fit", "t.csv", "--target", "y", cwd=tmp_path)
    assert list(weights(text))[:2] == ["the mean concentr...depth of 1 metre", "the mean concentr...epth of 2 metres"]
    assert widest(text) <= 80
    write_table(tmp_path / "t.csv", {"y" * 60: X[0]}, classes(X[0]))
    (tmp_path / "t.csv").write_text((tmp_path / "t.csv").read_text().replace(",y\n", "," + "t" * 60 + "\n"))
    assert widest(shown("fit", "t.csv", "--target", "t" * 60, cwd=tmp_path)) <= 80


def test_features_of_all_sizes(tmp_path):
    X = np.random.RandomState(0).randn(4, 100).round(3)
    y = classes(X[0] - X[1])
    sizes = {"tiny": 1e-9, "huge": 1e9, "tiniest": 1e-90, "hugest": 1e90}
    write_table(tmp_path / "t.csv", dict(zip(sizes, X)), y)
    plain = weights(shown("fit", "t.csv", "--target", "y", cwd=tmp_path))
    write_table(tmp_path / "t.csv", {name: x * size for (name, size), x in zip(sizes.items(), X)}, y)
    text = shown("fit", "t.csv", "--target", "y", cwd=tmp_path)
    for name, size in sizes.items():
        for scaled, unscaled in zip(weights(text)[name], plain[name]):
            assert float(scaled) * size == pytest.approx(float(unscaled), rel=1e-6)
    assert weights(text)["(mean loss)"] == plain["(mean loss)"]
    assert widest(text) <= 80


def test_constant_column_is_left_out(plants):
    lines = (plants / "plants.csv").read_text().splitlines()
    (plants / "more.csv").write_text("\n".join([f"tenth,{lines[0]}", *(f"0.1,{line}" for line in lines[1:])]))  # the mean of 0.1s is slightly less
    text = shown("fit", "more.csv", "--target", "y", cwd=plants)
    assert "\n  left out   1 constant: 'tenth'\n" in text
    assert weights(text) == weights(shown("fit", "plants.csv", "--target", "y", cwd=plants))


def test_only_constant_columns(tmp_path):
    write_table(tmp_path / "t.csv", {"a": [0.1] * 4, "b": [2] * 4}, [0, 1, 0, 1])
    done = run("fit", "t.csv", "--target", "y", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: t.csv: every feature is constant, so there is nothing to tell the classes apart by\n"


def test_separable_classes(tmp_path):
    write_table(tmp_path / "t.csv", {"a": range(20)}, [0] * 10 + [1] * 10)
    text = shown("fit", "t.csv", "--target", "y", cwd=tmp_path)
    assert [ideal for _, ideal in weights(text).values()] == ["none"] * 3
    assert "Note: the classes are separated" in text
    assert "\n  20 of 20 are right; always answering 0 would get 10 right\n" in text
    assert "more --epochs" not in text


def test_dependent_columns(tmp_path):
    X = np.random.RandomState(0).randn(2, 100).round(3)
    write_table(tmp_path / "t.csv", {"a": X[0], "b": X[1], "c": 2 * X[0] + 1}, classes(X[0]))
    text = shown("fit", "t.csv", "--target", "y", cwd=tmp_path)
    assert "Note: some columns depend on others" in text
    found = weights(text)
    assert all(learned == ideal for learned, ideal in found.values())  # both are the smallest of all maxima
    assert float(found["a"][0]) == pytest.approx(2 * float(found["c"][0]), rel=1e-6)


def test_rare_class(tmp_path):
    x = np.random.RandomState(0).randn(200).round(3)
    write_table(tmp_path / "t.csv", {"a": x}, (np.arange(200) % 50 == 0).astype(int))
    text = shown("fit", "t.csv", "--target", "y", cwd=tmp_path)
    assert "\n  samples    200: 196 of class 0, 4 of class 1\n" in text
    assert table(text, "predicted 0") == [["y", "=", "0", "196", "0"], ["y", "=", "1", "4", "0"]]
    assert "\n  196 of 200 are right; always answering 0 would get 196 right\n" in text


def test_one_hundred_thousand_rows(tmp_path):
    x = np.random.RandomState(0).randn(100_000).round(3)
    write_table(tmp_path / "t.csv", {"a": x}, classes(2 * x - 1))
    text = shown("fit", "t.csv", "--target", "y", "--epochs", "50", cwd=tmp_path)
    found = weights(text)
    assert float(found["a"][1]) == pytest.approx(2, abs=0.05)
    assert float(found["(bias)"][1]) == pytest.approx(-1, abs=0.05)
    assert len(table(text, "sample")) == 10
    assert sum(int(n) for row in table(text, "predicted 0") for n in row[-2:]) == 100_000
    assert widest(text) <= 80


def test_names_like_headings(tmp_path):
    X = np.random.RandomState(0).randn(50).round(3)
    (tmp_path / "t.csv").write_text("learned,sample\n" + "".join(f"{x},{c}\n" for x, c in zip(X, classes(X))))
    text = shown("fit", "t.csv", "--target", "sample", cwd=tmp_path)
    assert "\n  sample  learned  sample  learned  maximum likelihood\n" in text


# -- options -------------------------------------------------------------------------------------------


def test_version():
    assert shown("--version") == f"tinygrad_lr {tinygrad_lr.__version__}\n"


def test_help():
    assert "learns six primes" in shown("--help")
    text = shown("fit", "--help")
    assert all(option in text for option in ("--target", "--epochs", "--lr", "--test"))
    assert widest(text) <= 80


def test_learning_rate_by_the_lipschitz_rule(plants):
    text = shown("fit", "plants.csv", "--target", "y", cwd=plants)
    X = np.loadtxt(plants / "plants.csv", delimiter=",", skiprows=1)[:, :3]
    X = np.hstack([(X - X.mean(axis=0)) / X.std(axis=0), np.ones((60, 1))])
    rate = 4 * 60 / np.linalg.eigvalsh(X.T @ X)[-1]
    assert f"\n  training   SGD, 2500 epochs, learning rate {rate:.4g} = 1/L (Lipschitz rule)\n" in text


def test_one_epoch_at_a_chosen_rate(plants):
    text = shown("fit", "plants.csv", "--target", "y", "--epochs", "1", "--lr", "0.5", cwd=plants)
    assert "\n  training   SGD, 1 epoch, learning rate 0.5\n" in text
    assert re.search(r"\n  Note: the learned loss is \S+ above the least possible; more --epochs\n  bring it closer\.\n", text)
    rows = np.loadtxt(plants / "plants.csv", delimiter=",", skiprows=1)
    X, y = rows[:, :3], rows[:, 3]
    mean, deviation = X.mean(axis=0), X.std(axis=0)
    w = -0.5 * ((0.5 - y) @ ((X - mean) / deviation) / 60) / deviation
    b = -0.5 * (0.5 - y).mean() - w @ mean
    assert [learned for learned, _ in weights(text).values()][:4] == [f"{value:.7g}" for value in (*w, b)]


def test_rate_far_too_large(plants):
    text = shown("fit", "plants.csv", "--target", "y", "--lr", "1e6", cwd=plants)  # exp(z) overflows
    assert "times 1/L, try a smaller one" in " ".join(text.split())
    assert text.count("\n  Autodiff agrees with both.\n") == 1


def test_samples_held_out(plants):
    text = shown("fit", "plants.csv", "--target", "y", "--test", "0.25", cwd=plants)
    assert "; 15 more held out\n" in text
    numbers = [int(row[0]) for row in table(text, "sample")]
    assert numbers == sorted(numbers)
    assert numbers != list(range(1, 11))
    inside, outside = text.split("\nThe same for the 15 samples held out, mean loss ")
    assert sum(int(n) for row in table(inside, "predicted 0") for n in row[-2:]) == 45
    assert sum(int(n) for row in table(outside, "predicted 0") for n in row[-2:]) == 15
    assert 0.1 < float(outside.split()[0]) < 0.7
    assert shown("fit", "plants.csv", "--target", "y", "--test", "0.25", cwd=plants) == text


def test_too_many_samples_held_out(tmp_path):
    write_table(tmp_path / "t.csv", {"a": range(6)}, [0, 0, 1, 0, 1, 1])
    done = run("fit", "t.csv", "--target", "y", "--test", "0.9", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: holding out 5 samples of 6 does not leave both classes to learn from\n"


@pytest.mark.parametrize("option", ["--epochs=0", "--epochs=-1", "--epochs=1.5", "--epochs=many", "--lr=0", "--lr=nan", "--lr=inf", "--lr=1e7", "--test=1"])
def test_option_out_of_range(capsys, option):
    with pytest.raises(SystemExit) as caught:
        cli.main(["fit", "points.csv", "--target", "y", option])
    assert caught.value.code == 2
    name, value = option.split("=")
    assert re.search(rf"error: argument {name}: expected .*, got '{value}'\n$", capsys.readouterr().err)


def test_target_is_required():
    done = run("fit", "points.csv")
    assert done.returncode == 2
    assert "--target" in done.stderr.splitlines()[-1]


# -- wrong gradients -----------------------------------------------------------------------------------


def test_wrong_equations(monkeypatch, capsys):
    def slightly_off(*arguments):
        report = backprop_report(*arguments)
        layer = report.layers[0]
        layer.rows = [replace(row, by_hand=row.by_hand + 1e-11) if row.name == "dL/db" else row for row in layer.rows]
        return report

    monkeypatch.setattr(sources, "backprop_report", slightly_off)
    assert cli.main([]) == 1
    assert capsys.readouterr().out.count("\n  Autodiff DISAGREES.\n") == 1


def test_wrong_differences(monkeypatch, capsys):
    monkeypatch.setattr(sources, "central_differences", lambda fn, x: central_differences(fn, x) + 2e-7)
    assert cli.main([]) == 1
    assert capsys.readouterr().out.count("\n  Autodiff DISAGREES.\n") == 1


def test_gradients_of_inputs_that_saturate_the_neuron():
    X, y = np.array([[1e6], [-1e6], [0.0]]), np.array([[0.0], [0.0], [1.0]])
    model = neuron(n_inputs=1)
    model[0].weight.data = np.array([[1.0]])
    autodiff, _, equations = sources.three_gradients(model, X, y).T
    assert autodiff.tolist() == equations.tolist() == [1e6 / 3, 1 / 3 - 0.5 / 3]


# -- pages, drawings and checks ------------------------------------------------------------------------


def test_the_main_job_writes_a_page():
    page = Path(shown().rsplit("browser:", 1)[1].strip())
    text = page.read_text(encoding="utf-8")
    assert text.startswith("<!DOCTYPE html>")
    assert "0.weight" in text
    shutil.rmtree(page.parent)


def test_drawing_a_saved_model(tmp_path):
    nn.save(nn.Sequential(nn.Dense(2, 3), nn.Tanh(), nn.Dense(3, 1)), tmp_path / "model.npz")
    assert shown("draw", "model.npz", "-o", "model.gv", cwd=tmp_path) == "wrote model.gv\n"
    assert "Dense(2 -&gt; 3)" in (tmp_path / "model.gv").read_text(encoding="utf-8")


NO_MODELS = [
    *(("missing.npz", "No such file"), ("text.npz", "holds no model"), ("other.npz", "holds no model"), ("bomb.npz", "compressed or encrypted")),
    *(("mine.npz", "modules are not part of this package"), ("empty.npz", "got no Tensor from calling Sequential")),
]


@pytest.mark.parametrize(
    "name, message", [*NO_MODELS, ("mine.npz", "modules are not part of this package"), ("empty.npz", "got no Tensor from calling Sequential")]
)
def test_drawing_what_is_no_model(tmp_path, name, message):
    nn.save(nn.Sequential(), tmp_path / "empty.npz")
    nn.save(nn.Sequential(nn.Dense(2, 1), nn.BCELoss()), tmp_path / "mine.npz")
    (tmp_path / "bomb.npz").write_bytes(crafted()["a bomb"])
    (tmp_path / "text.npz").write_text("hello")
    np.savez(tmp_path / "other.npz", a=np.ones(3))
    done = run("draw", name, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_drawing_a_model_of_infinite_weights(tmp_path):
    model = nn.Sequential(nn.Dense(2, 3), nn.Dense(3, 3), nn.Sigmoid())
    model[0].weight.data = np.full((3, 2), [np.inf, np.nan])
    nn.save(model, tmp_path / "model.npz")
    assert shown("draw", "model.npz", "-o", "model.gv", cwd=tmp_path) == "wrote model.gv\n"


def test_drawing_under_an_unknown_suffix(tmp_path):
    nn.save(nn.Sequential(nn.Dense(2, 1)), tmp_path / "model.npz")
    done = run("draw", "model.npz", "-o", "model.bmp", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (2, "error: cannot save a drawing as 'model.bmp': the name must end in .svg, .png, .pdf or .gv\n")


def test_check():
    text = shown("check")
    assert re.search(r"^np\.tanh  +\d", text, re.MULTILINE)
    assert text.endswith("functions and layers checked; wrong: none.\n")
