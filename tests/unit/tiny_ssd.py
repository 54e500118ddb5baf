"""An SSD detector of a few hundred bytes, and its expected results, computed by plain loops."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from tiny_tflite import POST, Op, T, write

COLUMNS = 3  # background and two classes
SAME, VALID = 0, 1
RELU_MAX = 2.0  # small, so that the upper limit matters


@dataclass
class TinySsd:
    """conv 3x3/2 - depthwise 3x3 - add - two heads with 2 anchors a cell; the second head on a 3x3/2 conv."""

    zero: int = 127
    scale: float = 1 / 128
    padding: int = SAME
    per_axis: bool = False
    size: int = 9
    seed: int = 5

    def __post_init__(self) -> None:
        self._random = np.random.default_rng(self.seed)
        self.tensors: list[T] = []
        self.ops: list[Op] = []
        self._build()

    def bytes(self) -> bytes:
        return write(self.tensors, self.ops, [0], [len(self.tensors) - 1])

    def reference(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Scores [N, C] and boxes [N, 4] (x1 y1 x2 y2) for an RGB image [H, W, 3]."""
        values: dict[int, np.ndarray] = {0: (pixels.astype(float) - self.zero) * np.float32(self.scale)}
        for op in self.ops[:-1]:
            out = self.tensors[op.outputs[0]]
            ins = [values[i] if i in values else self.tensors[i] for i in op.inputs]
            if op.kind.endswith("CONV_2D"):
                values[op.outputs[0]] = _saturate(out, _conv(op, *ins))
            elif op.kind == "ADD":
                values[op.outputs[0]] = _saturate(out, ins[0] + ins[1])
            elif op.kind == "RESHAPE":
                values[op.outputs[0]] = ins[0].reshape(out.shape)
            elif op.kind == "CONCATENATION":
                values[op.outputs[0]] = np.concatenate(ins, 1)
            elif op.kind == "LOGISTIC":
                values[op.outputs[0]] = 1 / (1 + np.exp(-ins[0]))
        boxes, scores, anchors = self.ops[-1].inputs
        ty, tx, th, tw = values[boxes][0].T
        ya, xa, ha, wa = self.tensors[anchors].real().T
        centre_x, centre_y = tx / 10 * wa + xa, ty / 8 * ha + ya
        width, height = np.exp(tw / 5) * wa, np.exp(th / 4) * ha
        corners = centre_x - width / 2, centre_y - height / 2, centre_x + width / 2, centre_y + height / 2
        return values[scores][0], np.stack(corners, 1)

    # -- construction --------------------------------------------------------------------------------------

    def _tensor(self, tensor: T) -> int:
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def _constant(self, name: str, shape: tuple[int, ...], axis: int) -> int:
        count = shape[axis]
        scale = self._random.uniform(0.001, 0.003, count) if self.per_axis else 0.002
        kind, zero = ("int8", 0) if self.per_axis else ("uint8", 120)
        low = -128 if self.per_axis else 0
        return self._tensor(T(name, shape, kind, scale, zero, self._random.integers(low, low + 256, shape), axis))

    def _conv(self, kind: str, name: str, source: int, channels: int, kernel: int, stride: int, padding: int) -> int:
        _, height, _, depth = self.tensors[source].shape
        out = -(-height // stride) if padding == SAME else (height - kernel) // stride + 1
        head = "Predictor" in name
        if kind == "CONV_2D":
            weight = self._constant(name + "/w", (channels, kernel, kernel, depth), 0)
        else:
            weight = self._constant(name + "/w", (1, kernel, kernel, channels), 3)
        bias = self._tensor(T(name + "/b", (channels,), "int32", 0.0001, 0, self._random.integers(-900, 900, channels)))
        limits = (0.05, 128) if head else (RELU_MAX / 255, 0)
        result = self._tensor(T(name + ("/BiasAdd" if head else "/Relu6"), (1, out, out, channels), "uint8", *limits))
        self.ops.append(Op(kind, [source, weight, bias], [result], {"padding": padding, "stride": stride}))
        return result

    def _rows(self, head: int, columns: int) -> int:
        rows = int(np.prod(self.tensors[head].shape)) // columns
        shape = (1, rows, 1, 4) if columns == 4 else (1, rows, columns)
        name = self.tensors[head].name.removesuffix("/BiasAdd") + "/rows"
        result = self._tensor(T(name, shape, "uint8", 0.05, 128))
        self.ops.append(Op("RESHAPE", [head], [result]))
        return result

    def _build(self) -> None:
        image = self._tensor(T("image", (1, self.size, self.size, 3), "uint8", self.scale, self.zero))
        first = self._conv("CONV_2D", "FeatureExtractor/MobilenetV2/Conv", image, 4, 3, 2, self.padding)
        depth = self._conv("DEPTHWISE_CONV_2D", "FeatureExtractor/MobilenetV2/depthwise", first, 4, 3, 1, SAME)
        shape = self.tensors[depth].shape
        total = self._tensor(T("FeatureExtractor/MobilenetV2/add", shape, "uint8", 0.02, 100))
        self.ops.append(Op("ADD", [depth, first], [total]))
        second = self._conv("CONV_2D", "FeatureExtractor/MobilenetV2/Conv_1", total, 8, 3, 2, SAME)
        boxes, classes = [], []
        for index, level in enumerate((total, second)):
            box = self._conv("CONV_2D", f"BoxPredictor_{index}/BoxEncodingPredictor", level, 8, 1, 1, SAME)
            label = self._conv("CONV_2D", f"BoxPredictor_{index}/ClassPredictor", level, 2 * COLUMNS, 1, 1, SAME)
            boxes.append(self._rows(box, 4))
            classes.append(self._rows(label, COLUMNS))
        count = sum(self.tensors[i].shape[1] for i in boxes)
        joined = self._tensor(T("boxes", (1, count, 1, 4), "uint8", 0.05, 128))
        squeezed = self._tensor(T("squeezed", (1, count, 4), "uint8", 0.05, 128))
        logits = self._tensor(T("logits", (1, count, COLUMNS), "uint8", 0.05, 128))
        scores = self._tensor(T("scores", (1, count, COLUMNS), "uint8", 1 / 256, 0))
        anchors = self._tensor(
            T("anchors", (count, 4), "uint8", 1 / 255, 0, self._random.integers(30, 220, (count, 4)))
        )
        detections = self._tensor(T("detections", (1, 4, 4), "float32"))
        self.ops += [
            Op("CONCATENATION", boxes, [joined], {"axis": 1}),
            Op("RESHAPE", [joined], [squeezed]),
            Op("CONCATENATION", classes, [logits], {"axis": 1}),
            Op("LOGISTIC", [logits], [scores]),
            Op(POST, [squeezed, scores, anchors], [detections], _POST_OPTIONS),
        ]


_POST_OPTIONS = {
    "max_detections": 4,
    "max_classes_per_detection": 1,
    "nms_iou_threshold": 0.6,
    "nms_score_threshold": 0.1,
    "num_classes": COLUMNS - 1,
    "x_scale": 10.0,
    "y_scale": 8.0,
    "w_scale": 5.0,
    "h_scale": 4.0,
}


def _saturate(tensor: T, values: np.ndarray) -> np.ndarray:
    """Clips values as the format does; its rounding is left out here."""
    if tensor.zero != 0:
        return values  # wide enough in this model
    return np.clip(values, 0, 255 * tensor.scale)


def _conv(op: Op, x: np.ndarray, weight: T, bias: T) -> np.ndarray:
    """TensorFlow's definition, one output pixel after another, channels last."""
    x = x.reshape(x.shape[-3:])
    kernel = weight.real()
    if op.kind == "DEPTHWISE_CONV_2D":
        kernel = np.stack([np.diag(kernel[0, i, j]) for i in range(3) for j in range(3)])
        kernel = kernel.reshape(3, 3, *kernel.shape[1:]).transpose(3, 0, 1, 2)
    size, stride = kernel.shape[1], op.options["stride"]
    if op.options["padding"] == SAME:
        out = -(-x.shape[0] // stride)
        missing = max((out - 1) * stride + size - x.shape[0], 0)
        before = missing // 2
        x = np.pad(x, ((before, missing - before), (before, missing - before), (0, 0)))
    out = (x.shape[0] - size) // stride + 1
    result = np.zeros((1, out, out, kernel.shape[0]))
    for i in range(out):
        for j in range(out):
            window = x[i * stride : i * stride + size, j * stride : j * stride + size]
            result[0, i, j] = (kernel * window).sum((1, 2, 3)) + bias.real()
    return result
