"""Rows of reductions, running sums and products, statistics and slopes."""

import numpy

from tests.rules.rows import Row
from tinygrad_lr.autodiff.rules.reductions import log_softmax, logaddexp_reduce, logsumexp, running_max, running_min, softmax

ZEROS = numpy.array([[0.0, 2.0, -3.0, 0.5], [1.5, 0.0, 0.0, -1.0], [2.0, 1.0, -0.5, 3.0], [0.0, 0.0, 0.0, 0.0]])
HOLES = numpy.array([[0.3, numpy.nan, -1.2, 2.0], [1.0, 0.5, -0.7, 1.9], [numpy.nan, 2.2, 0.1, numpy.nan]])
WEIGHTS = (0.5, 2.0)
PLACES = numpy.array([0.0, 0.5, 2.0, 2.25])
FREQUENCIES = numpy.array([1, 3, 0, 2])
WEIGHTED = numpy.array([0.5, 2.0, 1.0, 0.7])
METHODS = (
    "inverted_cdf", "averaged_inverted_cdf", "closest_observation", "interpolated_inverted_cdf", "hazen", "weibull", "linear",
    "median_unbiased", "normal_unbiased", "lower", "higher", "midpoint", "nearest",
)  # fmt: skip


def squared(func, shape, *args, domain=(-2.0, 2.0), jax=True, **kwargs):
    """A row of ``func(x, *args, **kwargs) ** 2``, whose second derivative needs the rule a second time."""
    label = ", ".join([str(shape)[:20], *map(repr, args), *(f"{key}={value!r}" for key, value in kwargs.items())])
    return Row(func, lambda np, x: getattr(np, func.__name__)(x, *args, **kwargs) ** 2, (shape,), domain=domain, jax=jax, label=label)


def with_holes(func, *args, jax=True, **kwargs):
    """A row of ``func`` on data of which some are nan, whatever the input."""
    label = ", ".join([*map(repr, args), *(f"{key}={value!r}" for key, value in kwargs.items())])

    def call(np, x):
        return getattr(np, func.__name__)(np.where(numpy.isnan(HOLES), numpy.nan, x), *args, **kwargs) ** 2

    return Row(func, call, ((3, 4),), jax=jax, label=label)


def some(func, *args, mask, jax=True, **kwargs):
    """A row of ``func`` of those elements where ``mask`` is true."""
    label = ", ".join(["where", str(numpy.shape(mask)), *map(repr, args), *(f"{key}={value!r}" for key, value in kwargs.items())])
    return Row(func, lambda np, x: getattr(np, func.__name__)(x, *args, where=mask, **kwargs) ** 2, ((3, 4),), jax=jax, label=label)


def from_tracked_start(func, **kwargs):
    """A row of ``func`` from a start value that has a gradient."""
    label = f"start tracked, {', '.join(kwargs)}"
    return Row(func, lambda np, x, s: getattr(np, func.__name__)(x, initial=s, **kwargs) ** 2, ((3, 4), ()), label=label)


def reduced(name, func, **kwargs):
    """A row of a ufunc's reduce, which stands for ``func``; jax's takes no mask."""
    return Row(func, lambda np, x: getattr(np, name).reduce(x, **kwargs) ** 2, ((3, 4),), label=f"{name}.reduce", jax=False)


MASK = numpy.array([[True, False, True, True], [False, True, True, False], [True, True, False, False]])
MASKS = (MASK, MASK[0], MASK[:, 1:2])
AXES = (None, 0, -1, (0, 2), (-1, 0), (0, 1, 2), ())

# fmt: off
ROWS = [
    # every axis form, with and without keepdims
    *[squared(func, (2, 3, 4), axis=axis, keepdims=keepdims)
      for func in (numpy.sum, numpy.mean, numpy.max, numpy.prod) for axis in AXES for keepdims in (False, True)],
    *[squared(func, (2, 3, 4), axis=axis, keepdims=keepdims)
      for func in (numpy.min, numpy.amax, numpy.amin, numpy.ptp, numpy.var, numpy.std) for axis, keepdims in ((None, True), (1, False), ((-1, 0), True))],
    *[squared(func, (3, 2), 0, None, None, True, jax=False)  # jax takes no out by position
      for func in (numpy.sum, numpy.mean, numpy.prod)],
    *[squared(func, (), *args) for func in (numpy.sum, numpy.mean, numpy.max, numpy.min, numpy.prod) for args in ((), (None,))],
    *[squared(func, (1,)) for func in (numpy.sum, numpy.mean, numpy.max, numpy.prod, numpy.median)],
    *[squared(func, (0, 3), axis=axis) for func in (numpy.sum, numpy.prod) for axis in (None, 0, 1)],
    *[squared(func, (2, 3), dtype=numpy.float64) for func in (numpy.sum, numpy.mean, numpy.prod, numpy.cumsum, numpy.cumprod, numpy.var)],

    # some elements, and a start value; a mean of nothing is nan
    *[some(func, mask=mask, axis=axis, keepdims=keepdims)
      for func in (numpy.sum, numpy.prod) for mask in MASKS for axis, keepdims in ((None, False), (1, True), ((0, 1), False), ((), False))],
    *[some(numpy.mean, mask=mask, axis=axis, keepdims=keepdims) for mask in MASKS for axis, keepdims in ((None, False), ((0, 1), True))],
    *[some(numpy.mean, mask=MASK, axis=axis) for axis in (0, 1, -1)],
    *[some(func, mask=MASK, axis=axis, initial=initial, keepdims=keepdims)
      for func in (numpy.sum, numpy.prod, numpy.max, numpy.min, numpy.amax, numpy.amin)
      for axis, initial, keepdims in ((None, 0.3, False), (0, -0.4, True), ((-1, 0), 0.1, False))],
    *[some(func, mask=numpy.array(False), initial=0.5, axis=0) for func in (numpy.sum, numpy.prod, numpy.max)],
    *[some(func, mask=MASK, axis=axis, ddof=ddof) for func in (numpy.var, numpy.std) for axis, ddof in ((None, 0), (1, 0), ((0, 1), 1))],
    Row(numpy.var, lambda np, x: np.var(x, 0, mean=np.full((1, 4), 0.5), where=MASK, keepdims=True) ** 2, ((3, 4),), label="where, mean"),
    *[squared(func, (3, 4), axis=1, initial=initial) for func in (numpy.sum, numpy.prod, numpy.max, numpy.min) for initial in (0.3, numpy.float32(-0.25))],
    *[from_tracked_start(func, **settings)
      for func in (numpy.sum, numpy.prod, numpy.max, numpy.min) for settings in ({}, {"axis": 0, "keepdims": True}, {"axis": 1, "where": MASK})],
    *[squared(func, (3, 4), 0, None, None, True, 0.3, MASK, jax=False) for func in (numpy.sum, numpy.prod)],  # jax takes no out by position
    *[squared(func, (3, 4), 0, None, True, 0.3, MASK, jax=False) for func in (numpy.max, numpy.min)],  # as above
    *[reduced(name, func, axis=1, where=MASK, initial=0.2)
      for name, func in (("add", numpy.sum), ("multiply", numpy.prod), ("maximum", numpy.max), ("minimum", numpy.min), ("logaddexp", logaddexp_reduce))],
    Row(logaddexp_reduce, lambda np, x, s: np.logaddexp.reduce(x, where=MASK, initial=s) ** 2, ((3, 4), ()), label="start tracked", jax=False),  # as reduced

    # deviations
    squared(numpy.var, (2, 3), ddof=1, axis=1),
    squared(numpy.var, (2, 3), None, None, None, 1, True, jax=False),  # jax takes no out by position
    squared(numpy.var, (2, 3), correction=1),
    Row(numpy.var, lambda np, x: np.var(x, 0, mean=np.full((1, 2), 0.5), keepdims=True) ** 2, ((3, 2),), label="mean"),
    squared(numpy.std, (2, 3), ddof=1, axis=1),
    squared(numpy.std, (2, 3), (0, 1), ddof=0.5, keepdims=True),
    *[with_holes(func, axis=axis, ddof=ddof) for func in (numpy.nanvar, numpy.nanstd) for axis, ddof in ((None, 0), (0, 0), (1, 0), ((0, 1), 1))],
    Row(numpy.nanvar, lambda np, x: np.nanvar(x, axis=0, mean=np.full((1, 2), 0.5), keepdims=True) ** 2, ((3, 2),), label="mean"),
    squared(numpy.nanstd, (3, 2), 0, keepdims=True),

    # products, with zeros in the data as well
    *[squared(numpy.prod, ZEROS, axis=axis) for axis in (None, 0, 1)],
    *[squared(numpy.cumprod, ZEROS, axis=axis) for axis in (None, 0, 1)],
    Row(numpy.prod, lambda np, x: np.prod(x), (numpy.array([0.0, 2.0, 0.0]),), label="two zeros"),
    Row(numpy.prod, lambda np, x: np.prod(x), (numpy.array([3.0, 2.0, 0.0]),), label="one zero"),
    squared(numpy.nanprod, (2, 3), axis=1),

    # running sums and products
    *[squared(func, shape, *axis) for func in (numpy.cumsum, numpy.cumprod)
      for shape, axis in (((7,), ()), ((2, 3), (1,)), ((2, 3, 2), (-2,)), ((), ()), ((1,), (0,)), ((2, 0), (1,)))],

    # some missing
    *[with_holes(func, axis=axis) for func in (numpy.nansum, numpy.nanprod, numpy.nanmean, numpy.nanmax, numpy.nanmin, numpy.nanmedian)
      for axis in (None, 0, 1, (0, 1))],
    *[with_holes(func, axis=axis, where=MASK, jax=func is not numpy.nanstd)  # of a single number jax has nan
      for func in (numpy.nansum, numpy.nanprod, numpy.nanmean, numpy.nanvar, numpy.nanstd) for axis in (None, 1)],
    *[with_holes(func, axis=0, where=MASK, initial=0.4) for func in (numpy.nansum, numpy.nanprod, numpy.nanmax, numpy.nanmin)],
    *[with_holes(func, 1, keepdims=True) for func in (numpy.nansum, numpy.nanmean, numpy.nanmax, numpy.nanmedian)],
    *[with_holes(func, axis=axis) for func in (numpy.nancumsum, numpy.nancumprod) for axis in (None, 1)],
    *[with_holes(numpy.nanquantile, q, axis=axis, keepdims=keepdims)
      for q, axis, keepdims in ((0.3, None, False), (numpy.array([0.1, 0.5, 1.0]), 0, True), (0.7, 1, False))],
    with_holes(numpy.nanpercentile, 30, axis=1),
    with_holes(numpy.nanquantile, 0.4, axis=1, method="hazen", jax=False),  # jax knows five of the methods
    squared(numpy.nanquantile, (3, 2), 0.4, 0),

    # quantiles
    *[squared(numpy.median, shape, axis=axis, keepdims=keepdims)
      for shape in ((3, 4), (5, 3)) for axis, keepdims in ((None, False), (0, True), (-1, False), ((0, 1), True))],
    *[squared(numpy.quantile, (5, 3), q, axis=axis, keepdims=keepdims)
      for q in (0.3, numpy.array([0.25, 0.9])) for axis, keepdims in ((None, False), (0, True), ((1, 0), True), (1, False))],
    *[squared(numpy.quantile, (5, 3), q, axis=1, jax=False)  # jax wants floats along one axis at most
      for q in (0, 1, numpy.array([[0.5], [0.1]]))],
    *[squared(numpy.quantile, (6,), numpy.array([0.0, 0.1, 0.45, 1.0]), method=method, jax=method in ("linear", "lower", "higher", "midpoint", "nearest"))
      for method in METHODS],
    squared(numpy.quantile, (), 0.5),
    squared(numpy.quantile, (2, 0), 0.5, axis=0),
    squared(numpy.percentile, (4, 3), 30, 0),
    squared(numpy.percentile, (4, 3), numpy.array([10, 95]), axis=1),

    # running extremes
    *[Row(func, lambda np, x, name=name, axis=axis: getattr(np, name).accumulate(x, axis=axis) ** 2, (shape,), label=f"{shape} {axis}")
      for func, name in ((running_max, "maximum"), (running_min, "minimum"))
      for shape, axis in (((7,), 0), ((3, 4), 0), ((3, 4), 1), ((2, 3, 2), -2), ((2, 0), 1))],

    # running sums and products as the array API has them
    *[squared(getattr(numpy, name), shape, jax=shape != (), **settings)  # jax wants an axis
      for name in ("cumulative_sum", "cumulative_prod") if hasattr(numpy, name)  # NumPy 2.1
      for shape, settings in (((4,), {}), ((), {}), ((2, 3), {"axis": 1}), ((2, 3), {"axis": -2, "include_initial": True}),
                              ((3,), {"include_initial": True}), ((3,), {"dtype": numpy.float64}))],

    # averages
    squared(numpy.average, (2, 3), 1, keepdims=True),
    Row(numpy.average, lambda np, x, w: np.average(x, weights=w) ** 2, ((2, 3), (2, 3)), domain=WEIGHTS, label="weights"),
    Row(numpy.average, lambda np, x, w: np.average(x, -1, w) ** 2, ((2, 3), (3,)), domain=WEIGHTS, label="weights of an axis"),
    Row(numpy.average, lambda np, x, w: np.average(x, (2, 0), w, keepdims=True) ** 2, ((2, 3, 4), (4, 2)), domain=WEIGHTS, label="weights of two axes",
        jax=False),  # jax takes weights of one axis only
    Row(numpy.average, lambda np, x, w: np.average(x, axis=0, weights=w, returned=True), ((2, 3), (2,)), domain=WEIGHTS, label="returned"),
    Row(numpy.average, lambda np, x: np.average(x, axis=0, returned=True)[0] ** 2, ((2, 3),), label="returned, no weights"),

    # variables that vary together
    *[squared(numpy.cov, shape, **settings)
      for shape in ((3, 4), (4,))
      for settings in ({}, {"bias": True}, {"ddof": 0}, {"fweights": FREQUENCIES}, {"aweights": WEIGHTED},
                       {"fweights": FREQUENCIES, "aweights": WEIGHTED, "ddof": 2}, {"dtype": numpy.float64})],
    squared(numpy.cov, (4, 2), rowvar=False), squared(numpy.cov, (1, 4)),
    *[Row(numpy.cov, lambda np, x, y: np.cov(x, y) ** 2, shapes, label=str(shapes)) for shapes in (((2, 4), (3, 4)), ((4,), (4,)))],
    Row(numpy.cov, lambda np, x, y: np.cov(x, y, rowvar=False) ** 2, ((4, 2), (4, 1)), label="columns"),
    Row(numpy.cov, lambda np, x, w: np.cov(x, aweights=w) ** 2, ((2, 4), (4,)), domain=WEIGHTS, label="aweights tracked"),
    squared(numpy.corrcoef, (5, 2), rowvar=False),
    Row(numpy.corrcoef, lambda np, x, y: np.corrcoef(x, y) ** 2, ((5,), (5,)), label="two"),

    # slopes
    *[squared(numpy.diff, (3, 4), **settings)
      for settings in ({"n": 0}, {"n": 2}, {"axis": 0}, {"n": 5}, {"axis": 0, "prepend": 1.0}, {"prepend": numpy.ones((3, 2)), "append": 0.5, "n": 2})],
    squared(numpy.diff, (3, 4), n=0, prepend=1.0),
    Row(numpy.diff, lambda np, x, p, q: np.diff(x, prepend=p, append=q) ** 2, ((2, 3), (), (2, 1)), label="prepend and append tracked"),
    squared(numpy.ediff1d, (2, 3), to_end=1.5), squared(numpy.ediff1d, (1,), to_begin=[1.0, 2.0], jax=False),  # jax takes no list
    Row(numpy.ediff1d, lambda np, x, a, b: np.ediff1d(x, to_begin=a, to_end=b) ** 2, ((4,), (2,), ()), label="ends tracked"),
    *[squared(numpy.gradient, (5,), *spacing, edge_order=edge_order, jax=edge_order == 1 and not numpy.ndim(spacing))  # jax: equal steps, first order
      for spacing in ((), (0.5,)) for edge_order in (1, 2)],
    *[squared(numpy.gradient, (3, 4), *spacing, axis=1, edge_order=edge_order, jax=False)  # as above
      for spacing in ((), (0.5,), (PLACES,), (list(PLACES),)) for edge_order in (1, 2)],
    Row(numpy.gradient, lambda np, f: [s ** 2 for s in np.gradient(f, 2.0, PLACES, axis=(0, -1))], ((3, 4),), label="all axes, spaced", jax=False),  # as above
    Row(numpy.gradient, lambda np, f, h: np.gradient(f, h, axis=0, edge_order=2), ((4, 2), ()), domain=WEIGHTS, label="step tracked", jax=False),  # as above
    Row(numpy.gradient, lambda np, f, x: np.gradient(f, np.cumsum(x)), ((5,), (5,)), domain=WEIGHTS, label="places tracked", jax=False),  # as above
    *[squared(numpy.trapezoid, (3, 4), **settings) for settings in ({"dx": 0.5, "axis": 0}, {"x": PLACES})],
    Row(numpy.trapezoid, lambda np, y, x: np.trapezoid(y, x, axis=0) ** 2, ((3, 2), (3,)), label="places tracked"),
    Row(numpy.trapezoid, lambda np, y, x: np.trapezoid(y, x, axis=0) ** 2, ((3, 2), (3, 2)), label="places for each"),

    Row(numpy.trapezoid, lambda np, y, h: np.trapezoid(y, dx=h) ** 2, ((3, 4), ()), domain=WEIGHTS, label="step tracked"),
    Row(numpy.trapezoid, lambda np, x: np.trapezoid([1.0, 2.0, 4.0, 3.0], x) ** 2, ((4,),), label="list of values", jax=False),  # jax takes no list

    # own
    *[Row(logsumexp, lambda np, z, axis=axis, keepdims=keepdims: logsumexp(z, axis, keepdims=keepdims) ** 2, ((2, 3),), jax=False, label=f"{axis}, {keepdims}")
      for axis in (None, 0, (0, -1)) for keepdims in (False, True)],
    Row(logsumexp, lambda np, z: logsumexp(z, 1, b=numpy.array([2.0, 0.0, 0.5])) ** 2, ((2, 3),), jax=False, label="weights"),
    Row(logsumexp, lambda np, z: logsumexp(z, 0, b=numpy.ones((2, 3))) ** 2, ((1, 3),), jax=False, label="more weights than numbers"),
    Row(softmax, lambda np, z: softmax(z, 0) ** 2, ((2, 3),), jax=False, label="axis=0"),
    Row(log_softmax, lambda np, z: log_softmax(z, 0) ** 2, ((2, 3),), jax=False, label="axis=0"),
    *[Row(logaddexp_reduce, lambda np, x, args=(axis, keepdims): logaddexp_reduce(x, *args) ** 2, ((2, 3),), jax=False, label=f"{axis}, {keepdims}")
      for axis in (None, 0, -1, (0, 1), ()) for keepdims in (False, True)],
]
# fmt: on
