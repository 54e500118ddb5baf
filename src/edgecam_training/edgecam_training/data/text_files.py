# Copyright 2026 edgecam maintainers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""Text of unknown encoding: detects UTF-8, UTF-16, UTF-32 or Latin-1 from the bytes; refuses anything else."""

from __future__ import annotations

import codecs
import re
import unicodedata
from contextlib import suppress
from pathlib import Path

from edgecam_training.errors import DatasetError

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Single accented letters among ASCII. Two high bytes in a row are rather another alphabet or a multi-byte encoding.
_LATIN = re.compile(rb"(?:[\t\n\r\x20-\x7e]|(?<![\x80-\xff])[\xc0-\xd6\xd8-\xf6\xf8-\xff](?![\x80-\xff]))*")


_TRUE = ("1", "1.0", "true", "yes")
_FALSE = ("", "0", "0.0", "-1", "-1.0", "false", "no", "none", "null", "unspecified")  # -1: unknown to Open Images
_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u2060\ufeff\u00ad"))  # zero-width and soft hyphens
_DECLARED = re.compile(rb"""^\s*<\?xml[^>]*?encoding\s*=\s*["']([A-Za-z0-9._:-]+)["']""")
_XML_HEAD = re.compile(r"^\s*<\?xml[^>]*\?>")


def class_name(text: object) -> str:
    """The normalised name of a class: no invisible characters, single spaces, composed letters (NFC)."""
    return " ".join(unicodedata.normalize("NFC", str(text)).translate(_INVISIBLE).split())


def flag(value: object) -> bool | None:
    """A yes or no as tools write it (1, 1.0, true, "yes"); None if it is neither."""
    text = str("" if value is None else value).strip().casefold()
    return True if text in _TRUE else False if text in _FALSE else None


def decode_xml(data: bytes, path: Path) -> str:
    """The text of an XML file in the encoding it declares, in any other by :func:`decode`; without declaration.

    Raises:
        DatasetError: the bytes contradict the declared encoding, and no other can be determined.
    """
    found = _DECLARED.match(data)
    declared = found[1].decode().lower() if found else "utf-8"
    # A wide encoding does not start like ASCII; Western text that is valid UTF-8 is UTF-8.
    names = {"utf": (), "iso": ("utf-8", declared), "win": ("utf-8", declared)}.get(declared[:3], (declared,))
    for name in names:
        with suppress(LookupError, UnicodeDecodeError):
            return _XML_HEAD.sub("", data.decode(name))
    return _XML_HEAD.sub("", decode(data, path))


def decode(data: bytes, path: Path) -> str:
    """The text of a file's bytes, without a byte order mark.

    Raises:
        DatasetError: the encoding cannot be determined.
    """
    for mark, name in _MARKS:
        if data.startswith(mark):
            return _decoded(data, name, path)
    zeros_odd, zeros_even = data[1:512:2].count(0), data[:512:2].count(0)
    if zeros_odd or zeros_even:  # UTF-16 without a mark: the high bytes of ASCII are zero
        half = max(1, len(data[:512]) // 2)
        if zeros_odd > 0.6 * half and not zeros_even:
            return _decoded(data, "utf-16-le", path)
        if zeros_even > 0.6 * half and not zeros_odd:
            return _decoded(data, "utf-16-be", path)
        raise DatasetError(f"{path} is not text: it contains zero bytes")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        if _LATIN.fullmatch(data):
            return data.decode("latin-1")
    raise DatasetError(f"{path}: the text encoding is not UTF-8, UTF-16 or Latin-1; save the file as UTF-8")


def _decoded(data: bytes, name: str, path: Path) -> str:
    try:
        return data.decode(name).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path} starts as {name.removesuffix('-sig').upper()} but is not: {error}") from error


def read_text(path: Path) -> str:
    """The text of a file.

    Raises:
        DatasetError: it cannot be read, or its encoding cannot be determined.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}") from error
    return decode(data, path)


def read_lines(path: Path) -> list[str]:
    """The lines of a file, stripped, without empty ones."""
    return [line.strip() for line in read_text(path).splitlines() if line.strip()]
