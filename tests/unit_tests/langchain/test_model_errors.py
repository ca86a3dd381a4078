from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core import exceptions as theirs

from safe_llm import errors as ours
from safe_llm.engines import registry
from safe_llm.errors import NoPrivateFolder, NotALlamaServer
from safe_llm.langchain.model_errors import as_model_error, as_model_errors

if TYPE_CHECKING:
    from collections.abc import Iterator


def remote(status: int | None) -> ours.RemoteError:
    return ours.RemoteError(engine="e", message="no", status=status)


CASES: list[tuple[ours.SafeLlmError, type[theirs.ModelError], bool]] = [
    (
        ours.CallTimeout(engine="e", layer="L1", limit=1.0, elapsed=2.0),
        theirs.ModelTimeoutError,
        True,
    ),
    (ours.EngineDied(engine="e", exit_status="killed"), theirs.ModelConnectionError, True),
    (
        ours.PromptTooLong(
            engine="e", message="long", status=400, prompt_tokens=9, context_tokens=4
        ),
        theirs.ContextOverflowError,
        False,
    ),
    (ours.SpawnFailed(program="p", reason="gone"), theirs.ModelConnectionError, False),
    (ours.NotReady(program="p", reason="slow", waited=1.0), theirs.ModelConnectionError, True),
    (NotALlamaServer(program="p", needed_flags=("--model",)), theirs.ModelConnectionError, False),
    (NoPrivateFolder(program="p", reason="disk full"), theirs.ModelConnectionError, False),
    (
        ours.ModelFileInvalid(program="p", path="m", reason="gone"),
        theirs.ModelNotFoundError,
        False,
    ),
    (ours.RestartLimitReached(program="p", restarts=3, window=60.0), theirs.ModelAPIError, False),
    (ours.ProtocolViolation(peer="p", reason="garbage"), theirs.ModelAPIError, True),
    (remote(400), theirs.ModelInvalidRequestError, False),
    (remote(401), theirs.ModelAuthenticationError, False),
    (remote(403), theirs.ModelPermissionDeniedError, False),
    (remote(404), theirs.ModelNotFoundError, False),
    (remote(429), theirs.ModelRateLimitError, True),
    (remote(500), theirs.ModelAPIError, True),
    (remote(None), theirs.ModelAPIError, True),
]


@pytest.mark.parametrize(("error", "kind", "retryable"), CASES)
def test_an_error_of_ours_becomes_one_that_is_langchains_too_and_loses_nothing(
    error: ours.SafeLlmError, kind: type[theirs.ModelError], retryable: bool
) -> None:
    twin: Any = as_model_error(error)
    assert isinstance(twin, type(error))
    assert isinstance(twin, kind)
    assert twin.is_retryable is retryable
    assert str(twin) == str(error)
    assert vars(twin) == vars(error)


@pytest.mark.parametrize("error", [error for error, _, _ in CASES])
def test_it_survives_repr_and_pickle(error: ours.SafeLlmError) -> None:
    twin = as_model_error(error)
    copied = pickle.loads(pickle.dumps(twin))
    assert type(copied) is type(twin)
    assert (repr(copied), str(copied)) == (repr(twin), str(twin))


def kinds(of: type[ours.SafeLlmError]) -> Iterator[type[ours.SafeLlmError]]:
    for kind in of.__subclasses__():
        yield kind
        yield from kinds(kind)


def test_every_error_that_an_engine_can_raise_has_a_counterpart() -> None:
    assert registry.registry is not None  # with it come all modules of the engines
    plain = {kind for kind in kinds(ours.SafeLlmError) if not issubclass(kind, theirs.ModelError)}
    bases: set[type[ours.SafeLlmError]] = {ours.StartupFailed, ours.CallFailed}
    callers = {ours.MisuseError, ours.MissingExtra, ours.UnsupportedPlatform}
    assert {type(error) for error, _, _ in CASES} == plain - bases - callers


def test_a_misuse_stays_what_it_is() -> None:
    error = ours.MisuseError(reason="no")
    assert as_model_error(error) is error
    with pytest.raises(ours.MisuseError) as caught, as_model_errors():
        raise error
    assert caught.value is error


def test_the_cause_and_the_place_of_the_first_error_are_kept() -> None:
    cause = OSError("broken")
    with pytest.raises(theirs.ModelConnectionError) as caught, as_model_errors():
        raise ours.EngineDied(engine="e", exit_status="killed") from cause
    assert caught.value.__cause__ is cause
    assert "test_the_cause" in str(caught.traceback[-1])


def test_an_error_of_somebody_else_passes_untouched() -> None:
    with pytest.raises(LookupError), as_model_errors():
        raise LookupError
