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

"""Download, compose, convert and inspect data sets."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from edgecam_core.errors import SettingError

from edgecam_training.cli._options import add_allowed, bar

if TYPE_CHECKING:
    from edgecam_training.data.open_images.selection import Criteria


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    stats = actions.add_parser("stats", help="show the contents of a data set")
    stats.add_argument("data")
    stats.add_argument("--png", type=Path, help="write the charts")
    stats.add_argument("--html", type=Path, help="write a report with sample images, one file")
    stats.set_defaults(act=_stats)
    check = actions.add_parser("check", help="decode every image and list what is used, repaired and dropped")
    check.add_argument("data")
    add_allowed(check)
    check.set_defaults(act=_check)
    compose = actions.add_parser("compose", help="compose the demonstration data: animal cut-outs on photographs")
    compose.add_argument("--output", type=Path, required=True)
    compose.add_argument("--train", type=int, default=3000)
    compose.add_argument("--val", type=int, default=150)
    compose.add_argument("--held-out", type=int, default=150)
    compose.add_argument("--seed", type=int, default=0)
    compose.add_argument("--materials", type=Path, help="folder of unpacked packages [the cache]")
    compose.set_defaults(act=_compose)
    convert = actions.add_parser("convert", help="write a manifest.jsonl for a data set in another layout")
    convert.add_argument("data")
    convert.set_defaults(act=_convert)
    merge = actions.add_parser("merge", help="merge collections of the collector")
    merge.add_argument("collections", type=Path, nargs="+", help="folders of collections")
    merge.add_argument("--output", type=Path, required=True, help="folder of the merged collection; may already exist")
    merge.set_defaults(act=_merge)
    imported = actions.add_parser("import", help="store the boxes of a data set as reviews of a collection")
    imported.add_argument("data", help="data set of any layout")
    imported.add_argument("--collection", type=Path, required=True, help="folder of the collection; may be new")
    imported.add_argument("--again", action="store_true", help="also replace existing reviews")
    imported.set_defaults(act=_import)
    export = actions.add_parser("export", help="write a data set, or a collection's reviews, for another tool")
    export.add_argument("data", type=Path, help="collection, or data set of any layout")
    export.add_argument("--format", required=True, help="coco, voc (as jetson-inference), yolo, cvat or label-studio")
    export.add_argument("--output", type=Path, required=True, help="a new folder")
    export.set_defaults(act=_export)
    _add_open_images(actions.add_parser("open-images", help="download images and boxes of selected classes"))


def _add_open_images(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--classes", help='class names as in Open Images, e.g. "Zebra,Sea turtle"')
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--manifest", type=Path, help="download the images of this manifest and check their hashes")
    parser.add_argument(
        "--like", default="", metavar="TOOL",
        help="jetson-inference: the images and boxes that its open_images_downloader.py selects (release v4, no "
        "depictions, groups as single boxes, --max-images for all splits together)",
    )  # fmt: skip
    parser.add_argument(
        "--mirror", default="", metavar="PLACE",
        help="server or folder with the tables and images of Open Images, instead of the public servers",
    )  # fmt: skip
    parser.add_argument("--replace", action="store_true", help="replace the data set in the output folder")
    parser.add_argument("--version", default="", help="release of the box files: v4, v5, v6 or v7 [v6; --like: v4]")
    parser.add_argument("--splits", default="train,val,test", help="[%(default)s]")
    parser.add_argument("--max-images", type=int, default=0, help="images per split, 0 for all [%(default)s]")
    parser.add_argument(
        "--max-per-class", type=int, default=0, help="boxes per class and split, 0 for all [%(default)s]"
    )
    parser.add_argument("--no-depictions", action="store_true", help="skip drawings, toys and statues")
    parser.add_argument("--no-groups", action="store_true", help="skip boxes around groups of more than five")
    parser.add_argument("--no-occluded", action="store_true", help="skip boxes marked as occluded")
    parser.add_argument("--workers", type=int, default=32, help="parallel downloads [%(default)s]")
    parser.add_argument("--seed", type=int, default=0, help="seed for the selection of images when limits apply")
    parser.set_defaults(act=_open_images)


_WAITS_FOR = {
    "stats": "reading {data}",
    "check": "decoding the images of {data}",
    "compose": "composing images for {output}",
    "convert": "reading {data}",
    "merge": "reading the collections for {output}",
    "import": "reading {data}",
    "export": "reading {data}",
    "open-images": "downloading lists of Open Images for {output}",
}


def waits_for(arguments: argparse.Namespace) -> str:
    return _WAITS_FOR[arguments.action].format_map(vars(arguments))


def run(arguments: argparse.Namespace) -> int:
    code: int = arguments.act(arguments)
    return code


def _stats(arguments: argparse.Namespace) -> int:
    from edgecam_training.data import report, stats
    from edgecam_training.data.loading import load

    dataset = load(arguments.data)
    numbers = stats.measure(dataset)
    print(stats.text(numbers))
    if arguments.png:
        arguments.png.write_bytes(report.chart(numbers))
    if arguments.html:
        report.write_html(dataset, numbers, arguments.html)
    return 0


def _check(arguments: argparse.Namespace) -> int:
    from edgecam_training.data import summary
    from edgecam_training.data.loading import load

    dataset = summary.without_broken(load(arguments.data), bar("images"))
    print("\n".join(summary.lines(dataset)))
    summary.accept(dataset, arguments.allow_dropped)
    return 0


def _compose(arguments: argparse.Namespace) -> int:
    from edgecam_training.data.compose import CompositionPlan, compose
    from edgecam_training.data.materials import gather

    plan = CompositionPlan(arguments.train, arguments.val, arguments.held_out, seed=arguments.seed)
    print(compose(gather(arguments.materials), arguments.output, plan, bar("images")))
    return 0


def _merge(arguments: argparse.Namespace) -> int:
    from edgecam_core.collect.coco import merge

    counts = merge(arguments.collections, arguments.output)
    print(f"{counts['added']} frames added, {counts['present']} already present, {counts['reviews']} reviews copied")
    return 0


def _import(arguments: argparse.Namespace) -> int:
    from edgecam_training.data.loading import load
    from edgecam_training.data.reviews import import_reviews

    dataset = load(arguments.data)
    counts = import_reviews(dataset, arguments.collection, again=arguments.again)
    print("\n".join(dataset.findings.lines()))
    print(", ".join(f"{count} {what}" for what, count in counts.items()))
    return 0


def _export(arguments: argparse.Namespace) -> int:
    from edgecam_training.data import writing
    from edgecam_training.data.loading import load
    from edgecam_training.data.reviews import read_collection

    collected = (arguments.data / "collection.json").is_file()
    dataset = read_collection(arguments.data) if collected else load(arguments.data)
    findings = writing.write(dataset, arguments.format, arguments.output)
    print("\n".join([*dataset.findings.lines(), *findings.lines()]))
    splits = ", ".join(f"{split} {count}" for split, count in dataset.counts().items())
    print(f"{len(dataset.samples)} images in {arguments.output}: {splits}")
    return 0


def _convert(arguments: argparse.Namespace) -> int:
    from edgecam_training.data import manifest
    from edgecam_training.data.loading import load

    dataset = load(arguments.data)
    print(manifest.write(dataset.root, dataset.classes, dataset.samples))
    print("\n".join(dataset.findings.lines()))
    return 0


def _open_images(arguments: argparse.Namespace) -> int:
    from edgecam_training.data.open_images import fetch
    from edgecam_training.data.open_images.source import OpenImagesSource

    if bool(arguments.classes) == bool(arguments.manifest):
        raise SettingError("classes", arguments.classes, "set either --classes or --manifest")
    source = OpenImagesSource.mirror(arguments.mirror)
    if arguments.manifest:
        outcome = fetch.refetch(
            arguments.manifest, arguments.output, arguments.workers, bar, source, arguments.replace
        )  # fmt: skip
    else:
        criteria, version = _criteria(arguments)
        outcome = fetch.download(
            criteria, arguments.output, version, arguments.workers, bar, source, arguments.like, arguments.replace
        )
    print(json.dumps(outcome.as_dict(), indent=2))
    return 0 if outcome.complete else 1


def _criteria(arguments: argparse.Namespace) -> tuple[Criteria, str]:
    """The criteria and the release. ``--like`` determines several options; contradicting values are refused."""
    from edgecam_training.data.open_images import like
    from edgecam_training.data.open_images.selection import Criteria

    mimic = bool(arguments.like)
    splits = tuple(name.strip() for name in arguments.splits.split(","))
    if mimic:
        fixed = {
            "version": (arguments.version or like.RELEASE, like.RELEASE), "splits": (splits, like.SPLITS),
            "max-per-class": (arguments.max_per_class, 0), "no-groups": (arguments.no_groups, False),
            "no-occluded": (arguments.no_occluded, False),
        }  # fmt: skip
        for name, (given, required) in fixed.items():
            if given != required:
                raise SettingError(name, given, f"contradicts --like {arguments.like}; remove it")
    criteria = Criteria(
        classes=tuple(name.strip() for name in arguments.classes.split(",")), splits=splits,
        max_images=arguments.max_images, max_per_class=arguments.max_per_class,
        depictions=not (arguments.no_depictions or mimic), groups=not arguments.no_groups,
        occluded=not arguments.no_occluded, groups_as_objects=mimic, seed=arguments.seed,
    )  # fmt: skip
    return criteria, arguments.version or (like.RELEASE if mimic else "v6")
