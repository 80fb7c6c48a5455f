"""The augmentation of the paper's ResNet and VGG: flips and crops, on whole batches."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_PAD = 4


def flip_and_crop(inputs: Tensor, generator: torch.Generator) -> Tensor:
    """Flip every other image, on average, and crop each at random from itself padded by 4 (zeros after normalisation).

    Args:
        inputs: [n, c, h, w]
        generator: the only source of randomness, on the inputs' device.
    """
    n, _, h, w = inputs.shape
    device = inputs.device
    draw = torch.randint(0, 2 * _PAD + 1, (2, n), generator=generator, device=device)
    flip = torch.randint(0, 2, (n,), generator=generator, device=device).bool()
    padded = F.pad(inputs, (_PAD, _PAD, _PAD, _PAD))
    rows = draw[0, :, None] + torch.arange(h, device=device)
    columns = torch.arange(w, device=device).expand(n, w)
    columns = draw[1, :, None] + torch.where(flip[:, None], w - 1 - columns, columns)
    images = torch.arange(n, device=device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[images, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).contiguous()
