"""Reverse-mode autodiff on NumPy, small enough to read in an afternoon and good enough to use.

Names are loaded when they are first used. So importing the package itself costs nothing (pytest imports it on
every run, for the gradcheck fixture), and using Tensors loads NumPy and nothing heavier.
"""

from importlib import import_module as _import_module

TYPE_CHECKING = False  # for type checkers; typing itself would take longer to load than all of this
if TYPE_CHECKING:
    from tinygrad_lr import nn as nn
    from tinygrad_lr.autodiff.derivatives import grad as grad
    from tinygrad_lr.autodiff.derivatives import gradients as gradients
    from tinygrad_lr.autodiff.derivatives import hvp as hvp
    from tinygrad_lr.autodiff.derivatives import jvp as jvp
    from tinygrad_lr.autodiff.derivatives import value_and_grad as value_and_grad
    from tinygrad_lr.autodiff.derivatives import vjp as vjp
    from tinygrad_lr.autodiff.jacobian import hessian as hessian
    from tinygrad_lr.autodiff.jacobian import jacobian as jacobian
    from tinygrad_lr.autodiff.record import no_grad as no_grad
    from tinygrad_lr.autodiff.rules.elementwise import log_sigmoid as log_sigmoid
    from tinygrad_lr.autodiff.rules.elementwise import relu as relu
    from tinygrad_lr.autodiff.rules.elementwise import sigmoid as sigmoid
    from tinygrad_lr.autodiff.rules.elementwise import softplus as softplus
    from tinygrad_lr.autodiff.rules.primitive import primitive as primitive
    from tinygrad_lr.autodiff.rules.reductions import log_softmax as log_softmax
    from tinygrad_lr.autodiff.rules.reductions import logsumexp as logsumexp
    from tinygrad_lr.autodiff.rules.reductions import softmax as softmax
    from tinygrad_lr.autodiff.tensor import Tensor as Tensor
    from tinygrad_lr.check.backprop import backprop_report as backprop_report
    from tinygrad_lr.check.gradcheck import GradientError as GradientError
    from tinygrad_lr.check.gradcheck import gradcheck as gradcheck
    from tinygrad_lr.check.model import gradcheck_model as gradcheck_model
    from tinygrad_lr.show.dot import draw as draw
    from tinygrad_lr.show.explorer import explore as explore
    from tinygrad_lr.show.observe import observe as observe

__version__ = "0.2.0.dev0"

_HOMES = {
    "autodiff.derivatives": "grad gradients hvp jvp value_and_grad vjp",
    "autodiff.jacobian": "hessian jacobian",
    "check.gradcheck": "GradientError gradcheck",
    "autodiff.rules.elementwise": "log_sigmoid relu sigmoid softplus",
    "autodiff.rules.reductions": "log_softmax logsumexp softmax",
    "autodiff.rules.primitive": "primitive",
    "autodiff.record": "no_grad",
    "autodiff.tensor": "Tensor",
    "check.model": "gradcheck_model",
    "check.backprop": "backprop_report",
    "show.dot": "draw",
    "show.explorer": "explore",
    "show.observe": "observe",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}

__all__ = ["nn", *sorted(_HOME_OF)]


if not TYPE_CHECKING:  # or type checkers would take any name for one of this package's

    def __getattr__(name: str) -> object:
        if name == "nn":
            return _import_module("tinygrad_lr.nn")
        if name not in _HOME_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(_import_module(f"tinygrad_lr.{_HOME_OF[name]}"), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
