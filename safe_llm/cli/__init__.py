"""The command ``safe-llm``: reads its arguments, runs one command, returns an exit code.

It refuses to work itself: each command is a module of its own, loaded when it is asked for.
"""

from __future__ import annotations

import argparse
import errno
import os
import signal
import sys
from typing import TYPE_CHECKING

from safe_llm import __version__
from safe_llm.cli.arguments import (
    DONE,
    EXIT_CODES,
    FAILED,
    INTERRUPTED,
    MISUSED,
    NOT_INSTALLED,
    add_demo,
    add_measure,
    new_parser,
)
from safe_llm.errors import MissingExtra, SafeLlmError
from safe_llm.measure.interrupts import kept_interrupts, termination_interrupts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["DONE", "EXIT_CODES", "FAILED", "INTERRUPTED", "MISUSED", "NOT_INSTALLED", "main"]


# What write(2) says of a reader that is gone, and of a disk that is full or broken.
_OUTPUT_LOST = frozenset({errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code. Ctrl-C or SIGTERM end it with 130, cleanly."""
    arguments = _parser().parse_args(argv)
    command: Callable[[argparse.Namespace], int] = arguments.command
    try:
        with termination_interrupts(), kept_interrupts():
            code = command(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        _clean_up_undisturbed()
        # One that passed through an `exec` of a text (`namedtuple`, `dataclass`) makes the
        # interpreter end by the signal later, although it was caught. The next one undoes that:
        # `run_eval_code_obj` of CPython.
        exec("")  # noqa: S102  a constant
        sys.stderr.write("\ninterrupted; nothing is left running\n")
        return INTERRUPTED
    except SafeLlmError as error:  # before OSError: a CallTimeout is a TimeoutError, which is one
        sys.stderr.write(f"error: {error}\n")
        return NOT_INSTALLED if isinstance(error, MissingExtra) else FAILED
    except OSError as error:
        if error.errno not in _OUTPUT_LOST:
            raise
        if error.errno != errno.EPIPE:  # where its reader has left there is nobody to be told
            sys.stderr.write(f"error: the output cannot be written: {error}\n")
        # The interpreter would try to flush into it once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    return code


def _parser() -> argparse.ArgumentParser:
    parser = new_parser(argparse.ArgumentParser, prog="safe-llm", description=_CLAIM)
    parser.add_argument("--version", action="version", version=f"safe-llm {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    add_demo(commands, _demo)
    add_measure(commands, _measure)
    return parser


_CLAIM = "Language-model engines out of process: every call comes back, nothing is left running."


def _demo(arguments: argparse.Namespace) -> int:
    from safe_llm.cli.demo import run  # noqa: PLC0415  it loads LangChain, --help must not

    run(requests=arguments.requests, model=arguments.model, as_json=arguments.json)
    return DONE


def _measure(arguments: argparse.Namespace) -> int:
    from safe_llm.cli.measure import run  # noqa: PLC0415  it loads the engines
    from safe_llm.measure.catalogue import Wanted  # noqa: PLC0415  as above
    from safe_llm.measure.run import Plan  # noqa: PLC0415  as above

    table = run(
        Wanted(
            engines=tuple(dict.fromkeys(arguments.engines)),
            verbosities=arguments.verbosity,
            models=arguments.model,
            commands=arguments.mcp,
        ),
        Plan(requests=arguments.requests, seconds=arguments.seconds, prove=arguments.prove),
        form=arguments.form,
        picture=arguments.plot,
    )
    return FAILED if any(row.failure for row in table.rows) else DONE


def _clean_up_undisturbed() -> None:
    """Stop what still runs. A second Ctrl-C is not heard meanwhile: stopping is bounded."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    engines = sys.modules.get("safe_llm.engines.registry")
    children = sys.modules.get("safe_llm.process.hub")
    if engines is not None:
        engines.shutdown()
    elif children is not None:
        children.hub().shutdown()
