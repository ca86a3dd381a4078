"""Row 42: the kernel's OOM killer takes the engine, and whoever called it is told so."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from safe_llm.errors import EngineDied
from tests.llama_engine import BOUND, HELLO, PATIENT, comes_true, leased

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.engine_kinds import Kind
    from tests.faults.conftest import Figure

pytestmark = pytest.mark.usefixtures("model", "oracle")

MB = 1_000_000
ROOM = 20 * MB
PROMPT = "x" * 48 * MB  # which neither engine reads without a copy or two


class MemoryGroup:
    """A control group of the first kind or of the second, see cgroups(7)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.members = folder / "cgroup.procs"
        is_second = (folder / "memory.max").exists()
        self._own_pages = "anon" if is_second else "rss"
        self._maximum = folder / ("memory.max" if is_second else "memory.limit_in_bytes")
        # Both together where the kernel counts what is swapped, so that swapping is no way out.
        self._with_swap = folder / "memory.memsw.limit_in_bytes"
        self._swap = folder / "memory.swap.max"

    def leave_room_for(self, size_bytes: int) -> None:
        """Limit it to what cannot be taken from it now, and a little."""
        stat = dict(line.split() for line in (self.folder / "memory.stat").read_text().splitlines())
        limit = str(int(stat[self._own_pages]) + size_bytes)
        self._maximum.write_text(limit)
        for path, value in ((self._with_swap, limit), (self._swap, "0")):
            if path.exists():
                path.write_text(value)

    def is_gone(self) -> bool:
        """Remove it, once its last member is gone."""
        with suppress(OSError):
            self.folder.rmdir()
        return not self.folder.exists()


def _above_ours() -> Path:
    """The folder of the control group in which this process is, as far as we can see it."""
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    paths = {controllers: path for _, controllers, path in (one.split(":", 2) for one in lines)}
    kind = "memory" if "memory" in paths else ""
    top = Path("/sys/fs/cgroup") / kind
    ours = top / paths.get(kind, "/").lstrip("/")
    return ours if ours.exists() else top  # another name space than that of the mount


@pytest.fixture
def group() -> Iterator[MemoryGroup]:
    folder = _above_ours() / f"safe-llm-test-{os.getpid()}"
    try:
        folder.mkdir()
    except OSError as error:
        pytest.skip(f"no control group may be made: {error}")
    made = MemoryGroup(folder)
    try:
        if not made._maximum.exists():
            pytest.skip(f"{folder.parent} limits the memory of no control group in it")
        yield made
    finally:
        assert comes_true(made.is_gone)


@pytest.mark.row(42)
def test_an_engine_that_the_oom_killer_takes_in_a_call_is_told_as_that_and_replaced(
    kind: Kind, model: Path, tmp_path: Path, group: MemoryGroup, figure: Figure
) -> None:
    first = tmp_path / "the first one only"
    first.touch()
    join = f"""if True:
        import os, pathlib
        if pathlib.Path({str(first)!r}).exists():
            pathlib.Path({str(group.members)!r}).write_text(str(os.getpid()))
    """
    with leased(kind.disturbed(model, tmp_path, join)) as engine:
        engine.start(PATIENT)
        first.unlink()
        group.leave_room_for(ROOM)
        with figure("a prompt of 48 MB, and 20 MB for it"), pytest.raises(EngineDied) as caught:
            engine.complete({**HELLO, "prompt": PROMPT}, PATIENT.with_changes(call=3 * BOUND))
        assert caught.value.exit_status.startswith("ended by SIGKILL (most likely by the kernel")
        assert "OOM killer" in caught.value.exit_status
        assert engine.complete(HELLO, PATIENT).finish_reason == "length"
        assert engine.status().restarts == 1
