"""What was measured, as Markdown: the versions, a table per job, and whether the targets are met."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from statistics import quantiles

from benchmarks.timing import PEERS, AbsentError, Job, Target, prepared, race

UNITS = {"s": 1.0, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9}
QUIET = 1.5  # with quartiles further apart than this, a machine is too busy for a verdict

Quartiles = tuple[float, float, float]


def versions() -> str:
    """One line on what is compared, and on how many cores."""
    parts = [f"Python {platform.python_version()}"]
    for package, name in {"numpy": "NumPy", **PEERS}.items():
        try:
            parts.append(f"{name} {version(package)}")
        except PackageNotFoundError:
            parts.append(f"{name} not installed")
    return ", ".join([*parts, f"{os.cpu_count()} cores"])


def report(job: Job, rounds: int) -> str:
    """Run a job and say how it went."""
    contestants, absent = {}, []
    for name in job.contestants:
        try:
            contestants[name] = prepared(name, job)
        except AbsentError as reason:
            absent.append(f"- {name}: {reason}")
    measured = {}
    for name, seconds in race(contestants, rounds).items():
        low, middle, high = (q / job.operations.get(name, 1) for q in quantiles(seconds, n=4, method="inclusive"))
        measured[name] = low, middle, high
    return "\n".join([f"### {job.title}", "", *table(measured), "", *absent, *(verdict(target, measured) for target in job.targets)])


def table(measured: dict[str, Quartiles]) -> list[str]:
    """Median, quartiles and the ratio to the first contestant."""
    baseline, (_, base, _) = next(iter(measured.items()))
    unit, size = next((unit, size) for unit, size in UNITS.items() if base >= size)
    lines = [f"| | median, {unit} | quartiles | ratio to {baseline} |", "| --- | ---: | ---: | ---: |"]
    for name, (low, middle, high) in measured.items():
        lines.append(f"| {name} | {middle / size:.1f} | {low / size:.1f} to {high / size:.1f} | {middle / base:.2f} |")
    return lines


def verdict(target: Target, measured: dict[str, Quartiles]) -> str:
    """A target with a tick where it is met."""
    both = [measured[name] for name in (target.contestant, target.rival) if name in measured]
    if len(both) < 2:
        return f"- [ ] {target.text}: not measured"
    if any(high > QUIET * low for low, _, high in both):
        return f"- [ ] {target.text}: no verdict, the quartiles are too far apart; run it on a machine with nothing else to do"
    (_, ours, _), (_, theirs, _) = both
    return f"- [{'x' if ours <= target.limit * theirs else ' '}] {target.text}: {ours / theirs:.2f} times the time of {target.rival}"
