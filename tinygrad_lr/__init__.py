"""Reverse-mode autodiff on NumPy, small enough to read in an afternoon and good enough to use."""

from tinygrad_lr import nn as nn
from tinygrad_lr.autodiff.derivatives import grad as grad
from tinygrad_lr.autodiff.derivatives import gradients as gradients
from tinygrad_lr.autodiff.derivatives import hessian as hessian
from tinygrad_lr.autodiff.derivatives import hvp as hvp
from tinygrad_lr.autodiff.derivatives import jacobian as jacobian
from tinygrad_lr.autodiff.derivatives import jvp as jvp
from tinygrad_lr.autodiff.derivatives import value_and_grad as value_and_grad
from tinygrad_lr.autodiff.derivatives import vjp as vjp
from tinygrad_lr.autodiff.rules import primitive as primitive
from tinygrad_lr.autodiff.rules.elementwise import log_sigmoid as log_sigmoid
from tinygrad_lr.autodiff.rules.elementwise import relu as relu
from tinygrad_lr.autodiff.rules.elementwise import sigmoid as sigmoid
from tinygrad_lr.autodiff.rules.elementwise import softplus as softplus
from tinygrad_lr.autodiff.rules.reductions import log_softmax as log_softmax
from tinygrad_lr.autodiff.rules.reductions import softmax as softmax
from tinygrad_lr.autodiff.tensor import Tensor as Tensor
from tinygrad_lr.autodiff.tensor import no_grad as no_grad

__version__ = "0.1.0"
