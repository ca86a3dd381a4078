"""Writes the tables of parameters on the pages of docs/how-to: ``python -m tests.parameters_page``.

Each stands between two comments, of which the first says what is in it. They are made of the lists
of the originals' fields and of the tables by which ``safe_llm.parameters`` itself sorts them.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from safe_llm.engines.llama_server_flags import FLAGS, Switch, flags_for, parse_help
from safe_llm.langchain import ChatLlamaCpp, LlamaCpp, LlamaCppEmbeddings
from safe_llm.llama_index import LlamaCPP as LlamaIndexLlamaCPP
from safe_llm.parameters.destinations import Here, Nowhere, ToBody, ToEngine
from safe_llm.parameters.embedding import _MEANINGLESS as EMBEDDING
from safe_llm.parameters.kinds import DESTINATIONS
from safe_llm.parameters.llama_parameters import ENGINE_NAMES, LLAMA
from safe_llm.parameters.original import ORIGINAL
from safe_llm.parameters.request import CHAT
from safe_llm.worker.llama_server_argv import render_help
from tests.originals import (
    CHAT_LLAMA_CPP,
    LLAMA_CPP,
    LLAMA_CPP_EMBEDDINGS,
    LLAMA_INDEX_LLAMA_CPP,
    REQUIRED,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic import BaseModel

    from safe_llm.parameters.destinations import Destination

HOW_TO = Path(__file__).parents[1] / "docs" / "how-to"
PAGES = (HOW_TO / "swap-langchain.md", HOW_TO / "swap-llama-index.md")
TABLE = re.compile(
    r"^<!-- parameters: (?P<name>[\w ]+) -->\n(?P<table>(?:.*\n)*?)<!-- end of parameters -->$",
    re.MULTILINE,
)

_SERVER, _LIBRARY = DESTINATIONS["llama-server"], DESTINATIONS["llama-cpp-python"]
_IN_THE_ADAPTER: Mapping[str, Destination] = {
    "context_window": ToEngine(("n_ctx",)),
    "max_new_tokens": ORIGINAL["max_tokens"],
    "model_url": Here("found in LlamaIndex's cache; nothing is downloaded"),
    "generate_kwargs": Here("defaults of every call; each is sorted by its name"),
    "messages_to_prompt": Here("makes a chat a completion of that prompt, without tools"),
    "completion_to_prompt": Here("makes the prompt of a completion, as there"),
    "pydantic_program_mode": Here("DEFAULT is a grammar here; the others are LlamaIndex's own"),
    "system_prompt": Here("LlamaIndex's own field, as there"),
    "output_parser": Here("LlamaIndex's own field, as there"),
    "callback_manager": Here("LlamaIndex's own field, as there"),
}
"""What LlamaIndex has other words for: of these alone no table of the package knows."""

_IN_USERS_WORDS: Mapping[str, Destination] = {
    "model_kwargs": Here("each word goes where its name belongs; see the table of them"),
}
_BESIDE_THE_FLAGS = {"kv_overrides": "--override-kv", "lora_scale": "--lora-scaled"}
_OF_THE_WORKER = {"draft": "draft_model"}
_SAID_BY_NOBODY = {"n_ctx": "the model's", "n_batch": "the engine's"}
_KNOWN = parse_help(render_help())


class Class(NamedTuple):
    """A class, the fields of its original with their defaults, and what is other than usual."""

    ours: type[BaseModel]
    original: Mapping[str, Any]
    otherwise: Mapping[str, Destination] = {}


CLASSES = {
    "LlamaCpp": Class(LlamaCpp, LLAMA_CPP),
    "ChatLlamaCpp": Class(
        ChatLlamaCpp,
        CHAT_LLAMA_CPP,
        {
            name: Here(f"nothing: {goes.advice}")
            for name, goes in CHAT.call.items()
            if isinstance(goes, Nowhere)
        },
    ),
    "LlamaCppEmbeddings": Class(LlamaCppEmbeddings, LLAMA_CPP_EMBEDDINGS, EMBEDDING),
    "LlamaCPP": Class(LlamaIndexLlamaCPP, LLAMA_INDEX_LLAMA_CPP, _IN_THE_ADAPTER),
}
FURTHER = "model_kwargs"
"""The name of the table that is of no class: what ``llama_cpp.Llama`` takes besides."""


def main() -> None:
    """Rewrite the pages."""
    for page in PAGES:
        page.write_text(generated(page.read_text("utf-8")), "utf-8")


def generated(page: str) -> str:
    """Return the text of a page with its tables as they have to be."""
    return TABLE.sub(
        lambda found: (
            f"<!-- parameters: {found['name']} -->\n{table(found['name'])}"
            "<!-- end of parameters -->"
        ),
        page,
    )


def table(name: str) -> str:
    """Return the table of this name, in Markdown."""
    rows = _further() if name == FURTHER else _of(CLASSES[name])
    return "".join(f"| {' | '.join(cells)} |\n" for cells in rows)


def _of(one: Class) -> Iterator[tuple[str, ...]]:
    yield ("parameter", "its default", "what becomes of it")
    yield ("---", "---", "---")
    for name, default in one.original.items():
        own = one.otherwise.get(name) or _IN_USERS_WORDS.get(name)
        becomes = _becomes(name, own or _SERVER[name], own or _LIBRARY[name])
        yield (f"`{name}`", _default(name, default, one.ours), becomes)


def _further() -> Iterator[tuple[str, ...]]:
    yield ("parameter", "what becomes of it")
    yield ("---", "---")
    for name in sorted({*_LIBRARY, *LLAMA} - set(ORIGINAL)):
        usual = ToEngine((name,)) if name in ENGINE_NAMES else None
        yield (f"`{name}`", _becomes(name, LLAMA.get(name) or usual, _LIBRARY.get(name)))


def _default(name: str, there: Any, ours: type[BaseModel]) -> str:
    if there is REQUIRED:
        return ""
    here = ours.model_fields[name].get_default(call_default_factory=True)
    if here == there or there is None or not (here or there):
        return f"`{there!r}`"
    said = _SAID_BY_NOBODY.get(name, "the model's") if here is None else f"`{here!r}`"
    return f"`{there!r}`; here {said}"


def _becomes(name: str, server: Destination | None, library: Destination | None) -> str:
    """Return one sentence where the engines agree, and else one for each."""
    on_a_server, in_the_library = _words(server, _flags), _words(library, _arguments)
    if on_a_server == in_the_library:
        return on_a_server
    return f"llama-server: {on_a_server}; llama-cpp-python: {in_the_library}"


def _words(goes: Destination | None, engine: Any) -> str:
    match goes:
        case ToEngine(names):
            return ", ".join(f"`{one}`" for name in names for one in engine(name))
        case ToBody(name):
            return f"`{name}` of each request"
        case Here(what):
            return what
        case Nowhere(advice):
            return f"nothing any more: {advice}"
        case None:
            return "not known"


def _flags(name: str) -> list[str]:
    """The flags that the llama-server of the wheel gets."""
    if name in _BESIDE_THE_FLAGS:
        return [_BESIDE_THE_FLAGS[name]]
    flag = FLAGS[name]
    value = bool(flag.on) if isinstance(flag, Switch) else "1"
    return [one for one in flags_for({name: value}, _KNOWN) if one.startswith("--")]


def _arguments(name: str) -> list[str]:
    return [f"{_OF_THE_WORKER.get(name, name)}="]


if __name__ == "__main__":
    main()
