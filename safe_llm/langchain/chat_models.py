"""``ChatLlamaCpp``: the drop-in for ``langchain_community.chat_models.ChatLlamaCpp``.

It translates between LangChain and an engine, and nothing else: constructing one starts nothing.
Callbacks run where the caller runs, in its thread or in its event loop.
"""

from __future__ import annotations

from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import Field, model_validator

from safe_llm import __version__
from safe_llm.langchain.attempts import Attempts
from safe_llm.langchain.chat_answers import ChatReply
from safe_llm.langchain.content_blocks import PROVIDER
from safe_llm.langchain.fields import LlamaCppFields
from safe_llm.langchain.messages import to_openai
from safe_llm.langchain.model_errors import as_model_errors
from safe_llm.langchain.profile import profile_of
from safe_llm.langchain.reading import Reading, atell, tell
from safe_llm.langchain.structured_output import (
    as_tool,
    check_method,
    parser_of,
    response_format,
    with_raw,
)
from safe_llm.observers.watching import follow_the_caller
from safe_llm.parameters.request import CHAT, Vocabulary

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence

    from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
    from langchain_core.language_models import LangSmithParams, LanguageModelInput, ModelProfile
    from langchain_core.messages import AIMessage, BaseMessage
    from langchain_core.outputs import ChatGenerationChunk, ChatResult
    from langchain_core.runnables import Runnable
    from langchain_core.tools import BaseTool

    from safe_llm.engines.base import ChatChunk
    from safe_llm.langchain.structured_output import Method, Schema


class ChatLlamaCpp(LlamaCppFields, BaseChatModel):
    """A llama.cpp model in a process of its own, as LangChain's chat model.

    Every constructor field of ``langchain_community.chat_models.ChatLlamaCpp`` is accepted, and
    those of ``safe_llm.langchain.LlamaCpp`` that say which engine runs it and how it is looked
    after. Further fields:

    - ``mmproj``: the projector that belongs to a model which can see or hear;
    - ``chat_format``: a chat format of llama-cpp-python, or a built-in template of llama-server
      (``"chatml"``, …), instead of the template in the model file; ``chat_template``: Jinja text,
      for llama-server;
    - ``max_retries``: how often a call is begun again whose engine died before it said anything.

    Calls take ``stop=``, ``timeout=``, ``limits=``, every sampling parameter of llama-cpp-python
    and llama-server, and OpenAI's ``tools``, ``tool_choice``, ``parallel_tool_calls``,
    ``response_format``, ``logprobs`` and ``top_logprobs``. Who must call a tool does, with
    arguments that fit its schema, whatever the model: a grammar leaves it no other way.

    Raises ``CallFailed`` and ``StartupFailed`` errors that are also LangChain's ``ModelError``,
    and ``MisuseError`` for what cannot be meant.
    """

    mmproj: str | None = None
    chat_format: str | None = None
    chat_template: str | None = None
    max_retries: int = Field(default=0, ge=0)

    vocabulary: ClassVar[Vocabulary] = CHAT

    @model_validator(mode="after")
    def _version_of_safe_llm(self) -> Self:
        self._add_version("safe-llm", __version__)
        return self

    def _for_the_work(self) -> Mapping[str, Any]:
        wanted = {
            "mmproj": self.mmproj and str(Path(self.mmproj).expanduser().absolute()),
            "chat_format": self.chat_format,
            "chat_template": self.chat_template,
        }
        return {name: value for name, value in wanted.items() if value}

    @property
    def _llm_type(self) -> str:
        """What the original calls itself."""
        return "llama-cpp-python"

    def _resolve_model_profile(self) -> ModelProfile:
        return profile_of(
            self.model_path,
            n_ctx=self.n_ctx,
            max_tokens=self.max_tokens,
            has_projector=self.mmproj is not None,
        )

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        params = super()._get_ls_params(stop=stop or self.stop or None, **kwargs)
        name = kwargs.get("model") or Path(self._model_name).name
        return {**params, "ls_provider": PROVIDER, "ls_model_name": name}

    # -- tools and shapes

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: dict[str, Any] | str | bool | None = None,
        strict: bool | None = None,
        parallel_tool_calls: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Offer tools to the model.

        ``tool_choice`` is ``"auto"``, ``"none"``, ``"any"`` (``"required"``, ``True``), or the
        name of a tool; a call that must come does come, with arguments that fit its schema.
        ``parallel_tool_calls`` allows several in one answer: where the model is free that is what
        happens by itself, where it must call it has to be said.
        """
        choice = tool_choice or None
        further = {"tool_choice": choice, "parallel_tool_calls": parallel_tool_calls, **kwargs}
        given = {name: value for name, value in further.items() if value is not None}
        return self.bind(
            tools=[convert_to_openai_tool(tool, strict=strict) for tool in tools], **given
        )

    def with_structured_output(
        self,
        schema: Schema | None = None,
        *,
        method: Method = "json_schema",
        include_raw: bool = False,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, Any]:
        """Return a model whose answers have the shape of ``schema``, enforced by a grammar.

        ``schema`` is a pydantic class, a ``TypedDict``, a JSON schema or an OpenAI tool; the answer
        is an instance of the class, or a dict. With ``strict`` a schema is refused that a grammar
        cannot enforce to the last (bounds of numbers, unique items). With ``include_raw`` the
        answer is a dict of ``raw``, ``parsed`` and ``parsing_error``.
        """
        check_method(schema, method, strict=strict)
        told = {"kwargs": {"method": method, "strict": strict}, "schema": schema}
        bound: Runnable[LanguageModelInput, Any]
        if method == "function_calling":
            assert schema is not None
            tool = as_tool(schema, strict=strict)
            name = tool["function"]["name"]
            bound = self.bind_tools(
                [tool], tool_choice=name, ls_structured_output_format=told, **kwargs
            )
        else:
            wanted = {"type": "json_object"} if method == "json_mode" else None
            wanted = wanted or response_format(schema or {}, strict=strict)
            bound = self.bind(response_format=wanted, ls_structured_output_format=told, **kwargs)
        parser = parser_of(schema, method)
        return with_raw(bound, parser) if include_raw else bound | parser

    # -- calls

    def get_token_ids(self, text: str) -> list[int]:
        """Return the tokens of ``text``, without a beginning-of-sequence token."""
        if self.custom_get_token_ids is not None:
            return self.custom_get_token_ids(text)
        with as_model_errors():
            return self.engine.tokenize(text, self._call_limits())

    def get_num_tokens_from_messages(
        self,
        messages: list[BaseMessage],
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool] | None = None,
    ) -> int:
        """Return how many tokens the model will read, its chat template and ``tools`` included."""
        body = {
            "messages": to_openai(messages),
            "tools": [convert_to_openai_tool(tool) for tool in tools or ()],
        }
        with as_model_errors():
            return self.engine.count_tokens(body, self._call_limits())

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        listener = run_manager if self.streaming else None
        reply = ChatReply(self._model_name)
        with as_model_errors(), closing(self._open(messages, stop, kwargs, reply)) as reading:
            for chunk in reading:
                tell(listener, chunk, verbose=self.verbose)
        return reply.result()

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        listener = run_manager if self.streaming else None
        reply = ChatReply(self._model_name)
        with as_model_errors(), closing(self._open(messages, stop, kwargs, reply)) as reading:
            async for chunk in reading:
                await atell(listener, chunk, verbose=self.verbose)
        return reply.result()

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        del run_manager  # LangChain itself tells the callbacks of each chunk of a chat
        reply = ChatReply(self._model_name)
        with as_model_errors(), closing(self._open(messages, stop, kwargs, reply)) as reading:
            yield from reading

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        del run_manager
        reply = ChatReply(self._model_name)
        with as_model_errors(), closing(self._open(messages, stop, kwargs, reply)) as reading:
            async for chunk in reading:
                yield chunk

    def _open(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None,
        call: Mapping[str, Any],
        reply: ChatReply,
    ) -> Reading[ChatChunk, ChatGenerationChunk]:
        follow_the_caller(verbose=self.verbose)
        request = self._request(stop, _with_a_format(call))
        body = request.for_messages(to_openai(messages))
        begin = partial(self.engine.stream_chat, body, request.limits)
        return Reading(reply, Attempts(begin, self.max_retries))


def _with_a_format(call: Mapping[str, Any]) -> Mapping[str, Any]:
    """Let ``response_format`` be a class, as ``create_agent`` and OpenAI's clients do."""
    wanted = call.get("response_format")
    return (
        {**call, "response_format": response_format(wanted)} if isinstance(wanted, type) else call
    )
