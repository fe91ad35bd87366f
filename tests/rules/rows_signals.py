"""Rows of interpolation, polynomials and convolutions."""

import numpy

from tests.rules.rows import Row

POINTS = numpy.array([-1.5, -0.4, 0.3, 1.1, 1.8])
INSIDE = numpy.array([[-1.2, 0.0, 0.9], [1.7, -0.39, 1.2]])
BEYOND = numpy.array([-3.0, -1.2, 0.0, 1.7, 2.5])
TURNS = numpy.array([-7.1, -0.3, 0.2, 3.4, 9.9])
MODES = ("full", "same", "valid")


def through(x, label, jax=True, **settings):
    """A row of a curve through points, differentiated with respect to all of it."""
    return Row(numpy.interp, lambda np, x, xp, fp: np.interp(x, xp, fp, **settings) ** 2, (x, POINTS, (5,)), jax=jax, label=label)


# fmt: off
ROWS = [
    through(BEYOND, "and beyond"), through(BEYOND, "left and right", left=0.5, right=-2.0), through(numpy.array(0.2), "a number"),
    through(TURNS, "period", period=4.0),
    Row(numpy.interp, lambda np, x: np.interp(x, POINTS, POINTS ** 2) ** 2, (INSIDE,), label="x only"),
    Row(numpy.interp, lambda np, fp: np.interp(INSIDE, list(POINTS), fp) ** 2, ((5,),), label="fp only", jax=False),  # jax takes no list
    Row(numpy.interp, lambda np, fp: np.interp(0.5, POINTS, fp) ** 2, ((5,),), label="a plain number"),
    Row(numpy.interp, lambda np, x, fp: np.interp(x, numpy.array([0.2]), fp) ** 2, (numpy.array([-1.0, 3.0]), (1,)), label="one point",
        jax=False),  # jax gives nan
    Row(numpy.interp, lambda np, x, a, b: np.interp(x, POINTS, POINTS ** 2, a, b) ** 2, (BEYOND, (), ()), label="left and right tracked"),
    Row(numpy.interp, lambda np, x, period: np.interp(x, POINTS, POINTS ** 2, period=period), (TURNS, numpy.array(4.0)), label="period tracked",
        jax=False),  # jax wants a constant

    *[Row(numpy.polyval, lambda np, p, x: np.polyval(p, x), (shape, x), label=f"{shape} {x}") for shape, x in (((1,), (2,)), ((3,), ()))],
    Row(numpy.polyval, lambda np, x: np.polyval([2.0, 0.0, -1.0], x), ((3,),), label="plain coefficients", jax=False),  # jax takes no list
    Row(numpy.polyval, lambda np, p: np.polyval(p, numpy.array([0.5, 2.0])) ** 2, ((3,),), label="plain x"),
    *[Row(numpy.polyder, lambda np, p, m=m: np.polyder(p, m) ** 2, ((4,),), label=str(m)) for m in (0, 3, 4)],
    *[Row(numpy.polyint, lambda np, p, args=args: np.polyint(p, *args) ** 2, ((3,),), label=str(args))
      for args in ((2,), (0,), (2, 1.5), (2, numpy.array([1.5, -1.0])))],
    Row(numpy.polyint, lambda np, p, k: np.polyint(p, 2, k) ** 2, ((3,), (2,)), label="constants tracked"),

    *[Row(func, lambda np, a, v, name=func.__name__, mode=mode: getattr(np, name)(a, v, mode) ** 2, shapes, label=f"{shapes} {mode}")
      for func in (numpy.convolve, numpy.correlate) for shapes in (((5,), (3,)), ((2,), (5,)), ((4,), (2,)), ((3,), (3,)), ((1,), (1,))) for mode in MODES],
    Row(numpy.convolve, lambda np, a: np.convolve(a, a) ** 2, ((3,),), label="with itself"),
    Row(numpy.convolve, lambda np, a, v: np.convolve(a, v), ((), (3,)), label="a number", jax=False),  # jax wants vectors
    Row(numpy.convolve, lambda np, v: np.convolve([1.0, -2.0, 0.5], v, "same") ** 2, ((2,),), label="plain signal", jax=False),  # jax takes no list
    Row(numpy.correlate, lambda np, a: np.correlate(a, numpy.array([1.0, -2.0])) ** 2, ((4,),), label="plain kernel"),
]
# fmt: on
