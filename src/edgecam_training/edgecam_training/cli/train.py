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

"""Train a detector on a data set; with torchrun on several GPUs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from edgecam_core.errors import SettingError

from edgecam_training.cli._options import add_settings, need_torch, settings_from
from edgecam_training.train.settings import TrainSettings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--resume", metavar="FOLDER", help="continue the run in this folder, with its settings")
    add_settings(parser, TrainSettings)


def waits_for(arguments: argparse.Namespace) -> str:
    return f"loading PyTorch, then {f'the run {arguments.resume}' if arguments.resume else 'the data set'}"


def run(arguments: argparse.Namespace) -> int:
    need_torch()
    from edgecam_training.data import summary
    from edgecam_training.data.dataset import Dataset
    from edgecam_training.data.loading import load
    from edgecam_training.train import checkpoint
    from edgecam_training.train.distributed import join
    from edgecam_training.train.images import Images, decode, meanwhile
    from edgecam_training.train.log import open_log
    from edgecam_training.train.trainer import Trainer

    base: dict[str, Any] = {}
    last = Path(arguments.resume) / "last.pt" if arguments.resume else None
    if last:
        base = checkpoint.read(last)["settings"] | {"output": arguments.resume}
    settings = settings_from(TrainSettings, vars(arguments), base)
    if not settings.data:
        raise SettingError("data", settings.data, "must be the folder of a data set; see edgecam dataset")
    world = join(settings.device)
    try:
        with open_log(Path(settings.output), world.leads) as log:

            def read() -> tuple[Dataset, Images]:
                dataset = load(settings.data)
                for line in summary.lines(dataset):
                    log(line)
                summary.accept(dataset, settings.allow_dropped)
                return dataset, decode(dataset, settings, world.leads, log)

            dataset, images = meanwhile(read, settings, world.device)
            Trainer(settings, dataset, world, log, last, images).run()
    finally:
        world.close()
    return 0
