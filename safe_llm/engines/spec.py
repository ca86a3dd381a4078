"""Which engine is wanted, as data: two equal specifications mean one shared engine."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from safe_llm.errors import MisuseError, ModelFileInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping

_GGUF_MAGIC = b"GGUF"  # the first four bytes of every GGUF file, see ggml's docs/gguf.md
_SMALLEST_GGUF_BYTES = 24  # magic, version, two counts: a file shorter than its header is cut off

_LEVEL_FLAGS = ("-lv", "--verbosity", "--log-verbosity")
_TRACE = 4  # 3.4 KB a request of 16 tokens, and 31 KB from 5 on; 0.8 KB below

EngineKind = Literal["llama-server", "llama-cpp-python"]
"""What users call the engines."""

ParameterValue = str | int | float | bool | tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LlamaServerSpec:
    """A llama-server: whose program, which model, which parameters.

    ``parameters`` are pairs of a name of ``llama_server_flags`` and its value, only those that
    the user set; ``server_args`` go to the program as they are. With ``base_url`` (``http://…`` or
    ``unix:/path``) somebody else owns the server and the other fields have no effect.
    """

    kind: ClassVar[EngineKind] = "llama-server"
    model_path: str
    binary: str | None = None
    parameters: tuple[tuple[str, ParameterValue], ...] = ()
    server_args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    base_url: str | None = None
    api_key: str | None = None

    @property
    def name(self) -> str:
        """What messages call this engine."""
        return f"{self.kind}({self.base_url or Path(self.model_path).name})"

    @property
    def logs_for_debugging(self) -> bool:
        """Whether it is to write a log of tens of KB a request, as from trace level on."""
        asked = dict(zip(self.server_args, (*self.server_args[1:], ""), strict=False))
        if not asked.keys().isdisjoint(("-v", "--verbose", "--log-verbose")):
            return True
        by_name = str(dict(self.parameters).get("verbosity", ""))
        level = next((asked[flag] for flag in _LEVEL_FLAGS if flag in asked), by_name)
        return level.isdecimal() and int(level) >= _TRACE

    def plain(self) -> dict[str, Any]:
        """Return, as JSON could hold it, what an answer depends on. No secret is in it."""
        parameters = {name: _plain(value) for name, value in self.parameters}
        return {"engine": parameters, "server_args": list(self.server_args)}

    def __repr__(self) -> str:
        return f"<LlamaServerSpec {self.name}>"  # neither the key nor the environment


@dataclass(frozen=True, slots=True, kw_only=True)
class LlamaCppPythonSpec:
    """llama-cpp-python in worker processes of ours: which model, and how it is constructed.

    ``parameters`` are those of ``llama_cpp.Llama``, as JSON, only what the user set; build one
    with ``of``. ``n_workers`` contexts serve as many calls at once, each in a process of its own;
    they share the pages of the model file. ``chat_handler`` is a class of
    ``llama_cpp.llama_chat_format`` and its arguments as JSON, ``draft`` are the arguments of its
    ``LlamaPromptLookupDecoding``.
    """

    kind: ClassVar[EngineKind] = "llama-cpp-python"
    model_path: str
    parameters: str = "{}"
    n_workers: int = 1
    chat_handler: tuple[str, str] | None = None
    draft: str | None = None
    env: tuple[tuple[str, str], ...] = ()
    base_url: None = None

    @classmethod
    def of(
        cls,
        model_path: str,
        parameters: Mapping[str, Any],
        *,
        chat_handler: tuple[str, Mapping[str, Any]] | None = None,
        draft: Mapping[str, int] | None = None,
        **fields: Any,
    ) -> Self:
        """Return the specification for parameters given as values."""
        handler = None if chat_handler is None else (chat_handler[0], _as_json(chat_handler[1]))
        return cls(
            model_path=model_path,
            parameters=_as_json(parameters),
            chat_handler=handler,
            draft=None if draft is None else _as_json(draft),
            **fields,
        )

    @property
    def name(self) -> str:
        """What messages call this engine."""
        return f"{self.kind}({Path(self.model_path).name})"

    @property
    def projector_path(self) -> str | None:
        """The file of what makes tokens of images, for a handler that has one."""
        path = (_from_json(self.chat_handler[1]) if self.chat_handler else {}).get(
            "clip_model_path"
        )
        return None if path is None else str(path)

    def plain(self) -> dict[str, Any]:
        """Return, as JSON could hold it, what an answer depends on. No secret is in it."""
        return {"engine": json.loads(self.parameters), "draft": _from_json(self.draft)}

    def loading(self) -> dict[str, Any]:
        """Return what the worker is told to load."""
        handler = self.chat_handler
        return {
            "model_path": self.model_path,
            "parameters": json.loads(self.parameters),
            "chat_handler": None if handler is None else [handler[0], json.loads(handler[1])],
            "draft": _from_json(self.draft),
            "verbose": True,
        }

    def __repr__(self) -> str:
        return f"<LlamaCppPythonSpec {self.name}>"


EngineSpec = LlamaServerSpec | LlamaCppPythonSpec


def _plain(value: ParameterValue) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _as_json(values: Mapping[str, Any]) -> str:
    try:
        return json.dumps(values, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise MisuseError(
            reason=f"a parameter cannot be sent to the engine's process: {error}",
            hint="numbers, texts, lists and dictionaries can; Python objects cannot",
        ) from error


def _from_json(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def check_model_file(path: str) -> str:
    """Return the absolute path of a GGUF file; raise ``ModelFileInvalid`` for anything else."""
    if not path:
        raise MisuseError(reason="model_path is empty", hint="give the path of a .gguf file")
    try:
        file = Path(path).expanduser().absolute()
        reason, hint = _what_is_wrong(file)
    except (OSError, RuntimeError, ValueError) as error:  # a folder shut to us, ~nobody, a NUL
        reason, hint = getattr(error, "strerror", None) or str(error), ""
    else:
        if not reason:
            return str(file)
    raise ModelFileInvalid(program="llama.cpp", path=path, reason=reason, hint=hint)


def _what_is_wrong(file: Path) -> tuple[str, str]:
    if not file.exists():
        return "there is no such file", _nearby(file)
    if not file.is_file():
        return "it is not a file", _nearby(file)
    if not os.access(file, os.R_OK):
        return "it is not readable by this user", f"chmod u+r {file}"
    with file.open("rb") as opened:
        head = opened.read(_SMALLEST_GGUF_BYTES)
    if not head.startswith(_GGUF_MAGIC):
        return f"it does not begin with GGUF but with {head[:4]!r}", "convert it to GGUF first"
    if len(head) < _SMALLEST_GGUF_BYTES:
        return (
            f"it ends after {len(head)} bytes, of a header of {_SMALLEST_GGUF_BYTES}",
            "the download was probably cut off",
        )
    return "", ""


def _nearby(file: Path) -> str:
    folder = file if file.is_dir() else file.parent
    try:
        found = sorted(one.name for one in folder.glob("*.gguf"))
    except OSError:
        found = []
    return f"in {folder} there are: {', '.join(found[:5])}" if found else ""
