"""A training carries more than weights: the optimiser's moments and torch's random state, here as numpy arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Array = NDArray[Any]
ELEMENTWISE = (
    torch.optim.SGD,
    torch.optim.Adam,
    torch.optim.AdamW,
    torch.optim.NAdam,
    torch.optim.RAdam,
    torch.optim.RMSprop,
    torch.optim.Adagrad,
)


def zero(masked: list[tuple[nn.Parameter, Tensor]], optimizer: torch.optim.Optimizer) -> None:
    """Multiply weights and moments by their masks."""
    with torch.no_grad():
        for parameter, keep in masked:
            parameter.mul_(keep)
            for value in optimizer.state.get(parameter, {}).values():
                if isinstance(value, Tensor) and value.shape == parameter.shape:
                    value.mul_(keep)


def arrays_of(optimizer: torch.optim.Optimizer, parameters: list[nn.Parameter]) -> dict[str, Array]:
    """Copy the optimiser's state, by '<parameter index>/<state name>'; a '=' ends the name of a plain number."""
    arrays: dict[str, Array] = {}
    for number, parameter in enumerate(parameters):
        for name, value in sorted(optimizer.state.get(parameter, {}).items()):
            if isinstance(value, Tensor):
                arrays[f"{number}/{name}"] = value.detach().cpu().numpy().copy()
            elif value is not None:
                arrays[f"{number}/{name}="] = np.array(value)
    return arrays


def load_arrays(optimizer: torch.optim.Optimizer, parameters: list[nn.Parameter], arrays: Mapping[str, Array]) -> None:
    """Put back what `arrays_of` gave."""
    # torch keeps the step count beside the parameter where the step runs there as a whole, else on the CPU
    whole = any(group.get("fused") or group.get("capturable") for group in optimizer.param_groups)
    for key, array in arrays.items():
        number, _, name = key.partition("/")
        parameter = parameters[int(number)]
        if name.endswith("="):
            optimizer.state[parameter][name[:-1]] = array.item()
            continue
        value = torch.from_numpy(array.copy())
        if name != "step" and value.shape == parameter.shape:
            value = torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)
        optimizer.state[parameter][name] = value if name == "step" and not whole else value.to(parameter.device)


def random_state(device: torch.device) -> Array:
    """Return torch's random state on the device. Dropout draws from it."""
    state = torch.get_rng_state() if device.type == "cpu" else torch.cuda.get_rng_state(device)
    return state.numpy().copy()


def set_random_state(state: Array | None, device: torch.device) -> None:
    """Put back what `random_state` gave; None leaves it as it is."""
    if state is None:
        return
    if device.type == "cpu":
        torch.set_rng_state(torch.from_numpy(state.copy()))
    else:
        torch.cuda.set_rng_state(torch.from_numpy(state.copy()), device)
