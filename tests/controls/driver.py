"""Runs one control through one scenario, in this process: ``driver KIND SCENARIO ARGV…``.

Reports each event as a line of JSON on stdout, which has to be a file: a pipe could block the
control for a reason that is not its own. Judges nothing, and knows no bound: its observer does.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

from tests.controls.scenarios import run_task_group_readline, run_unread_pipe


def report(event: str, value: Any) -> None:
    os.write(1, json.dumps([event, value]).encode() + b"\n")


def main(kind: str, scenario: str, argv: list[str]) -> None:
    try:
        if kind == "U":
            run_unread_pipe(argv, scenario, report)
        else:
            asyncio.run(run_task_group_readline(argv, scenario, report))
    except Exception as error:
        report("raised", f"{type(error).__name__}: {error}"[:200])
        raise
    report("finished", True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
