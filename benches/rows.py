"""One row of the benchmark: what was measured, what was wanted, whether the result was right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from benches.timing import Comparison, Contender, Timing, compare

OURS = "imrestore"
COPY = "copy"


@dataclass(frozen=True)
class Plan:
    """What the command line asked for."""

    threads: int
    size: int = 2048
    quick: bool = False

    @property
    def seconds(self) -> float:
        return 0.6 if self.quick else 2.0

    @property
    def rounds(self) -> tuple[int, int]:
        return (3, 15) if self.quick else (5, 100)


@dataclass(frozen=True)
class Goal:
    """``peer`` takes at least ``value`` times as long as ours; without a peer: ours takes at most ``value`` seconds."""

    value: float
    peer: str | None = None

    @property
    def text(self) -> str:
        if self.peer is None:
            return f"<= {self.value:g} s"
        if self.value < 1:
            return f"<= {1 / self.value:g}x the time of {self.peer}"
        return f">= {self.value:g}x {self.peer}"


@dataclass(frozen=True)
class Row:
    suite: str
    filter: str
    parameters: str
    dtype: str
    shape: tuple[int, ...]
    ours: Timing
    peers: dict[str, Timing] = field(default_factory=dict)
    ratios: dict[str, float] = field(default_factory=dict)  # how many times longer each peer takes, round by round
    inexact_peers: tuple[str, ...] = ()
    goal: Goal | None = None
    copy_percent: float | None = None  # of the speed at which the same bytes are copied
    equal: bool | None = None  # None: this row has no result to check
    note: str = ""
    decibels: dict[str, float] = field(default_factory=dict)  # PSNR of what ours and the peers restore

    @property
    def key(self) -> str:
        return f"{self.suite}/{self.filter}/{self.parameters}/{self.dtype}/{'x'.join(map(str, self.shape))}"

    @property
    def best_peer(self) -> str | None:
        """The peer that takes least; our own other rows, which some goals refer to, are no peers."""
        strangers = [name for name in self.ratios if not name.startswith(OURS)]
        return min(strangers, key=self.ratios.__getitem__) if strangers else None

    @property
    def ratio(self) -> float | None:
        return None if self.best_peer is None else self.ratios[self.best_peer]

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; a wrong result meets none."""
        if self.goal is None:
            return None
        if self.equal is False:
            return False
        if self.goal.peer is None:
            return self.ours.median <= self.goal.value
        return self.ratios[self.goal.peer] >= self.goal.value

    def to_json(self) -> dict[str, Any]:
        return {
            "key": self.key,
            "suite": self.suite,
            "filter": self.filter,
            "parameters": self.parameters,
            "dtype": self.dtype,
            "shape": list(self.shape),
            "ours": timing_to_json(self.ours),
            "peers": {
                name: timing_to_json(timing) | {"ratio": self.ratios[name], "exact": name not in self.inexact_peers}
                for name, timing in self.peers.items()
            },
            "best_peer": self.best_peer,
            "ratio": self.ratio,
            "goal": None if self.goal is None else asdict(self.goal) | {"text": self.goal.text},
            "met": self.met,
            "copy_percent": self.copy_percent,
            "equal": self.equal,
            "note": self.note,
            "decibels": self.decibels,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Row:
        peers, goal = data["peers"], data["goal"]
        return cls(
            suite=data["suite"],
            filter=data["filter"],
            parameters=data["parameters"],
            dtype=data["dtype"],
            shape=tuple(data["shape"]),
            ours=timing_from_json(data["ours"]),
            peers={name: timing_from_json(peer) for name, peer in peers.items()},
            ratios={name: peer["ratio"] for name, peer in peers.items()},
            inexact_peers=tuple(name for name, peer in peers.items() if not peer["exact"]),
            goal=None if goal is None else Goal(goal["value"], goal["peer"]),
            copy_percent=data["copy_percent"],
            equal=data["equal"],
            note=data["note"],
            decibels=data.get("decibels", {}),  # older runs have none
        )


def timing_to_json(timing: Timing) -> dict[str, Any]:
    return {
        "median_ms": timing.median * 1e3,
        "q1_ms": timing.q1 * 1e3,
        "q3_ms": timing.q3 * 1e3,
        "first_call_ms": timing.first_call * 1e3,
        "rounds": timing.rounds,
        "share": timing.share,
    }


def timing_from_json(data: dict[str, Any]) -> Timing:
    return Timing(
        median=data["median_ms"] / 1e3,
        q1=data["q1_ms"] / 1e3,
        q3=data["q3_ms"] / 1e3,
        rounds=data["rounds"],
        first_call=data["first_call_ms"] / 1e3,
        share=data["share"],
    )


def measure(
    plan: Plan,
    ours: Callable[[], object],
    peers: Sequence[Contender],
    *,
    copy: Callable[[], object] | None = None,
    **row: Any,
) -> Row:
    """Time ours against the peers and a plain copy in one run, and make the row of it."""
    contenders = [Contender(OURS, ours), *peers]
    if copy is not None:
        contenders.append(Contender(COPY, copy))
    result = compare(contenders, seconds=plan.seconds, rounds=plan.rounds)
    return row_of(result, [peer.name for peer in peers], copied=copy is not None, **row)


def row_of(result: Comparison, peers: Sequence[str], *, copied: bool, **row: Any) -> Row:
    timings = result.timings
    return Row(
        ours=timings[OURS],
        peers={name: timings[name] for name in peers},
        ratios={name: result.ratio(name, OURS) for name in peers},
        copy_percent=100 * result.ratio(COPY, OURS) if copied else None,
        **row,
    )
