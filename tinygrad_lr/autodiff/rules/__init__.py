"""How each function sends a gradient back: one aligned line per rule, in plain NumPy.

`elementwise`, `reductions`, `statistics`, `signals`, `creation`, `shapes` and `linalg` follow NumPy's own
chapters; layers and losses stand with their rules in `tinygrad_lr.nn`. Importing this package fills the tables in `registry`;
`special`, the chapter of SciPy's functions, loads when a Tensor meets one of them.
"""

from tinygrad_lr.autodiff.rules import creation as creation
from tinygrad_lr.autodiff.rules import elementwise as elementwise
from tinygrad_lr.autodiff.rules import linalg as linalg
from tinygrad_lr.autodiff.rules import queries as queries
from tinygrad_lr.autodiff.rules import reductions as reductions
from tinygrad_lr.autodiff.rules import shapes as shapes
from tinygrad_lr.autodiff.rules import signals as signals
from tinygrad_lr.autodiff.rules import statistics as statistics
from tinygrad_lr.autodiff.rules.primitive import primitive as primitive
from tinygrad_lr.autodiff.rules.registry import COMPOSITES as COMPOSITES
from tinygrad_lr.autodiff.rules.registry import QUERIES as QUERIES
from tinygrad_lr.autodiff.rules.registry import RULES as RULES
from tinygrad_lr.autodiff.rules.registry import SideGradient as SideGradient
from tinygrad_lr.autodiff.rules.registry import name_of as name_of
