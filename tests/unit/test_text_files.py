from __future__ import annotations

from pathlib import Path

import pytest
from edgecam_core.errors import SettingError
from edgecam_core.models.labels import read_labels
from edgecam_core.text_files import decode_text

LABELS = ("Katze", "Bär", "Größe 5", "écureuil", "cão-d’água")


@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "cp1252"],
)
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_labels_in_every_encoding_that_can_be_recognised(tmp_path: Path, encoding: str, ending: str) -> None:
    labels = LABELS if encoding != "latin-1" else LABELS[:4]  # Latin-1 has no typographic apostrophe
    path = tmp_path / "labels.txt"
    path.write_bytes((ending.join(labels) + ending).encode(encoding))
    assert read_labels(path) == labels


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_other_alphabets(encoding: str) -> None:
    assert decode_text("собака\n犬\n".encode(encoding)) == "собака\n犬\n"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("собака\nкошка\n".encode("cp1251"), "the encoding cannot be recognised; save the file as UTF-8"),
        ("犬\n猫\n".encode("shift-jis"), "the encoding cannot be recognised; save the file as UTF-8"),
        ("狗\n猫\n".encode("gbk"), "the encoding cannot be recognised; save the file as UTF-8"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0", "it is not text"),
        (bytes(range(256)), "it is not text"),
        (bytes(64), "it is not text"),
    ],
)
def test_what_cannot_be_recognised_is_refused(tmp_path: Path, data: bytes, reason: str) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes(data)
    with pytest.raises(SettingError, match=f"'labels' is .*cannot be read \\({reason}"):
        read_labels(path)
