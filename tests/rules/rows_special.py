"""Rows of the functions of scipy.special."""

from importlib import import_module

from scipy import special

from tests.rules.rows import Row
from tinygrad_lr.autodiff.rules.special import inverse_mills, polygamma

SHARE = (0.05, 0.95)
POSITIVE = (0.3, 4.0)
WIDE = (-6.0, 6.0)


def special_of(np):
    """The module that goes with ``np``: scipy.special, or jax.scipy.special."""
    return import_module(f"{np.__name__.replace('numpy', 'scipy')}.special")


def of(func, *shapes, name=None, domain=(-2.0, 2.0), jax=True):
    """A row of a function of that module."""
    name = name or func.__name__
    return Row(func, lambda np, *xs: getattr(special_of(np), name)(*xs), shapes, domain=domain, jax=jax, label=str(domain))


# fmt: off
ROWS = [
    of(special.expit, (2, 3), domain=WIDE), of(special.logit, (2, 3), domain=SHARE), of(special.log_expit, (2, 3), domain=WIDE, jax=False),  # not in jax.scipy
    of(special.erf, (2, 3)), of(special.erfc, (2, 3)), of(special.erfc, (2, 3), domain=(2.0, 5.0)),
    of(special.ndtr, (2, 3)), of(special.log_ndtr, (2, 3)), of(special.log_ndtr, (2, 3), domain=(-9.0, -4.0)),
    of(special.gammaln, (2, 3), domain=POSITIVE), of(special.gammaln, (2, 3), domain=(-0.8, -0.2)),
    of(special.digamma, (2, 3), name="digamma", domain=POSITIVE),
    of(special.xlogy, (2, 3), (3,), domain=POSITIVE), of(special.xlog1py, (2, 3), (2, 1), domain=SHARE),
    of(special.entr, (2, 3), domain=POSITIVE),
    Row(inverse_mills, lambda np, x: inverse_mills(x), ((2, 3),), domain=(-9.0, 2.0), jax=False),  # ours
    *[Row(polygamma, lambda np, x, n=n: polygamma(x, n), ((2, 3),), domain=POSITIVE, jax=False, label=str(n)) for n in (1, 2)],  # ours
]
# fmt: on
