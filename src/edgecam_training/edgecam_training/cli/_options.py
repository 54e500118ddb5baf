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

"""Settings as command-line options, and the progress bar."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from edgecam_core.errors import MissingDependency, SettingError
from edgecam_core.settings import Settings, Spec

from edgecam_training.data.findings import ALLOWED

S = TypeVar("S", bound=Settings)


def add_settings(parser: argparse.ArgumentParser, kind: type[Settings]) -> None:
    """Add an option for every declared setting; the parsed arguments contain only options that were given."""
    for spec in kind.specs().values():
        text = " ".join(filter(None, [spec.text, f"({spec.range_text()})" if spec.range_text() else ""]))
        options: dict[str, Any] = {"dest": spec.name, "default": argparse.SUPPRESS}
        options["help"] = f"{text} [{spec.default}]".replace("%", "%%")
        if spec.type is bool:
            options["action"] = argparse.BooleanOptionalAction
        else:
            options["metavar"] = spec.type_name.upper()
        parser.add_argument(f"--{spec.name.replace('_', '-')}", **options)


def add_allowed(parser: argparse.ArgumentParser) -> None:
    """``--allow-dropped``, for commands that read a data set with its boxes."""
    parser.add_argument(
        "--allow-dropped", type=float, default=ALLOWED, metavar="PERCENT",
        help="largest share of boxes that may be dropped [%(default)g]",
    )  # fmt: skip


def settings_from(kind: type[S], given: dict[str, Any], base: dict[str, Any] | None = None) -> S:
    """Settings from parsed options, on top of ``base``. Items of lists are separated by commas."""
    specs = kind.specs()
    typed = {name: _typed(specs[name], value) for name, value in given.items() if name in specs}
    return kind.from_mapping({**(base or {}), **typed})


def _typed(spec: Spec, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if spec.is_list:
        return tuple(spec.item_type(item.strip()) for item in value.split(",") if item.strip())
    try:
        return spec.type(value)
    except ValueError as error:
        raise SettingError(spec.name, value, f"must be of type {spec.type_name}") from error


def bar(title: str) -> Callable[[int, int], None]:
    """A progress bar on a terminal, else a line every 10 %; call it with (done, total)."""
    shown = -1

    def report(done: int, total: int) -> None:
        nonlocal shown
        share = 1.0 if not total else done / total
        if sys.stderr.isatty():
            filled = round(share * 30)
            end = "\n" if done >= total else ""
            print(
                f"\r{title} [{'#' * filled}{'.' * (30 - filled)}] {done}/{total}", end=end, file=sys.stderr, flush=True
            )
        elif int(share * 10) > shown:
            shown = int(share * 10)
            print(f"{title} {done}/{total}", file=sys.stderr)

    return report


def need_torch() -> None:
    """Raise MissingDependency if PyTorch is not installed."""
    if importlib.util.find_spec("torch") is None or importlib.util.find_spec("torchvision") is None:
        raise MissingDependency("PyTorch", "make setup-training, then .venv-training/bin/edgecam")
