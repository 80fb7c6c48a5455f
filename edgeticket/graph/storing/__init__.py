"""How each tensor is stored in the ONNX file."""
