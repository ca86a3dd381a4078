"""The llama-cpp-python engine: the library that people have, in worker processes of ours.

A context of llama.cpp takes one call at a time, and two at once abort the process: so each worker
has one context and gets one call, and the others wait in one queue.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from safe_llm.engines.llama_cpp_answers import (
    read_chat,
    read_completion,
    read_description,
    refusal,
)
from safe_llm.engines.llama_cpp_program import LlamaCppProgram
from safe_llm.engines.llama_cpp_request import (
    chat_arguments,
    completion_arguments,
    plan_chat,
)
from safe_llm.engines.llama_server_answers import checked_embeddings
from safe_llm.engines.tool_choice import ToolReader
from safe_llm.engines.worker_session import Hangup
from safe_llm.errors import MisuseError, PromptTooLong, RemoteError
from safe_llm.supervise.crew import Crew, Member
from safe_llm.supervise.portal import Portal, portal
from safe_llm.supervise.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from safe_llm.engines.backend import MakeRoom
    from safe_llm.engines.base import Embeddings, EmitChat, EmitText, ModelDescription, Ranked
    from safe_llm.engines.settings import EngineSettings
    from safe_llm.engines.spec import LlamaCppPythonSpec
    from safe_llm.limits import Limits
    from safe_llm.protocol.worker import Reply

Arguments = Mapping[str, Any] | Callable[[Mapping[str, Any]], Mapping[str, Any]]

_DEATH_GRACE = 0.5  # a conversation that ended is mostly the first sign of a death


class LlamaCppPython:
    """llama-cpp-python, started at its first call. All but ``status`` runs on the portal."""

    def __init__(
        self, spec: LlamaCppPythonSpec, settings: EngineSettings, make_room: MakeRoom
    ) -> None:
        self.spec = spec
        self.settings = settings
        self.portal: Portal = portal()
        self.used_at = 0.0
        members = [self._member(make_room) for _ in range(spec.n_workers)]
        self.session = Crew(spec.name, members, self.portal)

    def _member(self, make_room: MakeRoom) -> Member[LlamaCppProgram]:
        settings = self.settings
        program = LlamaCppProgram(
            self.spec, self.portal, settings.limits.max_message_bytes, make_room
        )
        supervisor = Supervisor(
            program,
            self.portal,
            limits=_limits(settings.limits),
            stop_policy=settings.stop_policy,
            restart_policy=settings.restart_policy,
            idle_timeout=settings.idle_timeout,
            observers=settings.observers,
        )
        return Member(program, supervisor)

    async def start(self, limits: Limits) -> None:
        """Have all workers ready."""
        await self.session.start(limits)

    async def generate(self, body: Mapping[str, Any], limits: Limits, emit: EmitText) -> None:
        """Complete one prompt, handing each piece to ``emit``."""

        def take(reply: Reply) -> None:
            emit(read_completion(reply))

        await self._ask("complete", completion_arguments(body), limits, take)

    async def converse(self, body: Mapping[str, Any], limits: Limits, emit: EmitChat) -> None:
        """Answer one conversation, handing each piece to ``emit``."""
        reader = ToolReader()

        def asked(said: Mapping[str, Any]) -> dict[str, Any]:
            nonlocal reader
            planned, reader = plan_chat(body, said, self.spec.name)
            return chat_arguments(planned)

        def take(reply: Reply) -> None:
            for piece in reader.take(read_chat(reply)):
                emit(piece)

        await self._ask("chat", asked, limits, take)

    async def count_tokens(self, body: Mapping[str, Any], limits: Limits) -> int:
        """Return how many tokens the prompt of a chat has."""

        def asked(said: Mapping[str, Any]) -> dict[str, Any]:
            return chat_arguments(plan_chat(body, said, self.spec.name)[0])

        try:
            answer = await self._answer("count", asked, limits)
        except PromptTooLong as error:
            return error.prompt_tokens
        return int(answer["tokens"])

    async def describe(self, limits: Limits) -> ModelDescription:
        """Return what the model is and can take."""
        async with self.session.call(limits) as (member, _):
            return read_description(member.program.model, self.spec.name)

    async def embed(self, texts: Sequence[str], limits: Limits, *, normalize: bool) -> Embeddings:
        """Return one vector for each text."""
        asked = {"texts": list(texts), "normalize": normalize}
        answer = await self._answer("embed", asked, limits)
        vectors, usage = answer.get("vectors") or [], answer.get("usage")
        return checked_embeddings(vectors, len(texts), peer=self.spec.name, usage=usage)

    async def rerank(
        self, query: str, documents: Sequence[str], limits: Limits
    ) -> tuple[Ranked, ...]:
        """Refuse: the library has no way to score a pair of texts."""
        del query, documents, limits
        raise MisuseError(
            reason="llama-cpp-python cannot rerank",
            hint="engine='llama-server' can: pip install 'safe-llm[llama-server]'",
        )

    async def tokenize(self, text: str, limits: Limits) -> list[int]:
        """Return the tokens of a text, without special ones added."""
        answer = await self._answer("tokenize", {"text": text}, limits)
        tokens: list[int] = answer["tokens"]
        return tokens

    async def _answer(self, do: str, arguments: Arguments, limits: Limits) -> Mapping[str, Any]:
        answers: list[Mapping[str, Any]] = []
        await self._ask(do, arguments, limits, lambda reply: answers.append(reply.data))
        return answers[-1]

    async def _ask(
        self,
        do: str,
        arguments: Arguments,
        limits: Limits,
        take: Callable[[Reply], None],
    ) -> None:
        """Ask a worker that has nothing else to do, and raise what it or its death refuses.

        The arguments may depend on what it has said of the model.
        """
        async with self.session.call(limits) as (member, call):

            def hear(reply: Reply) -> None:
                call.heard()
                if reply.kind == "error":
                    raise refusal(self.spec.name, reply.data)
                take(reply)

            try:
                asked = arguments(member.program.model) if callable(arguments) else arguments
                await member.program.session.ask(do, asked, hear)
            except Hangup:
                died = await member.supervisor.death_of(_DEATH_GRACE)
                raise died or RemoteError(
                    engine=self.spec.name, message="the worker ended its conversation"
                ) from None


def _limits(limits: Limits) -> Limits:
    if limits.flood_action is None:  # its log is as long as we have asked for
        return limits.with_changes(flood_action="warn")
    return limits
