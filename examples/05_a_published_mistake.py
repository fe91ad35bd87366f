"""A published mistake, caught: a backward pass written by hand that takes the sigmoid's slope at the wrong place.

A tutorial trains one neuron on 1,000 samples of 10 features and differentiates it by hand. Its line for the
sigmoid is dz = da * s'(a), where the chain rule needs s'(z). The loss falls all the same, so that nothing looks
wrong. A gradient check says otherwise; then come the mended gradient, and what the mistake did to the training.
With ``--plot PATH`` (needs matplotlib) loss and accuracy are drawn side by side.
"""

import argparse

import numpy as np

from tinygrad_lr.check.gradcheck import gradcheck
from tinygrad_lr.regression.likelihood import maximum_likelihood

try:
    from sklearn.datasets import make_classification
except ImportError:
    raise SystemExit("this example draws its data with scikit-learn; pip install scikit-learn") from None

X, y = make_classification(n_samples=1000, n_features=10, n_classes=2, n_clusters_per_class=1, random_state=0)
m = len(y)
RATE, EPOCHS = 0.001, 100


def s(z):
    return 1 / (1 + np.exp(-z))


def s_slope(z):
    return s(z) * (1 - s(z))


def loss(w, b):
    a = s(X @ w + b)
    return -np.mean(y * np.log(a) + (1 - y) * np.log(1 - a))


def accuracy(w, b):
    return np.mean((s(X @ w + b) > 0.5) == y)


def published(w, b):
    """The backward pass as published."""
    a = s(X @ w + b)
    da = ((1 - y) / (1 - a) - y / a) / m
    dz = da * s_slope(a)  # the mistake
    return X.T @ dz, dz.sum()


def mended(w, b):
    """The same with s'(z)."""
    z = X @ w + b
    a = s(z)
    da = ((1 - y) / (1 - a) - y / a) / m
    dz = da * s_slope(z)
    return X.T @ dz, dz.sum()


def train(gradient, w, b, rate=RATE, epochs=EPOCHS):
    """Gradient descent; w, b, and the loss and accuracy before every tenth epoch and at the end."""
    history = []
    for epoch in range(epochs + 1):
        if epoch % 10 == 0:
            history.append((loss(w, b), accuracy(w, b)))
        if epoch < epochs:
            dw, db = gradient(w, b)
            w, b = w - rate * dw, b - rate * db
    return w, b, history


def plot(histories: dict[str, list[tuple[float, float]]], path: str) -> None:
    """Loss and accuracy over the epochs, side by side."""
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        print("\nnothing drawn: --plot needs matplotlib; pip install matplotlib")
        return

    figure, panels = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for panel, title, numbers in zip(panels, ("mean loss", "accuracy"), (0, 1)):
        for (name, history), style in zip(histories.items(), ("o--", "o-")):
            panel.plot(range(0, EPOCHS + 1, 10), [found[numbers] for found in history], style, markersize=4, label=name)
        panel.set(title=title, xlabel="epoch")
        panel.grid(alpha=0.3)
        panel.legend()
    figure.savefig(path, dpi=120)
    print(f"\nsaved {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plot", metavar="PATH", help="save the pictures there (needs matplotlib)")
    options = parser.parse_args()

    rng = np.random.default_rng(0)
    start = rng.uniform(0, 0.01, 10), rng.uniform(0, 0.01)

    print("The gradient as published, checked:\n")
    print(gradcheck(loss, *start, gradient=published, raise_error=False))
    print("\nMended:\n")
    print(gradcheck(loss, *start, gradient=mended))

    print("\nWhat the mistake did to the training:\n")
    print("             as published               mended")
    print("epoch      loss  accuracy       loss  accuracy")
    histories = {"as published": train(published, *start)[2], "mended": train(mended, *start)[2]}
    for i, rows in enumerate(zip(*histories.values())):
        print(f"{10 * i:5}", *(f"{mean_loss:.6f}  {hits:8.3f}" for mean_loss, hits in rows), sep="  ")

    print("\nThe loss falls, only more slowly. Trained to the end (rate 1, 2000 epochs) the two part:\n")
    for name, gradient in (("as published", published), ("mended", mended)):
        w, b, history = train(gradient, *start, rate=1.0, epochs=2000)
        slope = np.abs(mended(w, b)[0]).max()
        print(f"{name:12}  loss {history[-1][0]:.6f}, accuracy {history[-1][1]:.3f}, largest slope left in the loss {slope:.0e}")

    # A second trap in these data: Newton's step asks for the inverse of a Hessian that has none.
    a = s(X @ start[0] + start[1])
    design = np.column_stack([X, np.ones(m)])
    hessian = (design.T * (a * (1 - a))) @ design / m
    rank = np.linalg.matrix_rank(hessian)
    best = maximum_likelihood(X, y[:, None])
    print(f"\nThe Hessian is {hessian.shape[0]} x {hessian.shape[0]} and of rank {rank}: two of the ten columns are linear combinations of others.")
    print(f"maximum_likelihood() takes the shortest Newton steps, and says: {best.problem}")
    print(f"deviance {2 * m * best.loss:.2f}, residual degrees of freedom {m - rank}")

    if options.plot:
        plot(histories, options.plot)


if __name__ == "__main__":
    main()
