#!/usr/bin/env python3
"""Check that the packages' source files begin with the licence header that ament_copyright reads; --add adds it.

ament_copyright knows no short form (SPDX): a file needs the copyright line and the whole header of the licence.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HEADER = """\
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

"""


def sources() -> list[Path]:
    """The files that ament_copyright checks: no empty files, and not setup.py next to package.xml."""
    found = [*(ROOT / "src").rglob("*.py"), *(ROOT / "underlay").rglob("*.py")]
    return [path for path in sorted(found) if path.stat().st_size and not (path.parent / "package.xml").exists()]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--add", action="store_true", help="add the header where it is missing")
    add = parser.parse_args().add
    missing = [path for path in sources() if HEADER.rstrip("\n") not in path.read_text()]
    for path in missing:
        if not add:
            print(
                f"{path.relative_to(ROOT)}: no licence header; scripts/lint_copyright.py --add adds it", file=sys.stderr
            )
        else:
            first, rest = "", path.read_text()
            if rest.startswith("#!"):
                first, _, rest = rest.partition("\n")
                first += "\n"
            path.write_text(first + HEADER + rest)
    return 1 if missing and not add else 0


if __name__ == "__main__":
    sys.exit(main())
