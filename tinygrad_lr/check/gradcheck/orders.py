"""The check itself: order by order, input by input, until each gradient is known to be right, wrong, or impossible to check.

A mismatch alone is not a verdict. It may be a kink, a convention, rounding, or a function that changes from call to call;
each is recognised by its own signs, which are looked for before a gradient is called wrong.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

import numpy as np

from tinygrad_lr.autodiff.rules.registry import Array, Function
from tinygrad_lr.autodiff.trees import leaves
from tinygrad_lr.check.gradcheck.causes import Causes
from tinygrad_lr.check.gradcheck.diagnosis import Misshapen, about_elements, common_factor, misshapen, one_triangle, recognised, worst_places
from tinygrad_lr.check.gradcheck.differences import ROUNDED, Floats
from tinygrad_lr.check.gradcheck.estimates import NOISY
from tinygrad_lr.check.gradcheck.function import CheckedFunction, RuleError, differing, in_a_row, plain_array, rounding
from tinygrad_lr.check.gradcheck.report import Report, Row
from tinygrad_lr.check.gradcheck.search import Finding, Gradient, Problem, Search, Tolerance, relative_error, search

RTOL = 1e-6
RTOL_OF_FLOAT32 = 1e-3  # how far a gradient in float32 may be from that in float64
NUDGE = 0.01  # how far from a kink the check is repeated, in units of x
AROUND, NEIGHBOURS = 2.0**-24, 4  # how far from a point, and at how many others, the gradient is compared
SHOWN = 3  # elements that show a pattern


class Options(NamedTuple):
    """The arguments of gradcheck besides the function and its inputs.

    ``blame`` is whether to check single rules where a gradient is wrong, ``equation`` names the equation that a rule
    belongs to.
    """

    rtol: float | None
    atol: float
    rng: np.random.Generator
    mode: str
    blame: bool = True
    equation: Callable[[Function, int], str] = lambda func, argument: ""

    @classmethod
    def of(cls, rtol: float | None, atol: float | None, rng: np.random.Generator | int | None, mode: str, order: int) -> Options:
        """The options from the arguments of gradcheck."""
        if mode not in ("fast", "full"):
            raise ValueError(f'mode must be "fast" or "full", got {mode!r}')
        if order < 1:
            raise ValueError(f"order must be at least 1, got {order}")
        return cls(rtol, 0.0 if atol is None else atol, np.random.default_rng(0 if rng is None else rng), mode)

    @property
    def tolerance(self) -> Tolerance:
        return Tolerance(RTOL if self.rtol is None else self.rtol, self.atol)


def report_on(function: CheckedFunction, gradient: Function | None, order: int, options: Options) -> Report:
    """The report on a function, at every order."""
    results = in_a_row(function.results)
    if not np.all(np.isfinite(results)):
        raise ValueError("gradcheck() needs a point at which the function is finite")
    if gradient is not None and results.size != 1:
        raise ValueError(f"a gradient belongs to a function that returns a single number, this one returns {results.size}: sum them in fn")
    if message := function.unsteady():
        return unchecked(function, message)
    consequence = "it was checked on copies, but a second call with the same array would start from what the first one left"
    notes = [f"fn changes its input {name} in place: {consequence}" for name in function.written()]
    seeds = [[np.ones(np.shape(y)) if results.size == 1 else random_weights(options.rng, np.shape(y)) for y in function.results]]
    rows: list[Row] = []
    for level in range(1, order + 1 if gradient is None else 2):
        if level > 1:
            seeds = [*seeds, [random_weights(options.rng, x.shape) * units(x) for x in function.xs]]
        check = Check(function, gradient, seeds, options, kinks={(row.path, row.index) for row in rows if row.verdict == "kink"})
        found = check.rows()
        if any(row.verdict != "ok" for row in found) and (message := function.unsteady() or check.unsteady()):
            return unchecked(function, message)  # it changes only now and then
        rows += found
        notes += check.notes
        if any(row.verdict in ("wrong", "unchecked") for row in found):
            break  # the derivatives of a wrong gradient mean nothing
    return Report(tuple(rows), tuple(dict.fromkeys(notes)), function.evaluations)


def unchecked(function: CheckedFunction, message: str) -> Report:
    """The report on a function that cannot be checked."""
    rows = [Row(name, x.shape, (), 1, np.nan, np.nan, np.nan, "unchecked") for name, x in zip(function.names, function.xs)]
    return Report(tuple(rows), (message,), function.evaluations)


def random_weights(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Random weights that are neither small nor equal."""
    weights: Floats = rng.uniform(0.5, 1.5, shape) * rng.choice((-1.0, 1.0), shape)
    return weights


def units(x: Floats) -> float:
    """The typical size of the elements."""
    sizes = np.abs(x[x != 0])
    return float(np.median(sizes)) if sizes.size else 1.0


class Check:
    """The check of a function's gradient at one order.

    The gradient of order n is that of the function that returns the derivatives of order n - 1, its results
    weighted with the last of ``seeds``.
    """

    def __init__(
        self,
        function: CheckedFunction,
        gradient: Function | None,
        seeds: list[list[Floats]],
        options: Options,
        kinks: Collection[tuple[str, tuple[int, ...]]] = (),
    ) -> None:
        self.function, self.gradient, self.seeds, self.options = function, gradient, seeds, options
        self.order = len(seeds)
        self.kinks = kinks  # inputs and elements where a lower order has found one, so that the gradient jumps
        self.bent = False  # whether some slope changes at the point
        self.notes: list[str] = []

    # -- the function and its gradient at this order ---------------------------------------------------

    def values(self, xs: Sequence[Array]) -> Floats:
        """What is differentiated, as one flat array."""
        if self.order == 1:
            return self.function.values(xs)
        return in_a_row(self.function.derivative(xs, self.seeds[:-1]))

    def gradients(self, xs: Sequence[Floats]) -> list[Floats | None]:
        """The gradient in question; None for inputs that have none."""
        if self.gradient is None:
            return list(self.function.derivative(xs, self.seeds))
        parts = leaves(self.gradient(*self.function.arguments([np.array(x) for x in xs])))
        if len(parts) != len(xs):
            raise ValueError(f"gradient() must return one array per input: {len(xs)} ({', '.join(self.function.names)}), got {len(parts)}")
        return [None if g is None else plain_array(g) for g in parts]

    def unsteady(self) -> str:
        """How another call of the user's gradient differs from the first; empty if it does not."""
        if self.gradient is None:
            return ""
        first, again = (in_a_row([g for g in self.gradients(self.function.given) if g is not None]) for _ in range(2))
        return differing("gradient", first, again)

    def problem(self, xs: list[Floats], exact: list[Floats | None]) -> tuple[Problem, list[Misshapen | None]]:
        """The problem at a point with this gradient, and for each input what is wrong with the gradient's shape."""
        results = (self.function.results if xs is self.function.xs else self.function.call(xs)) if self.order == 1 else [self.values(xs)]
        eps = max(float(np.finfo(plain_array(y).dtype).eps) for y in results)
        faults = [None if g is None or g.shape == x.shape else misshapen(g, x.shape) for x, g in zip(xs, exact)]
        found = [g if fault is None else fault.mended for g, fault in zip(exact, faults)]
        mended: list[Floats] = [np.zeros(x.shape) if g is None else g.astype(np.float64) for x, g in zip(xs, found)]
        weights = in_a_row(self.seeds[-1])
        inside = functools.cache(lambda: self.inside(xs))
        blur, slope = functools.partial(self.blur, xs), functools.partial(self.slope, xs)
        return Problem(self.order, self.function.names, xs, mended, self.values, weights, in_a_row(results), eps, inside, blur, slope), faults

    def inside(self, xs: list[Floats]) -> float:
        """What rounding inside the function does to the weighted values; 0 if autodiff cannot look into it."""
        try:
            outputs = self.function.graph(xs)[0] if self.order == 1 else self.function.recorded_derivative(xs, self.seeds[:-1])
            return rounding(outputs, self.seeds[-1])
        except Exception:  # whatever a function does with Tensors, or its rules with those of a second order
            return 0.0

    def blur(self, xs: list[Floats], k: int, direction: Floats) -> float:
        """What rounding does to the gradient in question of input k along a direction; 0 as above."""
        try:
            outputs = self.function.recorded_derivative(xs, self.seeds) if self.gradient is None else self.function.graph(xs, self.gradient)[0]
            return rounding([outputs[k]], [direction])
        except Exception:
            return 0.0

    def slope(self, xs: list[Floats], k: int, x: Floats, direction: Floats) -> float:
        """The gradient in question at another x of input k, along a direction; nan if it has another shape."""
        try:
            with np.errstate(all="ignore"):
                g = self.gradients([*xs[:k], x, *xs[k + 1 :]])[k]
        except (ValueError, ArithmeticError):  # the function refuses such inputs, or a rule fails
            return np.nan
        return float(np.sum(g * direction)) if g is not None and g.shape == x.shape else np.nan

    # -- rows ------------------------------------------------------------------------------------------

    def rows(self) -> list[Row]:
        """One row per input, or one per wrong element."""
        try:
            given = self.gradients(self.function.given)
            double = all(x.dtype == np.float64 for x in self.function.given)
            problem, faults = self.problem(self.function.xs, given if double else self.gradients(self.function.xs))
        except RuleError as error:
            self.notes.append(str(error))
            if len(self.function.xs) == 1:
                return [Row(self.function.names[0], self.function.xs[0].shape, (), self.order, np.nan, np.nan, np.nan, "wrong", "of another shape")]
            return [row for k in range(len(self.function.xs)) for row in self.rows_alone(k)]
        rows = []
        for k, fault in enumerate(faults):
            mine = given[k]
            if mine is None:
                continue
            found = self.rows_of(problem, k) if fault is None else self.rows_of_misshapen(problem, k, fault)
            if all(row.verdict == "ok" for row in found):
                found = as_given(found, mine, problem, k, self.options.rtol)
            rows += found
        if self.gradient is None:
            return self.with_causes(rows, problem)
        return self.with_autodiffs(rows) if self.bent else rows

    def rows_alone(self, k: int) -> list[Row]:
        """Rows of one input, the others held fixed: some gradient has a shape that stops autodiff."""
        others = self.function.xs

        def alone(x: Array) -> object:
            return self.function.fn(*self.function.arguments([*others[:k], x, *others[k + 1 :]]))

        return list(report_on(CheckedFunction(alone, (self.function.given[k],), [self.function.names[k]]), None, 1, self.options).rows)

    def rows_of(self, problem: Problem, k: int) -> list[Row]:
        """What the search finds about one input's gradient."""
        gradient = Gradient(problem, k, self.options.tolerance)
        if gradient.n == 0:
            return [self.row(gradient, Finding(-1, 0.0, 0.0, "ok"), "no elements")]
        if self.options.mode == "full":
            return self.rows_of_all(gradient)
        seen = search(gradient, self.options.rng, lambda seen: self.explained(gradient, seen))
        self.bent |= seen.bent
        rows = self.described(gradient, seen)
        if any(f.verdict == "kink" for f in seen.findings):
            return rows + self.rows_nearby(problem, k)[0]
        if rows:
            return rows
        if not np.isfinite(seen.estimates[0].residual):
            why = "fn is not defined on both sides here, and no difference can be compared with it"
            return [self.row(gradient, Finding(-1, seen.lines[0].predicted, np.nan, "unchecked", note=why))]
        largest = int(np.argmax(np.abs(gradient.gradient) * gradient.scale))
        if not seen.limited and not seen.mismatch:
            return [self.row(gradient, gradient.look_closely_at(largest, seen.estimates[0].step))]
        rows, clear = self.rows_nearby(problem, k)
        if rows:
            return rows
        if jumps := self.jumps(gradient, seen) if clear else []:
            return [self.row(gradient, f) for f in jumps]
        spot = gradient.look_at(largest)
        if clear:
            return [self.row(gradient, spot._replace(verdict="precision", note="rounding hides the gradient here; right at a nearby point"))]
        if seen.mismatch:
            return [self.row(gradient, spot._replace(verdict="wrong", note="off as a whole, along random directions; mode='full' may show where"))]
        return [self.row(gradient, spot._replace(verdict="precision", note=limits(gradient, seen)))]

    def jumps(self, gradient: Gradient, seen: Search) -> list[Finding]:
        """Where the function itself jumps: the elements that a lower order has found at a kink, or the whole."""
        path = gradient.problem.names[gradient.k]
        known = [int(np.ravel_multi_index(index, gradient.x.shape)) for name, index in sorted(self.kinks) if name == path and index]
        if found := [f for f in map(gradient.look_for_jump_at, known) if f.verdict == "kink"]:
            return found
        for estimate, line in zip(seen.estimates, seen.lines):
            if estimate.unbounded:
                slope = estimate.residual + line.predicted
                return [Finding(-1, line.predicted, slope, "kink", note="fn jumps here, as seen along a random direction; right at a nearby point")]
        return []

    def described(self, gradient: Gradient, seen: Search) -> list[Row]:
        """Rows for what a search found, with notes on single elements."""
        path = gradient.problem.names[gradient.k]
        wrong = [f for f in seen.findings if f.verdict == "wrong"]
        remarks = about_elements(gradient, wrong)
        rows = [self.row(gradient, f, remarks.get(f.i, "")) for f in sorted(seen.findings, key=lambda f: f.verdict != "wrong") if f.verdict != "ok"]
        if len(seen.findings) == len(wrong) and not any(note.startswith(f"{path}: ") for note in self.notes) and (note := common_factor(wrong)):
            self.notes.append(f"{path}: {note}")
        if seen.mismatch and not seen.complete:
            self.notes.append(f"{path}: at least {len(rows)} elements differ or are at a kink; the search ended there (mode='full' compares all)")
        return rows

    def explained(self, gradient: Gradient, seen: Search) -> list[Finding]:
        """Elements that show a pattern of the whole gradient, if there is one."""
        path, at = gradient.problem.names[gradient.k], "" if self.order == 1 else f" (order {self.order})"
        if convention := one_triangle(gradient, seen.lines[0]):
            return [convention]
        if gradient.n > 1 and not np.any(gradient.gradient):
            found = [gradient.look_at(i) for i in self.options.rng.permutation(gradient.n)[:SHOWN]]
            if sum(f.verdict == "wrong" for f in found) > len(found) / 2:
                self.notes.append(f"{path}: the gradient is zero everywhere{at}")
                return [f for f in found if f.verdict == "wrong"]
            return []
        pattern = recognised(gradient, seen, self.sizes())
        if pattern is None:
            return []
        expected = (pattern.right - gradient.gradient) * gradient.scale
        found = [gradient.look_at(i, float(expected[i])) for i in worst_places(gradient, pattern, SHOWN)]
        if not all(f.verdict == "wrong" for f in found):
            return []
        self.notes.append(f"{path}: {pattern.note}{at}")
        return found

    def sizes(self) -> set[int]:
        """All sizes and lengths of inputs and results."""
        arrays = [*self.function.xs, *self.function.results]
        return {n for a in arrays for n in (np.size(a), *np.shape(a))}

    def rows_of_all(self, gradient: Gradient) -> list[Row]:
        """Every element compared: rows for the wrong ones, or for the worst one."""
        findings = [gradient.look_at(i) for i in range(gradient.n)]
        suspicious = [f for f in findings if f.verdict != "ok"]
        wrong = [f for f in suspicious if f.verdict == "wrong"]
        if wrong and (convention := one_triangle(gradient, gradient.line(gradient.scale))):
            suspicious, wrong = [convention], []
        remarks = about_elements(gradient, wrong)
        shown = suspicious or [max(findings, key=lambda f: f.error)]
        return [self.row(gradient, f, remarks.get(f.i, "")) for f in shown]

    def rows_nearby(self, problem: Problem, k: int) -> tuple[list[Row], bool]:
        """At a kink differences say little about the rules, so the check is repeated a short distance away.

        Returns the rows of what is wrong there, and whether nothing could hide errors there.
        """
        xs = list(problem.inputs)
        xs[k] = xs[k] + NUDGE * units(xs[k]) * random_weights(self.options.rng, xs[k].shape)
        try:
            with np.errstate(all="ignore"):
                nearby, _ = self.problem(xs, self.gradients(xs))
        except (ValueError, ArithmeticError):  # the function refuses such inputs
            return [], False
        gradient = Gradient(nearby, k, self.options.tolerance)
        seen = search(gradient, self.options.rng, lambda seen: self.explained(gradient, seen))
        rows = self.described(gradient, seen)
        wrong = [dataclasses.replace(row, note=f"{row.note}; at a nearby point".lstrip("; ")) for row in rows if row.verdict == "wrong"]
        return wrong, not seen.limited and not seen.findings

    def rows_of_misshapen(self, problem: Problem, k: int, fault: Misshapen) -> list[Row]:
        """A gradient of another shape than its input."""
        gradient = Gradient(problem, k, self.options.tolerance)
        self.notes.append(f"{problem.names[k]}: {fault.note}")
        part = np.full(gradient.x.shape, np.nan) if fault.part is None else fault.part
        found = gradient.look_at(int(np.argmax(np.abs(gradient.gradient)))) if gradient.n else Finding(-1, 0.0, 0.0, "wrong")
        return [self.row(gradient, found._replace(verdict="wrong", analytic=float(part.flat[found.i])), "of another shape")]

    def row(self, gradient: Gradient, f: Finding, note: str = "") -> Row:
        index = tuple(int(i) for i in np.unravel_index(f.i, gradient.x.shape)) if f.i >= 0 else ()
        name = gradient.problem.names[gradient.k]
        slopes = f"slopes {f.left:.6g} and {f.right:.6g} on its two sides" if f.bent else ""
        note = "; ".join(filter(None, (note, f.note, slopes)))
        self.bent |= f.bent
        return Row(name, gradient.x.shape, index, self.order, float(f.analytic), float(f.numeric), float(f.error), f.verdict, note)

    def with_causes(self, rows: list[Row], problem: Problem) -> list[Row]:
        """The rows of autodiff's gradient, with what its graph tells."""

        def judge(fn: Function, inputs: tuple[Array, ...], names: list[str]) -> list[Row]:
            part = CheckedFunction(fn, inputs, names)
            if not np.all(np.isfinite(in_a_row(part.results))):
                return []
            return list(report_on(part, None, self.order, self.options._replace(blame=False, mode="fast")).rows)

        causes = Causes(self.function, self.seeds)
        rows = causes.proportional(rows)
        rows = causes.attributed(rows, judge if self.options.blame else None, self.options.equation)
        if self.options.blame and not causes.faulty:
            rows = [row for k, name in enumerate(self.function.names) for row in self.excused([r for r in rows if r.path == name], causes, problem, k)]
        self.notes += causes.notes
        return rows

    def excused(self, rows: list[Row], causes: Causes, problem: Problem, k: int) -> list[Row]:
        """The rows of an input, with kinks in place of wrong elements if several kinks meet here, though every rule is right.

        The gradient may then lie between no slopes at all. It is a matter of convention, and right if it is right at a nearby point.
        """
        name = problem.names[k]
        if (
            not any(row.verdict == "wrong" for row in rows)
            or name in causes.disproportionate
            or not (causes.kinked or self.bent or self.varies_nearby(problem, k))
        ):
            return rows
        nearby, clear = self.rows_nearby(problem, k)
        if nearby or not clear:
            return rows + nearby
        where = "kinks meet here" + f", where {' and '.join(causes.kinked)} was called" * bool(causes.kinked)

        def judged(row: Row) -> Row:
            excused = row.verdict == "wrong" and np.isfinite(row.analytic)
            return dataclasses.replace(row, verdict="kink", note=f"{where}; right at a nearby point") if excused else row

        return list(map(judged, rows))

    def varies_nearby(self, problem: Problem, k: int) -> bool:
        """Whether the gradient of an input changes from point to point right around here, as it does if equal numbers are sorted."""
        xs, found = list(problem.inputs), []
        for _ in range(NEIGHBOURS):
            xs[k] = problem.inputs[k] + AROUND * units(problem.inputs[k]) * random_weights(self.options.rng, xs[k].shape)
            try:
                with np.errstate(all="ignore"):
                    found.append(np.asarray(self.gradients(xs)[k]))
            except (ValueError, ArithmeticError):
                return False
        size = float(np.max(np.abs(found), initial=0.0, where=np.isfinite(found)))
        return not np.allclose(found, found[0], rtol=NUDGE, atol=NUDGE * size, equal_nan=True)

    def with_autodiffs(self, rows: list[Row]) -> list[Row]:
        """Rows of the user's gradient, which at a kink is right if it is the same as autodiff's."""
        try:
            theirs = Check(self.function, None, self.seeds, self.options).rows()
        except Exception:  # autodiff need not be able to follow fn
            return rows
        verdicts = {(row.path, row.index): row for row in theirs if row.verdict == "kink"}

        def judged(row: Row) -> Row:
            other = verdicts.get((row.path, row.index))
            agrees = other is not None and np.isclose(row.analytic, other.analytic, rtol=RTOL, atol=0)
            return other if row.verdict == "wrong" and other is not None and agrees else row

        return list(map(judged, rows))


def limits(gradient: Gradient, seen: Search) -> str:
    """How precisely a gradient could be checked."""
    whole = max(gradient.whole(line.direction) for line in seen.lines)
    error, noise = max(max(e.error, abs(e.residual)) for e in seen.estimates), max(e.noise for e in seen.estimates)
    sight = "the gradient is hidden by rounding" if error >= whole else f"errors below {error / whole:.0e} of the whole gradient cannot be seen"
    return f"fn has noise of about {noise:.0e} of its value: {sight}" if noise > NOISY else sight


def as_given(rows: list[Row], given: Floats, problem: Problem, k: int, rtol: float | None) -> list[Row]:
    """The same rows, or one that says where the gradient in the inputs' own dtype is far from that in float64."""
    exact = problem.exact[k]
    if given.dtype == np.float64 or not given.size or given.shape != exact.shape:
        return rows
    slope = float(np.linalg.norm(problem.weights * problem.centre)) / units(problem.inputs[k])
    typical = np.sqrt(np.mean(exact**2))
    allowed = max(RTOL_OF_FLOAT32, 0.0 if rtol is None else rtol) * (np.abs(exact) + typical) + ROUNDED * float(np.finfo(given.dtype).eps) * slope
    with np.errstate(invalid="ignore"):
        excess = np.where(np.isfinite(given), np.abs(given - exact) / np.maximum(allowed, 1e-300), np.inf)
    i = np.unravel_index(int(np.argmax(excess)), excess.shape)
    if excess[i] <= 1:
        return [with_analytic(row, float(given[row.index])) for row in rows]
    verdict = "precision" if np.isfinite(given[i]) else "wrong"
    row = dataclasses.replace(rows[0], index=tuple(map(int, i)), numeric=float(exact[i]), verdict=verdict, note=f"right in float64, lost in {given.dtype}")
    return [with_analytic(row, float(given[i]))]


def with_analytic(row: Row, value: float) -> Row:
    """The row with another analytic value."""
    return dataclasses.replace(row, analytic=value, error=relative_error(value, row.numeric))
