"""Which storage a model's own operator set and format version allow."""

from __future__ import annotations

import onnx

from edgeticket.graph.protos import standard_version
from edgeticket.graph.storing import rebuild
from edgeticket.graph.storing.encoding import Weights

SMALLER_SPARSE = "sparse initializers where smaller"  # what 'auto' means below opset 11
OLDEST_IR = 4  # before, every initializer had to be a graph input too


def within_opset(model: onnx.ModelProto, storage: str, weights: Weights, notes: list[str]) -> tuple[str, Weights]:
    """The storage and the weights that are possible of those asked for, or nearest to them; `notes` gets the reason.

    A model keeps its operator set and its format version, so an old one limits how its weights can rest.
    """
    version = standard_version(model)
    if model.ir_version < OLDEST_IR or version < rebuild.OPSET_CAST_MUL:
        if (storage, weights) != ("dense", "fp32"):
            notes.append(
                f"IR version {model.ir_version} with opset {version or 'none'} of the standard domain has no way to "
                "rebuild weights: all rest dense as fp32"
            )
        return "dense", "fp32"
    if version < rebuild.OPSET_SPARSE and storage == "gaps":
        notes.append(f"gap storage needs opset {rebuild.OPSET_SPARSE}, the model has {version}: all rest dense")
        return "dense", weights
    if version < rebuild.OPSET_SPARSE and storage == "auto":
        notes.append(
            f"gap storage needs opset {rebuild.OPSET_SPARSE}, the model has {version}: weights rest as sparse "
            "initializers where that takes fewer bytes (--upgrade-opset converts the model)"
        )
        return SMALLER_SPARSE, weights
    return storage, weights
