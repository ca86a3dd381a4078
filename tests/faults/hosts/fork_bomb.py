"""Runs a fork bomb under a limit of processes and kills it; reports who is still alive."""

from __future__ import annotations

import os
import resource
import sys

import psutil

import safe_llm
from tests.children import python_child
from tests.faults.hosts import introduce, report
from tests.faults.hosts.unprivileged import drop_privileges
from tests.faults.oracle import bearers_of

ROOM = 60  # processes that the bomb may fill


def main(python: str) -> None:
    introduce()
    drop_privileges()
    mine = sum(one.num_threads() for one in psutil.process_iter() if is_mine(one))
    resource.setrlimit(resource.RLIMIT_NPROC, (mine + ROOM, mine + ROOM))
    with safe_llm.spawn(python_child("fork_bomb", 9, python=python)) as child:
        report(next(child.stdout.lines(timeout=15)))
        name = child._hub.cookie_name
        report(len(bearers_of(name)))
        child.stop(safe_llm.StopPolicy(steps=()))
        report(bearers_of(name))


def is_mine(process: psutil.Process) -> bool:
    try:
        return bool(process.uids().real == os.getuid())
    except psutil.Error:
        return False


if __name__ == "__main__":
    main(sys.argv[1])
