"""An engine's status as a piece of HTML for a notebook. Status in, text out."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from safe_llm.engines.base import EngineStatus

_SHOWN_LINES = 5


def as_html(title: str, status: EngineStatus) -> str:
    """Return state, what was drained and the last lines; everything foreign is escaped."""
    pid = "" if status.pid is None else f", pid {status.pid}"
    rows = {
        "state": f"{status.state}{pid}, up {status.uptime:.0f} s, {status.restarts} restarts",
        "calls in flight": f"{status.calls_in_flight}, {status.leases} leases",
        "drained": f"{status.stderr_bytes:,} B of stderr, {status.stdout_bytes:,} B of stdout"
        f" ({status.dropped_bytes:,} B not kept)",
    }
    cells = "".join(
        f"<tr><th style='text-align:left'>{escape(name)}</th><td>{escape(text)}</td></tr>"
        for name, text in rows.items()
    )
    lines = "\n".join(escape(line) for line in status.last_lines[-_SHOWN_LINES:])
    words = f"<pre>{lines}</pre>" if lines else ""
    return f"<div><b>{escape(title)}</b> {escape(status.name)}<table>{cells}</table>{words}</div>"
