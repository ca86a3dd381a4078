"""What cannot work ends in a typed error with figures and a hint, and leaves nothing behind.

What only one of the engines can be given wrongly is in files of its own beside this one.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from safe_llm.errors import (
    MisuseError,
    ModelFileInvalid,
    NotReady,
    PromptTooLong,
    RemoteError,
    SafeLlmError,
    StartupFailed,
)
from safe_llm.limits import StopPolicy
from tests.disturbances import CRASH, HANG
from tests.integration_tests.engines.failing import failure
from tests.llama_engine import BOUND, HELLO, PATIENT, ROOT, leased
from tests.models import truncated_gguf

if TYPE_CHECKING:
    from tests.engine_kinds import Kind

SOON = PATIENT.with_changes(start=0.5)


def test_a_model_that_is_missing(kind: Kind, model: Path) -> None:
    error = failure(ModelFileInvalid, kind.spec(model.with_name("missing.gguf")))
    assert error.reason == "there is no such file"
    assert model.name in error.hint


@pytest.mark.parametrize(
    "head", [b"PK\x03\x04", b"lmgg", b"Once"], ids=["an archive", "whisper weights", "a text"]
)
def test_a_model_that_is_something_else(head: bytes, kind: Kind, tmp_path: Path) -> None:
    other = tmp_path / "model.gguf"
    other.write_bytes(head + b" upon a time there was a file that is no GGUF")
    assert repr(head) in str(failure(ModelFileInvalid, kind.spec(other)))


def test_a_model_whose_end_is_missing_is_told_in_the_words_of_llama_cpp(
    kind: Kind, tmp_path: Path
) -> None:
    error = failure(StartupFailed, kind.spec(truncated_gguf(tmp_path)))
    assert "is not within the file bounds" in str(error)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize(("mode", "reason"), [(0o755, "not readable"), (0o700, "denied")])
def test_a_model_that_may_not_be_read(mode: int, reason: str, model: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:  # pytest's own lets nobody else in
        assert reason in _refusal_for_nobody(model, Path(folder), mode)


def _refusal_for_nobody(model: Path, folder: Path, mode: int) -> str:
    mine = folder / "model.gguf"
    mine.write_bytes(model.read_bytes())
    mine.chmod(0o600)
    folder.chmod(mode)
    program = f"""if True:
        import os
        from safe_llm.engines.spec import check_model_file
        from safe_llm.errors import ModelFileInvalid
        os.setgroups([]), os.setgid(65534), os.setuid(65534)  # imports need the rights of root
        try:
            check_model_file({str(mine)!r})
        except ModelFileInvalid as error:
            print(error)
    """
    said = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True,
        timeout=BOUND, check=True,
    )  # fmt: skip
    return said.stdout


def test_a_prompt_that_is_longer_than_the_context_is_so_by_a_number(
    kind: Kind, model: Path
) -> None:
    with leased(kind.spec(model, n_ctx=256)) as engine:
        with pytest.raises(PromptTooLong) as caught:
            engine.complete({**HELLO, "prompt": "x" * 1000}, PATIENT)
        error = caught.value
        assert error.prompt_tokens == 1001
        assert error.context_tokens == 256
        assert "745 too many" in str(error)
        assert "n_ctx" in error.hint
        assert engine.complete(HELLO, PATIENT).finish_reason == "length"


def test_a_request_that_the_engine_refuses_is_refused_in_its_words(kind: Kind, model: Path) -> None:
    with leased(kind.spec(model)) as engine:
        with pytest.raises(RemoteError, match=r"status 400.*grammar"):
            engine.complete({**HELLO, "grammar": "root ::= ((("}, PATIENT)
        with pytest.raises(MisuseError, match="cannot be written as JSON"):
            engine.complete({**HELLO, "temperature": float("nan")}, PATIENT)
        assert engine.complete(HELLO, PATIENT).finish_reason == "length"


def test_an_unknown_parameter(kind: Kind, model: Path) -> None:
    error = failure(SafeLlmError, kind.spec(model, n_cxt=1))
    assert isinstance(error, (MisuseError, NotReady))
    assert "'n_cxt'" in str(error)
    assert "n_ctx" in str(error)


def test_a_negative_limit() -> None:
    with pytest.raises(MisuseError, match="total=-1 is not a non-negative"):
        PATIENT.with_changes(total=-1)


def test_a_process_that_crashes_before_it_is_ready(kind: Kind, model: Path, tmp_path: Path) -> None:
    error = failure(NotReady, kind.disturbed(model, tmp_path, CRASH))
    assert error.exit_status == "exited with status 7"
    assert error.last_words == "fatal: assertion failed"


def test_a_process_that_runs_and_does_nothing(kind: Kind, model: Path, tmp_path: Path) -> None:
    spec = kind.disturbed(model, tmp_path, HANG)
    # At once, or the second call would spend all of its time on the end of the first process.
    error = failure(NotReady, spec, SOON, stop_policy=StopPolicy(steps=()))
    assert error.reason == "it runs and does not answer"
    assert error.waited > 0.5
    assert error.hint == "raise Limits.start if it is only slow"
