"""Pieces of reference formulas in NumPy's double precision. B batch, D feature width."""

import numpy as np
import torch


def softmax(x: np.ndarray, axis: int = 1) -> np.ndarray:
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.sqrt((x**2).sum(1, keepdims=True))


def parameter(module: torch.nn.Module, name: str) -> np.ndarray:
    return module.state_dict()[name].numpy().copy()


def normal(x: np.ndarray) -> np.ndarray:
    """BatchNorm in its first state, over all axes but the second."""
    axes = (0, *range(2, x.ndim))
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 1e-5)
