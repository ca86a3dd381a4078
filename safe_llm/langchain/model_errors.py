"""Our errors as classes that are LangChain's model errors too. Changes no text and no field.

Retries, fallbacks and tracers of LangChain ask for ``langchain_core.exceptions.ModelError`` and
its ``is_retryable``; programs of ours ask for ``CallFailed``. Each class here answers to both.
``MisuseError`` has no counterpart: it is the caller's, whatever the framework.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from langchain_core import exceptions as theirs

from safe_llm import errors as ours

if TYPE_CHECKING:
    from collections.abc import Iterator


class ModelCallTimeout(ours.CallTimeout, theirs.ModelTimeoutError):
    """A limit of ours ended the call."""


class ModelDied(ours.EngineDied, theirs.ModelConnectionError):
    """The process ended during the call; by the next one it may have been restarted."""


class ModelContextOverflow(ours.PromptTooLong, theirs.ContextOverflowError):
    """The prompt does not fit into the context."""


class ModelNotStarted(ours.SpawnFailed, theirs.ModelConnectionError):
    """The program could not be started, and will not be startable a second later."""

    is_retryable = False


class ModelHasNoFolder(ours.NoPrivateFolder, theirs.ModelConnectionError):
    """There is no room for the engine's socket."""

    is_retryable = False


class ModelProgramIsNoServer(ours.NotALlamaServer, theirs.ModelConnectionError):
    """The program that was named is something else."""

    is_retryable = False


class ModelNotReady(ours.NotReady, theirs.ModelConnectionError):
    """The engine did not become ready."""


class ModelFileUnusable(ours.ModelFileInvalid, theirs.ModelNotFoundError):
    """The model file is missing, unreadable or no GGUF."""


class ModelGivenUp(ours.RestartLimitReached, theirs.ModelAPIError):
    """The engine crashed too often to be started again."""

    is_retryable = False


class ModelSpokeNonsense(ours.ProtocolViolation, theirs.ModelAPIError):
    """The engine answered with what its protocol does not allow."""


class ModelRefused(ours.RemoteError, theirs.ModelInvalidRequestError):
    """The engine will not do what this request asks for."""


class ModelUnauthorised(ours.RemoteError, theirs.ModelAuthenticationError):
    """The engine wants another key (HTTP 401)."""


class ModelForbidden(ours.RemoteError, theirs.ModelPermissionDeniedError):
    """The key does not allow this (HTTP 403)."""


class ModelAbsent(ours.RemoteError, theirs.ModelNotFoundError):
    """There is no such thing at that address (HTTP 404)."""


class ModelBusy(ours.RemoteError, theirs.ModelRateLimitError):
    """Too many requests (HTTP 429)."""


class ModelFailed(ours.RemoteError, theirs.ModelAPIError):
    """The engine is alive and failed at this request (HTTP 5xx)."""


_BY_KIND: dict[type[ours.SafeLlmError], type[ours.SafeLlmError]] = {
    ours.CallTimeout: ModelCallTimeout,
    ours.EngineDied: ModelDied,
    ours.PromptTooLong: ModelContextOverflow,
    ours.SpawnFailed: ModelNotStarted,
    ours.NotReady: ModelNotReady,
    ours.NoPrivateFolder: ModelHasNoFolder,
    ours.NotALlamaServer: ModelProgramIsNoServer,
    ours.ModelFileInvalid: ModelFileUnusable,
    ours.RestartLimitReached: ModelGivenUp,
    ours.ProtocolViolation: ModelSpokeNonsense,
}

_BY_STATUS: dict[int, type[ours.RemoteError]] = {
    401: ModelUnauthorised,
    403: ModelForbidden,
    404: ModelAbsent,
    429: ModelBusy,
    501: ModelRefused,  # such as ranks of a server that makes none: no retry will help
}
_SERVER_FAILURES = 500  # from here on HTTP blames the server, below it the request


def as_model_error(error: ours.SafeLlmError) -> ours.SafeLlmError:
    """Return the same error as a class that LangChain knows too, or itself where there is none."""
    kind = _kind(error)
    if kind is None:
        return error
    twin = kind.__new__(kind)
    twin.__dict__.update(error.__dict__)
    return twin


def _kind(error: ours.SafeLlmError) -> type[ours.SafeLlmError] | None:
    if type(error) is ours.RemoteError:
        status = error.status or _SERVER_FAILURES
        failed = ModelFailed if status >= _SERVER_FAILURES else ModelRefused
        return _BY_STATUS.get(status, failed)
    return _BY_KIND.get(type(error))


@contextmanager
def as_model_errors() -> Iterator[None]:
    """Raise our errors of the block as classes that LangChain knows too."""
    try:
        yield
    except ours.SafeLlmError as error:
        twin = as_model_error(error)
        if twin is error:
            raise
        raise twin.with_traceback(error.__traceback__) from error.__cause__
