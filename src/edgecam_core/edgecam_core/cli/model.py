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

"""Store, deploy and roll back model versions."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from edgecam_core.errors import ModelError
from edgecam_core.masking import masked_address
from edgecam_core.models import proposal
from edgecam_core.models.store import ModelStore, Version, check_name
from edgecam_core.temporary import TemporaryFolder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--store", type=Path, help="folder of the store (default $EDGECAM_MODELS or the user's data folder)"
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="list all models and versions")
    listing.set_defaults(act=_list)
    show = actions.add_parser("show", help="show the details of a version")
    _name(show, "the current version")
    show.set_defaults(act=_show)
    add = actions.add_parser("import", help="store an ONNX file as the next version")
    add.add_argument("file", type=Path)
    add.add_argument("name")
    add.add_argument(
        "--report", type=Path, action="append", default=[], help="a file to store with it; may be repeated"
    )
    add.set_defaults(act=_import)
    get = actions.add_parser("get", help="store a model from the zoo, or from a URL with its SHA-256")
    get.add_argument("name", help="name in the zoo; with --url, the name to store the model under")
    get.add_argument("--as", dest="stored_as", metavar="NAME", help="store a model of the zoo under this name")
    get.add_argument("--url", help="address of the ONNX file")
    get.add_argument("--sha256", help="expected SHA-256 of the file")
    get.set_defaults(act=_get)
    deploy = actions.add_parser(
        "deploy", help="make a version the current one; detectors that follow the model load it"
    )
    _name(deploy, "the newest version")
    deploy.set_defaults(act=_deploy)
    pending = actions.add_parser("pending", help="list the newest proposal of each model and its state")
    pending.set_defaults(act=_pending)
    approve = actions.add_parser("approve", help="deploy the version that waits for approval")
    approve.add_argument("name")
    approve.set_defaults(act=_approve)
    decline = actions.add_parser(
        "decline", help="do not deploy the version that waits for approval; it stays in the store"
    )
    decline.add_argument("name")
    decline.set_defaults(act=_decline)
    rollback = actions.add_parser("rollback", help="return to the previously deployed version")
    rollback.add_argument("name")
    rollback.set_defaults(act=_rollback)
    remove = actions.add_parser("remove", help="delete a version")
    remove.add_argument("name")
    remove.add_argument("version", type=int)
    remove.set_defaults(act=_remove)


def _name(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument("name")
    parser.add_argument("version", type=int, nargs="?", help=f"number of the version (default: {default})")


def waits_for(arguments: argparse.Namespace) -> str:
    if arguments.act is _get:
        return f"downloading {masked_address(arguments.url or arguments.name)}"
    return f"storing {arguments.file}" if arguments.act is _import else ""


def run(arguments: argparse.Namespace) -> int:
    code: int = arguments.act(ModelStore(arguments.store), arguments)
    return code


def _line(version: Version) -> str:
    facts = version.facts
    mark = "*" if version.current else " "
    note = facts.get("note", "")
    stored, digest = facts.get("stored_at", "-"), str(facts.get("sha256", "-"))[:12]
    return f"{mark} {version.name:24} {version.number:4}  {stored:20}  {digest}  {note}".rstrip()


def _list(store: ModelStore, _arguments: argparse.Namespace) -> int:
    names = store.names()
    for name in names:
        for version in store.versions(name):
            print(_line(version))
    if not names:
        print(f"{store.root} contains no model; 'edgecam model import FILE NAME' stores one")
    return 0


def _show(store: ModelStore, arguments: argparse.Namespace) -> int:
    version = store.version(arguments.name, arguments.version)
    model = store.check(version)
    print(_line(version))
    print(f"  {version.path}: {model.precision}, {model.describe()}")
    print(json.dumps(version.facts, indent=2))
    for report in sorted(version.folder.glob("report.*")):
        print(f"  {report}")
    return 0


def _import(store: ModelStore, arguments: argparse.Namespace) -> int:
    print(_line(store.add(arguments.file, arguments.name, arguments.report)))
    return 0


def _get(store: ModelStore, arguments: argparse.Namespace) -> int:
    from edgecam_core.models import zoo

    name = arguments.stored_as or arguments.name
    check_name(name)  # before the download
    if not arguments.url:
        known = zoo.MODELS.get(arguments.name)
        facts: dict[str, Any] = {"licence": known.licence, "attribution": known.attribution} if known else {}
        print(_line(store.add(zoo.fetch(arguments.name), name, origin="zoo", **facts)))
        return 0
    with TemporaryFolder("download") as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(zoo.download(arguments.url, arguments.sha256 or ""))
        print(_line(store.add(path, name, origin=arguments.url)))
    return 0


def _deploy(store: ModelStore, arguments: argparse.Namespace) -> int:
    print(_line(store.deploy(arguments.name, arguments.version)))
    return 0


def _pending(store: ModelStore, _arguments: argparse.Namespace) -> int:
    found = proposal.all_in(store)
    for one in found:
        print(f"{one.name:24} {one.state:9} {one.at}  {one.text}")
        if one.report is not None:
            print(f"  {one.report}")
    if not found:
        print("no proposals; 'edgecam improve COLLECTION --store NAME --watch' proposes models that pass the gate")
    return 0


def _pending_proposal(store: ModelStore, name: str) -> proposal.Proposal:
    found = proposal.read(store, name)
    if found is None:
        raise ModelError(f"no version of '{name}' waits for approval; 'edgecam model pending' lists the proposals")
    return found


def _approve(store: ModelStore, arguments: argparse.Namespace) -> int:
    found = _pending_proposal(store, arguments.name)
    print(_line(proposal.approve(store, arguments.name, found.version, found.sha256)))
    return 0


def _decline(store: ModelStore, arguments: argparse.Namespace) -> int:
    found = _pending_proposal(store, arguments.name)
    proposal.decline(store, arguments.name, found.version)
    print(f"declined version {found.version} of '{arguments.name}'; it stays in the store")
    return 0


def _rollback(store: ModelStore, arguments: argparse.Namespace) -> int:
    print(_line(store.rollback(arguments.name)))
    return 0


def _remove(store: ModelStore, arguments: argparse.Namespace) -> int:
    store.remove(arguments.name, arguments.version)
    print(f"removed version {arguments.version} of '{arguments.name}'")
    return 0
