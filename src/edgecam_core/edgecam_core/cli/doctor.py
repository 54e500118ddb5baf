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

"""Check this machine and its running nodes, and report problems with their remedies.

Exit code 1 if there are errors, otherwise 0. Changes nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter

from edgecam_core.doctor import FOLDERS, Finding, Level, examine

MARKS = {Level.OK: "ok", Level.NOTE: "note", Level.WARNING: "WARN", Level.ERROR: "ERROR"}
COLOURS = {Level.OK: "32", Level.NOTE: "36", Level.WARNING: "33;1", Level.ERROR: "31;1"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    parser.add_argument("--strict", action="store_true", help="return exit code 1 for warnings, too")
    parser.add_argument("--machine", action="store_true", help="do not check the running nodes, which takes 5 to 10 s")
    parser.add_argument("--quiet", action="store_true", help="print only warnings and errors")


def waits_for(args: argparse.Namespace) -> str:
    return "examining this machine" + ("" if args.machine else ", then the running nodes for 5 to 10 s")


def run(args: argparse.Namespace) -> int:
    findings: list[Finding] = []
    group = ""
    for finding in examine(FOLDERS[:1] if args.machine else FOLDERS):
        findings.append(finding)
        if not args.json and (finding.level >= Level.WARNING or not args.quiet):
            _show(finding, new_group=finding.group != group)
            group = finding.group
    worst = max((finding.level for finding in findings), default=Level.OK)
    counts = Counter(finding.level.name.lower() for finding in findings)
    if args.json:
        facts = {"worst": worst.name.lower(), "counts": counts, "findings": [one.as_dict() for one in findings]}
        print(json.dumps(facts, indent=2))
    else:
        counted = [f"{counts[kind]} {kind}{'' if counts[kind] == 1 else 's'}" for kind in ("note", "warning", "error")]
        print(f"\n{counts['ok']} ok, {', '.join(counted)}")
    return int(worst >= (Level.WARNING if args.strict else Level.ERROR))


def _show(finding: Finding, new_group: bool) -> None:
    if new_group:
        print(f"\n{finding.group}")
    mark = MARKS[finding.level].ljust(5)
    if sys.stdout.isatty():
        mark = f"\033[{COLOURS[finding.level]}m{mark}\033[0m"
    print(f"  {mark} {finding.text}")
    if finding.remedy:
        print(f"        -> {finding.remedy}")
    sys.stdout.flush()
