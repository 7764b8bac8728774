"""Results as JSON, as a table for a terminal or a README, and against an earlier run."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benches import machine
from benches.rows import Row

_RESULTS = Path(__file__).parent / "results"
SCHEMA = 1
README_BEGIN, README_END = "<!-- benches: begin -->", "<!-- benches: end -->"
HEADERS = ("filter", "dtype", "ours ms", "spread", "best peer", "its ms", "ratio", "goal", "met", "% of copy", "equal")
TEXT_COLUMNS = ("filter", "dtype", "best peer", "goal", "note")

#: Average number of running programs before the first measurement from which on the table says so.
BUSY_LOAD = 0.5


def result_path(metadata: dict[str, Any], kind: str = "") -> Path:
    """Where a run's JSON goes unless it is told otherwise: named after when and what was measured."""
    return _RESULTS / f"{metadata['date'][:16].replace(':', '')}-{metadata['commit']}{kind}.json"


def write_result(found: dict[str, Any], kind: str, path: Path | None) -> None:
    """What was found on this machine, as JSON, to ``path`` or to `result_path`."""
    metadata = machine.metadata(machine.available_cores())
    path = path or result_path(metadata, kind)
    path.write_text(json.dumps({"metadata": metadata, **found}, indent=1) + "\n")
    print(f"Written to {path}", file=sys.stderr)


@dataclass(frozen=True)
class Report:
    metadata: dict[str, Any]
    rows: list[Row]

    def to_json(self) -> str:
        data = {"schema": SCHEMA, "metadata": self.metadata, "results": [row.to_json() for row in self.rows]}
        return json.dumps(data, indent=1) + "\n"

    @classmethod
    def from_file(cls, path: Path) -> Report:
        data = json.loads(path.read_text())
        if data.get("schema") != SCHEMA:
            raise ValueError(f"{path}: schema {data.get('schema')!r}, this program reads {SCHEMA}")
        return cls(data["metadata"], [Row.from_json(row) for row in data["results"]])


def cells(row: Row) -> list[str]:
    best = row.best_peer
    exact = "" if best is None or best not in row.inexact_peers else " *"
    scaled = "" if best is None or row.peers[best].share == 1 else " ~"
    return [
        f"{row.filter} {row.parameters}",
        row.dtype,
        milliseconds(row.ours.median),
        "" if row.ours.rounds == 1 else f"{100 * row.ours.spread:.0f} %",
        "" if best is None else best + exact,
        "" if best is None else milliseconds(row.peers[best].median) + scaled,
        "" if row.ratio is None else times(row.ratio),
        goal_text(row),
        {True: "yes", False: "**MISS**", None: ""}[row.met],
        "" if row.copy_percent is None else f"{row.copy_percent:.0f}",
        {True: "yes", False: "**NO**", None: ""}[row.equal],
    ]


def goal_text(row: Row) -> str:
    """The goal, with the ratio to the one it names where the table's ratio is to someone else."""
    if row.goal is None:
        return "none set"
    peer = row.goal.peer
    if peer is None or peer == row.best_peer:
        return row.goal.text
    return f"{row.goal.text} ({times(row.ratios[peer])})"


def milliseconds(seconds: float) -> str:
    ms = 1e3 * seconds
    return f"{ms:.4f}" if ms < 0.1 else f"{ms:.3g}" if ms < 100 else f"{ms:.0f}"


def times(ratio: float) -> str:
    return f"{ratio:.0f}x" if ratio >= 100 else f"{ratio:.3g}x"


def summary(report: Report) -> str:
    wanted = [row for row in report.rows if row.goal is not None]
    met, wrong = sum(bool(row.met) for row in wanted), [row.key for row in report.rows if row.equal is False]
    checked = sum(row.equal is not None for row in report.rows)
    text = f"{met} of {len(wanted)} goals met"
    if wrong:
        return f"{text}; WRONG RESULTS: {', '.join(wrong)}"
    return f"{text}; {checked} results checked against their definitions, all equal" if checked else text


def machine_line(metadata: dict[str, Any]) -> str:
    versions = metadata["versions"]
    named = ", ".join(f"{name} {version}" for name, version in versions.items() if name not in ("imrestore", "torch"))
    changed = " with uncommitted changes" if metadata["uncommitted_changes"] else ""
    load = metadata["load_before"]
    shared = f" Other programs kept {load:.1f} cores busy." if load is not None and load > BUSY_LOAD else ""
    return (
        f"{metadata['cpu']}, {metadata['threads']} threads for everyone; copies {metadata['copy_gb_per_s']:.1f} GB/s. "
        f"Python {metadata['python']}, {named}. Commit {metadata['commit']}{changed}, {metadata['date']}.{shared}"
    )


LEGEND = (
    "Median of interleaved rounds in one process; spread is the interquartile range. The ratio is to the fastest peer, "
    "round by round. `*`: that peer's result differs from the definition. `~`: that peer was timed on a part of the "
    "picture and scaled. % of copy: the time of a plain copy of the picture with the same threads, divided by ours."
)


def markdown(report: Report) -> str:
    lines = [machine_line(report.metadata), "", LEGEND, ""]
    for suite, rows in by_suite(report.rows):
        shapes = {row.shape for row in rows}  # of several the rows' own parameters tell
        shape = "x".join(map(str, shapes.pop())) if len(shapes) == 1 else ""
        lines += [f"**{suite}** {shape}".rstrip(), ""]
        headers, body = without_empty_columns([cells(row) for row in rows], [row.note for row in rows])
        lines += ["| " + " | ".join(headers) + " |", "|" + "---|" * len(headers)]
        lines += ["| " + " | ".join(line) + " |" for line in body]
        lines.append("")
    return "\n".join([*lines, summary(report) + "."])


def without_empty_columns(body: list[list[str]], notes: list[str]) -> tuple[list[str], list[list[str]]]:
    """Cold starts have no peers and fast filters no notes: their columns would be blank."""
    wide = [[*line, note] for line, note in zip(body, notes, strict=True)]
    kept = [i for i, _ in enumerate([*HEADERS, "note"]) if any(line[i] for line in wide)]
    headers = [*HEADERS, "note"]
    return [headers[i] for i in kept], [[line[i] for i in kept] for line in wide]


def by_suite(rows: Iterable[Row]) -> list[tuple[str, list[Row]]]:
    suites: dict[str, list[Row]] = {}
    for row in rows:
        suites.setdefault(row.suite, []).append(row)
    return list(suites.items())


def print_report(report: Report) -> None:
    """A rich table on a terminal, markdown into a file or a pipe."""
    if not sys.stdout.isatty():
        print(markdown(report))
        return
    from rich.console import Console
    from rich.table import Table

    console = Console()
    for suite, rows in by_suite(report.rows):
        headers, body = without_empty_columns([cells(row) for row in rows], [row.note for row in rows])
        table = Table(title=suite, title_justify="left")
        for header in headers:
            table.add_column(header, justify="left" if header in TEXT_COLUMNS else "right")
        for row, line in zip(rows, body, strict=True):
            style = "red" if row.met is False or row.equal is False else "green" if row.met else ""
            table.add_row(*(cell.replace("**", "") for cell in line), style=style)
        console.print(table)
    console.print(f"{machine_line(report.metadata)}\n{LEGEND}\n{summary(report)}", highlight=False)


def compare_reports(old: Report, new: Report, percent: float) -> tuple[list[str], bool]:
    """Lines about every row both have, and whether any ratio fell by more than ``percent``.

    Ratios survive another machine or a noisier hour; rows without a peer are compared by their time.
    """
    before = {row.key: row for row in old.rows}
    lines, worse = [], False
    for row in new.rows:
        if (then := before.pop(row.key, None)) is None:
            lines.append(f"new      {row.key}")
            continue
        change = relative_change(then, row)
        bad = change < -percent / 100
        lost = then.equal is True and row.equal is False
        worse |= bad or lost
        lines.append(f"{'WRONG' if lost else 'SLOWER' if bad else 'ok':8} {row.key} {100 * change:+.0f} %")
    lines += [f"gone     {key}" for key in before]
    return lines, worse


def relative_change(then: Row, now: Row) -> float:
    """How much faster (positive) than before, relative to the same peer where there is one."""
    peer = then.best_peer
    if peer is not None and peer in now.ratios:
        return now.ratios[peer] / then.ratios[peer] - 1
    return then.ours.median / now.ours.median - 1


def readme_block(sources: Sequence[Path]) -> str:
    """The tables of runs kept in benches/results, each with its machine, and which runs those are."""
    return "\n\n".join(f"{markdown(Report.from_file(source))}\n\nFrom `benches/results/{source.name}`." for source in sources)


def write_into_readme(sources: Sequence[Path], readme: Path) -> None:
    text = readme.read_text()
    head, rest = text.split(README_BEGIN)
    _, tail = rest.split(README_END)
    readme.write_text(f"{head}{README_BEGIN}\n{readme_block(sources)}\n{README_END}{tail}")
