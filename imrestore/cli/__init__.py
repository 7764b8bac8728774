"""The ``imrestore`` command."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence

from imrestore.cli import _parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with `argv` (default: the process's own) and return its exit code."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # started with the stream closed
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115  it stays open as long as the process runs
    try:
        code = _command(argv)
        sys.stdout.flush()
    except KeyboardInterrupt:
        # Before the images are freed that the interrupted calls hold: that takes tens of milliseconds, time for another Ctrl-C.
        _stop_listening(argv)
        code = 130
    except BrokenPipeError:
        # Whoever read our output is gone. Nothing more can be said, not even at exit.
        devnull = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            os.dup2(devnull, stream.fileno())
        return 141
    if code == 130:
        _stop_listening(argv)
    return code


def _stop_listening(argv: Sequence[str] | None) -> None:
    """Where nothing is left to stop but Python's own exit, one more Ctrl-C would end in a traceback."""
    if argv is None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _command(argv: Sequence[str] | None) -> int:
    from imrestore._version import __version__

    try:
        args = _parser.build(__version__).parse_args(argv)
    except SystemExit as stop:  # argparse has printed help, version or an error
        return int(stop.code or 0)
    try:
        if args.command == "info":
            from imrestore.cli import _info

            return _info.info(as_json=args.json)
        if args.command == "degrade":
            from imrestore.cli import _degrade

            return _degrade.degrade(args)
        if args.command == "noise":
            from imrestore.cli import _noise

            return _noise.noise(args)
        if args.command == "compare":
            from imrestore.cli import _compare

            return _compare.compare(args)
        if args.command == "warmup":
            from imrestore.cli import _warmup

            return _warmup.warmup(quiet=args.quiet)
        if args.command == "demo":
            from imrestore.cli import _demo

            return _demo.demo(args.out, args.image, args.threads)
        from imrestore.cli import _run

        return _run.run(args)
    except _parser.UsageError as error:
        print(f"imrestore {args.command}: error: {error}", file=sys.stderr)
        return 2
