"""What is told about an observer that raised. Asks the observer itself nothing."""

from __future__ import annotations

import logging
from traceback import extract_tb, format_exception_only
from types import FunctionType, MethodType
from typing import TYPE_CHECKING

from safe_llm.events import ObserverFailed
from safe_llm.observers.logs import LogObserver

if TYPE_CHECKING:
    from safe_llm.events import Event, Observer
    from safe_llm.observers.logs import Said


def name_of(observer: Observer) -> str:
    """Return a name for people; never runs code of the observer, not even its ``__repr__``."""
    if isinstance(observer, MethodType):
        return f"{type(observer.__self__).__qualname__}.{observer.__func__.__name__}"
    if isinstance(observer, FunctionType):
        return observer.__qualname__
    return type(observer).__qualname__


def reason_of(error: BaseException) -> str:
    """Return the error in one line, and the place where it was raised."""
    # format_exception_only survives an exception whose own __str__ raises.
    what = " ".join("".join(format_exception_only(error)).split())
    frames = extract_tb(error.__traceback__)
    return f"{what} ({frames[-1].filename}:{frames[-1].lineno})" if frames else what


def describe_failure(event: Event) -> Said | None:
    """Return what ``logging`` is told about an observer that raised; nothing about the rest."""
    if not isinstance(event, ObserverFailed):
        return None
    told = f"observer {event.observer} raised; it goes on being called, and this is said once"
    return "safe_llm.observers", logging.ERROR, f"{told}: {event.reason}"


FAILURE_LOG = LogObserver(describe=describe_failure)
"""The observer that tells ``logging`` about the others."""
