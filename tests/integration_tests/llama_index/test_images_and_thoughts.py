"""What is more than text in a conversation: images on both engines, and a model's thoughts.

What the tiny model sees means nothing, and a grammar thinks for the other one.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core.base.llms.types import ChatMessage, ImageBlock, TextBlock, ThinkingBlock
from PIL import Image

import safe_llm
from safe_llm.llama_index import LlamaCPP
from tests.models import tiny_gguf, tiny_mmproj

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration_tests.llama_index.conftest import Make

# Importing LlamaIndex takes seconds, and on a busy machine the first test pays for some of it.
pytestmark = pytest.mark.timeout(60)

PATCHES = 4  # tokens that the tiny projector makes of an image
QUESTION = TextBlock(text="What is this?")
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


def red_square() -> bytes:
    file = BytesIO()
    Image.new("RGB", (28, 28), "red").save(file, "PNG")
    return file.getvalue()


def prompt_tokens(response: Any) -> int:
    count: int = response.additional_kwargs["prompt_tokens"]
    return count


# -- images


@pytest.fixture(scope="module")
def seeing(make: Make, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaCPP]:
    folder = tmp_path_factory.mktemp("seeing")
    paths = {"model_path": str(tiny_gguf(folder)), "mmproj": str(tiny_mmproj(folder))}
    with make(context_window=512, max_new_tokens=5, **paths) as made:
        made.start()
        yield made


@pytest.mark.asyncio
@pytest.mark.parametrize("form", ["bytes", "path", "file"])
async def test_an_image_is_read(seeing: LlamaCPP, tmp_path: Path, form: str) -> None:
    (tmp_path / "image.png").write_bytes(red_square())
    block = {
        "bytes": ImageBlock(image=red_square()),
        "path": ImageBlock(path=tmp_path / "image.png"),
        "file": ImageBlock(image=BytesIO(red_square())),
    }[form]
    alone = await seeing.achat([ChatMessage(blocks=[QUESTION])])
    response = await seeing.achat([ChatMessage(blocks=[QUESTION, block])])
    grown = prompt_tokens(response) - prompt_tokens(alone)
    assert len(str(response.message.content)) == 5
    assert grown >= PATCHES
    assert grown < len(red_square())  # it was not read as the text that it is sent as


# -- thoughts


@pytest.fixture(scope="module")
def thinking() -> Iterator[LlamaCPP]:
    with LlamaCPP(
        model_path=str(safe_llm.pocket_model()),
        chat_template=TEMPLATE,
        engine="llama-server",
        context_window=512,
        n_threads=1,
        max_new_tokens=60,
        verbose=False,
    ) as made:
        yield made


def parts(message: ChatMessage) -> list[tuple[type, str]]:
    """The blocks of a message, thoughts and text."""
    return [
        (type(one), str(one.content if isinstance(one, ThinkingBlock) else one.text).strip())
        for one in message.blocks
        if isinstance(one, (ThinkingBlock, TextBlock))
    ]


def test_thoughts_are_apart_from_the_answer(thinking: LlamaCPP) -> None:
    apart = [(ThinkingBlock, "hm"), (TextBlock, "yes")]
    assert parts(thinking.chat([ChatMessage("Is it?")], grammar=THOUGHT).message) == apart
    streamed = list(thinking.stream_chat([ChatMessage("Is it?")], grammar=THOUGHT))
    assert parts(streamed[-1].message) == apart
    deltas = [one.additional_kwargs.get("thinking_delta", "") for one in streamed]
    assert "".join(deltas).strip() == "hm"
    assert "".join(str(one.delta) for one in streamed).strip() == "yes"


def test_the_model_is_shown_what_it_thought(thinking: LlamaCPP) -> None:
    asked, more = ChatMessage("Is it?"), ChatMessage("Really?")
    answer = thinking.chat([asked], grammar=THOUGHT).message
    bare = ChatMessage(answer.content, role="assistant")
    shown, plain = (
        prompt_tokens(thinking.chat([asked, one, more], grammar=THOUGHT)) for one in (answer, bare)
    )
    assert shown > plain
