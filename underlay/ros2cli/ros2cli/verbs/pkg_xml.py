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

"""Output the XML of the package manifest or a specific tag."""

from __future__ import annotations

import argparse
from xml.etree import ElementTree

from ros2cli.errors import NotFound


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `ros2 pkg xml`."""
    parser.add_argument("package_name", help="The package name")
    parser.add_argument("-t", "--tag", help="The tag of the manifest to print")


def main(args: argparse.Namespace) -> str | None:
    """Print the manifest, or the text of each element of one tag."""
    from ros2cli import ament_index

    try:
        manifest = ament_index.package_share(args.package_name) / "package.xml"
    except NotFound:
        return "Package not found"
    if not manifest.is_file():
        return "Package xml manifest not found"
    try:
        root = ElementTree.parse(manifest).getroot()
    except ElementTree.ParseError as error:
        return f"'{manifest}' is not valid XML: {error}"
    if args.tag is None:
        print(ElementTree.tostring(root, encoding="unicode"))
        return None
    elements = root.findall(args.tag)
    for element in elements:
        print(element.text)
    return None if elements else "XML tag not found"
