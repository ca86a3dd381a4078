"""``LlamaCpp``: the drop-in for ``langchain_community.llms.LlamaCpp``. Runs no model in-process.

It translates between LangChain and an engine, and nothing else: constructing one starts nothing
and opens no file. Callbacks run where the caller runs, in its thread or in its event loop.
"""

from __future__ import annotations

from collections import deque
from contextlib import ExitStack, closing
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from langchain_core.language_models.llms import BaseLLM
from langchain_core.outputs import GenerationChunk
from langchain_core.runnables import Runnable
from pydantic import model_validator

from safe_llm import __version__
from safe_llm.engines.base import CompletionChunk
from safe_llm.langchain.answers import Answer, as_result
from safe_llm.langchain.fields import LlamaCppFields
from safe_llm.langchain.model_errors import as_model_errors
from safe_llm.langchain.reading import Reading, atell, tell
from safe_llm.observers.watching import follow_the_caller

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
    from langchain_core.language_models import LanguageModelInput
    from langchain_core.outputs import LLMResult
    from langchain_core.runnables import RunnableConfig

    from safe_llm.parameters.request import Request

# Prompts of one generate() that are with the engine at a time: enough to keep its slots busy, and
# so few that the last of a thousand does not spend its own deadlines in a queue.
_IN_FLIGHT = 16


_Reading = Reading[CompletionChunk, GenerationChunk]


class LlamaCpp(LlamaCppFields, BaseLLM):
    """A llama.cpp model in a process of its own, as LangChain's text-completion model.

    Every constructor field of ``langchain_community.llms.LlamaCpp`` is accepted and does what its
    name says; one that no longer means anything warns by name, a misspelt one is a
    ``MisuseError`` that names the nearest. Further fields:

    - ``engine``: ``"llama-server"``, ``"llama-cpp-python"``, or ``"auto"``, which is the first of
      them that is installed; ``engine.status().name`` says which;
    - ``server_binary``, ``server_args``: which llama-server, and flags for it as they are;
    - ``base_url`` (``http://…`` or ``unix:/path``), ``api_key``: a server of somebody else's;
    - ``n_parallel``: calls that it serves at once, each with ``n_ctx`` tokens of context; a
      llama-cpp-python takes a process for each;
    - ``limits``, ``timeout``: what a call may take, ``timeout`` in seconds and a start included;
    - ``stop_policy``, ``restart_policy``, ``idle_timeout`` (seconds), ``max_engines``,
      ``observers``: how its process is looked after. Objects that want the same engine share it.

    The process is started by the first call, or by ``start()``. Calls take ``stop=``,
    ``timeout=``, ``limits=`` and every sampling parameter of llama-cpp-python and of
    llama-server's ``/completion``.

    Raises ``CallFailed`` and ``StartupFailed`` errors that are also LangChain's ``ModelError``,
    and ``MisuseError`` for what cannot be meant.
    """

    @model_validator(mode="after")
    def _version_of_safe_llm(self) -> Self:
        self._add_version("safe-llm", __version__)
        return self

    @property
    def _llm_type(self) -> str:
        """What the original calls itself."""
        return "llamacpp"

    # -- calls

    def get_token_ids(self, text: str) -> list[int]:
        """Return the tokens of ``text``, without a beginning-of-sequence token."""
        if self.custom_get_token_ids is not None:
            return self.custom_get_token_ids(text)
        with as_model_errors():
            return self.engine.tokenize(text, self._call_limits())

    def batch(
        self,
        inputs: list[LanguageModelInput],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[str]:
        """Answer all prompts; with ``return_exceptions`` each has its own error in its place."""
        # LangChain's own returns the first error for every prompt, the answered ones too.
        ask_all = partial(Runnable.batch, self) if return_exceptions else super().batch
        return ask_all(inputs, config, return_exceptions=return_exceptions, **kwargs)

    async def abatch(
        self,
        inputs: list[LanguageModelInput],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[str]:
        """As ``batch()``, for a task."""
        ask_all = partial(Runnable.abatch, self) if return_exceptions else super().abatch
        return await ask_all(inputs, config, return_exceptions=return_exceptions, **kwargs)

    def _generate(
        self,
        prompts: list[str],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> LLMResult:
        request = self._request(stop, kwargs)
        listener = run_manager if self.streaming else None
        answers = []
        with ExitStack() as cancelling, as_model_errors():
            for answer, reading in self._opened(request, prompts, cancelling):
                for chunk in reading:
                    tell(listener, chunk, verbose=self.verbose)
                answers.append(answer)
        return as_result(answers, self._model_name)

    async def _agenerate(
        self,
        prompts: list[str],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> LLMResult:
        request = self._request(stop, kwargs)
        listener = run_manager if self.streaming else None
        answers = []
        with ExitStack() as cancelling, as_model_errors():
            for answer, reading in self._opened(request, prompts, cancelling):
                async for chunk in reading:
                    await atell(listener, chunk, verbose=self.verbose)
                answers.append(answer)
        return as_result(answers, self._model_name)

    def _stream(
        self,
        prompt: str,
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[GenerationChunk]:
        with as_model_errors(), closing(self._open(self._request(stop, kwargs), prompt)) as reading:
            for chunk in reading:
                tell(run_manager, chunk, verbose=self.verbose)
                yield chunk

    async def _astream(
        self,
        prompt: str,
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[GenerationChunk]:
        with as_model_errors(), closing(self._open(self._request(stop, kwargs), prompt)) as reading:
            async for chunk in reading:
                await atell(run_manager, chunk, verbose=self.verbose)
                yield chunk

    def _opened(
        self, request: Request, prompts: list[str], cancelling: ExitStack
    ) -> Iterator[tuple[Answer, _Reading]]:
        """Yield the prompts' answers in order, with some prompts ahead of the reader."""
        ahead: deque[tuple[Answer, _Reading]] = deque()
        for prompt in prompts:
            answer = Answer(request, prompt)
            reading = self._open(request, prompt, answer)
            ahead.append((answer, reading))
            cancelling.callback(reading.close)
            if len(ahead) >= _IN_FLIGHT:
                yield ahead.popleft()
        yield from ahead

    def _open(self, request: Request, prompt: str, answer: Answer | None = None) -> _Reading:
        follow_the_caller(verbose=self.verbose)
        stream = self.engine.stream(request.for_prompt(prompt), request.limits)
        return Reading(answer or Answer(request, prompt), stream)
