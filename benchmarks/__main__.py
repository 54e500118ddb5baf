"""`make bench`: measure all rows, or those whose names start with the given prefixes, each against its reference.

Every row is saved when it ends. An interrupted run continues after the last saved row. Rows that are not measured again
keep their values, with their own machine and date.
"""

from __future__ import annotations

import argparse
import sys

from benchmarks import compare, machine, plan
from benchmarks.measure import measure
from benchmarks.publish import publish
from benchmarks.row import Row, all_rows
from benchmarks.store import PUBLISHED, RUN, Store


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python3 -m benchmarks", description=__doc__)
    parser.add_argument("rows", nargs="*", help="prefixes of row names; none: all rows")
    parser.add_argument("--rounds", type=int, default=5, help="rounds per row, alternating between ours and reference")
    parser.add_argument("--quick", action="store_true", help="a few rows, one round each, in three minutes")
    parser.add_argument("--fresh", action="store_true", help="start again instead of resuming")
    parser.add_argument(
        "--publish",
        action="store_true",
        help="measure what is not measured yet, then write results, plot, README, docs",
    )
    parser.add_argument("--list", action="store_true", help="only list the rows and their expected durations")
    return parser.parse_args()


def main() -> int:
    args = arguments()
    published, run = Store.open(PUBLISHED), Store.open(RUN)
    if args.publish and not args.rows and run.rows and not run.pending and not args.fresh:
        return publish(run, published)
    rows = all_rows(args.rows)
    if not rows:
        print(f"bench: no row starts with {' or '.join(args.rows)}; --list shows all", file=sys.stderr)
        return 2
    rounds = 1 if args.quick else args.rounds
    if args.quick:
        rows = plan.quick(rows, run.rows, published.rows)
    if args.list:
        print("\n".join(listing(rows, rounds, run, published)))
        return 0
    if not args.quick:
        resumed = plan.chosen(rows, bool(args.rows), run, args.fresh)
        if len(resumed) < len(rows):
            print(f"bench: resuming, {len(resumed)} of {len(rows)} rows left (--fresh starts again)")
            rows, rounds = resumed, run.rounds
    failed = measure_all(rows, rounds, run, published, keep=not args.quick, whole=not args.rows)
    if args.publish and not args.quick:
        # Rows that failed keep their published values; the exit code reports the failure.
        run.pending = [name for name in run.pending if name not in failed]
        return publish(run, published) or (1 if failed else 0)
    return 1 if failed else 0


def listing(rows: list[Row], rounds: int, run: Store, published: Store) -> list[str]:
    """Each row's name, how long it is expected to take, and what it compares; the sum comes last."""
    lines, total = [], 0.0
    for row in rows:
        seconds = plan.expected(row.name, row.rounds(rounds), run.rows, published.rows)
        lines.append(f"{row.name:40} {plan.duration(seconds):>7}  {row.what}, against {row.reference_name}")
        total += seconds
    return [*lines, f"{f'{len(rows)} rows':40} {plan.duration(total):>7}"]


def measure_all(rows: list[Row], rounds: int, run: Store, published: Store, keep: bool, whole: bool) -> list[str]:
    """Measure these rows and print the comparison; returns the names of the rows that failed.

    ``keep`` saves each row to the run's file, ``whole`` also the list of pending rows, for the next call.
    """
    left = {row.name: plan.expected(row.name, row.rounds(rounds), run.rows, published.rows) for row in rows}
    if keep and whole:
        run.pending, run.rounds = list(left), rounds
        run.save()
    measured, failed, facts = {}, [], machine.facts()
    for number, row in enumerate(rows, 1):
        print(f"[{number}/{len(rows)}, about {plan.duration(sum(left.values()))} left] {row.name}: {row.what}, "
              f"against {row.reference_name}", flush=True)  # fmt: skip
        try:
            result = measure(row, rounds, lambda line: print(line, flush=True))
        except Exception as error:
            # A row that fails stays pending and does not end the run.
            print(f"  failed: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            failed.append(row.name)
        else:
            measured[row.name] = result
            if keep:
                run.pending = [name for name in run.pending if name != row.name]
                run.add(result, facts)
        del left[row.name]
    print("\n".join(["", *compare.lines(measured, published.rows)]))
    if failed:
        print(f"bench: failed: {', '.join(failed)}; `make bench` tries them again", file=sys.stderr)
    return failed


if __name__ == "__main__":
    sys.exit(main())
