from __future__ import annotations

import re
from typing import Any

import pytest

from safe_llm import MisuseError
from safe_llm.parameters.conversation import (
    call_part,
    content_of,
    data_url,
    image_part,
    role_of,
    sound_part,
    text_part,
)


def test_a_framework_adds_its_own_words_for_the_roles() -> None:
    assert role_of(0, "developer", {}) == "system"
    assert role_of(0, "human", {"human": "user"}) == "user"
    text = "message 3 has the role 'human'\nhint: chat templates know system, user, assistant"
    with pytest.raises(MisuseError, match=re.escape(text)):
        role_of(3, "human", {})


def test_texts_alone_are_one_text() -> None:
    assert content_of(0, [text_part("a"), text_part("b")]) == "a\nb"
    assert content_of(0, []) == ""


@pytest.mark.parametrize("part", [{"type": "file"}, {}])
def test_what_no_engine_takes_is_refused(part: dict[str, Any]) -> None:
    with pytest.raises(MisuseError, match=f"message 2 has content of type {part.get('type')!r}"):
        content_of(2, [text_part("a"), part])


def test_the_parts_are_as_openai_writes_them() -> None:
    parts = [image_part(data_url("QQ==", "image/png")), image_part("http://x", "low")]
    assert content_of(0, [*parts, sound_part("QQ==", "wav")]) == [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,QQ=="}},
        {"type": "image_url", "image_url": {"url": "http://x", "detail": "low"}},
        {"type": "input_audio", "input_audio": {"data": "QQ==", "format": "wav"}},
    ]
    function = {"name": "add", "arguments": "{}"}
    assert call_part("add", "{}", "c0") == {"id": "c0", "type": "function", "function": function}
