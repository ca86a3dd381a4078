"""The four places where a parameter of the original can go. Holds no parameter itself."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def as_it_is(value: Any) -> Any:
    """Return the value."""
    return value


@dataclass(frozen=True, slots=True)
class ToEngine:
    """It becomes these parameters of the engine, as ``llama_server_flags`` names them.

    ``convert`` returns ``None`` for what the engine does anyway, so that two objects which want
    the same engine, one of them in more words, share it.
    """

    names: tuple[str, ...]
    convert: Callable[[Any], Any] = as_it_is


@dataclass(frozen=True, slots=True)
class ToBody:
    """It becomes this field of the request to llama-server's ``/completion``."""

    name: str
    convert: Callable[[Any], Any] = as_it_is


@dataclass(frozen=True, slots=True)
class Here:
    """The adapter itself does what the name says."""

    what: str


@dataclass(frozen=True, slots=True)
class Nowhere:
    """It no longer means anything: any value but ``default`` warns, with what to do about it."""

    advice: str
    default: Any = None


Destination = ToEngine | ToBody | Here | Nowhere


def warn_of_the_meaningless(
    values: Mapping[str, Any], table: Mapping[str, Destination], stacklevel: int
) -> None:
    """Warn by name of each value that asks for what nothing can do any more."""
    for name, value in values.items():
        goes = table.get(name)
        if isinstance(goes, Nowhere) and value != goes.default:
            text = f"{name} no longer means anything: {goes.advice}"
            warnings.warn(text, UserWarning, stacklevel=stacklevel + 1)
