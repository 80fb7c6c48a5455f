"""The network as ONNX, traced once before training: unoptimised, so every masked parameter keeps its name.

What the exporter adds beyond the network (paths of this machine in node metadata, names of test harnesses, external
data files) is taken out, and the parameters become graph inputs, so that the graph holds no second copy of them.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, numpy_helper
from torch import Tensor, nn

from edgeticket.errors import TaskError

Array = NDArray[Any]
OPSET = 20  # what torch's exporter writes by default; the first with Gelu as one operator
IR_VERSION = 10
INPUT, OUTPUT = "input", "output"


def trace(network: nn.Module, example: Tensor, task_name: str) -> bytes:
    """The network in evaluation mode as one ONNX file with a symbolic batch; parameters and buffers are graph inputs.

    Args:
        example: [n, ...] with n of at least 2, so that the batch is not taken for a constant.

    Raises:
        TaskError: the network cannot be traced, or the trace computes something else than the network.
    """
    network = network.eval()
    try:
        model = _export(network, example)
    except Exception as error:
        if _interrupted(error):
            raise KeyboardInterrupt from error
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        reason = str(cause).strip().splitlines()
        raise TaskError(
            f"task {task_name!r}: its network can not be traced to ONNX, so no ticket of it could be exported: "
            f"{type(cause).__name__}: {reason[0] if reason else ''}. "
            "Rewrite what depends on the data (if, loops over tensors, .item()) or fixes the batch "
            "(write x.shape[0] or -1) in its forward"
        ) from error
    _strip(model)
    _check_interface(model, task_name)
    _rename_shared(model, network)
    weights = {name: value.detach().cpu().numpy() for name, value in network.state_dict().items()}
    _parameters_to_inputs(model, weights)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def _export(network: nn.Module, example: Tensor) -> ModelProto:
    """Run torch's exporter. Its warnings and its output are dropped: what matters in them comes again in its error."""
    logged = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    said = io.StringIO()
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                network,
                (example,),
                dynamo=True,
                optimize=False,
                opset_version=OPSET,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes=({0: torch.export.Dim.DYNAMIC},),
                external_data=False,
                verbose=False,
            )
    finally:
        logging.disable(logged)
    assert program is not None
    return program.model_proto


def _interrupted(error: BaseException) -> bool:
    """Say whether Ctrl-C is behind an error: torch, stopped amid its imports, fails on what is not there yet."""
    behind = [each for each in (error.__cause__, error.__context__) if each is not None]
    return isinstance(error, KeyboardInterrupt) or any(map(_interrupted, behind))


def _strip(model: ModelProto) -> None:
    """Keep what computes; drop what only describes where the exporter ran."""
    model.producer_name, model.producer_version, model.doc_string = "edgeticket", "", ""
    model.ir_version = min(model.ir_version, IR_VERSION)
    del model.metadata_props[:]
    graph = model.graph
    graph.name = "network"
    _strip_graph(graph)
    for function in model.functions:
        function.doc_string = ""
        del function.metadata_props[:]
        del function.value_info[:]
        _strip_nodes(function.node)


def _strip_graph(graph: GraphProto) -> None:
    graph.doc_string = ""
    del graph.metadata_props[:]
    del graph.value_info[:]
    for part in (*graph.initializer, *graph.input, *graph.output):
        part.doc_string = ""
        del part.metadata_props[:]
    _strip_nodes(graph.node)


def _strip_nodes(nodes: Iterable[NodeProto]) -> None:
    for node in nodes:
        node.doc_string = ""
        del node.metadata_props[:]
        for branch in _branches(node):
            _strip_graph(branch)


def _check_interface(model: ModelProto, task_name: str) -> None:
    graph = model.graph
    if len(graph.input) != 1 or len(graph.output) != 1:
        raise TaskError(
            f"task {task_name!r}: its network has {len(graph.input)} inputs and {len(graph.output)} outputs; "
            "find takes networks of one input and one output tensor"
        )
    for value in (graph.input[0], graph.output[0]):
        dims = value.type.tensor_type.shape.dim
        if not dims:
            raise TaskError(f"task {task_name!r}: {value.name!r} is a single number; return one row an example")
        batch = dims[0]
        if batch.HasField("dim_value"):
            raise TaskError(
                f"task {task_name!r}: the batch of {value.name!r} is fixed to {batch.dim_value} in its forward; "
                "write shapes as x.shape[0] or -1"
            )
        batch.dim_param = "batch"


def _rename_shared(model: ModelProto, network: nn.Module) -> None:
    """Give a parameter that modules share the first of its names, as in the masks; the exporter gives it the last."""
    first = {id(parameter): name for name, parameter in network.named_parameters()}
    names = {name: first[id(parameter)] for name, parameter in network.named_parameters(remove_duplicate=False)}
    for tensor in model.graph.initializer:
        tensor.name = names.get(tensor.name, tensor.name)
    _rename_inputs(model.graph, names)


def _rename_inputs(graph: GraphProto, names: Mapping[str, str]) -> None:
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        for branch in _branches(node):
            _rename_inputs(branch, names)


def _branches(node: NodeProto) -> list[GraphProto]:
    return [
        graph
        for attribute in node.attribute
        for graph in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else []))
    ]


def _parameters_to_inputs(model: ModelProto, weights: Mapping[str, Array]) -> None:
    """Make graph inputs of the initializers that are parameters or buffers; constants of the graph stay."""
    graph = model.graph
    constants = []
    for tensor in graph.initializer:
        array = weights.get(tensor.name)
        if array is None:
            constants.append(tensor)
        elif not np.array_equal(numpy_helper.to_array(tensor), array):
            raise TaskError(f"{tensor.name}: the traced graph holds other values than the network; tracing changed it")
        else:
            graph.input.append(onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    del graph.initializer[:]
    graph.initializer.extend(constants)


def output_shape(graph: bytes) -> list[int | None]:
    """Return the output's shape without the batch; a symbolic axis is None."""
    dims = onnx.load_from_string(graph).graph.output[0].type.tensor_type.shape.dim[1:]
    return [dim.dim_value if dim.HasField("dim_value") else None for dim in dims]


def parameter_names(graph: bytes) -> set[str]:
    """Name the parameters and buffers that the traced graph reads."""
    return {value.name for value in onnx.load_from_string(graph).graph.input[1:]}
