from __future__ import annotations

import io

import pytest

from safe_llm.cli.render import Line
from safe_llm.cli.screen import Screen


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


LINES = [Line("a title", "strong"), Line("as it is"), Line("")]


def test_a_terminal_gets_colours() -> None:
    stream = Terminal()
    Screen(stream, {}).show(LINES)
    assert stream.getvalue() == "\x1b[1ma title\x1b[0m\nas it is\n\n"


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_color_and_a_dumb_terminal_get_none(env: dict[str, str]) -> None:
    stream = Terminal()
    Screen(stream, env).show(LINES)
    assert stream.getvalue() == "a title\nas it is\n\n"


def test_an_empty_no_color_is_as_if_it_were_not_set() -> None:
    stream = Terminal()
    Screen(stream, {"NO_COLOR": ""}).show(LINES)
    assert "\x1b" in stream.getvalue()


def test_a_terminal_sees_one_line_that_changes_and_then_stays() -> None:
    stream = Terminal()
    screen = Screen(stream, {})
    for done in ("first", "1st", "1st"):
        screen.update(0.5, lambda width, done=done: done)  # type: ignore[misc]
    screen.show([Line("next")])
    assert stream.getvalue() == "\rfirst\r1st  \nnext\n"


def test_a_file_gets_no_carriage_return_and_one_line_a_quarter() -> None:
    stream = io.StringIO()
    screen = Screen(stream, {})
    for done in range(101):
        screen.update(done / 100, lambda width, done=done: f"{done} of 100")  # type: ignore[misc]
    screen.show([Line("next", "strong")])
    lines = [f"{done} of 100\n" for done in (0, 25, 50, 75, 100)]
    assert stream.getvalue() == "".join([*lines, "next\n"])


def test_the_next_job_in_a_file_begins_anew() -> None:
    stream = io.StringIO()
    screen = Screen(stream, {})
    for _ in range(2):
        screen.update(1.0, lambda width: "done")
        screen.settle()
    assert stream.getvalue() == "done\ndone\n"
