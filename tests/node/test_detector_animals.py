"""``model:=animals`` in the node: the shipped model's class names on the shipped clip."""

from __future__ import annotations

from pathlib import Path

import cv2
from detecting import Detecting, names
from edgecam_core.models import animals
from ros_peer import Peer

CLIP = Path(__file__).parents[2] / "media" / "animals.mp4"
_COW = 4.0  # seconds into the clip, see media/animals.json


def test_the_animals_model_names_the_cow_in_the_clip(peer: Peer) -> None:
    clip = cv2.VideoCapture(str(CLIP))
    clip.set(cv2.CAP_PROP_POS_MSEC, _COW * 1000)
    good, image = clip.read()
    assert good
    subject = Detecting(peer, Path("animals"))
    try:
        found = names(subject.answer(image))
    finally:
        subject.close()
    assert "Cattle" in found
    assert found <= set(animals.LABELS[1:])
