"""``python -m benches``: measure, print the table, write the JSON; or read JSON written before."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from benches import machine, suites
from benches.report import Report, compare_reports, markdown, print_report, result_path, write_into_readme
from benches.rows import Plan, Row

README = Path(__file__).parents[1] / "README.md"


def main(argv: Sequence[str] | None = None) -> int:
    options = parser().parse_args(argv)
    if options.compare:
        old, new = (Report.from_file(path) for path in options.compare)
        lines, worse = compare_reports(old, new, options.percent)
        print("\n".join(lines))
        return int(worse)
    if options.markdown:
        print(markdown(Report.from_file(options.markdown)))
        return 0
    if options.readme:
        write_into_readme(options.readme, README)
        return 0
    plan = Plan(threads=options.threads, quick=options.quick)
    report = run(options.suite or suites.DEFAULT, plan)
    path = options.json or result_path(report.metadata)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(report.to_json())
    print_report(report)
    print(f"\nWritten to {path}", file=sys.stderr)
    return int(any(row.equal is False for row in report.rows))


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="python -m benches", description=__doc__)
    p.add_argument("--suite", action="append", choices=suites.NAMES, help="measure this suite only (may be repeated)")
    p.add_argument("--quick", action="store_true", help="fewer parameters and rounds: a look, not a result")
    p.add_argument("--threads", type=int, default=machine.available_cores(), help="for everyone (default: all cores)")
    p.add_argument("--json", type=Path, metavar="PATH", help="where to write (default: benches/results/)")
    p.add_argument("--markdown", type=Path, metavar="JSON", help="print an earlier run as markdown")
    p.add_argument("--readme", nargs="+", type=Path, metavar="JSON", help="put earlier runs into README.md")
    p.add_argument("--compare", nargs=2, type=Path, metavar=("OLD", "NEW"), help="exit 1 if a ratio fell by --percent")
    p.add_argument("--percent", type=float, default=10.0, metavar="N", help="what --compare lets pass (default 10)")
    return p


def run(names: Sequence[str], plan: Plan) -> Report:
    metadata = machine.metadata(plan.threads)
    set_threads(plan.threads)
    metadata["copy_gb_per_s"] = machine.copy_gigabytes_per_second(plan.threads)
    rows: list[Row] = []
    for name in names:
        for row in importlib.import_module(f"benches.suites.{name}").rows(plan):
            rows.append(row)
            print_progress(row)
    return Report(metadata, rows)


def set_threads(threads: int) -> None:
    import cv2

    import imrestore

    cv2.setNumThreads(threads)
    imrestore.set_num_threads(threads)


def print_progress(row: Row) -> None:
    ratio = "" if row.ratio is None else f"  {row.ratio:.3g}x {row.best_peer}"
    wrong = "  WRONG RESULT" if row.equal is False else ""
    missed = "  misses its goal" if row.met is False else ""
    name = f"{row.suite}: {row.filter} {row.parameters} {row.dtype}"
    print(f"{name:40} {1e3 * row.ours.median:9.3f} ms{ratio}{wrong}{missed}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
