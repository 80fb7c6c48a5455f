"""Networks that nobody tuned anything for: drawn at random, seeded, some 0.01 to 200 million multiplications."""

from __future__ import annotations

import random

from builder import Builder, Network

MOST_MACS = 200_000_000
COUNT = 40


def random_network(seed: int, sparsity: float) -> Network:
    """The network of a seed; its structure and weights do not depend on the sparsity."""
    attempt = 0
    while True:  # a structure that came out too large is drawn again
        rng = random.Random(f"{seed}.{attempt}")
        name = f"random-{seed}"
        kind = rng.choices((_mlp, _transformer, _convolutional), (1, 1, 3))[0]
        network = kind(rng, name, sparsity)
        if network.macs <= MOST_MACS:
            return network
        attempt += 1


def _mlp(rng: random.Random, name: str, sparsity: float) -> Network:
    b = Builder(name, (rng.randint(3, 1500),), sparsity)
    x = "input"
    for _ in range(rng.randint(0, 6)):
        x = b.fc(x, rng.choice((rng.randint(2, 64), rng.randint(64, 1024))))
    return b.finish(b.fc(x, rng.randint(1, 300), relu=False))


def _transformer(rng: random.Random, name: str, sparsity: float) -> Network:
    """Feed-forward layers over tokens, some with attention before them; half of them with a free batch."""
    width = rng.choice((rng.randint(16, 96), 64, 128, 256, 512))
    b = Builder(name, (rng.choice((8, 16, 32, 64, 128, 256)), width), sparsity, batch=rng.choice((1, None)))
    x = "input"
    for _ in range(rng.randint(1, 3)):
        if rng.random() < 0.5:
            x = b.add(x, b.attention(x), relu=False)
        x = b.add(x, b.matmul(b.matmul(x, width * rng.choice((2, 4)), relu=True), width), relu=False)
    return b.finish(b.matmul(x, rng.randint(2, 200)))


def _convolutional(rng: random.Random, name: str, sparsity: float) -> Network:
    """A stem, then blocks of one of five kinds until the map is small or the depth is reached, then a classifier."""
    size = rng.choice((rng.randint(8, 40), rng.randint(24, 112)))
    shape = (rng.choice((1, 2, 3, 4)), size, rng.choice((size, rng.randint(5, 64))))
    b = Builder(name, shape, sparsity)
    x = b.conv("input", rng.randint(4, 64), rng.choice((3, 5, 7)), stride=rng.choice((1, 2)), dense=shape[0] <= 3)
    kinds = rng.sample((_plain, _residual, _separable, _grouped, _inverted), rng.randint(1, 3))
    for _ in range(rng.randint(1, 8)):
        smallest = min(b.shapes[x][1:])
        x = rng.choice(kinds)(rng, b, x, 2 if smallest >= 4 and rng.random() < 0.3 else 1)
        if min(b.shapes[x][1:]) >= 4 and rng.random() < 0.2:
            x = b.pool(x, op=rng.choice(("MaxPool", "AveragePool")))
    x = b.global_pool(x) if rng.random() < 0.7 or min(b.shapes[x][1:]) > 8 else b.flatten(x)
    if rng.random() < 0.3:
        x = b.fc(x, rng.randint(10, 256))
    return b.finish(b.fc(x, rng.randint(2, 200), relu=False))


def _wider(rng: random.Random, b: Builder, x: str) -> int:
    """A number of outputs about that of the inputs, rarely a power of two."""
    return max(1, min(512, round(b.shapes[x][0] * rng.uniform(0.6, 2.0))))


def _plain(rng: random.Random, b: Builder, x: str, stride: int) -> str:
    return b.conv(x, _wider(rng, b, x), rng.choice((1, 3, 3, 5, 7)), stride=stride, relu=rng.random() < 0.9)


def _residual(rng: random.Random, b: Builder, x: str, stride: int) -> str:
    width = b.shapes[x][0] if stride == 1 and rng.random() < 0.7 else _wider(rng, b, x)
    kernel = rng.choice((3, 3, 5))
    y = b.conv(b.conv(x, width, kernel, stride=stride), width, kernel, relu=False)
    same = b.shapes[y] == b.shapes[x]
    return b.add(y, x if same else b.conv(x, width, 1, stride=stride, relu=False), relu=rng.random() < 0.8)


def _separable(rng: random.Random, b: Builder, x: str, stride: int) -> str:
    return b.conv(b.depthwise(x, rng.choice((3, 3, 5)), stride), _wider(rng, b, x), 1)


def _grouped(rng: random.Random, b: Builder, x: str, stride: int) -> str:
    channels = b.shapes[x][0]
    groups = rng.choice([g for g in (1, 2, 3, 4, 5, 8) if channels % g == 0])
    return b.conv(x, groups * rng.randint(1, max(1, 96 // groups)), 3, stride=stride, groups=groups)


def _inverted(rng: random.Random, b: Builder, x: str, stride: int) -> str:
    """MobileNetV2's block: wide inside, narrow and linear outside."""
    channels = b.shapes[x][0]
    y = b.depthwise(b.conv(x, min(512, channels * rng.choice((2, 3, 6))), 1), 3, stride)
    y = b.conv(y, channels if stride == 1 else _wider(rng, b, x), 1, relu=False)
    return b.add(y, x, relu=False) if b.shapes[y] == b.shapes[x] else y
