"""The text of each error is part of what users see: it changes here, and nowhere by accident."""

from __future__ import annotations

import copy
import pickle

import pytest

from safe_llm import errors
from safe_llm.errors import (
    CallFailed,
    CallTimeout,
    EngineDied,
    MissingExtra,
    MisuseError,
    ModelFileInvalid,
    NoPrivateFolder,
    NotALlamaServer,
    NotReady,
    PromptTooLong,
    ProtocolViolation,
    RemoteError,
    RestartLimitReached,
    SafeLlmError,
    SpawnFailed,
    StartupFailed,
    UnsupportedPlatform,
)

CASES: list[tuple[SafeLlmError, str]] = [
    (SafeLlmError(), "SafeLlmError"),
    (SafeLlmError(hint="try again"), "SafeLlmError\nhint: try again"),
    (StartupFailed(program="llama-server"), "StartupFailed"),
    (
        SpawnFailed(program="llama-servr", reason="no such file", errno=2, hint="install it"),
        "cannot start 'llama-servr': no such file\nhint: install it",
    ),
    (
        ModelFileInvalid(program="llama-server", path="m.gguf", reason="0 bytes, no GGUF"),
        "cannot use model file 'm.gguf': 0 bytes, no GGUF",
    ),
    (
        NotALlamaServer(
            program="/bin/ls",
            needed_flags=("--model", "--host"),
            exit_status="exited with status 0",
        ),
        (
            "/bin/ls is no llama-server that works here: its --help does not list"
            " --model, --host; exited with status 0"
        ),
    ),
    (
        NoPrivateFolder(program="llama-server", reason="/tmp: No space left on device"),
        (
            "no folder for the socket of llama-server: /tmp: No space left on device\n"
            "hint: make room, or point TMPDIR to a short, writable folder"
        ),
    ),
    (
        NotReady(program="llama-server", reason="no answer", waited=600.0),
        "llama-server did not become ready in 600 s: no answer",
    ),
    (
        NotReady(
            program="llama-server",
            reason="it ended",
            waited=0.0625,
            exit_status="exit status 1",
            last_words="loading\nerror: out of memory\n",
        ),
        (
            "llama-server did not become ready in 0.0625 s: it ended; exit status 1\n"
            "last words of its stderr:\n"
            "    loading\n"
            "    error: out of memory"
        ),
    ),
    (CallFailed(engine="tiny"), "CallFailed"),
    (
        CallTimeout(engine="tiny", layer="L1 gap", limit=60.0, elapsed=61.23456),
        "tiny: call ended by L1 gap after 61.2 s (limit 60 s)",
    ),
    (
        CallTimeout(
            engine="tiny",
            layer="L3 progress",
            limit=120.0,
            elapsed=121.0,
            diagnosis="blocked in a pipe write",
            last_words="slot 0 busy",
            hint="raise Limits.progress",
        ),
        (
            "tiny: call ended by L3 progress after 121 s (limit 120 s); blocked in a pipe write\n"
            "last words of its stderr:\n"
            "    slot 0 busy\n"
            "hint: raise Limits.progress"
        ),
    ),
    (
        EngineDied(engine="tiny", exit_status="killed by SIGKILL"),
        "tiny died during the call: killed by SIGKILL",
    ),
    (
        EngineDied(engine="tiny", exit_status="killed by SIGTERM", reason="L5 flood"),
        "tiny died during the call: killed by SIGTERM (L5 flood)",
    ),
    (RemoteError(engine="tiny", message="no slot"), "tiny refused the call: no slot"),
    (
        RemoteError(engine="tiny", message="bad grammar", status=400),
        "tiny refused the call (status 400): bad grammar",
    ),
    (
        PromptTooLong(
            engine="tiny", message="too long", status=400, prompt_tokens=600, context_tokens=512
        ),
        "tiny: the prompt has 600 tokens and the context holds 512: 88 too many",
    ),
    (
        ProtocolViolation(peer="tiny", reason="an event of more than 64 bytes"),
        "tiny: an event of more than 64 bytes",
    ),
    (MisuseError(reason="closed already"), "closed already"),
    (
        RestartLimitReached(program="llama-server", restarts=3, window=60.0),
        "llama-server was restarted 3 times in 60 s and crashed again",
    ),
    (
        RestartLimitReached(
            program="llama-server", restarts=3, window=60.0, exit_status="exit status 1"
        ),
        "llama-server was restarted 3 times in 60 s and crashed again; the last one: exit status 1",
    ),
    (
        UnsupportedPlatform(platform="win32"),
        "safe_llm cannot supervise processes on 'win32'",
    ),
    (
        MissingExtra(what="xllamacpp", extra="llama-server"),
        "xllamacpp is not installed\nhint: pip install 'safe-llm[llama-server]'",
    ),
    (
        MissingExtra(what="xllamacpp", extra="llama-server", hint="ask your administrator"),
        "xllamacpp is not installed\nhint: ask your administrator",
    ),
]

NAMES = [f"{type(error).__name__}-{index}" for index, (error, _) in enumerate(CASES)]
every_error = pytest.mark.parametrize(("error", "text"), CASES, ids=NAMES)


@every_error
def test_the_text_is_made_from_the_fields(error: SafeLlmError, text: str) -> None:
    assert str(error) == text


@every_error
def test_a_pickled_error_comes_back_the_same(error: SafeLlmError, text: str) -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        back = pickle.loads(pickle.dumps(error, protocol))
        assert type(back) is type(error)
        assert vars(back) == vars(error)
        assert (str(back), repr(back)) == (text, repr(error))


@every_error
def test_a_copied_error_is_the_same(error: SafeLlmError, text: str) -> None:
    for back in (copy.copy(error), copy.deepcopy(error)):
        assert vars(back) == vars(error)
        assert str(back) == text


@every_error
def test_repr_shows_the_class_and_every_field(error: SafeLlmError, text: str) -> None:
    shown = repr(error)
    assert shown.startswith(f"{type(error).__name__}(")
    for name, value in vars(error).items():
        assert f"{name}={value!r}" in shown


@every_error
def test_an_error_can_be_raised_and_caught_by_its_base(error: SafeLlmError, text: str) -> None:
    with pytest.raises(SafeLlmError) as caught:
        raise error
    assert caught.value is error


def test_every_class_has_its_text_pinned_here() -> None:
    kinds = {
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, SafeLlmError)
    }
    assert kinds == {type(error) for error, _ in CASES}


@pytest.mark.parametrize(
    ("kind", "base"),
    [
        (SpawnFailed, StartupFailed),
        (ModelFileInvalid, StartupFailed),
        (NotReady, StartupFailed),
        (NotALlamaServer, StartupFailed),
        (NoPrivateFolder, StartupFailed),
        (CallTimeout, CallFailed),
        (CallTimeout, TimeoutError),
        (EngineDied, CallFailed),
        (RemoteError, CallFailed),
        (PromptTooLong, RemoteError),
        (MissingExtra, ImportError),
    ],
)
def test_an_error_is_also_what_callers_already_catch(
    kind: type[SafeLlmError], base: type[Exception]
) -> None:
    assert issubclass(kind, base)


def test_the_tree_in_the_docstring_names_every_class() -> None:
    assert errors.__doc__ is not None
    for error, _ in CASES:
        assert type(error).__name__ in errors.__doc__


def test_long_last_words_are_shown_from_their_end() -> None:
    error = EngineDied(engine="tiny", exit_status="exit status 1", last_words="x" * 10_000 + "END")
    text = str(error)
    assert len(text) < 2_200
    assert text.endswith("xEND")


def test_a_note_that_was_added_survives_a_pickle() -> None:
    error = MisuseError(reason="closed already")
    error.add_note("while stopping")
    assert pickle.loads(pickle.dumps(error)).__notes__ == ["while stopping"]
