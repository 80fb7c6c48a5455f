"""`make bench-masks`: ways of keeping pruned weights at 0 in a training step, as ratios to a loop that keeps no mask.

LeNet-300-100, batch 60, random pixels, fused Adam, one thread, a tenth of the weights left. The variants take turns in
blocks of 100 iterations; a ratio is the median over the rounds of blocks.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from edgeticket.lottery.tasks import TASKS

ROUNDS, ITERATIONS, DENSITY = 15, 100, 0.1
TASK = TASKS["lenet-mnist"]
Apply = Callable[[Tensor, Tensor], object]

VARIANTS: dict[str, tuple[Callable[[Tensor], Tensor], Apply] | None] = {
    "no mask": None,
    "gradient times a float mask (used)": (lambda keep: keep.float(), lambda grad, mask: grad.mul_(mask)),
    "gradient's bits and-ed with the mask": (
        lambda keep: keep.int().neg(),
        lambda grad, mask: grad.view(torch.int32).bitwise_and_(mask),
    ),
    "gradient times a boolean mask": (lambda keep: keep, lambda grad, mask: grad.mul_(mask)),
    "gradient filled where the mask is 0": (lambda keep: ~keep, lambda grad, mask: grad.masked_fill_(mask, 0)),
}


class Loop:
    """A bare training loop with one way of masking."""

    def __init__(self, variant: tuple[Callable[[Tensor], Tensor], Apply] | None, data: tuple[Tensor, Tensor]) -> None:
        torch.manual_seed(0)
        self.network = TASK.model()
        self.optimizer = TASK.optimizer(self.network.parameters(), lr=TASK.lr, **dict(TASK.optimizer_args))
        self.inputs, self.targets = data
        weights = [parameter for parameter in self.network.parameters() if parameter.ndim == 2]
        self.apply = variant[1] if variant else None
        self.masks = [(w, variant[0](torch.rand_like(w) < DENSITY)) for w in weights] if variant else []

    def seconds(self) -> float:
        began = time.perf_counter()
        for i in range(ITERATIONS):
            rows = slice(i * TASK.batch_size, (i + 1) * TASK.batch_size)
            loss = nn.functional.cross_entropy(self.network(self.inputs[rows]), self.targets[rows])
            self.optimizer.zero_grad()
            loss.backward()
            for weight, mask in self.masks:
                if self.apply is not None and weight.grad is not None:
                    self.apply(weight.grad, mask)
            self.optimizer.step()
        return time.perf_counter() - began


def main() -> None:
    torch.set_num_threads(1)
    size = ITERATIONS * TASK.batch_size
    data = torch.randn(size, 784), torch.randint(0, 10, (size,))
    loops = {name: Loop(variant, data) for name, variant in VARIANTS.items()}
    ratios: dict[str, list[float]] = {name: [] for name in loops}
    for number in range(ROUNDS + 1):
        seconds = {name: loop.seconds() for name, loop in loops.items()}
        if number:  # the first warms up
            for name in loops:
                ratios[name].append(seconds[name] / seconds["no mask"])
    for name, found in ratios.items():
        low, middle, high = statistics.quantiles(found, n=4)
        print(f"{name:38} {middle:.2f} (quartiles {low:.2f} to {high:.2f})")


if __name__ == "__main__":
    main()
