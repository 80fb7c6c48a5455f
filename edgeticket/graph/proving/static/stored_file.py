"""The check of the stored file: read again, it holds the constants and the nodes of the graph that was planned.

The graph's proof is about the plan, so that it is one about the file where the two are the same. Nothing of the network
is run here; proof.py compares outputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx

from edgeticket.artifact.manifest import LayerInfo
from edgeticket.graph.proving.static.stored_nodes import check_stored_nodes
from edgeticket.graph.proving.static.stored_weights import check_stored_weights, encoding_of, evaluated
from edgeticket.graph.reading.load import parse_model
from edgeticket.graph.storing.encoding import Weights


def check_stored_file(
    model_bytes: bytes,
    layers: Sequence[LayerInfo],
    planned: onnx.ModelProto,
    encoded: Mapping[str, Weights],
    *,
    lossy: bool,
) -> tuple[str, ...]:
    """Hold a file to its plan; the arguments and what is returned are those of check_stored_weights.

    Raises:
        ProofError: a constant or a node of the file is not the planned one.
        ModelError: the bytes are no ONNX model.
    """
    file = parse_model(model_bytes, "the exported model")
    found = evaluated(file)
    unchecked = check_stored_weights(found, layers, planned=planned, encoded=encoded, lossy=lossy)
    check_stored_nodes(file, planned, found.constants, found.unevaluated, encoding_of(planned, encoded))
    return unchecked
