"""Which processes descend from our children, decided from a snapshot. Reads and kills nothing.

Three kinds of evidence, because each can be lost: a cookie in the environment (``env -i`` and
``setproctitle`` wipe it), a session of ours (``setsid`` leaves it), a living ancestor of ours (a
daemon has none). Process numbers are reused, so none of them counts without start times: nobody
is older than his parent, nor than the leader of his session.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .records import Record

if TYPE_CHECKING:
    from collections.abc import Iterable

# Offsets behind the ")" that ends the name in /proc/PID/stat, proc_pid_stat(5).
_STATE, _PPID, _SID, _THREADS, _START = 0, 1, 3, 17, 19
_DEAD_STATES = (b"Z", b"X", b"x")


class Process(NamedTuple):
    """One process of a snapshot. ``cookie`` is the value of our cookie, None without one."""

    pid: int
    ppid: int
    sid: int
    start_ticks: int
    alive: bool
    command: str
    cookie: str | None = None


class Match(NamedTuple):
    """What is ours: carriers of the cookie, recorded children, and all who descend from these.

    ``values``: the cookie values that count, None for any. ``since``: in clock ticks since boot;
    who started earlier is a stranger, whatever else may seem to speak for him.
    """

    cookie: str
    values: frozenset[str] | None = frozenset()
    records: frozenset[Record] = frozenset()
    since: int = 0


class Victim(NamedTuple):
    """A process that is ours. ``cookie`` is the cookie value of the child that left it behind.

    ``evidence`` is ``"cookie"``, ``"record"``, ``"session"`` or ``"descent"``; ``refusal`` says
    why it could not be killed, and is empty where it could.
    """

    pid: int
    sid: int
    start_ticks: int
    command: str
    cookie: str
    evidence: str
    refusal: str = ""

    def as_record(self) -> Record:
        """Make its children, and the session that it may lead, ours as well from now on."""
        return Record(self.sid, self.pid, self.start_ticks, self.cookie)


def parse_stat(data: bytes) -> Process | None:
    """Parse ``/proc/PID/stat``; None for anything else.

    The name may hold spaces, parentheses and newlines: it ends at the last ``)``.
    """
    head, _, name_and_rest = data.partition(b" (")
    name, _, rest = name_and_rest.rpartition(b")")
    fields = rest.split()
    try:
        # A process whose first thread has ended reads as a zombie while its other threads run.
        alive = fields[_STATE] not in _DEAD_STATES or int(fields[_THREADS]) > 1
        pid, ppid, sid, start = map(int, (head, fields[_PPID], fields[_SID], fields[_START]))
    except (ValueError, IndexError):
        return None
    return Process(pid, ppid, sid, start, alive, name.decode("utf-8", "replace"))


def select_victims(
    processes: Iterable[Process], match: Match, protect: frozenset[int] = frozenset()
) -> list[Victim]:
    """Return all who are ours and alive, elders first; never pid 1, never one of ``protect``."""
    known = {process.pid: process for process in processes}
    kin = _Kin(match, known)
    candidates = [
        process
        for process in sorted(known.values(), key=lambda p: (p.start_ticks, p.pid))
        if process.pid > 1 and process.pid not in protect and process.start_ticks >= match.since
    ]
    while kin.grow(candidates):  # two that started in the same tick may stand in any order
        pass
    return [kin.members[p.pid] for p in candidates if p.alive and p.pid in kin.members]


class _Kin:
    """Grows from what is matched to all who descend from it. The dead count as ancestors only."""

    def __init__(self, match: Match, known: dict[int, Process]) -> None:
        self.members: dict[int, Victim] = {}
        self._match = match
        self._recorded = {r.pid: r for r in match.records if r.start_ticks}
        self._sessions = {
            pid: record
            for pid, record in self._recorded.items()
            # A living leader of another age: the number was given away again.
            if record.sid == pid
            and (pid not in known or known[pid].start_ticks == record.start_ticks)
        }

    def grow(self, candidates: list[Process]) -> bool:
        """Take in whom the evidence reaches now; return whether there was anybody."""
        before = len(self.members)
        for one in candidates:
            claim = None if one.pid in self.members else self._claim(one)
            if claim is not None:
                evidence, value = claim
                victim = Victim(one.pid, one.sid, one.start_ticks, one.command, value, evidence)
                self.members[one.pid] = victim
                if one.sid == one.pid:
                    self._sessions[one.sid] = victim.as_record()
        return len(self.members) > before

    def _claim(self, one: Process) -> tuple[str, str] | None:
        values = self._match.values
        if one.cookie is not None and (values is None or one.cookie in values):
            return "cookie", one.cookie
        record = self._recorded.get(one.pid)
        if record is not None and record.start_ticks == one.start_ticks:
            return "record", record.value
        leader = self._sessions.get(one.sid)
        if leader is not None and leader.start_ticks <= one.start_ticks:
            return "session", leader.value
        parent = self.members.get(one.ppid)
        if parent is not None and parent.start_ticks <= one.start_ticks:
            return "descent", parent.cookie
        return None
