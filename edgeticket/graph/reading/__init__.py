"""From files to a graph: ONNX models, external data, and a ticket's graph bound to its weights."""
