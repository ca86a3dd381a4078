"""``python -m tests.benchmarks``: runs benchmarks and prints what they found. Exit status 0."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from importlib import import_module
from typing import Any

from tests.benchmarks.report import table

_MODULES = {
    "import": "importing",
    "drain": "drain",
    "crowd": "crowd",
    "wake-up": "wake_up",
    "call": "call",
    "tokens": "tokens",
    "chat": "chat",
    "worker": "worker",
    "embedding": "embedding",
    "cancellation": "cancellation",
}
_BOUND = 600.0  # seconds for one benchmark, which takes about one minute


def main() -> int:
    """Run what was asked for."""
    options = _parser().parse_args()
    if options.here:
        print(json.dumps(_measured_here(options.here)))
        return 0
    found = {name: _measured_apart(name) for name in options.names or _MODULES}
    if options.json:
        print(json.dumps(found, indent=2))
        return 0
    print(*table([row for rows in found.values() for row in rows]), sep="\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    names = ", ".join(_MODULES)
    parser.add_argument("names", nargs="*", type=_name, metavar="NAME", help=f"of {names}")
    parser.add_argument("--json", action="store_true", help="print the same facts as JSON")
    parser.add_argument("--here", choices=_MODULES, help=argparse.SUPPRESS)
    return parser


def _name(text: str) -> str:
    if text not in _MODULES:  # `choices` refuses an empty list of names before Python 3.12
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(_MODULES)}")
    return text


def _measured_here(name: str) -> list[dict[str, Any]]:
    module = import_module(f"tests.benchmarks.{_MODULES[name]}")
    return [figure.as_json() for figure in module.measure()]


def _measured_apart(name: str) -> list[dict[str, Any]]:
    """Measure in a fresh interpreter: threads, heap and imports of one must not burden another."""
    if sys.stderr.isatty():
        print(f"{name} …", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", "tests.benchmarks", "--here", name]
    try:
        done = subprocess.run(
            command, check=True, stdout=subprocess.PIPE, timeout=_BOUND, stdin=subprocess.DEVNULL
        )
    except subprocess.SubprocessError as error:
        print(f"{name}: {error}", file=sys.stderr)  # its own words stand above
        return []
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows


if __name__ == "__main__":
    sys.exit(main())
