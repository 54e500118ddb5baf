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

"""Reads text files in UTF-8, UTF-16 or UTF-32, with or without a byte-order mark, or in Windows-1252."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, because it begins with the mark of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LONGEST_RUN = 2  # accented letters in a row in Western words; in other scripts, all letters are above 0x7F


def read_text(path: str | Path) -> str:
    """The content of a text file without byte-order mark; recognises its encoding.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file is not text, or its encoding is not recognised; the text states the remedy.
    """
    return decode_text(Path(path).read_bytes())


def decode_text(data: bytes) -> str:
    """Like :func:`read_text`, for bytes.

    UTF-16 without a mark is recognised by its zero bytes, Windows-1252 (which includes the letters of Latin-1) by
    single accented letters among ASCII letters.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _decoded(data, encoding)
    if b"\0" in data:
        return _decoded(data, "utf-16-le" if data[1::2].count(0) > data[::2].count(0) else "utf-16-be")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        text = _decoded(data, "cp1252")
    runs = re.findall(r"[^\x00-\x7f]+", text)
    if any(len(run) > _LONGEST_RUN or not all(one.isalpha() or one in "’‘“”–—°·" for one in run) for run in runs):
        raise ValueError("the encoding cannot be recognised; save the file as UTF-8")
    return text


def _decoded(data: bytes, encoding: str) -> str:
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        raise ValueError("it is not text; use a text file in UTF-8") from None
    if "\0" in text or (encoding.startswith("utf-16-") and not text.isprintable() and not text.split()):
        raise ValueError("it is not text; use a text file in UTF-8")
    return text
