from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safe_llm.worker.descent import Match, Process, parse_stat, select_victims
from safe_llm.worker.records import Record

COOKIE = "SAFE_LLM_COOKIE_test"
BEHIND_STATE = "{ppid} 7 {sid} 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 {threads} 0 {start} 1 1"


def stat(name: bytes, state: bytes = b"S", threads: int = 1) -> bytes:
    rest = BEHIND_STATE.format(ppid=5, sid=6, threads=threads, start=4711).encode()
    return b"42 (" + name + b") " + state + b" " + rest + b"\n"


@given(st.binary(max_size=15))
def test_any_name_leaves_the_numbers_alone(name: bytes) -> None:
    process = parse_stat(stat(name))
    assert process == Process(42, 5, 6, 4711, alive=True, command=name.decode("utf-8", "replace"))


@pytest.mark.parametrize(
    ("state", "threads", "alive"),
    [
        (b"S", 1, True),
        (b"T", 1, True),
        (b"D", 1, True),
        (b"Z", 1, False),
        (b"X", 1, False),
        (b"Z", 2, True),  # only its first thread has ended
    ],
)
def test_a_zombie_is_dead_unless_a_thread_of_it_runs(
    state: bytes, threads: int, alive: bool
) -> None:
    process = parse_stat(stat(b"x", state, threads))
    assert process is not None
    assert process.alive is alive


@given(st.one_of(st.binary(max_size=60), st.integers(0, 30).map(lambda n: stat(b"x")[:n])))
def test_what_is_no_stat_line_is_no_process(data: bytes) -> None:
    assert parse_stat(data) is None


def process(pid: int, ppid: int = 1, sid: int = 900, **more: object) -> Process:
    fields: dict[str, object] = {"start_ticks": 100 + pid, "alive": True, "command": "x"}
    return Process(pid, ppid, sid, **{**fields, **more})  # type: ignore[arg-type]


CHILD = Record(sid=10, pid=10, start_ticks=110, value="a")
ELSEWHERE = Record(sid=900, pid=10, start_ticks=110, value="a")  # in a session that others share
UNKNOWN_START = Record(sid=10, pid=10, start_ticks=0, value="a")


@pytest.mark.parametrize(
    ("title", "processes", "match", "selected"),
    [
        (
            "the cookie counts",
            [process(10, cookie="a"), process(11, cookie="b"), process(12)],
            Match(COOKIE, frozenset({"a"})),
            [10],
        ),
        (
            "any value counts where any is asked for, an empty one too",
            [process(10, cookie="a"), process(11, cookie=""), process(12)],
            Match(COOKIE, None),
            [10, 11],
        ),
        (
            "a recorded child counts without a cookie",
            [process(10, sid=10)],
            Match(COOKIE, records=frozenset({CHILD})),
            [10],
        ),
        (
            "a child's number that was given away does not count",
            [process(10, sid=900, start_ticks=500)],
            Match(COOKIE, records=frozenset({CHILD})),
            [],
        ),
        (
            "a session counts after its leader has died",
            [process(12, sid=10)],
            Match(COOKIE, records=frozenset({CHILD})),
            [12],
        ),
        (
            "a session whose leader is younger than ours is another session",
            [process(10, sid=10, start_ticks=500), process(600, sid=10)],
            Match(COOKIE, records=frozenset({CHILD})),
            [],
        ),
        (
            "nobody is older than the leader of his session",
            [process(12, sid=10, start_ticks=109)],
            Match(COOKIE, records=frozenset({CHILD})),
            [],
        ),
        (
            "a session that the child does not lead proves nothing",
            [process(10), process(12), process(13, ppid=10, sid=13)],
            Match(COOKIE, records=frozenset({ELSEWHERE})),
            [10, 13],
        ),
        (
            "a record without a start time proves nothing",
            [process(10, sid=10, start_ticks=0), process(12, sid=10)],
            Match(COOKIE, records=frozenset({UNKNOWN_START})),
            [],
        ),
        (
            "descent counts over generations and sessions, in any order of numbers",
            [
                process(30, ppid=20, sid=30, start_ticks=150),
                process(20, ppid=40, sid=20, start_ticks=150),
                process(40, ppid=10, sid=40, start_ticks=150),
                process(10, sid=10),
            ],
            Match(COOKIE, records=frozenset({CHILD})),
            [10, 20, 30, 40],
        ),
        (
            "a parent younger than his child is not his parent",
            [process(10, start_ticks=300, cookie="a"), process(11, ppid=10, start_ticks=200)],
            Match(COOKIE, frozenset({"a"})),
            [10],
        ),
        (
            "the session that a victim leads is ours as well",
            [process(10, cookie="a"), process(20, ppid=10, sid=20), process(21, sid=20)],
            Match(COOKIE, frozenset({"a"})),
            [10, 20, 21],
        ),
        (
            "the dead are no victims, but the session that they led is ours",
            [process(10, cookie="a"), process(20, 10, 20, alive=False), process(21, sid=20)],
            Match(COOKIE, frozenset({"a"})),
            [10, 21],
        ),
        (
            "who started before us is a stranger, whatever it carries",
            [process(10, cookie="a"), process(11, cookie="a")],
            Match(COOKIE, None, since=111),
            [11],
        ),
        (
            "pid 1 and the protected are never victims, nor is what hangs below them",
            [process(1, 0, 1, cookie="a"), process(7, 1, 7, cookie="a"), process(8, 7), process(9)],
            Match(COOKIE, None),
            [],
        ),
    ],
)
def test_who_is_ours(
    title: str, processes: list[Process], match: Match, selected: list[int]
) -> None:
    victims = select_victims(processes, match, protect=frozenset({7}))
    assert sorted(victim.pid for victim in victims) == selected, title


def test_each_victim_says_which_child_left_it_and_why_we_think_so() -> None:
    processes = [
        process(10, sid=10),
        process(11, sid=10),
        process(12, ppid=11, sid=12),
        process(20, cookie="b"),
    ]
    match = Match(COOKIE, frozenset({"b"}), frozenset({CHILD}))
    assert [(v.pid, v.cookie, v.evidence) for v in select_victims(processes, match)] == [
        (10, "a", "record"),
        (11, "a", "session"),
        (12, "a", "descent"),
        (20, "b", "cookie"),
    ]


def test_elders_come_first_so_that_nobody_is_left_to_replace_the_young() -> None:
    processes = [process(5, start_ticks=300, cookie="a"), process(9, start_ticks=200, cookie="a")]
    assert [v.pid for v in select_victims(processes, Match(COOKIE, None))] == [9, 5]
