"""Output caused by a call appears with the call: in its context, and in its notebook cell."""

from __future__ import annotations

import contextvars
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from safe_llm.events import Event, Progressed
from safe_llm.observers.caller import InCallerContext
from safe_llm.observers.dispatcher import Dispatcher

if TYPE_CHECKING:
    from collections.abc import Callable

BOUND = 10.0
ROOT = Path(__file__).parents[3]
EVENT = Progressed(source="engine", what="loading", fraction=0.5)
REQUEST: contextvars.ContextVar[str] = contextvars.ContextVar("REQUEST", default="nobody's")

# The thread is started by the first cell and serves the second: what a thread writes would appear
# anywhere else but there.
CELLS = [
    """
import logging, sys
from safe_llm.events import LineWritten, ProcessReady, Progressed
from safe_llm.observers.caller import InCallerContext
from safe_llm.observers.dispatcher import dispatcher
from safe_llm.observers.logs import LogObserver
from safe_llm.observers.progress import ProgressObserver
logging.basicConfig(stream=sys.stderr, format="%(message)s")
observers = InCallerContext(LogObserver()), InCallerContext(ProgressObserver())
def line(text):
    return LineWritten(source="engine", stream="stderr", text=text, level=logging.WARNING)
dispatcher().post(line("from the first cell"), observers)
assert dispatcher().flush(10)
""",
    """
for observer in observers:
    observer.move_here()
dispatcher().post(line("from the second cell"), observers)
for fraction in (0.0, 0.5):
    dispatcher().post(Progressed(source="engine", what="loading", fraction=fraction), observers)
dispatcher().post(ProcessReady(source="engine", after=1.5), observers)
assert dispatcher().flush(10)
print(dispatcher().statistics().failed)
""",
    "'nothing'",
]


def test_an_observer_runs_in_the_context_of_the_code_that_made_it_or_moved_it() -> None:
    seen: list[str] = []
    dispatcher = Dispatcher()
    first, second = contextvars.copy_context(), contextvars.copy_context()
    first.run(REQUEST.set, "first")
    second.run(REQUEST.set, "second")
    make: Callable[[], InCallerContext] = lambda: InCallerContext(  # noqa: E731
        lambda _: seen.append(REQUEST.get())
    )
    observer = first.run(make)
    plain: list[Event] = []
    dispatcher.post(EVENT, (observer, plain.append))
    assert dispatcher.flush(BOUND)
    second.run(observer.move_here)
    dispatcher.post(EVENT, (observer,))
    assert dispatcher.flush(BOUND)
    assert seen == ["first", "second"]
    assert plain == [EVENT]


def execute(cells: list[str], folder: Path) -> list[list[dict[str, Any]]]:
    pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    ended = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("run_cells.py"))],
        input=json.dumps(cells),
        stdout=subprocess.PIPE,
        text=True,
        timeout=50,
        check=True,
        cwd=folder,  # sockets and whatever a kernel leaves stay in here
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(folder)},
    )
    outputs: list[list[dict[str, Any]]] = json.loads(ended.stdout)
    return outputs


@pytest.mark.timeout(60)  # a kernel takes seconds to start on a busy machine
def test_lines_and_progress_appear_in_the_notebook_cell_that_caused_them(
    tmp_path: Path,
) -> None:
    first, second, third = execute(CELLS, tmp_path)
    assert [output["text"] for output in first] == ["from the first cell\n"]
    texts = [output["text"] for output in second if output["output_type"] == "stream"]
    assert sorted(texts) == ["0\n", "from the second cell\n"]
    (shown,) = [output for output in second if output["output_type"] == "display_data"]
    assert shown["data"]["text/plain"] == "engine: loading: ready after 1.5 s"
    assert [output["output_type"] for output in third] == ["execute_result"]
