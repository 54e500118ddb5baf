"""The training loop: it resumes bit for bit, stops cleanly and learns; bad checkpoints are refused."""

from __future__ import annotations

import pickle
import resource
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torchvision
from edgecam_core.cache import CacheError
from edgecam_core.errors import SettingError
from edgecam_training.data.loading import load
from edgecam_training.errors import CheckpointError, TrainingError
from edgecam_training.models.loss import Targets
from edgecam_training.models.mobilenet_v2_ssd import MobileNetV2Ssd
from edgecam_training.models.registry import create
from edgecam_training.train import checkpoint
from edgecam_training.train.augment import Augmentation, augment, draw, step_generator
from edgecam_training.train.distributed import World
from edgecam_training.train.log import RunLog
from edgecam_training.train.settings import TrainSettings
from edgecam_training.train.start import likeness, starting_model
from edgecam_training.train.trainer import Trainer
from edgecam_training.train.validate import normalise
from torch.nn import functional

ALONE = World(0, 1, torch.device("cpu"))


def _trainer(shapes: Path, output: Path, **changes: object) -> Trainer:
    # The box and class heads of the COCO network learn in seconds; the loop is the subject of the tests.
    values = {
        "data": str(shapes), "output": str(output), "epochs": 2, "batch": 4, "freeze": "backbone", "side": 160,
        "learning_rate": 0.01, "warmup": 0.0, "evaluate_every": 2, **changes,
    }  # fmt: skip
    settings = TrainSettings.from_mapping(values)
    return Trainer(settings, load(shapes), ALONE, RunLog(output, False))


def _same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def test_resume_equals_uninterrupted(shapes: Path, tmp_path: Path) -> None:
    whole = _trainer(shapes, tmp_path / "whole")
    whole.run()
    cut = _trainer(shapes, tmp_path / "cut")
    original = cut._step

    def step_and_interrupt(order: torch.Tensor, step: int) -> object:
        signal.raise_signal(signal.SIGINT)  # Ctrl-C in the middle of the first epoch
        return original(order, step)

    cut._step = step_and_interrupt  # type: ignore[method-assign,assignment]
    stopped = cut.run()
    assert (stopped.epoch, stopped.step) == (0, 1)
    later = _trainer(shapes, tmp_path / "cut")
    later.resume(tmp_path / "cut" / "last.pt")
    later.run()
    assert _same(whole.model.state_dict(), later.model.state_dict())
    assert whole.average is not None
    assert later.average is not None
    assert _same(whole.average.state, later.average.state)
    assert [entry["epoch"] for entry in later.progress.history] == [1, 2]
    with pytest.raises(SettingError, match="the run to resume has 4"):
        _trainer(shapes, tmp_path / "cut", batch=2).resume(tmp_path / "cut" / "last.pt")


def test_overfits_eight_images(shapes: Path, tmp_path: Path) -> None:
    from edgecam_training.data.dataset import Dataset
    from edgecam_training.data.image_cache import ImageCache
    from edgecam_training.train.validate import validate

    trainer = _trainer(
        shapes, tmp_path / "run", epochs=8, batch=8, learning_rate=0.05, ema=0.0, zoom_out=1.0, crop=0.0, flip=0.0,
        color=0.0, evaluate_every=100, freeze="none", backbone_rate=0.1,
    )  # fmt: skip
    trainer.run()
    train: Dataset = load(shapes).split("train")
    assert validate(trainer.averaged(), ImageCache.build(train, 300, exact=True)).map50 > 0.95


def test_a_non_finite_loss_stops_training_and_saves_the_batch(shapes: Path, tmp_path: Path) -> None:
    trainer = _trainer(shapes, tmp_path)
    with torch.no_grad():
        next(iter(trainer.model.parameters())).fill_(float("nan"))
    with pytest.raises(TrainingError, match="not finite in epoch 1, step 1"):
        trainer.run()
    saved = checkpoint.read(tmp_path / "bad-batch.pt")
    assert saved["images"].shape == (4, 3, 300, 300)
    assert len(saved["paths"]) == 4


def test_augmentation_moves_boxes_with_the_pixels() -> None:
    images = torch.full((16, 200, 200, 3), 127, dtype=torch.uint8)
    images[:, 60:140, 40:100] = 255
    targets = Targets(torch.tensor([[[0.2, 0.3, 0.5, 0.7]]]).repeat(16, 1, 1), torch.ones(16, 1, dtype=torch.int64))
    chance = draw(16, step_generator(0, 0, 0, 0))
    pixels, moved = augment(images, targets, 300, Augmentation(color=0.0), *chance)
    again, _ = augment(images, targets, 300, Augmentation(color=0.0), *draw(16, step_generator(0, 0, 0, 0)))
    assert torch.equal(pixels, again)
    kept = 0
    for image, box, label in zip(pixels, moved.boxes[:, 0], moved.labels[:, 0], strict=True):
        ys, xs = torch.nonzero(image[0] > 191, as_tuple=True)
        if label:
            kept += 1
            seen = torch.tensor([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])
            assert (seen - box * 300).abs().max() < 3
    assert kept > 8


def test_mosaic_puts_four_images_together() -> None:
    shades = torch.tensor([10, 80, 150, 220], dtype=torch.uint8)
    images = shades[:, None, None, None].expand(4, 100, 100, 3).contiguous()
    targets = Targets(torch.tensor([[[0.2, 0.4, 0.6, 0.8]]]).repeat(4, 1, 1), torch.arange(1, 5)[:, None])
    how = Augmentation(zoom_out=1.0, crop=0.0, flip=0.0, color=0.0, mosaic=1.0)
    pixels, moved = augment(images, targets, 100, how, *draw(4, step_generator(0, 0, 0, 0)))
    for place, (x, y) in enumerate(((25, 25), (75, 25), (25, 75), (75, 75))):
        assert pixels[1, 0, y, x] == shades[(1 + place) % 4]
        low = torch.tensor([x - 25, y - 25]) / 100
        torch.testing.assert_close(moved.boxes[1, place], torch.tensor([0.1, 0.2, 0.3, 0.4]) + low.repeat(2))
        assert moved.labels[1, place] == 1 + (1 + place) % 4
    _, alone = augment(images, targets, 100, replace(how, mosaic=1e-9), *draw(4, step_generator(0, 0, 0, 0)))
    assert (alone.labels[:, 1:] == 0).all()


def test_a_full_disk_is_reported_and_the_last_checkpoint_stays(tmp_path: Path) -> None:
    saver, path = checkpoint.Saver(), tmp_path / "last.pt"
    saver.save({"weights": torch.ones(10)}, path)
    saver.wait()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))  # no file may grow, like on a full disk
    try:
        saver.save({"weights": torch.zeros(100_000)}, path)
        with pytest.raises(CacheError):
            saver.wait()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        saver.close()
    assert checkpoint.read(path)["weights"].sum() == 10
    assert list(tmp_path.iterdir()) == [path]


def test_starts_from_imagenet_classifiers(tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = torchvision.models.mobilenet_v2().eval()
    for layer in theirs.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.running_mean.uniform_(-1, 1)
            layer.running_var.uniform_(0.5, 2)
    torch.save(theirs.state_dict(), tmp_path / "v2.pth")
    settings = TrainSettings.from_mapping({"model": "ssd_mobilenet_v2", "init": str(tmp_path / "v2.pth")})
    model, text = starting_model(settings, ("zebra",))
    assert text.startswith("104 of 144 tensors")
    assert isinstance(model, MobileNetV2Ssd)
    pixels = torch.randint(0, 256, (1, 3, 64, 64)).float()
    mine = model.convs["Conv"](normalise(pixels, model))
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    expected = theirs.features[0][1](
        functional.conv2d((pixels / 255 - mean) / std, theirs.features[0][0].weight, stride=2)
    )
    torch.testing.assert_close(mine, expected, atol=1e-4, rtol=1e-4)
    x = torch.randn(1, 32, 9, 9)
    block = theirs.features[2].conv  # expand, depthwise, project
    expand = model.convs["expanded_conv_1:expand"]
    torch.testing.assert_close(expand(x[:, :16]), block[0][1](block[0][0](x[:, :16])), atol=1e-4, rtol=1e-4)
    torch.save(torchvision.models.mobilenet_v3_large().state_dict(), tmp_path / "v3.pth")
    _, text = starting_model(settings.changed(model="ssdlite_mobilenet_v3", init=str(tmp_path / "v3.pth")), ("zebra",))
    assert "; new: backbone, head" in text
    with pytest.raises(CheckpointError, match="fits ssd_mobilenet_v2 in"):
        starting_model(settings.changed(init=str(tmp_path / "v3.pth")), ("zebra",))
    with pytest.raises(SettingError, match="no backbone of ssd_mobilenet_v1"):
        starting_model(settings.changed(model="ssd_mobilenet_v1", init="imagenet"), ("zebra",))


def test_pytorch_ssd_checkpoints_load_in_both_directions(tmp_path: Path) -> None:
    theirs = create("ssd_mobilenet_v1", ("zebra", "whale"))
    torch.save(theirs.state_dict(), tmp_path / "mb1-ssd.pth")
    labels = "BACKGROUND\nzebra\nwhale\n"  # with a byte order mark, which is not a part of the first label
    (tmp_path / "labels.txt").write_text(labels, encoding="utf-8-sig")
    model, classes = checkpoint.open_model(tmp_path / "mb1-ssd.pth")
    assert classes == ("zebra", "whale")
    assert _same(model.state_dict(), theirs.state_dict())
    (tmp_path / "labels.txt").write_text("BACKGROUND\nzebra\n")
    with pytest.raises(CheckpointError, match="names 1 classes"):
        checkpoint.open_model(tmp_path / "mb1-ssd.pth")


class _Malicious:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("code ran",)


def test_untrusted_and_damaged_checkpoints_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"state": _Malicious()}, tmp_path / "evil.pt")
    with pytest.raises(CheckpointError, match="would run code"):
        checkpoint.read(tmp_path / "evil.pt")
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps(_Malicious()))
    with pytest.raises(CheckpointError):
        checkpoint.read(tmp_path / "evil.pkl")
    assert "code ran" not in capsys.readouterr().out
    torch.save({"a": torch.zeros(1000)}, tmp_path / "whole.pt")
    (tmp_path / "cut.pt").write_bytes((tmp_path / "whole.pt").read_bytes()[:900])
    with pytest.raises(CheckpointError):
        checkpoint.read(tmp_path / "cut.pt")
    with pytest.raises(CheckpointError, match="unknown network"):
        checkpoint.open_model(tmp_path / "whole.pt")


def test_similar_classes_are_looked_up_and_unknown_ones_refused() -> None:
    assert likeness(("Zebra", "Cattle"), ("Cattle=cow",)) == {1: 24, 2: 21}
    with pytest.raises(SettingError, match="Zebra=unicorn, Horse=horse"):
        likeness(("Zebra",), ("Zebra=unicorn", "Zebra=zebra", "Horse=horse"))
