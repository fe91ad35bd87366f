"""A training loop as users write it: what each name is, and the slip of the pen that a type checker must see."""

from typing import assert_type

import numpy as np

import tinygrad_lr as tg
from tinygrad_lr import nn

model = nn.Sequential(nn.Dense(2, 3, rng=0), nn.Tanh(), nn.Dense(3, 1, rng=1), nn.Sigmoid())
loss_fn = nn.BCELoss()
optimizer = nn.SGD(model.parameters(), lr=0.1)
x, y = np.array([[0.5, -1.0], [2.0, 0.3]]), np.array([[0.0], [1.0]])

for _ in range(2):
    loss = loss_fn(model(x), y)
    assert_type(loss, tg.Tensor)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

loss.bakward()  # error: "Tensor" has no attribute "bakward"
loss.backward(retain_grph=True)  # error: Unexpected keyword argument "retain_grph"
optimizer.stepp()  # error: "SGD" has no attribute "stepp"

assert_type(model(x), tg.Tensor)
assert_type(model.parameters(), list[nn.Parameter])
print(model[0].weight.shape, loss.item())
for path, parameter in model.named_parameters():
    assert_type(path, str)
    assert_type(parameter, nn.Parameter)
print(model.state_dict()["0.weight"].shape)
nn.Dense(2, "3")  # error: Argument 2 to "Dense" has incompatible type "str"
