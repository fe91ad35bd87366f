"""Rows of functions that make arrays from numbers."""

import numpy

from tests.rules.rows import Row

POSITIVE = (0.5, 3.0)


def spaced(func, *shapes, domain=(-2.0, 2.0), jax=True, **settings):
    """A row of points from start to stop, squared."""
    label = ", ".join([*map(str, shapes), *(f"{key}={value!r}" for key, value in settings.items())])
    return Row(func, lambda np, a, b: getattr(np, func.__name__)(a, b, **settings) ** 2, shapes, domain=domain, jax=jax, label=label)


def grid(count, **settings):
    """A row of a grid of ``count`` vectors, the product of its arrays squared."""
    shapes = ((2,), (3,), (4,))[:count]

    def call(np, *xs):
        return [numpy.prod(numpy.shape(y)) * y**2 for y in np.meshgrid(*xs, **settings)]

    return Row(numpy.meshgrid, call, shapes, label=", ".join([str(count), *(f"{key}={value!r}" for key, value in settings.items())]))


# fmt: off
ROWS = [
    spaced(numpy.linspace, (), ()), spaced(numpy.linspace, (), (), num=4, endpoint=False), spaced(numpy.linspace, (), (), num=1),
    spaced(numpy.linspace, (), (), num=0), spaced(numpy.linspace, (), (), num=1, endpoint=False),
    *[spaced(numpy.linspace, (2,), (3, 1), num=4, axis=axis, endpoint=endpoint) for axis, endpoint in ((0, True), (1, False), (-1, True))],
    spaced(numpy.linspace, (), (2,), num=3, dtype=numpy.float64),
    Row(numpy.linspace, lambda np, a: np.linspace(a, 1.5, 5) ** 2, ((),), label="start only"),
    Row(numpy.linspace, lambda np, b: np.linspace(0, b, 5) ** 2, ((2,),), label="stop only"),
    Row(numpy.linspace, lambda np, a, b: [y ** 2 for y in np.linspace(a, b, 4, retstep=True)], ((2,), ()), label="retstep"),
    spaced(numpy.geomspace, (), (), num=5, domain=POSITIVE), spaced(numpy.geomspace, (), (), num=4, domain=(-3.0, -0.5), endpoint=False),
    spaced(numpy.geomspace, (2,), (3, 1), num=4, domain=POSITIVE, axis=-1), spaced(numpy.geomspace, (), (2,), num=1, domain=POSITIVE),
    spaced(numpy.geomspace, (), (), num=3, domain=POSITIVE, dtype=numpy.float64),
    spaced(numpy.logspace, (), (), num=5, domain=(-1.0, 1.0)), spaced(numpy.logspace, (2,), (), num=3, base=2.0, axis=1, endpoint=False),
    spaced(numpy.logspace, (), (), num=3, dtype=numpy.float64, domain=(-1.0, 1.0)),
    Row(numpy.logspace, lambda np, a, base: np.logspace(a, 1.5, 4, base=base), ((), ()), domain=POSITIVE, label="base tracked"),
    Row(numpy.logspace, lambda np, a, b, base: np.logspace(a, b, 4, base=base, axis=-1), ((2,), (), (3, 1)), domain=POSITIVE, label="bases",
        jax=False),  # jax takes a single base

    *[grid(count, indexing=indexing, sparse=sparse) for count in (1, 2, 3) for indexing in ("xy", "ij") for sparse in (False, True)],
    Row(numpy.meshgrid, lambda np, x: [x.sum() * y for y in np.meshgrid(x, numpy.arange(2.0))], ((3,),), label="one tracked"),
    Row(numpy.meshgrid, lambda np, x, y: [a * b for a, b in [np.meshgrid(x, y, indexing="ij")]], ((), (2, 2)), label="a number and a matrix",
        jax=False),  # jax takes vectors only

    *[Row(numpy.vander, lambda np, x, settings=settings: np.vander(x, **settings) ** 2, ((3,),), label=str(settings))
      for settings in ({"N": 5}, {"N": 2, "increasing": True}, {"N": 1})],
    Row(numpy.vander, lambda np, x: np.vander(x, 4), (numpy.array([0.0, -1.0, 2.0]),), label="0", jax=False),  # jax gives nan at 0
]
# fmt: on
