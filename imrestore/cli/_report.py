"""What happened to each file: for people on the terminal, for programs as JSON."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass, field
from typing import Any, TextIO

SCHEMA = "imrestore.report/1"


@dataclass
class FileResult:
    """One line of the report. ``seconds`` is everything, ``filter_seconds`` the filter alone."""

    input: str
    output: str | None
    status: str = "not started"  # written, skipped, failed, not started
    seconds: float = 0.0
    filter_seconds: float = 0.0
    pages: int = 0
    shape: list[int] | None = None  # of the first page
    dtype: str | None = None
    sigma: list[tuple[float, ...]] | None = None  # estimated: of each page, of each channel
    draw: list[list[dict[str, Any]]] | None = None  # of damage: of each page the steps, and what was drawn for them
    error: str | None = None
    notes: list[str] = field(default_factory=list)


@dataclass
class Report:
    """The whole run."""

    command: str
    parameters: dict[str, Any]
    threads: int
    version: str
    started: str
    files: list[FileResult]
    seconds: float = 0.0
    interrupted: bool = False

    def count(self, status: str) -> int:
        return sum(file.status == status for file in self.files)

    def exit_code(self) -> int:
        """0: all well, 1: some file failed, 130: stopped by Ctrl-C."""
        return 130 if self.interrupted else 1 if self.count("failed") else 0

    def as_json(self) -> str:
        states = ("written", "skipped", "failed", "not started")
        body = {"schema": SCHEMA} | asdict(self)
        files = body.pop("files")
        counts = {state.replace(" ", "_"): self.count(state) for state in states}
        # Strict JSON has no NaN or infinity.
        return json.dumps(body | {"counts": counts, "files": files}, indent=1, default=str, allow_nan=False) + "\n"

    def summary(self) -> str:
        parts = [f"{self.count('written')} of {len(self.files)} files written"]
        parts += [f"{self.count(state)} {state}" for state in ("skipped", "failed", "not started") if self.count(state)]
        return f"{', '.join(parts)}, {self.seconds:.2f} s"


def say(text: str, stream: TextIO | None = None) -> None:
    """Print a line even if a name in it cannot be encoded for the terminal."""
    stream = stream or sys.stderr
    encoding = stream.encoding or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)
