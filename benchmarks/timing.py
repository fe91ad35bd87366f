"""Fair timing: every contestant is checked first, then all of them take turns in one process.

A machine's speed drifts, so contestants that are timed one after the other cannot be compared. Here a
round gives each a turn of a few milliseconds, in an order drawn anew, and the median over many rounds
counts. Nobody is timed whose losses, results and types differ from the reference.
"""

from __future__ import annotations

import gc
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter
from typing import NamedTuple

import numpy as np

TURN = 2e-3  # seconds: long beside the clock's resolution, short beside the machine's moods
CHECKED_STEPS = 3
PEERS = {"torch": "PyTorch", "jax": "JAX", "autograd": "autograd", "mygrad": "MyGrad"}


class Contestant(NamedTuple):
    """One way to do a job: a step that gives the loss as a float, and where its results are afterwards."""

    step: Callable[[], float]
    results: Callable[[], list[np.ndarray]]


Setup = Callable[[], Contestant]


class Target(NamedTuple):
    """What is aimed at: the median of ``contestant`` is at most ``limit`` times the median of ``rival``."""

    text: str
    contestant: str
    limit: float
    rival: str


@dataclass(frozen=True)
class Job:
    """The same work for several contestants.

    Attributes
    ----------
    title : str
        What a step does.
    contestants : dict
        Name to setup; the first one is what the others' ratios are to.
    reference : callable
        The setup of the contestant whose results are right; it need not be timed itself.
    rounds : int
        How many turns each contestant takes.
    rtol : float
        How closely losses and results must agree with the reference's.
    targets : tuple of Target
        What is aimed at.
    operations : dict
        Name to the number of operations in its step, where the time of one operation is wanted.
    """

    title: str
    contestants: dict[str, Setup]
    reference: Setup
    rounds: int = 100
    rtol: float = 1e-9
    targets: tuple[Target, ...] = ()
    operations: dict[str, int] = field(default_factory=dict)


class AbsentError(Exception):
    """A peer that is not installed."""


def prepared(name: str, job: Job) -> Contestant:
    """The contestant of that name, ready to start, its first steps checked against the reference's."""
    try:
        contestant = job.contestants[name]()
        losses = [contestant.step() for _ in range(CHECKED_STEPS)]
    except ModuleNotFoundError as error:
        if error.name not in PEERS:
            raise
        raise AbsentError(f"{PEERS[error.name]} is not installed") from None
    reference = job.reference()
    np.testing.assert_allclose(losses, [reference.step() for _ in range(CHECKED_STEPS)], job.rtol, err_msg=f"losses of {name}")
    for got, expected in zip(contestant.results(), reference.results(), strict=True):
        assert got.dtype == expected.dtype, f"{name} computed in {got.dtype}, not in {expected.dtype}"
        # Elements that are almost 0 are sums of much larger terms, whose digits count.
        np.testing.assert_allclose(got.reshape(expected.shape), expected, job.rtol, job.rtol * np.abs(expected).max(), err_msg=f"results of {name}")
    return contestant


def timed(step: Callable[[], float], steps: int) -> float:
    """Seconds per step."""
    start = perf_counter()
    for _ in range(steps):
        step()
    return (perf_counter() - start) / steps


def race(contestants: dict[str, Contestant], rounds: int) -> dict[str, list[float]]:
    """Seconds per step of every contestant in every round."""
    steps = {name: max(1, round(TURN / median(timed(c.step, 1) for _ in range(3)))) for name, c in contestants.items()}
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    names = list(contestants)
    shuffle = random.Random(0).shuffle  # nobody always follows the same neighbour, whose threads may still be spinning
    gc.collect()
    gc.freeze()  # what the peers brought along is no work for the collector of whoever has the turn
    for _ in range(rounds):
        shuffle(names)
        for name in names:
            step = contestants[name].step
            if steps[name] > 1:
                step()  # warms the caches; a long step does that itself
            seconds[name].append(timed(step, steps[name]))
    gc.unfreeze()
    return seconds
