"""Answers as instances of a pydantic class: a grammar leaves the model no other way.

The schema is told to the model as well, in LlamaIndex's own words: a grammar only forbids, and the
descriptions of the fields are not in it. What a grammar cannot say, pydantic checks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic

from llama_index.core.base.llms.types import ChatMessage, MessageRole, TextBlock
from llama_index.core.output_parsers.pydantic import PydanticOutputParser
from llama_index.core.program.utils import process_streaming_objects
from llama_index.core.types import Model

from safe_llm.errors import MisuseError
from safe_llm.llama_index.answers import finish_reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llama_index.core.base.llms.types import ChatResponse
    from llama_index.core.program.utils import FlexibleModel

# Words that the programs of LlamaIndex know; here no tool is called.
_OF_TOOLS = ("tools", "tool_choice", "tool_required", "allow_parallel_tool_calls")


class Structured(Generic[Model]):
    """One answer of a class, asked for and read."""

    def __init__(self, output_cls: type[Model]) -> None:
        self._output_cls = output_cls
        self._latest: Any = None

    def told(self, messages: list[ChatMessage]) -> list[ChatMessage]:
        """Return the messages, and the schema at their end."""
        # Not by its format_messages(), which changes the messages and doubles all braces.
        parser = PydanticOutputParser(output_cls=self._output_cls)
        words = TextBlock(text=parser.get_format_string(escape_json=False))
        if not messages or messages[-1].role != MessageRole.USER:
            return [*messages, ChatMessage(role=MessageRole.USER, blocks=[words])]
        last = messages[-1]
        return [*messages[:-1], last.model_copy(update={"blocks": [*last.blocks, words]})]

    def asked(self, given: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return the words of the call."""
        kept = {name: value for name, value in (given or {}).items() if name not in _OF_TOOLS}
        schema = self._output_cls.model_json_schema()
        described = {"name": self._output_cls.__name__, "schema": schema}
        return {**kept, "response_format": {"type": "json_schema", "json_schema": described}}

    def read(self, response: ChatResponse) -> Model:
        """Return the instance.

        Raises ``MisuseError`` if the answer was cut off, and pydantic's ``ValidationError`` for
        what the grammar could not forbid.
        """
        text = response.message.content or ""
        if finish_reason(response) == "length":
            raise MisuseError(
                reason=f"the {self._output_cls.__name__} was cut off after {len(text)} characters",
                hint="raise max_new_tokens=, or max_tokens= of the call",
            )
        return self._output_cls.model_validate_json(text)

    def read_so_far(self, response: ChatResponse) -> Model | FlexibleModel:
        """Return what there is of the instance; the last one is whole, as from ``read()``."""
        if finish_reason(response) is not None:
            return self.read(response)
        said = [self._latest] if self._latest is not None else None
        self._latest = process_streaming_objects(response, self._output_cls, cur_objects=said)
        latest: Model | FlexibleModel = self._latest
        return latest
