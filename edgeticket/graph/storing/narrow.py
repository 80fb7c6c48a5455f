"""Tensors in a narrower type that holds every one of their numbers, so that nothing is rounded.

Networks that were trained or stored in half precision are often given as float32. Biases of quantised layers and
indices are whole numbers of 32 or 64 bits, most of which one or two bytes hold.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

from edgeticket.graph.storing.encoding import DTYPES, TYPES, Encoded

Array = NDArray[np.generic]

_NARROW_BYTES = 1024  # of floats; below, the node that widens is not worth it
_SAMPLE = 256  # elements
_FP16 = np.finfo(np.float16)


def narrowed(found: Encoded, *, bfloat16: bool) -> list[Encoded]:
    """A float32 tensor in the narrower types that hold all of its numbers, none of them denormal there."""
    if found.codes.nbytes < _NARROW_BYTES or not np.all(np.isfinite(found.codes)):
        return []
    kinds = (TensorProto.FLOAT16, *([TensorProto.BFLOAT16] if bfloat16 else []))
    return [
        replace(found, codes=codes, weights=TYPES[kind], note="exactly", lossless=True, fill=0)
        for kind in kinds
        if _narrow(found.codes[:_SAMPLE], kind) is not None and (codes := _narrow(found.codes, kind)) is not None
    ]


def narrowed_integers(found: Encoded) -> list[Encoded]:
    """A tensor of int32 or int64 in the narrowest type that holds its numbers: biases of quantised layers, indices."""
    codes = found.codes
    lowest, highest = int(codes.min()), int(codes.max())
    for kind in (TensorProto.INT8, TensorProto.UINT8, TensorProto.INT16, TensorProto.UINT16, TensorProto.INT32):
        dtype = np.dtype(DTYPES[kind])
        limits = np.iinfo(dtype)
        if dtype.itemsize < codes.itemsize and limits.min <= lowest and highest <= limits.max:
            narrow = codes.astype(dtype)
            return [
                replace(found, codes=narrow, weights=TYPES[kind], note="exactly", lossless=True, fill=0, whole=True)
            ]
    return []


def _narrow(codes: Array, kind: int) -> Array | None:
    """The codes in a narrower type, None where it does not hold them all or has denormals among them."""
    size = np.abs(codes[codes != 0]).min(initial=np.inf)
    if size < (_FP16.tiny if kind == TensorProto.FLOAT16 else np.finfo(np.float32).tiny):
        return None
    with np.errstate(over="ignore"):
        narrow = codes.astype(onnx.helper.tensor_dtype_to_np_dtype(kind))
    return narrow if narrow.astype(np.float32).tobytes() == codes.tobytes() else None
