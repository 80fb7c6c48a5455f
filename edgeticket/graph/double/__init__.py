"""A network in double precision: what an ONNX graph computes, without the rounding of float32."""
