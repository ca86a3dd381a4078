"""The life of a worker process: its descriptors, its queue, and its several ends."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from safe_llm.protocol.worker import REPLIES_VARIABLE, encode
from tests.models import tiny_gguf
from tests.unit_tests.worker.llama_cpp_peer import ARGV, BOUND, ROOT, Peer, loaded, started

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ENDLESS = {"prompt": "hello", "max_tokens": None, "temperature": 0}
FAR_AWAY = 65536  # tokens: more than a test has time for
GREEDY = {"prompt": "Once upon a time", "max_tokens": 20, "temperature": 0}
LONG = "Once upon a time there was a pipe. " * 50


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_gguf(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def fresh(model: Path) -> str:
    """What a context says that has never been asked anything else."""
    with loaded(model) as worker:
        return worker.text(**GREEDY)


@pytest.fixture
def worker(model: Path) -> Iterator[Peer]:
    # Small batches: a prompt of many has as many moments at which it can be interrupted.
    with loaded(model, parameters={"n_ctx": FAR_AWAY, "n_batch": 32}) as one:
        yield one


def begun(worker: Peer, **arguments: Any) -> int:
    """The number of a call that never ends by itself, and of which there is a first token."""
    number = worker.ask("complete", **{**ENDLESS, **arguments})
    assert worker.hear(number).kind == "chunk"
    return number


def cancelled(worker: Peer, number: int) -> bool:
    conclusion = worker.hear_all(number)[-1]
    return conclusion.kind == "error" and conclusion.data["kind"] == "cancelled"


# -- descriptors


def test_it_says_which_library_it_has_before_it_loads(model: Path) -> None:
    with started() as peer:
        hello, done = peer.hear_all(peer.ask("load", model_path=str(model)))
    assert (hello.kind, hello.data) == ("hello", {"version": version("llama-cpp-python")})
    assert done.kind == "done"
    assert done.data["n_ctx"] == done.data["n_ctx_train"] == 2048
    assert (done.data["n_vocab"], done.data["n_embd"]) == (354, 32)
    assert done.data["chat_format"] == "chat_template.default"
    assert done.data["metadata"]["general.name"] == "tiny"


def test_what_the_library_prints_is_log_and_never_a_reply(model: Path) -> None:
    # The handler for this format prints the prompt on stdout.
    with loaded(model, parameters={"chat_format": "functionary"}) as worker:
        done = worker.answer(
            "chat",
            messages=[{"role": "user", "content": "a needle"}],
            functions=[{"name": "f", "parameters": {"type": "object", "properties": {}}}],
            function_call={"name": "f"},
            max_tokens=3,
        )
        assert done.kind == "done"
        worker.hang_up()
        assert b"a needle" in worker.printed(1)
        assert b"llama_model_loader" in worker.printed(2)


def test_its_protocol_is_inherited_by_nobody_and_its_stdin_is_empty(worker: Peer) -> None:
    folder = Path(f"/proc/{worker.process.pid}")
    assert (folder / "fd/0").readlink() == Path(os.devnull)
    pipes = [
        one.name for one in (folder / "fd").iterdir() if str(one.readlink()).startswith("pipe:")
    ]
    assert len(pipes) == 2
    for name in pipes:
        lines = (folder / "fdinfo" / name).read_text().splitlines()
        (flags,) = [int(line.split()[1], 8) for line in lines if line.startswith("flags:")]
        assert flags & os.O_CLOEXEC


def test_a_line_of_the_log_that_is_no_utf_8_is_kept_as_it_is(model: Path, tmp_path: Path) -> None:
    odd = tmp_path / "odd.gguf"
    odd.write_bytes(model.read_bytes().replace(b"tiny", b"t\xffny"))
    with loaded(odd) as worker:
        assert worker.text(**GREEDY)
        worker.hang_up()
        assert b"t\xffny" in worker.printed(2)


def test_without_a_pipe_for_replies_it_says_who_should_start_it() -> None:
    environ = {key: value for key, value in os.environ.items() if key != REPLIES_VARIABLE}
    done = subprocess.run(
        ARGV, env={**environ, "PYTHONPATH": str(ROOT)}, timeout=BOUND, check=False,
        stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == f"error: {REPLIES_VARIABLE} names no descriptor: start it by safe_llm\n"


# -- ends


def in_a_prompt(worker: Peer) -> int:
    """The number of a call that is in the middle of a prompt, which takes many batches."""
    number = worker.ask("complete", prompt=LONG * 30)
    worker.wait_busy()
    assert number not in worker.order
    return number


@pytest.mark.parametrize(
    "occupied", [lambda _: None, begun, in_a_prompt], ids=["idle", "in a text", "in a prompt"]
)
def test_the_end_of_the_requests_is_its_end(
    worker: Peer, occupied: Callable[[Peer], object]
) -> None:
    occupied(worker)
    assert worker.hang_up() == 0


def test_it_ends_with_its_parent_also_before_it_was_told_anything() -> None:
    with started() as peer:
        assert peer.hang_up() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_the_middle_of_a_text_whatever_it_has_inherited(
    model: Path, number: signal.Signals
) -> None:
    usual = signal.signal(number, signal.SIG_IGN)
    try:
        with loaded(model, parameters={"n_ctx": FAR_AWAY}) as worker:
            begun(worker)
            worker.process.send_signal(number)
            assert worker.process.wait(BOUND) == -number
    finally:
        signal.signal(number, usual)


def test_replies_that_nobody_can_hear_end_it(model: Path) -> None:
    with loaded(model) as worker:
        nowhere = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nowhere, worker.replies)  # the end of the pipe is closed by that
        os.close(nowhere)
        worker.ask("ping")
        assert worker.process.wait(BOUND) == 0


@pytest.mark.parametrize("garbage", [b"hello\n", b"\xff\n", b'{"id":1}\n', b"[" * 10_000 + b"\n"])
def test_a_request_that_is_none_ends_it_in_the_middle_of_a_text_and_is_told(
    worker: Peer, garbage: bytes
) -> None:
    begun(worker)
    worker.send(garbage)
    assert worker.process.wait(BOUND) == 1
    assert "ProtocolViolation: the parent: a message" in worker.last_words()


def test_one_that_cannot_load_stays_until_its_parent_has_gone(tmp_path: Path) -> None:
    with started() as peer:
        kind, _ = peer.refusal("load", model_path=str(tmp_path / "missing.gguf"))
        assert kind == "bad_model"
        assert peer.process.poll() is None
        assert peer.hang_up() == 0


# -- pings


def test_a_ping_says_what_it_does(worker: Peer) -> None:
    idle = {"busy": 0, "queued": 0, "tokens_predicted_total": 0}
    assert worker.answer("ping").data == idle
    number = begun(worker)
    worker.ask_at_once(("tokenize", {"text": "a"}), ("tokenize", {"text": "b"}))
    first = worker.answer("ping").data
    assert (first["busy"], first["queued"]) == (1, 2)
    for _ in range(first["tokens_predicted_total"]):
        worker.hear(number)
    later = worker.answer("ping").data
    assert later["tokens_predicted_total"] > first["tokens_predicted_total"] > 0


def test_a_ping_is_answered_between_two_batches_of_a_prompt(worker: Peer) -> None:
    number = in_a_prompt(worker)
    for _ in range(3):
        assert worker.answer("ping").data == {"busy": 1, "queued": 0, "tokens_predicted_total": 0}
    assert number not in worker.order


def test_each_token_is_counted_once(worker: Peer) -> None:
    done = worker.answer("complete", **GREEDY)
    for _ in range(3):
        worker.answer("tokenize", text="hello")
    worker.refusal("complete", prompt="x" * (FAR_AWAY + 1))
    counted = worker.answer("ping").data["tokens_predicted_total"]
    assert counted == done.data["usage"]["completion_tokens"] == 20


# -- the queue


def test_calls_are_served_in_their_order(worker: Peer) -> None:
    numbers = worker.ask_at_once(*[("complete", GREEDY)] * 4)
    for number in numbers:
        assert worker.hear_all(number)[-1].kind == "done"
    served = [one for one in worker.order if one in numbers]
    assert served == sorted(served)


def test_a_call_is_cancelled_between_two_tokens(worker: Peer, fresh: str) -> None:
    number = begun(worker)
    worker.cancel(number)
    assert cancelled(worker, number)
    assert worker.text(**GREEDY) == fresh


def test_a_call_is_cancelled_between_two_batches_of_its_prompt(worker: Peer, fresh: str) -> None:
    number = in_a_prompt(worker)
    worker.cancel(number)
    (only,) = worker.hear_all(number)
    assert only.data["kind"] == "cancelled"
    assert worker.text(**GREEDY) == fresh


def test_a_call_that_is_cancelled_before_it_begins_does_not_begin(worker: Peer) -> None:
    number = begun(worker)
    never = worker.ask("complete", **ENDLESS)
    worker.cancel(never)
    (only,) = worker.hear_all(never)  # while the first one goes on
    assert only.data == {"kind": "cancelled", "message": "cancelled in the queue"}
    assert worker.hear(number).kind == "chunk"
    assert worker.answer("ping").data["queued"] == 0
    worker.cancel(number)
    assert cancelled(worker, number)


def test_a_cancellation_in_the_same_breath_is_not_lost(worker: Peer) -> None:
    for number in range(1000, 1100):
        worker.send(encode(number, "complete", ENDLESS) + encode(number, "cancel"))
        assert cancelled(worker, number)


def test_a_cancellation_of_what_is_not_there_changes_nothing(worker: Peer) -> None:
    done = worker.ask("tokenize", text="a")
    worker.hear_all(done)
    worker.cancel(done)
    worker.cancel(999)
    assert worker.answer("complete", **GREEDY).kind == "done"


def test_the_next_call_is_not_cancelled_by_the_cancellation_of_the_last(worker: Peer) -> None:
    number = begun(worker)
    worker.send(encode(number, "cancel") * 3)
    assert cancelled(worker, number)
    assert worker.answer("complete", **GREEDY).kind == "done"


def test_a_cancellation_at_any_moment_leaves_a_context_as_good_as_new(
    worker: Peer, fresh: str
) -> None:
    for milliseconds in range(0, 40, 4):
        number = worker.ask("complete", **{**ENDLESS, "prompt": f"{milliseconds} {LONG}"})
        deadline = time.monotonic() + milliseconds / 1000
        while time.monotonic() < deadline:
            worker.answer("ping")
        worker.cancel(number)
        assert cancelled(worker, number)
        assert worker.text(**GREEDY) == fresh
