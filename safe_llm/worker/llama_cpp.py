"""llama-cpp-python in a process of its own: ``python -m safe_llm.worker.llama_cpp``.

Speaks ``protocol.worker`` over stdin and the pipe named by ``SAFE_LLM_REPLIES``; stdout and stderr
belong to the library and are logs. One call at a time, on the main thread: two at once on one
context abort the process.
"""

from __future__ import annotations

import io
import os
import signal
import sys
from typing import TYPE_CHECKING

from safe_llm.protocol.worker import REPLIES_VARIABLE
from safe_llm.worker.conversation import Cancelled, Conversation, Refused

if TYPE_CHECKING:
    from safe_llm.protocol.worker import Request
    from safe_llm.worker.llama_cpp_model import Model

EXIT_FAILED = 1
EXIT_MISUSED = 2
_ENDING = (signal.SIGTERM, signal.SIGINT)


def main() -> int:
    """Serve until the requests end, which ends the process; return only when it cannot."""
    for number in _ENDING:  # the kernel acts also while native code holds the interpreter's lock
        signal.signal(number, signal.SIG_DFL)
    replies = os.environ.pop(REPLIES_VARIABLE, "")
    if not replies.isdecimal():
        sys.stderr.write(f"error: {REPLIES_VARIABLE} names no descriptor: start it by safe_llm\n")
        return EXIT_MISUSED
    # Else ggml has a debugger tell the stack of an abort, whose lines bury the reason.
    os.environ.setdefault("GGML_NO_BACKTRACE", "1")
    if isinstance(sys.stdout, io.TextIOWrapper):  # what is in a buffer is lost in the end
        sys.stdout.reconfigure(line_buffering=True)
    os.set_inheritable(int(replies), False)
    conversation = Conversation(_private_stdin(), int(replies))
    model = _load(conversation, conversation.next())
    if model is None:
        conversation.next()  # in vain: whoever sees the exit first may never read why
        return EXIT_FAILED
    while True:
        _serve(conversation, model, conversation.next())


def _private_stdin() -> int:
    """Take stdin away from everybody else in this process; what it starts gets an empty one."""
    requests = os.dup(0)  # not inheritable
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    return requests


def _load(conversation: Conversation, request: Request) -> Model | None:
    try:
        from safe_llm.worker import llama_cpp_loading as loading  # noqa: PLC0415  it may be absent
    except Exception as error:  # a library without its libraries raises whatever it likes
        refusal = {"kind": "not_installed", "message": f"llama_cpp cannot be imported: {error}"}
        conversation.reply(request.id, "error", refusal)
        return None
    conversation.reply(request.id, "hello", {"version": loading.VERSION})
    try:
        model = loading.load(request.arguments, conversation.attend)
    except Refused as refused:
        conversation.reply(request.id, "error", refused.data)
        return None
    conversation.tokens_predicted = lambda: model.tokens_predicted
    conversation.reply(request.id, "done", loading.description(model))
    return model


def _serve(conversation: Conversation, model: Model, request: Request) -> None:
    from safe_llm.worker.llama_cpp_calls import perform  # noqa: PLC0415  as above

    try:
        for kind, data in perform(model, request.do, request.arguments):
            conversation.reply(request.id, kind, data)
    except Cancelled:
        conversation.reply(request.id, "error", {"kind": "cancelled", "message": "cancelled"})
    except Refused as refused:
        conversation.reply(request.id, "error", refused.data)


if __name__ == "__main__":
    sys.exit(main())
