"""Thoughts of a model, out of an answer and back into a conversation; a grammar thinks for it."""

from __future__ import annotations

import operator
from functools import reduce
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.messages import HumanMessage

import safe_llm
from safe_llm.langchain import ChatLlamaCpp

if TYPE_CHECKING:
    from collections.abc import Iterator

THOUGHT = r'root ::= "<think>\nhm\n</think>\n\nyes"'
TEMPLATE = """\
{% for message in messages %}{{ message.role }}:
{% if message.reasoning_content %}<think>
{{ message.reasoning_content }}
</think>
{% endif %}{{ message.content }}<|end|>
{% endfor %}{% if add_generation_prompt %}assistant:
{% if enable_thinking is defined and not enable_thinking %}<think>

</think>

{% endif %}{% endif %}"""


@pytest.fixture(scope="module")
def thinking() -> Iterator[ChatLlamaCpp]:
    with ChatLlamaCpp(
        model_path=str(safe_llm.pocket_model()),
        chat_template=TEMPLATE,
        engine="llama-server",
        n_ctx=512,
        n_threads=1,
        max_tokens=60,
        verbose=False,
    ) as made:
        yield made


def thoughts(message: Any) -> str:
    return "".join(one["reasoning"] for one in message.content_blocks if one["type"] == "reasoning")


def test_thoughts_are_apart_from_the_answer(thinking: ChatLlamaCpp) -> None:
    answer = thinking.invoke("Is it?", grammar=THOUGHT)
    assert (answer.text.strip(), thoughts(answer).strip()) == ("yes", "hm")


@pytest.mark.parametrize("output_version", ["v0", "v1"])
def test_they_are_in_a_stream_too(thinking: ChatLlamaCpp, output_version: str) -> None:
    chat = thinking.model_copy(update={"output_version": output_version})
    whole = reduce(operator.add, chat.stream("Is it?", grammar=THOUGHT))
    assert (whole.text.strip(), thoughts(whole).strip()) == ("yes", "hm")
    assert {one["type"] for one in whole.content_blocks} == {"reasoning", "text"}


def test_who_wants_them_as_text_gets_them_as_text(thinking: ChatLlamaCpp) -> None:
    answer = thinking.invoke("Is it?", grammar=THOUGHT, reasoning_format="none")
    assert answer.text.startswith("<think>")
    assert not thoughts(answer)


def test_the_model_is_shown_what_it_thought(thinking: ChatLlamaCpp) -> None:
    asked, more = HumanMessage("Is it?"), HumanMessage("Really?")
    for version in ("v0", "v1"):
        chat = thinking.model_copy(update={"output_version": version})
        answer = chat.invoke([asked], grammar=THOUGHT)
        counted = chat.get_num_tokens_from_messages([asked, answer, more])
        plain = chat.get_num_tokens_from_messages([asked, HumanMessage(answer.text), more])
        assert counted > plain + len("<think></think>")
