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
def test_labels_in_other_alphabets_are_read(encoding: str) -> None:
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
def test_text_that_cannot_be_recognised_is_refused(tmp_path: Path, data: bytes, reason: str) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes(data)
    with pytest.raises(SettingError, match=f"'labels' is .*cannot be read \\({reason}"):
        read_labels(path)


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("\ufeffcat\r\nhot dog\r\n\r\n", ("cat", "hot dog")),
        ("# classes of 2026\ncat\nhot dog\n", ("cat", "hot dog")),
        ("0 cat\n1 hot dog\n", ("cat", "hot dog")),
        ("1: hot dog\n0: cat\n", ("cat", "hot dog")),  # their numbers count, not their line numbers
        ("1,cat\n2,hot dog\n", ("cat", "hot dog")),
        ("0  cat\n1  dog\n3  cow\n", ("cat", "dog", "???", "cow")),
        ("2 door car\n4 door car\n", ("2 door car", "4 door car")),  # not class numbers
        ("1 cat\n1 dog\n", ("1 cat", "1 dog")),
        ("0 cat\n1 dog\ncow\n", ("0 cat", "1 dog", "cow")),
        ('["cat",\n "hot dog"]\n', ("cat", "hot dog")),
        ('{"1": "hot dog", "0": "cat"}', ("cat", "hot dog")),
    ],
)
def test_label_files_in_common_formats(tmp_path: Path, text: str, labels: tuple[str, ...]) -> None:
    path = tmp_path / "labels.txt"
    path.write_text(text, encoding="utf-8", newline="")
    assert read_labels(path) == labels


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("path: ..\nnames:\n  0: cat\n  1: dog\n", "it is YAML, or a label map of TensorFlow"),
        ("names: [cat, dog]\n", "it is YAML"),
        ("- cat\n- dog\n", "it is YAML"),
        ("item {\n  id: 1\n  name: 'cat'\n}\n", "it is YAML, or a label map of TensorFlow"),
        ('["cat", "dog"', "it begins like JSON, but is not"),
        ('{"0": "cat", "2": "dog"}', "names its classes 0, 2; they must be numbered 0 to 1"),
        ("cat, dog\n", "all is on one line"),
    ],
)
def test_labels_in_another_format_are_refused(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "labels.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingError, match=f"cannot be read \\({reason}.*one label per line"):
        read_labels(path)
