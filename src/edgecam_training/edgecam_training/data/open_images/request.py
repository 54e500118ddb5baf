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

"""Records the request a folder was downloaded for, so that a different request does not overwrite it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edgecam_core import cache
from edgecam_training.data import manifest
from edgecam_training.errors import DatasetError

NAME = "request.json"


def claim(output: Path, request: dict[str, Any], replace: bool = False) -> None:
    """Write the request into the folder; the same request may be repeated.

    Args:
        replace: let the new request use the folder.

    Raises:
        DatasetError: the folder holds, or is being filled for, another data set.
    """
    wanted = json.loads(json.dumps(request))
    path = output / NAME
    if not replace and path.is_file():
        try:
            there = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            there = {}
        if there != wanted:
            raise DatasetError(f"{output} holds another data set ({_difference(there, wanted)}); {_REMEDY}")
    elif not replace and (output / manifest.NAME).is_file():
        raise DatasetError(f"{output} already holds a data set, {manifest.NAME}; {_REMEDY}")
    output.mkdir(parents=True, exist_ok=True)
    cache.write(path, (json.dumps(wanted, indent=1, ensure_ascii=False) + "\n").encode())


_REMEDY = "use another --output, or --replace"


def _difference(there: Any, wanted: dict[str, Any]) -> str:
    known = there if isinstance(there, dict) else {}
    return "; ".join(
        f"{key}: {_words(known.get(key))}, now {_words(wanted.get(key))}"
        for key in [*wanted, *(set(known) - set(wanted))]
        if known.get(key) != wanted.get(key)
    )


def _words(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else "not given" if value is None else str(value)
