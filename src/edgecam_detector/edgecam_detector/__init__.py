"""Object detector publishing vision_msgs: TensorRT on NVIDIA, ONNX Runtime elsewhere."""
