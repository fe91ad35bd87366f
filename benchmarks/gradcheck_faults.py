"""How many wrong gradients does a gradient check find, and does it name the element?

    python -m benchmarks.gradcheck_faults [--trials N]

The function is sin(x)^2 at random x, summed to one number or not (its answers are then n numbers). A fault
changes its gradient sin(2 x), or that gradient's own derivative; every check sees the same faults. PyTorch's ``gradcheck``
runs beside, in its fast mode and its slow one, on a ``torch.autograd.Function`` with the same backward pass. It is
meant for float64 and names no element, so what counts is whether it fails. Its slow mode is left out above n = 100: it
makes 2 n evaluations per trial and, for n answers, n backward passes. Its fast mode gets 20 trials at n = 10,000.

A second table is about functions on which differences mislead (`benchmarks.gradcheck_families`): how many right gradients
are called wrong there, at first and second order, and how many are found that are wrong at one element. Where rounding in
the function is larger than the fault, no check can find it.

    Percent of 200 faults that are found, and named rightly
                             sum f64       sum f32     n answers       order 2             PyTorch fast      PyTorch slow
    fault            n   found named   found named   found named   found named  evals      sum   n ans.      sum   n ans.
    none             1       0     -       0     -       0     -       0     -     10        0        0        0        0
    none            10       0     -       0     -       0     -       0     -     10        0        0        0        0
    none           100       0     -       0     -       0     -       0     -     10        0        0        0        0
    none          1000       0     -       0     -       0     -       0     -     10        0        0        -        -
    none         10000       0     -       0     -       0     -       0     -     10        0        0        -        -
    zero             1     100   100     100   100     100   100     100   100     13      100      100      100      100
    zero            10     100   100     100   100     100   100     100   100     13     99.5     99.5      100      100
    zero           100     100   100     100   100     100   100     100   100     13       99     78.5      100      100
    zero          1000     100   100     100   100     100   100     100   100     13       96        0        -        -
    zero         10000     100   100     100   100     100   100     100   100     13       75        0        -        -
    twice            1     100   100     100   100     100   100     100   100     13      100      100      100      100
    twice           10     100   100     100   100     100   100     100   100     13     99.5     99.5      100      100
    twice          100     100   100     100   100     100   100     100   100     13       99     78.5      100      100
    twice         1000     100   100     100   100     100   100     100   100     13       96        0        -        -
    twice        10000     100   100     100   100     100   100     100   100     13       75        0        -        -
    sign             1     100   100     100   100     100   100     100   100     13      100      100      100      100
    sign            10     100   100     100   100     100   100     100   100     13     99.5     99.5      100      100
    sign           100     100   100     100   100     100   100     100   100     13     99.5       89      100      100
    sign          1000     100   100     100   100     100   100     100   100     13     97.5        0        -        -
    sign         10000     100   100     100   100     100   100     100   100     13       80        0        -        -
    5 percent        1     100   100     100   100     100   100     100   100     13     99.5     99.5     99.5     99.5
    5 percent       10     100   100     100   100     100   100     100   100     13     95.5     86.5      100      100
    5 percent      100     100   100     100   100     100   100     100   100     13     84.5      5.5      100      100
    5 percent     1000     100   100     100   100     100   100     100   100     13       51        0        -        -
    5 percent    10000     100   100     100   100     100   100     100   100     13        0        0        -        -
    three zeros     10     100   100     100   100     100   100     100   100     31      100       99      100      100
    three zeros    100     100   100     100   100     100   100     100   100     35     99.5       96      100      100
    three zeros   1000     100   100     100   100     100   100     100   100     35     96.5        0        -        -
    three zeros  10000     100   100     100   100     100   100     100   100     35      100        0        -        -
    all twice       10     100   100     100   100     100   100     100   100     23      100      100      100      100
    all twice      100     100   100     100   100     100   100     100   100     23      100       98      100      100
    all twice     1000     100   100     100   100     100   100     100   100     23      100       77        -        -
    all twice    10000     100   100     100   100     100   100     100   100     23      100        0        -        -
    1/n             10     100   100     100   100     100   100     100   100     23      100      100      100      100
    1/n            100     100   100     100   100     100   100     100   100     23      100       98      100      100
    1/n           1000     100   100     100   100     100   100     100   100     23      100       77        -        -
    1/n          10000     100   100     100   100     100   100     100   100     23      100        0        -        -
    all zero        10     100   100     100   100     100   100     100   100     23      100      100      100      100
    all zero       100     100   100     100   100     100   100     100   100     23      100       98      100      100
    all zero      1000     100   100     100   100     100   100     100   100     23      100       77        -        -
    all zero     10000     100   100     100   100     100   100     100   100     23      100        0        -        -
    shifted         10     100   100     100   100     100   100     100   100     23      100       99      100      100
    shifted        100     100   100     100   100     100   100     100   100     23     99.5     98.5      100      100
    shifted       1000     100   100     100   100     100   100     100   100     23     99.5     68.5        -        -
    shifted      10000     100   100     100   100     100   100     100   100     23      100        0        -        -
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from statistics import median

import numpy as np

from benchmarks.gradcheck_families import FAMILIES, right, wrong
from tinygrad_lr.autodiff.rules import primitive
from tinygrad_lr.check.gradcheck import Report, gradcheck

SIZES = (1, 10, 100, 1_000, 10_000)
TRIALS = 200
SLOW_LIMIT = 100  # numbers beyond which PyTorch's slow mode is not asked
MANY, FEW = 1_000, 20  # beyond so many numbers PyTorch's fast mode takes seconds, and gets fewer trials


def change(kind: str, g: np.ndarray, where: np.ndarray) -> np.ndarray:
    """The gradient g with a fault of that kind at some places."""
    if kind == "none":
        return g
    factor = {"zero": 0.0, "twice": 2.0, "sign": -1.0, "5 percent": 1.05, "three zeros": 0.0}.get(kind)
    if factor is not None:
        return np.where(np.isin(np.arange(len(g)), where), factor * g, g)
    return {"all twice": 2 * g, "all zero": 0 * g, "shifted": np.roll(g, 1), "1/n": g / len(g)}[kind]


SINGLE = ("zero", "twice", "sign", "5 percent", "three zeros")
WHOLE = ("all twice", "1/n", "all zero", "shifted")
NAMED = {"all twice": "2 times", "1/n": "divided by it once too often", "all zero": "zero everywhere", "shifted": "shifted"}


def places(kind: str, rng: np.random.Generator, n: int) -> np.ndarray:
    """Where a fault is."""
    return rng.choice(n, min(n, 3 if kind == "three zeros" else 1), replace=False)


def sines(x: np.ndarray) -> np.floating:
    return np.sum(np.sin(x) ** 2)


def check(case: str, kind: str, where: np.ndarray, x: np.ndarray, rng: np.random.Generator) -> Report:
    """Our check of a faulty gradient: one's own, a rule's with n answers, or a rule's at second order."""
    if case == "own":
        return gradcheck(sines, x, gradient=lambda x: change(kind, np.sin(2 * x), where), rng=rng, raise_error=False)
    if case == "n answers":
        squares = primitive(lambda x: np.sin(x) ** 2, lambda g, y, x: change(kind, g * np.sin(2 * x), where))
        return gradcheck(squares, x, order=1, rng=rng, raise_error=False)
    slope = primitive(lambda x: np.sin(2 * x), lambda g, y, x: change(kind, g * 2 * np.cos(2 * x), where))
    return gradcheck(primitive(sines, lambda g, y, x: g * slope(x)), x, rng=rng, raise_error=False)


def ours(case: str, kind: str, n: int, dtype: type, trials: int) -> tuple[int, int, float]:
    """How many faults are found, how many are named rightly, and the median number of evaluations."""
    found = named = 0
    evaluations = []
    for trial in range(trials):
        rng = np.random.default_rng(trial)
        x, where = rng.normal(size=n).astype(dtype), places(kind, rng, n)
        report = check(case, kind, where, x, rng)
        found += not report.ok
        elements = {row.index[0] for row in report.wrong}
        named += NAMED[kind] in " ".join(report.notes) if kind in NAMED else elements == set(where.tolist())
        evaluations.append(report.evaluations)
    return found, named, median(evaluations)


def torchs(kind: str, n: int, trials: int, fast: bool, summed: bool) -> str:
    """How many faults PyTorch finds."""
    try:
        import torch
    except ModuleNotFoundError:
        return "-"
    torch.set_num_threads(1)  # its threads get in each other's way on arrays as small as these
    found = 0
    for trial in range(trials):
        rng = np.random.default_rng(trial)
        x, where = rng.normal(size=n), places(kind, rng, n)

        class Squares(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                ctx.save_for_backward(x)
                return x.sin() ** 2

            @staticmethod
            def backward(ctx, g, where=where):
                (x,) = ctx.saved_tensors
                return torch.from_numpy(change(kind, (g * (2 * x).sin()).numpy(), where))

        torch.manual_seed(trial)
        fn = (lambda x, f=Squares.apply: f(x).sum()) if summed else Squares.apply
        found += not torch.autograd.gradcheck(fn, torch.tensor(x, requires_grad=True), fast_mode=fast, raise_exception=False)
    return percent(found, trials)


def percent(count: int, trials: int) -> str:
    return f"{100 * count / trials:.4g}"


def rows(trials: int) -> Iterator[str]:
    """The table, line by line."""
    heads = ("sum f64", "sum f32", "n answers", "order 2")
    yield f"{'':18}" + "".join(f"{head:>14}" for head in heads) + f"{'':7}{'PyTorch fast':>18}{'PyTorch slow':>18}"
    yield f"{'fault':12}{'n':>6}" + f"{'found named':>14}" * len(heads) + f"{'evals':>7}" + f"{'sum':>9}{'n ans.':>9}" * 2
    for kind in ("none", *SINGLE, *WHOLE):
        for n in SIZES:
            if n < 10 and kind in ("three zeros", *WHOLE):
                continue
            settings = (("own", np.float64), ("own", np.float32), ("n answers", np.float64), ("order 2", np.float64))
            counts = [ours(case, kind, n, dtype, trials) for case, dtype in settings]
            cells = [f"{percent(found, trials):>8}{percent(named, trials) if kind != 'none' else '-':>6}" for found, named, _ in counts]
            modes = [(fast, summed) for fast in (True, False) for summed in (True, False)]
            peers = [torchs(kind, n, trials if n <= MANY else min(trials, FEW), fast, summed) if fast or n <= SLOW_LIMIT else "-" for fast, summed in modes]
            yield f"{kind:12}{n:6}" + "".join(cells) + f"{counts[0][2]:7g}" + "".join(f"{count:>9}" for count in peers)


def family_rows(trials: int) -> Iterator[str]:
    """The second table, line by line."""
    yield f"{'family':14}{'false alarms':>14}{'faults found':>14}{'evals':>7}"
    for family in FAMILIES:
        reports = [right(family, seed) for seed in range(trials)]
        faulty = [report for seed in range(trials) if (report := wrong(family, seed)) is not None]
        alarms, found = percent(sum(not r.ok for r in reports), trials), percent(sum(not r.ok for r in faulty), len(faulty))
        yield f"{family:14}{alarms:>14}{found:>14}{median(r.evaluations for r in reports):7g}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gradcheck_faults", description="Count the faults that gradient checks find and name.")
    parser.add_argument("--trials", type=int, default=TRIALS, help="faults of each kind and size (default: %(default)s)")
    options = parser.parse_args()
    print(f"Percent of {options.trials} faults that are found, and named rightly")
    for line in rows(options.trials):
        print(line, flush=True)
    print(f"\nPercent of {options.trials} right gradients called wrong, and of as many wrong ones found")
    for line in family_rows(options.trials):
        print(line, flush=True)


if __name__ == "__main__":
    main()
