"""``structured_predict`` and its kin, for a model whose engine enforces a schema.

LlamaIndex's own make the model call a tool, or look for JSON in its text. They still do where
``pydantic_program_mode`` asks for one of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llama_index.core.instrumentation.events.llm import (
    LLMStructuredPredictEndEvent,
    LLMStructuredPredictStartEvent,
)
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.types import PydanticProgramMode
from llama_index_instrumentation import get_dispatcher

from safe_llm.llama_index.structured import Structured

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Mapping

    from llama_index.core.base.llms.types import ChatMessage
    from llama_index.core.program.utils import FlexibleModel
    from llama_index.core.prompts import PromptTemplate
    from llama_index.core.types import Model

_dispatcher = get_dispatcher(__name__)


class Shaping(FunctionCallingLLM):
    """An LLM whose chat takes ``response_format``."""

    def structured_predict(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Model:
        """Return an instance of the class; a grammar leaves the model no other way.

        Raises ``MisuseError`` if the answer was cut off, and pydantic's ``ValidationError`` for
        what a grammar cannot forbid.
        """
        found: Model
        if not self._shapes_by_grammar:
            found = super().structured_predict(output_cls, prompt, llm_kwargs, **prompt_args)
            return found
        _tell_start(output_cls, prompt, prompt_args)
        shape = Structured(output_cls)
        messages = shape.told(self._messages_of(prompt, prompt_args))
        found = shape.read(self.chat(messages, **shape.asked(llm_kwargs)))
        _dispatcher.event(LLMStructuredPredictEndEvent(output=found))
        return found

    async def astructured_predict(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Model:
        """As ``structured_predict()``, for a task."""
        found: Model
        if not self._shapes_by_grammar:
            found = await super().astructured_predict(output_cls, prompt, llm_kwargs, **prompt_args)
            return found
        _tell_start(output_cls, prompt, prompt_args)
        shape = Structured(output_cls)
        messages = shape.told(self._messages_of(prompt, prompt_args))
        found = shape.read(await self.achat(messages, **shape.asked(llm_kwargs)))
        _dispatcher.event(LLMStructuredPredictEndEvent(output=found))
        return found

    def _structured_stream_call(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Generator[Model | list[Model] | FlexibleModel | list[FlexibleModel], None, None]:
        if not self._shapes_by_grammar:
            return super()._structured_stream_call(output_cls, prompt, llm_kwargs, **prompt_args)
        shape = Structured(output_cls)
        messages = shape.told(self._messages_of(prompt, prompt_args))
        responses = self.stream_chat(messages, **shape.asked(llm_kwargs))
        return (shape.read_so_far(one) for one in responses)

    async def _structured_astream_call(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> AsyncGenerator[Model | list[Model] | FlexibleModel | list[FlexibleModel], None]:
        if not self._shapes_by_grammar:
            return await super()._structured_astream_call(
                output_cls, prompt, llm_kwargs, **prompt_args
            )
        shape = Structured(output_cls)
        messages = shape.told(self._messages_of(prompt, prompt_args))
        responses = await self.astream_chat(messages, **shape.asked(llm_kwargs))
        return (shape.read_so_far(one) async for one in responses)

    @property
    def _shapes_by_grammar(self) -> bool:
        return self.pydantic_program_mode == PydanticProgramMode.DEFAULT

    def _messages_of(
        self, prompt: PromptTemplate, prompt_args: Mapping[str, Any]
    ) -> list[ChatMessage]:
        return self._extend_messages(prompt.format_messages(llm=self, **prompt_args))


def _tell_start(
    output_cls: type[Any], prompt: PromptTemplate, prompt_args: Mapping[str, Any]
) -> None:
    _dispatcher.event(
        LLMStructuredPredictStartEvent(
            output_cls=output_cls, template=prompt, template_args=dict(prompt_args)
        )
    )
