"""Tools for a template that knows none."""

from __future__ import annotations

import json

from safe_llm.engines.tools_in_words import in_words

TOOL = {"name": "add", "parameters": {"type": "object"}}


def test_the_tools_stand_in_the_system_message() -> None:
    (system, user) = in_words([{"role": "user", "content": "hi"}], [TOOL])
    assert system["role"] == "system"
    assert json.dumps(TOOL) in system["content"]
    assert user == {"role": "user", "content": "hi"}
    (system, _) = in_words(
        [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "hi"}], [TOOL]
    )
    assert system["content"].startswith("Be kind.\n\n")


def test_calls_and_replies_become_text_also_those_that_were_cut_off() -> None:
    calls = [
        {"function": {"name": "add", "arguments": arguments}}
        for arguments in ('{"a": 1}', '{"a": ', "", {"a": 2})
    ]
    _, said, reply = in_words(
        [
            {"role": "assistant", "content": None, "tool_calls": calls},
            {"role": "tool", "content": "3"},
        ],
        [TOOL],
    )
    told = [json.loads(line)["arguments"] for line in said["content"].splitlines()[1::3]]
    assert told == [{"a": 1}, '{"a": ', {}, {"a": 2}]
    assert reply == {"role": "user", "content": "<tool_response>\n3\n</tool_response>"}
