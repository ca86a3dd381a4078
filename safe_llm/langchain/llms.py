"""``LlamaCpp``: the drop-in for ``langchain_community.llms.LlamaCpp``. Runs no model in-process.

It translates between LangChain and an engine, and nothing else: constructing one starts nothing
and opens no file. Callbacks run where the caller runs, in its thread or in its event loop.
"""

from __future__ import annotations

from collections import deque
from contextlib import ExitStack, closing
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from langchain_core.runnables import Runnable

from safe_llm.errors import MisuseError
from safe_llm.langchain.answers import Answer, as_result
from safe_llm.langchain.fields import LlamaCppFields
from safe_llm.langchain.model_errors import as_model_errors
from safe_llm.langchain.notebook import as_html
from safe_llm.langchain.reading import Reading, atell, tell
from safe_llm.langchain.watching import follow_the_caller

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
    from langchain_core.language_models import LanguageModelInput
    from langchain_core.outputs import GenerationChunk, LLMResult
    from langchain_core.runnables import RunnableConfig

    from safe_llm.engines.lease import Lease
    from safe_llm.langchain.leases import Leases
    from safe_llm.langchain.request import Request

# Prompts of one generate() that are with the engine at a time: enough to keep its slots busy, and
# so few that the last of a thousand does not spend its own deadlines in a queue.
_IN_FLIGHT = 16


class LlamaCpp(LlamaCppFields):
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

    # -- the engine

    @property
    def engine(self) -> Lease:
        """The engine that this object has a share in; ``engine.status()`` never starts it."""
        leases: Leases = self.client
        return leases.get(self._engine_spec(), self._settings())

    def start(self) -> None:
        """Return when the engine is ready to answer at once."""
        follow_the_caller(verbose=self.verbose)
        with as_model_errors():
            self.engine.start(self._call_limits())

    async def astart(self) -> None:
        """As ``start()``, for a task."""
        follow_the_caller(verbose=self.verbose)
        with as_model_errors():
            await self.engine.start_async(self._call_limits())

    def close(self) -> None:
        """Give up this object's share; the engine stops if it was the last. Idempotent."""
        leases: Leases = self.client
        for lease in leases.give_up():
            lease.close()

    async def aclose(self) -> None:
        """As ``close()``, for a task."""
        leases: Leases = self.client
        for lease in leases.give_up():
            await lease.close_async()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    def __copy__(self) -> Self:
        # pydantic's own copy would hand over the very same leases: closing one would close both.
        copied = super().__copy__()
        copied.__dict__["client"] = self.client.another()
        return copied

    def _repr_html_(self) -> str:
        try:
            return as_html(self.engine.status())
        except MisuseError as error:
            return f"<div><b>LlamaCpp</b>: {error.reason}</div>"

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
            for reading in self._opened(request, prompts, cancelling):
                for chunk in reading:
                    tell(listener, chunk, verbose=self.verbose)
                answers.append(reading.answer)
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
            for reading in self._opened(request, prompts, cancelling):
                async for chunk in reading:
                    await atell(listener, chunk, verbose=self.verbose)
                answers.append(reading.answer)
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
    ) -> Iterator[Reading]:
        """Yield the prompts' answers in order, with some prompts ahead of the reader."""
        ahead: deque[Reading] = deque()
        for prompt in prompts:
            ahead.append(self._open(request, prompt))
            cancelling.callback(ahead[-1].close)
            if len(ahead) >= _IN_FLIGHT:
                yield ahead.popleft()
        yield from ahead

    def _open(self, request: Request, prompt: str) -> Reading:
        follow_the_caller(verbose=self.verbose)
        stream = self.engine.stream(request.for_prompt(prompt), request.limits)
        return Reading(Answer(request, prompt), stream)

    @property
    def _model_name(self) -> str:
        return self.model_path or str(self.base_url)
