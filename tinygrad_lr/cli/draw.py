"""``python -m tinygrad_lr draw``: the graph of a saved model as a picture."""

from __future__ import annotations

import warnings
from argparse import Namespace
from pathlib import Path

import numpy as np

from tinygrad_lr.autodiff.text import shown
from tinygrad_lr.nn.layers import Dense
from tinygrad_lr.nn.saving import load
from tinygrad_lr.regression.data import DataError
from tinygrad_lr.show.dot import draw


def run(options: Namespace) -> bool:
    """Draw the model for one sample of ones, and say where the picture is."""
    try:
        with warnings.catch_warnings(action="ignore"):  # infinite weights are drawn as they are
            model = load(options.model)
            widths = [part.n_in for _, part in model.named_modules() if isinstance(part, Dense)]
            drawing = draw(model, np.ones((1, widths[0] if widths else 1)), depth=options.depth)
            written = drawing.save(options.picture or Path(options.model).with_suffix(".svg"))
    except (OSError, ValueError, RuntimeError) as error:
        raise DataError(str(error)) from error
    print(f"wrote {shown(str(written))}")
    return True
