"""``LlamaCPP``: the drop-in for ``llama_index.llms.llama_cpp.LlamaCPP``. Runs no model in-process.

It translates between LlamaIndex and an engine, and nothing else: constructing one starts nothing
and opens no file. What is asynchronous never blocks the event loop.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.generic_utils import messages_to_prompt as generic_prompt
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    ChatResponseGen,
    CompletionResponse,
    CompletionResponseAsyncGen,
    CompletionResponseGen,
    LLMMetadata,
)
from llama_index.core.constants import DEFAULT_CONTEXT_WINDOW
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from llama_index.core.llms.llm import default_completion_to_prompt

from safe_llm.errors import MisuseError
from safe_llm.llama_index.answers import ChatReply, TextAnswer, TextReply
from safe_llm.llama_index.asking import Asking, completing, conversing
from safe_llm.llama_index.fields import LlamaCPPFields
from safe_llm.llama_index.messages import to_openai
from safe_llm.llama_index.prompted import as_completion
from safe_llm.llama_index.shaping import Shaping
from safe_llm.llama_index.tools import asked_with_tools, conversation, only_one_call, selections
from safe_llm.observers.watching import follow_the_caller
from safe_llm.parameters.model_file import said_by, trained_context
from safe_llm.parameters.request import CHAT, TEXT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llama_index.core.llms.llm import ToolSelection
    from llama_index.core.tools.types import BaseTool

_TALKS_BY = ("messages_to_prompt", "completion_to_prompt", "output_parser")
_TEXT, _CHAT = replace(TEXT, owner="LlamaCPP"), replace(CHAT, owner="LlamaCPP")


class LlamaCPP(LlamaCPPFields, Shaping):
    """A llama.cpp model in a process of its own, as LlamaIndex's LLM.

    Every constructor field of ``llama_index.llms.llama_cpp.LlamaCPP`` is accepted and does what
    its name says: ``model_path``, ``temperature``, ``max_new_tokens``, ``context_window`` (0 is
    that of the model), ``messages_to_prompt``, ``completion_to_prompt``, ``generate_kwargs``
    (defaults of every call), ``model_kwargs`` (parameters of ``llama_cpp.Llama``), ``verbose``,
    ``system_prompt``, ``callback_manager``, ``output_parser``, ``pydantic_program_mode``. Of
    ``model_url`` only what LlamaIndex's cache has already is taken: nothing is downloaded. A
    misspelt word is a ``MisuseError`` that names the nearest. Further fields:

    - ``engine``: ``"llama-server"``, ``"llama-cpp-python"``, or ``"auto"``, which is the first of
      them that is installed;
    - ``server_binary``, ``server_args``, ``base_url``, ``api_key``: which llama-server;
    - ``n_parallel``: calls that it serves at once, each with ``context_window`` tokens;
    - ``mmproj``, ``chat_format``, ``chat_template``: what a chat of this model needs;
    - ``limits``, ``timeout``: what a call may take, ``timeout`` in seconds and a start included;
    - ``stop_policy``, ``restart_policy``, ``idle_timeout`` (seconds), ``max_engines``,
      ``observers``: how its process is looked after. Objects that want the same engine share it.

    A chat goes through the chat template of the model file, unless ``messages_to_prompt`` is
    given: then it is a completion of that prompt, which can call no tools.

    The process is started by the first call, or by ``start()``. Calls take ``stop=``,
    ``timeout=``, ``limits=``, every sampling parameter of llama-cpp-python and llama-server, and
    in a chat OpenAI's ``tools``, ``tool_choice``, ``parallel_tool_calls``, ``response_format``,
    ``logprobs`` and ``top_logprobs``; what they say counts for that call alone.

    Raises the ``CallFailed`` and ``StartupFailed`` errors of safe_llm, and ``MisuseError`` for
    what cannot be meant.
    """

    @classmethod
    def class_name(cls) -> str:
        """What the original calls itself."""
        return "LlamaCPP_llm"

    @property
    def metadata(self) -> LLMMetadata:
        """What LlamaIndex asks before a call; from the fields and the model file, at no cost."""
        return LLMMetadata(
            context_window=self._window(),
            num_output=self.max_new_tokens,
            is_chat_model=self._has_own_chat_prompt or not self._has_own_prompt,
            is_function_calling_model=not self._has_own_chat_prompt,
            model_name=self._model_name,
        )

    def _window(self) -> int:
        said = self.context_window if self.n_ctx is None else self.n_ctx
        # An engine gives no call more than the model was trained with.
        trained = None if self.base_url else trained_context(said_by(self.model_path))
        return min((one for one in (said, trained) if one), default=DEFAULT_CONTEXT_WINDOW)

    @property
    def _has_own_chat_prompt(self) -> bool:
        return self.messages_to_prompt is not generic_prompt

    @property
    def _has_own_prompt(self) -> bool:
        return self.completion_to_prompt is not default_completion_to_prompt

    def __getstate__(self) -> dict[Any, Any]:
        state = super().__getstate__()
        # LlamaIndex leaves out what cannot be pickled; the copy would talk otherwise.
        lost = [name for name in _TALKS_BY if name not in state["__dict__"]]
        if lost:
            raise MisuseError(
                reason=f"{lost[0]} cannot be pickled", hint="make it a function of a module"
            )
        return state

    # -- calls

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """Complete a prompt, through ``completion_to_prompt`` unless it is ``formatted``."""
        return self._completion(prompt, formatted=formatted, call=kwargs).now()

    @llm_completion_callback()
    async def acomplete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponse:
        """As ``complete()``, for a task; cancelling it cancels the work."""
        return await self._completion(prompt, formatted=formatted, call=kwargs).in_a_task()

    @llm_completion_callback()
    def stream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseGen:
        """Complete a prompt piece by piece; leaving the stream cancels the work."""
        return self._completion(prompt, formatted=formatted, call=kwargs).piecewise()

    @llm_completion_callback()
    async def astream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseAsyncGen:
        """As ``stream_complete()``, for a task."""
        return self._completion(prompt, formatted=formatted, call=kwargs).piecewise()

    @llm_chat_callback()
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Answer a conversation."""
        return self._conversation(messages, kwargs).now()

    @llm_chat_callback()
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """As ``chat()``, for a task; cancelling it cancels the work."""
        return await self._conversation(messages, kwargs).in_a_task()

    @llm_chat_callback()
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        """Answer a conversation piece by piece; leaving the stream cancels the work."""
        return self._conversation(messages, kwargs).piecewise()

    @llm_chat_callback()
    async def astream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> ChatResponseAsyncGen:
        """As ``stream_chat()``, for a task."""
        return self._conversation(messages, kwargs).piecewise()

    def _completion(
        self, prompt: str, *, formatted: bool, call: Mapping[str, Any]
    ) -> Asking[Any, Any, CompletionResponse]:
        follow_the_caller(verbose=self.verbose)
        if not formatted:
            prompt = (self.completion_to_prompt or default_completion_to_prompt)(prompt)
        request = self._request(_TEXT, call)
        answer = TextAnswer(request, prompt, self._model_name)
        return Asking(completing(self.engine), request.for_prompt(prompt), request.limits, answer)

    def _conversation(
        self, messages: Sequence[ChatMessage], call: Mapping[str, Any]
    ) -> Asking[Any, Any, ChatResponse]:
        if self._has_own_chat_prompt:
            prompt = (self.messages_to_prompt or generic_prompt)(messages)
            asked = self._completion(prompt, formatted=True, call=as_completion(call))
            return Asking(asked.ways, asked.body, asked.limits, TextReply(asked.answer))
        follow_the_caller(verbose=self.verbose)
        request = self._request(_CHAT, call)
        body = request.for_messages(to_openai(messages))
        reply = ChatReply(request, self._model_name)
        return Asking(conversing(self.engine), body, request.limits, reply)

    # -- tools

    def _prepare_chat_with_tools(
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool = False,
        allow_parallel_tool_calls: bool = False,
        tool_required: bool = False,
        tool_choice: str | Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        del verbose  # the engine's log is not a matter of one call
        asked = asked_with_tools(
            tools,
            conversation(chat_history, user_msg),
            tool_choice,
            must_call=tool_required,
            may_call_several=allow_parallel_tool_calls,
        )
        return {**asked, **kwargs}

    def _validate_chat_with_tools_response(
        self,
        response: ChatResponse,
        tools: Sequence[BaseTool],
        allow_parallel_tool_calls: bool = False,
        **kwargs: Any,
    ) -> ChatResponse:
        del tools, kwargs  # the engine has seen to them
        return response if allow_parallel_tool_calls else only_one_call(response)

    def get_tool_calls_from_response(
        self, response: ChatResponse, error_on_no_tool_call: bool = True, **kwargs: Any
    ) -> list[ToolSelection]:
        """Return the calls in a response, whole or still coming."""
        del kwargs  # of other providers
        return selections(response, must_be_some=error_on_no_tool_call)
