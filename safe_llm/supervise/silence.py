"""Keeps what libraries log on our threads from users' handlers. Silences nobody else's threads.

A handler that blocks would block everybody.
"""

from __future__ import annotations

import logging

from safe_llm.process.waking import is_service_thread


def silence_here(*names: str) -> None:
    """Drop what these loggers, not their children, say on a service thread.

    httpx tells every request at INFO: with a full stderr behind the root handler, the first one
    would be the portal's last.
    """
    for name in names:
        logging.getLogger(name).addFilter(_is_from_elsewhere)


def _is_from_elsewhere(record: logging.LogRecord) -> bool:
    del record
    return not is_service_thread()
