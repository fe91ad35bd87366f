"""Two classes in the plane, told apart by one neuron without a bias: the descent, and what it gets wrong.

Forty points, red around (-1, 0) and blue around (1, 0); P(blue) = sigmoid(w_a a + w_b b). The table has the weights
and the mean loss after each update. With ``--plot PATH`` (needs matplotlib) three pictures are saved as one: the
classes, the loss over all weights with the way the descent takes, and the plane as the neuron divides it.
"""

import argparse

import numpy as np

import tinygrad_lr as tg
from tinygrad_lr import nn

draw = np.random.RandomState(1)
red, blue = draw.randn(20, 2) + np.array([-1, 0]), draw.randn(20, 2) + np.array([1, 0])
X, t = np.vstack([red, blue]), np.repeat([0.0, 1.0], 20)


def mean_loss(w):
    return nn.BCELoss()(tg.sigmoid(X @ w), t).item()


def wrong_side(w):
    """Which points the neuron takes for the other class."""
    return (tg.sigmoid(X @ w) > 0.5) != (t == 1)


def descend(updates: int) -> np.ndarray:
    """The weights before the first update, and after each."""
    w = tg.Tensor([-4.0, -2.0], requires_grad=True)
    way = [w.data]
    for _ in range(updates):
        loss = nn.BCELoss(reduction="sum")(tg.sigmoid(X @ w), t)
        w.zero_grad()
        loss.backward()
        w.data = w.data - 0.05 * w.grad
        way.append(w.data)
    return np.array(way)


def plot(way: np.ndarray, path: str) -> None:
    """Three panels: the classes, the loss surface, the decision regions."""
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        print("\nnothing drawn: --plot needs matplotlib; pip install matplotlib")
        return

    figure, (classes, surface, regions) = plt.subplots(1, 3, figsize=(15, 4.6), layout="constrained")

    line = np.linspace(-5, 5, 100)
    losses = np.array([[mean_loss(np.array([a, b])) for a in line] for b in line])
    levels = np.geomspace(losses.min(), losses.max(), 31)  # as many around the minimum as on the slopes
    filled = surface.contourf(line, line, losses, levels=levels, cmap="viridis", norm="log")
    surface.contour(line, line, losses, levels=levels, colors="white", linewidths=0.2)
    surface.plot(*way.T, "o-", color="white", markersize=4, linewidth=1.2)
    for k in (0, 1, 2, 3, len(way) - 1):
        surface.annotate(f"{k}", way[k], xytext=(5, -12), textcoords="offset points", color="white")
    figure.colorbar(filled, ax=surface, label="mean loss", ticks=[0.5, 1, 2, 4], format="%g")
    surface.set(title=f"The loss, and {len(way) - 1} updates", xlabel="$w_a$", ylabel="$w_b$", aspect="equal")

    line = np.linspace(-4, 4, 200)
    a, b = np.meshgrid(line, line)
    probability = tg.sigmoid(np.stack([a, b], axis=-1) @ way[-1])
    filled = regions.contourf(a, b, probability, levels=np.linspace(0, 1, 21), cmap="RdBu", alpha=0.7)
    regions.contour(a, b, probability, levels=[0.5], colors="black", linewidths=1.2)
    figure.colorbar(filled, ax=regions, label="P(blue)", ticks=np.linspace(0, 1, 6))
    wrong = wrong_side(way[-1])
    regions.scatter(*X[wrong].T, s=120, facecolor="none", edgecolor="black", label="on the wrong side")
    regions.set_title("The plane, divided")

    for panel in (classes, regions):
        panel.scatter(*red.T, color="tab:red", edgecolor="white", label="red")
        panel.scatter(*blue.T, color="tab:blue", edgecolor="white", label="blue")
        panel.set(xlabel="$a$", ylabel="$b$", aspect="equal", xlim=(-4, 4), ylim=(-4, 4))
        panel.legend(loc="upper right")
    classes.set_title("Two classes")
    figure.savefig(path, dpi=120)
    print(f"\nsaved {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plot", metavar="PATH", help="save the pictures there (needs matplotlib)")
    options = parser.parse_args()

    way = descend(10)
    print(" k          w_a          w_b       mean loss")
    for k, w in enumerate(way):
        print(f"{k:2} {w[0]:12.8f} {w[1]:12.8f} {mean_loss(w):15.12f}")

    wrong = wrong_side(way[-1])
    print(f"\n{np.sum(wrong & (t == 1))} blue and {np.sum(wrong & (t == 0))} red points are on the wrong side")
    if options.plot:
        plot(way, options.plot)


if __name__ == "__main__":
    main()
