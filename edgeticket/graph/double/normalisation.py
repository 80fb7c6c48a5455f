"""Normalisations that onnx.reference computes in float32, whatever comes in."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeticket.graph.double.operation import NotHereError, Operation, Values

Array = NDArray[Any]


def group_normalization(operation: Operation, inputs: Values) -> list[Array]:
    """GroupNormalization of x [N, C, ...] with a scale and a bias for each channel.

    From operator set 21 on it names the type of its mean and variance, which is float32 unless the node says otherwise.
    """
    x, scale, bias = inputs
    groups = operation.attribute("num_groups", 0)
    if operation.version < 21 or x.ndim < 3 or groups < 1 or x.shape[1] % groups:
        raise NotHereError("a scale for each group, or other shapes than [N, C, ...]")
    rows = x.reshape(x.shape[0], groups, -1)
    spread = rows - rows.mean(axis=-1, keepdims=True)
    epsilon = np.float64(np.float32(operation.attribute("epsilon", 1e-5)))
    unit = spread / np.sqrt((spread**2).mean(axis=-1, keepdims=True) + epsilon)
    channels = (-1, *[1] * (x.ndim - 2))
    return [unit.reshape(x.shape) * scale.reshape(channels) + bias.reshape(channels)]
