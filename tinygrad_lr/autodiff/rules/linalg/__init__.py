"""Linear algebra, in the sections of NumPy's chapter: products, decompositions, solving, and norms and other numbers."""

from tinygrad_lr.autodiff.rules.linalg import decompositions as decompositions
from tinygrad_lr.autodiff.rules.linalg import norms as norms
from tinygrad_lr.autodiff.rules.linalg import products as products
from tinygrad_lr.autodiff.rules.linalg import solving as solving
