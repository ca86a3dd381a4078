"""Which engines are there on this machine, and as what they can be measured. Starts none of them.

But for a llama-server's ``--help``, which says what its flags are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

import anyio

from safe_llm.engines.binary import find_binary
from safe_llm.errors import MissingExtra, MisuseError
from safe_llm.measure import llama_cpp, llama_server, mcp_stdio
from safe_llm.measure.model import find_model
from safe_llm.measure.subject import LLAMA_CPP, LLAMA_SERVER, MCP, VERBOSITIES, Subject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be measured; everything that is found where nothing is named.

    ``commands`` are argument vectors of MCP servers that speak over stdin and stdout.
    """

    engines: Sequence[str] = ()
    verbosities: Sequence[str] = ()
    models: Sequence[str] = ()
    commands: Sequence[Sequence[str]] = ()


@dataclass(slots=True)
class Found:
    """What can be measured, and why each engine that nobody named cannot be."""

    subjects: list[Subject] = field(default_factory=list)
    absent: dict[str, MissingExtra] = field(default_factory=dict)


def find(wanted: Wanted) -> Found:
    """Return what can be measured.

    Raises ``MissingExtra`` when an engine that was named is not installed, or none is;
    ``MisuseError`` when nothing has the verbosity that is wanted, or a model is named for what has
    none; and the errors of a model file or of a llama-server that cannot be used.
    """
    found = Found()
    for engine in wanted.engines or (() if wanted.commands else VERBOSITIES):
        try:
            found.subjects += _FINDERS[engine](wanted.models)
        except MissingExtra as missing:
            if wanted.engines:
                raise
            found.absent[engine] = missing
    if len(found.absent) == len(VERBOSITIES):
        raise _nothing(found.absent)
    if wanted.verbosities:
        found.subjects = list(_of_verbosity(found.subjects, wanted.verbosities))
    found.subjects += map(mcp_stdio.subject_of, wanted.commands)
    if wanted.models and not any(one.model for one in found.subjects):
        raise _no_use_for_a_model(found)
    return found


def _no_use_for_a_model(found: Found) -> MissingExtra | MisuseError:
    if found.absent:
        return _nothing(found.absent)
    return MisuseError(
        reason="a model is named, and nothing that is to be measured runs one",
        hint=f"name {LLAMA_SERVER} or {LLAMA_CPP} as well, or leave --model out",
    )


def _of_verbosity(subjects: Iterable[Subject], verbosities: Sequence[str]) -> list[Subject]:
    """Return those that have one of them, in whatever case their engines write it."""
    subjects = list(subjects)
    wanted = set(map(str.lower, verbosities))
    chosen = [one for one in subjects if one.verbosity.lower() in wanted]
    if subjects and not chosen:
        there_are = dict.fromkeys(f"{one.engine} {one.verbosity}" for one in subjects)
        raise MisuseError(
            reason=f"nothing here has the verbosity {' or '.join(verbosities)}",
            hint=f"there are: {', '.join(there_are)}",
        )
    return chosen


def _nothing(absent: Mapping[str, MissingExtra]) -> MissingExtra:
    lines = [f"{engine}: {missing.hint}" for engine, missing in absent.items()]
    return MissingExtra(
        what="an engine that could be measured", extra="", hint="any of these:\n" + "\n".join(lines)
    )


def _llama_servers(models: Sequence[str]) -> list[Subject]:
    binary = anyio.run(find_binary, None)
    return _for_each(models, partial(llama_server.subjects, binary))


def _for_each(models: Sequence[str], make: Callable[[str], list[Subject]]) -> list[Subject]:
    paths = [find_model(model) for model in models] or [find_model(None)]
    return list(chain.from_iterable(map(make, paths)))


def _mcp_servers(models: Sequence[str]) -> list[Subject]:
    del models  # they have none
    return mcp_stdio.subjects()


_FINDERS: Mapping[str, Callable[[Sequence[str]], list[Subject]]] = {
    LLAMA_SERVER: _llama_servers,
    LLAMA_CPP: lambda models: _for_each(models, llama_cpp.subjects),
    MCP: _mcp_servers,
}
