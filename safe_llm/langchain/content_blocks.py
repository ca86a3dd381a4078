"""How messages of our models become LangChain's standard content blocks.

LangChain finds the blocks of a provider that it does not know by itself, and well: text, calls,
reasoning. Only while streaming its own numbers for blocks without an index (which count the
changes of type) can equal the index of a call, and then a call is merged into the text or the
reasoning before it. So calls get indices that no counter reaches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from langchain_core.messages.block_translators import register_translator

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage, AIMessageChunk
    from langchain_core.messages import content as types

PROVIDER = "safe_llm"
"""What ``response_metadata["model_provider"]`` says."""

_OF_CALLS = ("tool_call", "tool_call_chunk", "invalid_tool_call")


def _blocks(message: AIMessage) -> list[types.ContentBlock]:
    metadata = {
        name: value for name, value in message.response_metadata.items() if name != "model_provider"
    }
    # Without a provider LangChain asks no translator.
    return message.model_copy(update={"response_metadata": metadata}).content_blocks


def _blocks_of_chunk(message: AIMessageChunk) -> list[types.ContentBlock]:
    found = _blocks(message)
    if not message.tool_call_chunks or message.chunk_position == "last":
        return found
    kept: list[Any] = [one for one in found if one["type"] not in _OF_CALLS]
    for number, chunk in enumerate(message.tool_call_chunks):
        index = chunk.get("index")
        said = {name: chunk.get(name) for name in ("id", "name", "args")}
        number = number if index is None else index
        kept.append({"type": "tool_call_chunk", **said, "index": f"lc_call_{number}"})
    return cast("list[types.ContentBlock]", kept)


register_translator(PROVIDER, _blocks, _blocks_of_chunk)
