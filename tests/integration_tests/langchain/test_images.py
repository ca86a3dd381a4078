"""Images for a model that has a projector, on both engines; what it sees means nothing."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.exceptions import ModelNotFoundError
from langchain_core.messages import HumanMessage

from safe_llm import ModelFileInvalid
from safe_llm.langchain import ChatLlamaCpp
from tests.models import tiny_gguf, tiny_mmproj

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.engine_kinds import Kind

PATCHES = 4


def png(size: int = 28) -> str:
    """A red square, as base64."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    rows = (b"\0" + b"\xff\0\0" * size) * size
    parts = chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"".join(parts)).decode()


TEXT = {"type": "text", "text": "What is this?"}
FORMS: dict[str, dict[str, Any]] = {
    "a standard block": {"type": "image", "base64": png(), "mime_type": "image/png"},
    "OpenAI's": {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{png()}"}},
}


def make(kind: Kind, folder: Path, mmproj: str) -> ChatLlamaCpp:
    return ChatLlamaCpp(
        model_path=str(tiny_gguf(folder)),
        mmproj=mmproj,
        engine=kind.name,
        n_ctx=512,
        n_threads=1,
        max_tokens=5,
        verbose=False,
    )


@pytest.fixture(scope="module")
def seeing(kind: Kind, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChatLlamaCpp]:
    folder = tmp_path_factory.mktemp("seeing")
    with make(kind, folder, str(tiny_mmproj(folder))) as made:
        made.start()
        yield made


def input_tokens(chat: ChatLlamaCpp, *parts: dict[str, Any]) -> int:
    answer = chat.invoke([HumanMessage([TEXT, *parts])])
    assert len(answer.text) == 5
    assert answer.usage_metadata is not None
    return answer.usage_metadata["input_tokens"]


@pytest.mark.parametrize("form", list(FORMS))
def test_an_image_is_read(seeing: ChatLlamaCpp, form: str) -> None:
    grown = input_tokens(seeing, FORMS[form]) - input_tokens(seeing)
    assert grown >= PATCHES
    assert grown < len(png())  # it was not read as the text that it is sent as


def test_the_tokens_of_an_image_are_counted(seeing: ChatLlamaCpp) -> None:
    image = FORMS["OpenAI's"]
    counted = seeing.get_num_tokens_from_messages([HumanMessage([TEXT, image])])
    assert counted == input_tokens(seeing, image)


def test_it_says_that_it_sees(seeing: ChatLlamaCpp) -> None:
    profile: Any = seeing.profile
    assert profile["image_inputs"]
    assert seeing.engine.describe(seeing.limits).sees


def test_a_projector_that_is_none_is_named(kind: Kind, tmp_path: Path) -> None:
    (tmp_path / "no.gguf").write_bytes(b"something else")
    for path in (tmp_path / "absent.gguf", tmp_path / "no.gguf"):
        with make(kind, tmp_path, str(path)) as chat:
            with pytest.raises(ModelFileInvalid, match=path.name) as caught:
                chat.invoke("hello")
            assert isinstance(caught.value, ModelNotFoundError)
