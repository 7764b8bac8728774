"""No crash, no hang, no silent accept: every bad value is a TypeError or ValueError that names its argument."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from tests import bad_input

TIMEOUT_S = 60  # for one case, a cold compilation included


class Child:
    """One run of ``python -m tests.bad_input``, ended when a case takes too long."""

    def __init__(self, filters: Sequence[str], kinds: Sequence[str], start: int) -> None:
        what = [",".join(filters), ",".join(kinds), str(start)]
        command = [sys.executable, "-W", "error", "-m", "tests.bad_input", *what]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.hung = False

    def _kill(self) -> None:
        self.hung = True
        self.process.kill()

    def line(self) -> dict[str, Any] | None:
        """The next message, or None when the child is gone."""
        timer = threading.Timer(TIMEOUT_S, self._kill)
        timer.start()
        text = self.process.stdout.readline()
        timer.cancel()
        return json.loads(text) if text else None

    def death(self) -> str:
        errors = self.process.communicate()[1]
        return "hang" if self.hung else f"crash, exit status {self.process.returncode}: {errors[-500:]}"


def check_matrix(filters: Sequence[str], kinds: Sequence[str]) -> None:
    done, faults = run_matrix(filters, kinds)
    if faults:
        pytest.fail(f"{len(faults)} of {done} cases:\n" + "\n".join(faults), pytrace=False)
    assert done == sum(len(list(bad_input.cases(name, kind))) for name in filters for kind in kinds)


def run_matrix(filters: Sequence[str], kinds: Sequence[str]) -> tuple[int, list[str]]:
    """Number of cases and what went wrong, in words; a child that dies is replaced behind the case it died of."""
    faults: list[str] = []
    done, start, last = 0, 0, None
    while start >= 0:
        child = Child(filters, kinds, start)
        begun = None
        while (message := child.line()) is not None:
            last = message["case"]
            if last == -1:
                break
            if "begins" in message:
                begun = message
                continue
            done += 1
            fault = judge(begun, message)
            faults += [f"{begun['begins']}: {fault}"] if fault else []
        if last == -1:
            child.process.communicate()
            start = -1
        else:
            name = begun["begins"] if begun else "before the first case"
            faults.append(f"{name}: {child.death()}")
            start = begun["case"] + 1 if begun else -1
    return done, faults


def judge(case: dict[str, Any], ending: dict[str, Any]) -> str | None:
    """What is wrong with this ending, if anything."""
    if "raised" not in ending:
        return None if ending.get("ok") else f"accepted silently, gave {ending['returned']}"
    said = f"{ending['raised']}: {ending['message'][:200]}"
    if case["must"] == "equal":
        return f"refused with {said}"
    if ending["raised"] not in ("TypeError", "ValueError"):
        return f"wrong kind of error, {said}"
    names = case["arguments"]
    if case["must"] == "unknown":
        return None if ending["raised"] == "TypeError" and names[0] in ending["message"] else f"unclear, {said}"
    return None if ending["message"].startswith(tuple(names)) else f"does not begin with {' or '.join(names)}, {said}"


# One child for as many cases as it can have: starting takes it longer than most of them, with PyTorch four seconds.
@pytest.mark.parametrize("filter_name", bad_input.PARAMETERS)
def test_matrix(filter_name: str) -> None:
    check_matrix([filter_name], ["input", "parameters"])


def test_matrix_of_tensors() -> None:
    check_matrix([*bad_input.PARAMETERS], ["torch"])


def test_the_matrix_is_as_large_as_promised() -> None:
    asked_for = len(bad_input.INPUT_KINDS) - 10  # ten of NOT_PIXELS are extra
    assert asked_for == 54
    every = bad_input.BAD_VALUES | bad_input.BAD_VALUES_OF
    assert {name: len(values) for name, values in every.items() if len(values) < 10} == {}


def test_the_judge_sees_every_fault() -> None:
    case = {"begins": "size=0", "arguments": ["size"], "must": "refused"}
    good = {"raised": "ValueError", "message": "size is 0; it must be at least 1"}
    assert judge(case, good) is None
    assert "silently" in judge(case, {"returned": "ndarray"})
    assert "wrong kind" in judge(case, {"raised": "RuntimeError", "message": "size"})
    assert "does not begin" in judge(case, {"raised": "ValueError", "message": "the size is 0"})
    assert "refused" in judge(case | {"must": "equal"}, good)


def test_a_crash_and_a_hang_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.test_bad_input.TIMEOUT_S", 1)
    program = "import json, os, time; print(json.dumps({'case': 0, 'begins': 'x'}), flush=True); "
    for end, word in (("os.abort()", "crash"), ("time.sleep(60)", "hang")):
        child = Child.__new__(Child)
        child.hung = False
        child.process = subprocess.Popen(
            [sys.executable, "-c", program + end], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert child.line()["begins"] == "x"
        assert child.line() is None
        assert word in child.death()
