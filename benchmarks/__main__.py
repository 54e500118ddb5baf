"""`make bench`: run all rows, or those whose names begin with the given texts."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.harness import all_rows, machine, markdown, measure, write


def main() -> int:
    parser = argparse.ArgumentParser(prog="python3 -m benchmarks", description=__doc__)
    parser.add_argument("rows", nargs="*", help="beginnings of row names; none: all")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each row, ours and reference in turn")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results"), help="folder of the results")
    parser.add_argument("--list", action="store_true", help="only list the rows")
    args = parser.parse_args()
    rows = all_rows(args.rows)
    if not rows:
        parser.error(f"no row begins with {' or '.join(args.rows)}; --list shows all")
    if args.list:
        print("\n".join(f"{row.name:32} {row.what}, beside {row.reference_name}" for row in rows))
        return 0
    results = []
    for row in rows:
        print(f"{row.name}: {row.what}, beside {row.reference_name}", flush=True)
        results.append(measure(row, args.rounds, lambda line: print(line, flush=True)))
    write(results, args.output)
    print("\n" + markdown(results, machine()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
