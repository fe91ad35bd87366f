"""Networks: modules, layers, losses and optimisers. Logistic regression is a network of one neuron."""

from tinygrad_lr.nn.activations import Activation as Activation
from tinygrad_lr.nn.activations import ReLU as ReLU
from tinygrad_lr.nn.activations import Sigmoid as Sigmoid
from tinygrad_lr.nn.activations import Softplus as Softplus
from tinygrad_lr.nn.activations import Tanh as Tanh
from tinygrad_lr.nn.descriptions import ActivationInfo as ActivationInfo
from tinygrad_lr.nn.descriptions import Info as Info
from tinygrad_lr.nn.descriptions import LossInfo as LossInfo
from tinygrad_lr.nn.functional import functional_call as functional_call
from tinygrad_lr.nn.layers import Dense as Dense
from tinygrad_lr.nn.layers import Sequential as Sequential
from tinygrad_lr.nn.losses import BCELoss as BCELoss
from tinygrad_lr.nn.losses import BCEWithLogitsLoss as BCEWithLogitsLoss
from tinygrad_lr.nn.losses import CrossEntropyLoss as CrossEntropyLoss
from tinygrad_lr.nn.losses import HuberLoss as HuberLoss
from tinygrad_lr.nn.losses import Loss as Loss
from tinygrad_lr.nn.losses import MSELoss as MSELoss
from tinygrad_lr.nn.module import Module as Module
from tinygrad_lr.nn.module import Parameter as Parameter
from tinygrad_lr.nn.optim import SGD as SGD
from tinygrad_lr.nn.optim import Optimizer as Optimizer
from tinygrad_lr.nn.saving import load as load
from tinygrad_lr.nn.saving import save as save
