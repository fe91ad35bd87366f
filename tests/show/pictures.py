"""README's pictures. Run as a script, this makes them anew, to be looked at before they are committed: it needs dot and chromium."""

from __future__ import annotations

import runpy
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

import tinygrad_lr as tg
from tinygrad_lr import nn
from tinygrad_lr.regression.data import PRIMES

EXAMPLES = Path(__file__).parents[2] / "examples"


def make_drawings() -> None:
    """The drawings of two examples."""
    for example, drawing, picture in (("03_draw_primes", "after", "primes"), ("04_draw_two_layers", "two_layers", "two_layers")):
        folder = runpy.run_path(str(EXAMPLES / f"{example}.py"))["folder"]
        subprocess.run(["dot", "-Tpng", "-o", EXAMPLES / "pictures" / f"{picture}.png", folder / f"{drawing}.gv"], check=True)


def page_of_training(model: nn.Module, x: np.ndarray, y: np.ndarray, lr: float, epochs: int, every: int) -> Path:
    """A model trained on the binary cross-entropy, as a page."""
    loss_fn, optimizer = nn.BCELoss(), nn.SGD(model.parameters(), lr=lr)
    history = []
    for epoch in range(epochs + 1):
        loss = loss_fn(model(x), y)
        history.append((loss.item(), model.state_dict() if epoch % every == 0 else None))
        if epoch < epochs:
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return tg.explore(model, loss_fn, x, y, Path(tempfile.mkdtemp()) / "page.html", history)


def primes() -> Path:
    model = nn.Sequential(nn.Dense(1, 1), nn.Sigmoid())
    model.load_state_dict({"0.weight": [[0.0]], "0.bias": [-1.0]})
    return page_of_training(model, PRIMES.X, PRIMES.y, lr=0.1, epochs=2500, every=25)


def disc() -> Path:
    """Points inside a circle and around it."""
    rng = np.random.default_rng(1)
    angle, inside = rng.uniform(0, 2 * np.pi, 140), np.arange(140) < 50
    radius = np.where(inside, 1.7 * np.sqrt(rng.uniform(0, 1, 140)), rng.uniform(1.9, 3.2, 140))
    x, y = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1), inside[:, np.newaxis].astype(float)
    model = nn.Sequential(nn.Dense(2, 3, rng=0), nn.Tanh(), nn.Dense(3, 1, rng=1), nn.Sigmoid())
    return page_of_training(model, x, y, lr=1.0, epochs=1200, every=12)


def make_screenshots() -> None:
    """A step of the backward pass, and the view of a training."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        page = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme="light")
        page.goto(primes().as_uri() + "#step=7")
        page.wait_for_timeout(1000)  # until nothing moves
        page.screenshot(path=EXAMPLES / "pictures" / "explore.png")
        page = browser.new_page(viewport={"width": 1440, "height": 1040}, color_scheme="dark")
        page.goto(disc().as_uri())
        page.get_by_text("Training", exact=True).click()
        page.wait_for_timeout(1000)
        page.screenshot(path=EXAMPLES / "pictures" / "explore_training.png")
        browser.close()


if __name__ == "__main__":
    make_drawings()
    make_screenshots()
