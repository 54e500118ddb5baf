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

"""Records the request that filled a folder, so that a different request does not overwrite the folder."""

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
        replace: use the folder for the new request.

    Raises:
        DatasetError: the folder holds another data set, complete or not.
    """
    request = json.loads(json.dumps(request))
    path = output / NAME
    if not replace and path.is_file():
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            stored = {}
        if stored != request:
            raise DatasetError(f"{output} holds another data set ({_difference(stored, request)}); {_REMEDY}")
    elif not replace and (output / manifest.NAME).is_file():
        raise DatasetError(f"{output} already holds a data set, {manifest.NAME}; {_REMEDY}")
    output.mkdir(parents=True, exist_ok=True)
    cache.write(path, (json.dumps(request, indent=1, ensure_ascii=False) + "\n").encode())


_REMEDY = "use another --output, or --replace"


def _difference(stored: Any, request: dict[str, Any]) -> str:
    known = stored if isinstance(stored, dict) else {}
    return "; ".join(
        f"{key}: {_text(known.get(key))}, now {_text(request.get(key))}"
        for key in [*request, *(set(known) - set(request))]
        if known.get(key) != request.get(key)
    )


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else "not given" if value is None else str(value)
