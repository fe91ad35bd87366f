"""One neuron learns six primes: logistic regression as the smallest network there is.

The neuron gives P(y = 1) = sigmoid(w x + b). Gradient descent on the binary cross-entropy finds w and b; the
probability for an x between the samples and the loss over the epochs follow.
"""

import numpy as np

from tinygrad_lr import nn

X = np.array([[2.0], [3.0], [5.0], [7.0], [11.0], [13.0]])
y = np.array([[0.0], [0.0], [1.0], [0.0], [1.0], [1.0]])
EPOCHS = 2500


def main() -> None:
    model = nn.Sequential(nn.Dense(1, 1), nn.Sigmoid())
    model.load_state_dict({"0.weight": [[0.0]], "0.bias": [-1.0]})  # wherever it starts, it gets to the same place
    loss_fn = nn.BCELoss()
    optimizer = nn.SGD(model.parameters(), lr=0.1)

    losses = []
    for _ in range(EPOCHS):
        loss = loss_fn(model(X), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    print(model, "\n")
    state = model.state_dict()
    print(f"w        {state['0.weight'].item():.10f}")
    print(f"b       {state['0.bias'].item():.10f}")
    print(f"P(8.5)   {model([[8.5]]).item():.4f}\n")

    print(" epoch   mean loss")
    for epoch in (1, 10, 50, 100, 250, 500, 1000, 2500):
        print(f"{epoch:6}   {losses[epoch - 1]:.6f}  {'#' * round(50 * losses[epoch - 1])}")


if __name__ == "__main__":
    main()
