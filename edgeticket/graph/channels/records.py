"""What a forward walk writes down: a value's channels, constants that are cut with them, and what needs what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edgeticket.graph.values import Array

Units = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Keep = Callable[[Units], Bools]


@dataclass(frozen=True, eq=False)
class Channels:
    """The channels of one value: the axes they lie on, ascending, the unit of each and its constant or NaN.

    `units` and `constant` have one axis for each of `axes`. `ragged` is the axis, one of `axes`, along which rows may
    lose different entries; None where only whole slices may go.
    """

    axes: tuple[int, ...]
    units: Units
    constant: Floats
    ragged: int | None = None

    @property
    def count(self) -> int:
        """How many channels there are."""
        return self.units.size

    @property
    def ragged_index(self) -> int | None:
        """The ragged axis as an index into `axes`."""
        return None if self.ragged is None else self.axes.index(self.ragged)


@dataclass(frozen=True, eq=False)
class Cut:
    """A constant input of a node that is cut along `axes` where the units, one axis for each, die.

    `reads` says that its entries read the units' channels; else they compute them or act on them.
    """

    node: ir.Node
    index: int
    axes: tuple[int, ...]
    units: Units
    reads: bool = False
    ragged: int | None = None  # an index into axes


@dataclass(frozen=True, eq=False)
class Fix:
    """What else a node says about the number of its channels: `change` rewrites it once it is known what stays."""

    node: ir.Node
    change: Callable[[Keep], None]


@dataclass(frozen=True, eq=False)
class Grid:
    """Units that must leave a box. `sides[k]` are units that stay exactly where index i of axis k stays.

    `ragged` is an index of an axis, None where only whole slices may go.
    """

    units: Units
    ragged: int | None = None
    sides: dict[int, Units] = field(default_factory=dict)
    node: ir.Node | None = None  # the Reshape that forbids ragged rows because it interleaves them


@dataclass(frozen=True, eq=False)
class Needs:
    """Where `result[i]` stays, `source[i]` stays: pairs of units [n]."""

    result: Units
    source: Units


@dataclass(frozen=True, eq=False)
class LayerWeight:
    """Where the weight of a layer rests: an initializer that the layer reads, or a DequantizeLinear before it.

    Quantised weights are codes: `zero` stands for 0 and broadcasts over them, None where 0 does. `beside` are the
    reader's inputs with one entry for each place of an axis of the codes, its scales and zero points: (input, axis).
    """

    value: ir.Value
    node: ir.Node  # its reader
    index: int
    array: Array
    zero: Array | None = None
    beside: tuple[tuple[int, int], ...] = ()
    quantised: bool = False


@dataclass(frozen=True)
class WeightLayout:
    """How a weight is laid out: see Linear, which has the same three."""

    places: tuple[int, int]
    out_first: bool
    groups: int


@dataclass(frozen=True, eq=False)
class Linear:
    """A layer with a weight of its own: reads the source's channels, makes the result's.

    The weight has the axes `places`, outputs first or inputs first, in `groups` blocks (linear.py). `scale` multiplies
    the products (Gemm's alpha), `bias_scale` the bias (Gemm's beta). `only_zero`: a constant input does not give a
    constant output unless it is 0, because zeros around the image take part, or because nothing may be rounded.
    """

    node: ir.Node
    stored: LayerWeight
    places: tuple[int, int]
    out_first: bool
    source: Channels
    result: Channels
    groups: int = 1
    only_zero: bool = False
    scale: float = 1.0
    bias_scale: float = 1.0
    used: Bools | None = None  # [G, M, C] which weights are not zero
    bias: Floats | None = None  # [G·M]

    @property
    def weight(self) -> ir.Value:
        """The initializer."""
        return self.stored.value

    @property
    def layout(self) -> WeightLayout:
        """How the weight is laid out, without the weight."""
        return WeightLayout(self.places, self.out_first, self.groups)


@dataclass(frozen=True, eq=False)
class Recurrent:
    """An LSTM, GRU or RNN whose bias may take what constant channels of its input add."""

    node: ir.Node
    source: Channels
