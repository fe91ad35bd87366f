"""Whole models in files: the layers as JSON and the parameters as arrays, in one .npz that runs no code when read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from tinygrad_lr.nn.layers import Dense, ReLU, Sequential, Sigmoid, Tanh
from tinygrad_lr.nn.module import Module

PLAIN_LAYERS: dict[str, type[Module]] = {"Sigmoid": Sigmoid, "Tanh": Tanh, "ReLU": ReLU}


def save(model: Module, path: str | Path) -> None:
    """Write a model of this package's layers to a file.

    Parameters
    ----------
    model : Module
        A `Sequential`, or one of the layers of `tinygrad_lr.nn`.
    path : str or Path
        The file, ending in .npz.

    Raises
    ------
    TypeError
        If the model holds a module of another kind: then write ``model.state_dict()`` with numpy.savez.
    ValueError
        If the file does not end in .npz, or layers share parameters.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from tinygrad_lr import nn
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "model.npz"
    >>> nn.save(nn.Sequential(nn.Dense(2, 1), nn.Sigmoid()), path)
    >>> nn.load(path)
    Sequential(
      0: Dense(2 -> 1)
      1: Sigmoid()
    )
    """
    if Path(path).suffix != ".npz":
        raise ValueError(f"a model is saved as .npz, got {str(path)!r}")
    structure, state = described(model, "the model"), model.state_dict()
    if [name for name, _ in built(structure).named_parameters()] != list(state):
        raise ValueError("layers of the model share parameters, which the file could not say: write model.state_dict() with numpy.savez instead")
    np.savez(path, structure=np.array(json.dumps(structure)), **{f"state.{name}": value for name, value in state.items()})  # type: ignore[arg-type]


def load(path: str | Path) -> Module:
    """Read a model that `save` wrote.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    Module
        A new model with the saved layers and parameters.

    Raises
    ------
    ValueError
        If the file holds no such model.
    OSError
        If it cannot be read.
    """
    try:
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as file:
            arrays = dict(file)
        model = built(json.loads(str(arrays.pop("structure"))))
    except (ValueError, KeyError, TypeError, EOFError, AttributeError, BadZipFile) as error:
        raise ValueError(f"{path} holds no model saved by tinygrad_lr.nn.save: {error}") from error
    model.load_state_dict({name.removeprefix("state."): value for name, value in arrays.items()})
    return model


def described(module: Module, where: str) -> dict[str, Any]:
    """The module as plain data."""
    kind = type(module).__name__
    if type(module) is Sequential:
        return {"layer": kind, "layers": [[name, described(layer, f"layer {name!r}")] for name, layer in module.layers.items()]}
    if type(module) is Dense:
        return {"layer": kind, "n_in": module.n_in, "n_out": module.n_out, "bias": module.bias is not None, "dtype": str(module.weight.dtype)}
    if PLAIN_LAYERS.get(kind) is type(module):
        return {"layer": kind}
    raise TypeError(f"{where} is a {kind}, which save() does not know how to build again: write model.state_dict() with numpy.savez instead")


def built(structure: dict[str, Any]) -> Module:
    """The module that `described` described."""
    kind = structure["layer"]
    if kind == "Sequential":
        return Sequential(**{name: built(layer) for name, layer in structure["layers"]})
    if kind == "Dense":
        return Dense(structure["n_in"], structure["n_out"], structure["bias"], np.dtype(structure["dtype"]))
    return PLAIN_LAYERS[kind]()
