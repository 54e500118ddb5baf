"""Priors, box coding, matching, mining and loss against plain NumPy versions written from the paper; gradients."""

from __future__ import annotations

import itertools
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from edgecam_core.cli.main import main
from edgecam_core.models import priors as core
from edgecam_training.models.base import decode, encode
from edgecam_training.models.depthwise import TurnedKernel
from edgecam_training.models.loss import Targets, hard_negatives, match, multibox_loss
from edgecam_training.models.registry import MODELS, create
from edgecam_training.train import checkpoint
from edgecam_training.train.settings import TrainSettings
from edgecam_training.train.start import starting_model
from edgecam_training.train.step import Step


def _batch(seed: int = 0) -> Targets:
    chance = np.random.default_rng(seed)
    corner = chance.uniform(0, 0.6, (3, 4, 2))
    boxes = np.concatenate([corner, corner + chance.uniform(0.1, 0.4, (3, 4, 2))], axis=2).astype(np.float32)
    labels = chance.integers(1, 4, (3, 4))
    labels[1, 2:] = 0
    labels[2] = 0  # an image without boxes
    return Targets(torch.from_numpy(boxes), torch.from_numpy(labels))


def test_priors_are_those_of_pytorch_ssd() -> None:
    found = core.grid_priors(core.MOBILENET_V1_300, 300)
    assert found.shape == (3000, 4)
    centre = 0.5 / (300 / 16)
    root2, root3 = math.sqrt(2), math.sqrt(3)
    big = math.sqrt(60 * 105) / 300
    expected = [
        (centre, centre, 0.2, 0.2), (centre, centre, big, big),
        (centre, centre, 0.2 * root2, 0.2 / root2), (centre, centre, 0.2 / root2, 0.2 * root2),
        (centre, centre, 0.2 * root3, 0.2 / root3), (centre, centre, 0.2 / root3, 0.2 * root3),
    ]  # fmt: skip
    np.testing.assert_allclose(found[:6], expected, rtol=1e-6)
    np.testing.assert_allclose(found[6, :2], (3 * centre, centre), rtol=1e-6)  # x runs first
    np.testing.assert_allclose(found[-6], (0.5, 0.5, 0.95, 0.95), rtol=1e-6)
    assert found.max() <= 1.0  # 285 * sqrt(3) / 300 is clipped


@pytest.mark.parametrize("name", MODELS)
def test_networks_fit_their_priors(name: str) -> None:
    model = create(name, ("a", "b")).eval()
    with torch.no_grad():
        logits, offsets = model(torch.zeros(2, 3, model.size, model.size))
    assert logits.shape == (2, len(model.priors), 3)
    assert offsets.shape == (2, len(model.priors), 4)


def _published(columns: int = 21) -> dict[str, tuple[int, ...]]:
    """Every tensor of pytorch-ssd's mb1-ssd, from the definition of its layers."""
    found: dict[str, tuple[int, ...]] = {}

    def conv(name: str, *shape: int, bias: bool = True) -> None:
        found[f"{name}.weight"] = shape
        if bias:
            found[f"{name}.bias"] = shape[:1]

    def norm(name: str, width: int) -> None:
        for part in ("weight", "bias", "running_mean", "running_var"):
            found[f"{name}.{part}"] = (width,)
        found[f"{name}.num_batches_tracked"] = ()

    conv("base_net.0.0", 32, 3, 3, 3, bias=False)
    norm("base_net.0.1", 32)
    widths = [32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024]
    for number, (width, channels) in enumerate(itertools.pairwise(widths), start=1):
        conv(f"base_net.{number}.0", width, 1, 3, 3, bias=False)
        norm(f"base_net.{number}.1", width)
        conv(f"base_net.{number}.3", channels, width, 1, 1, bias=False)
        norm(f"base_net.{number}.4", channels)
    for number, (width, middle, channels) in enumerate(
        ((1024, 256, 512), (512, 128, 256), (256, 128, 256), (256, 128, 256))
    ):
        conv(f"extras.{number}.0", middle, width, 1, 1)
        conv(f"extras.{number}.2", channels, middle, 3, 3)
    for number, width in enumerate((512, 1024, 512, 256, 256, 256)):
        conv(f"classification_headers.{number}", 6 * columns, width, 3, 3)
        conv(f"regression_headers.{number}", 6 * 4, width, 3, 3)
    return found


def test_checkpoint_names_and_shapes_of_pytorch_ssd(tmp_path: Path) -> None:
    expected = _published()
    state = create("ssd_mobilenet_v1", ["x"] * 20).state_dict()
    assert {name: tuple(value.shape) for name, value in state.items()} == expected
    # Files of old PyTorch versions lack the counters of norms and are not zip archives.
    theirs = {name: torch.randn(shape) for name, shape in expected.items() if not name.endswith("num_batches_tracked")}
    path = tmp_path / "mobilenet-v1-ssd-mp-0_675.pth"
    torch.save(theirs, path, _use_new_zipfile_serialization=False)
    model, classes = checkpoint.open_model(path)
    assert len(classes) == 20
    assert all(torch.equal(model.state_dict()[name], value) for name, value in theirs.items())
    settings = TrainSettings.from_mapping({"model": "ssd_mobilenet_v1", "init": str(path)})
    started, text = starting_model(settings, ["zebra", "whale"])
    assert text.endswith("; new: base_net, classification_headers")  # of base_net only the counters
    assert torch.equal(started.state_dict()["extras.3.2.weight"], theirs["extras.3.2.weight"])


def test_decoding_inverts_encoding_and_numpy_agrees() -> None:
    priors = core.grid_priors(core.MOBILENET_V1_300, 300)[:50]
    chance = np.random.default_rng(1)
    boxes = core.to_corners(np.concatenate([chance.uniform(0.2, 0.8, (50, 2)), chance.uniform(0.1, 0.5, (50, 2))], 1))
    offsets = core.encode(core.to_centres(boxes), priors)
    np.testing.assert_allclose(core.to_corners(core.decode(offsets, priors)), boxes, atol=1e-6)
    mine = encode(torch.from_numpy(boxes), torch.from_numpy(priors))
    np.testing.assert_allclose(mine.numpy(), offsets, atol=1e-5)
    np.testing.assert_allclose(decode(mine, torch.from_numpy(priors)).numpy(), boxes, atol=1e-6)


def _plain_match(boxes: np.ndarray, labels: np.ndarray, priors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For one image, with plain loops."""
    corners = core.to_corners(priors)
    iou = np.zeros((len(priors), len(boxes)))
    for p, a in enumerate(corners):
        for b, box in enumerate(boxes):
            w, h = min(a[2], box[2]) - max(a[0], box[0]), min(a[3], box[3]) - max(a[1], box[1])
            shared = max(w, 0) * max(h, 0)
            union = (a[2] - a[0]) * (a[3] - a[1]) + (box[2] - box[0]) * (box[3] - box[1]) - shared
            iou[p, b] = shared / union
    chosen, best = iou.argmax(axis=1), iou.max(axis=1)
    for b, prior in enumerate(iou.argmax(axis=0)):
        chosen[prior], best[prior] = b, 2
    found = np.where(best >= 0.5, labels[chosen], 0)
    offsets = core.encode(core.to_centres(boxes[chosen]), priors)
    return found, offsets


def test_matching_equals_the_plain_version() -> None:
    priors = core.grid_priors(core.MOBILENET_V1_300, 300)[1800:]
    targets = _batch()
    labels, offsets = match(targets, torch.from_numpy(priors))
    for row in range(2):
        real = targets.labels[row] > 0
        expected, where = _plain_match(targets.boxes[row][real].numpy(), targets.labels[row][real].numpy(), priors)
        np.testing.assert_array_equal(labels[row].numpy(), expected)
        positive = expected > 0
        assert positive.sum() >= real.sum() - 1  # every box has a prior, but two may share one
        np.testing.assert_allclose(offsets[row].numpy()[positive], where[positive], atol=2e-4)
    assert labels[2].sum() == 0
    assert torch.isfinite(offsets).all()


def test_loss_equals_the_plain_version() -> None:
    priors = core.grid_priors(core.MOBILENET_V1_300, 300)[1800:]
    targets = _batch(3)
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, len(priors), 4, generator=generator)
    offsets = torch.randn(3, len(priors), 4, generator=generator)
    got = multibox_loss(logits, offsets, targets, torch.from_numpy(priors))
    labels, encoded = (item.numpy() for item in match(targets, torch.from_numpy(priors)))
    classes = boxes = 0.0
    for row in range(3):
        values = logits[row].double().numpy()
        log = values - np.log(np.exp(values).sum(axis=1, keepdims=True))
        positive = labels[row] > 0
        background = np.where(positive, -np.inf, -log[:, 0])
        negatives = np.argsort(-background, kind="stable")[: 3 * positive.sum()]
        chosen = np.concatenate([np.flatnonzero(positive), negatives]).astype(int)
        classes += -log[chosen, labels[row][chosen]].sum()
        error = np.abs(offsets[row].numpy() - encoded[row])[positive]
        boxes += np.where(error < 1, 0.5 * error**2, error - 0.5).sum()
    count = (labels > 0).sum()
    assert float(got.classes) == pytest.approx(classes / count, rel=1e-5)
    assert float(got.boxes) == pytest.approx(boxes / count, rel=1e-5)
    assert float(got.total) == pytest.approx((classes + boxes) / count, rel=1e-5)


def test_three_negatives_per_positive_and_none_without_positives() -> None:
    labels = torch.zeros(2, 40, dtype=torch.int64)
    labels[0, [3, 9]] = 1
    loss = torch.arange(40.0).repeat(2, 1)
    chosen = hard_negatives(loss, labels)
    assert chosen.sum(dim=1).tolist() == [6, 0]
    assert chosen[0].nonzero().flatten().tolist() == [34, 35, 36, 37, 38, 39]


def test_gradient_of_the_box_loss() -> None:
    priors = torch.from_numpy(core.grid_priors(core.MOBILENET_V1_300, 300)[2900:]).double()
    targets = Targets(_batch().boxes[:1].double(), _batch().labels[:1])
    logits = torch.zeros(1, len(priors), 4, dtype=torch.float64)
    offsets = torch.randn(1, len(priors), 4, generator=torch.Generator().manual_seed(1)).requires_grad_()
    multibox_loss(logits, offsets, targets, priors).total.backward()
    labels, encoded = match(targets, priors)
    positive = labels > 0
    # Smooth L1: the error itself inside 1, its sign outside, over the number of positives.
    expected = (offsets.detach() - encoded).clamp(-1, 1) * positive[:, :, None] / positive.sum()
    torch.testing.assert_close(offsets.grad, expected.float(), atol=1e-5, rtol=1e-4)


def test_pytorch_ssd_gets_a_plain_state_dict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Loaded strictly, as its net.load does, by a network with the names of its source."""
    network = create("ssd_mobilenet_v1", ("zebra", "blue jay"))
    content = {"model": network.name, "classes": ["zebra", "blue jay"], "state": network.state_dict(), "ema": None}
    checkpoint.save(tmp_path / "best.pt", content)
    out = tmp_path / "models" / "animal" / "mb1-ssd-edgecam.pth"
    words = ["export", str(tmp_path / "best.pt"), "--format", "pytorch-ssd", "--output", str(out)]
    assert main(words) == 0
    state = torch.load(out, weights_only=True)
    expected = _published(3)
    assert {name: tuple(value.shape) for name, value in state.items()} == expected
    theirs = create("ssd_mobilenet_v1", ("zebra", "blue jay"))
    theirs.load_state_dict(state, strict=True)
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())
    assert out.with_name("labels.txt").read_text().splitlines() == ["BACKGROUND", "zebra", "blue jay"]
    assert checkpoint.open_model(out)[1] == ("zebra", "blue jay")
    assert main(words) == 0  # again, over its own file
    out.with_name("labels.txt").write_text("BACKGROUND\ncat\ndog\n")
    capsys.readouterr()
    assert main(words) == 1
    assert "lists other classes" in capsys.readouterr().err
    assert main([*words, "--precision", "fp16"]) == 2
    other = create("ssd_mobilenet_v2", ("a", "b"))
    checkpoint.save(tmp_path / "v2.pt", {**content, "model": other.name, "state": other.state_dict()})
    assert main(["export", str(tmp_path / "v2.pt"), *words[2:]]) == 1
    assert "no network like ssd_mobilenet_v2" in capsys.readouterr().err


def test_the_fused_norm_computes_what_norm_and_relu_compute() -> None:
    """In Triton's interpreter, which must be chosen before Triton is imported."""
    pytest.importorskip("triton")
    script = Path(__file__).with_name("interpreted_norm.py")
    environment = {**os.environ, "TRITON_INTERPRET": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, str(script)], env=environment, capture_output=True, text=True)
    assert done.stdout == "equal\n", done.stderr


@pytest.mark.parametrize("size", [(2, 5, 7, 6), (1, 3, 1, 1), (3, 16, 2, 9)])
def test_a_rotated_kernel_has_the_gradients_of_the_convolution(size: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(4)
    plain = torch.nn.Conv2d(size[1], size[1], 3, 1, 1, groups=size[1], bias=False).double()
    images = torch.randn(size, generator=generator, dtype=torch.float64).requires_grad_()
    upstream = torch.randn(size, generator=generator, dtype=torch.float64)
    expected = torch.autograd.grad(plain(images), (images, plain.weight), upstream)
    found = torch.autograd.grad(TurnedKernel.apply(images, plain.weight), (images, plain.weight), upstream)
    torch.testing.assert_close(TurnedKernel.apply(images, plain.weight), plain(images))
    torch.testing.assert_close(found, expected)


def test_norms_are_fused_on_a_gpu_only() -> None:
    settings = TrainSettings.from_mapping({})
    for name in ("ssd_mobilenet_v1", "ssd_mobilenet_v2"):  # the second has none that could be
        network = create(name, ("a",))
        Step(network, settings, torch.device("cpu"))
        assert not any(getattr(layer, "fused", False) for layer in network.modules())
