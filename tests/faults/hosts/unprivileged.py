"""Gives up root for good, as a uid of its own. Not a host itself."""

from __future__ import annotations

import os

import safe_llm

FIRST_UID = 61_000  # nobody's, and nobody else's: limits are counted for each user


def drop_privileges() -> None:
    """Become a user whom limits bind; does nothing for one who is such a user already.

    What has to be executable by its user afterwards, such as an interpreter in root's home, is
    started before: the orphan watchdog.
    """
    with safe_llm.spawn(["true"]) as child:
        child.wait(15)
    if os.getuid() == 0:
        uid = FIRST_UID + os.getpid() % 4000
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
