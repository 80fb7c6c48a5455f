"""Fresh weights as the paper draws them: Gaussian Glorot, biases 0 (Frankle & Carbin 2019, figure 2)."""

from __future__ import annotations

from torch import nn


def glorot(network: nn.Module) -> nn.Module:
    """Draw every Linear and Conv weight anew, in the order of the modules, and return the network."""
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.xavier_normal_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return network
