"""Argument vectors and ``--help`` of our ``llama-server``. Pure: reads no environment of its own.

What it says and refuses is worded as the binary words it, so that one reader serves both.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from safe_llm.worker.llama_server_options import COLLECTED, OPTIONS, SERVER_DEFAULTS, Option
from safe_llm.worker.llama_server_values import Together

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

HELP_COLUMN = 40  # as the binary's own --help
HELP_WIDTH = 70
API_KEY_ENV = "LLAMA_API_KEY"

HELP = ("-h", "--help", "--usage")
VERSION = ("--version",)

_WRONG_VALUE = (ValueError, KeyError, OSError, TypeError, AttributeError, ZeroDivisionError)


class InvalidArgument(ValueError):
    """An argument that the server does not know, or a value that cannot be meant."""


def parse(argv: Sequence[str], env: Mapping[str, str]) -> dict[str, Any]:
    """Return which attribute gets which value; flags win over the environment, later over earlier.

    Raises ``InvalidArgument``.
    """
    settings: dict[str, Any] = dict(SERVER_DEFAULTS)
    for option in OPTIONS:
        if option.env and option.env in env:
            _set(settings, option, option.env, env[option.env])
    if env.get(API_KEY_ENV):
        settings["api_keys"] = env[API_KEY_ENV].split(",")
    arguments = iter(argv)
    for argument in arguments:
        _take(settings, argument, arguments)
    return settings


def _take(settings: dict[str, Any], argument: str, rest: Iterator[str]) -> None:
    # The binary takes --ctx_size for --ctx-size as well.
    name = argument.replace("_", "-") if argument.startswith("--") else argument
    option = _BY_NAME.get(name)
    if option is None:
        raise InvalidArgument(f"error: invalid argument: {argument}")
    text = "0" if name in option.off else "1"
    if option.takes:
        value = next(rest, None)
        if value is None:
            raise InvalidArgument(_wrong(option, name, "expected value for argument"))
        text = value
    _set(settings, option, name, text)


def _set(settings: dict[str, Any], option: Option, name: str, text: str) -> None:
    try:
        value = option.convert(text)
    except _WRONG_VALUE as error:
        why = f"invalid value {text!r} ({error})"
        raise InvalidArgument(_wrong(option, name, why)) from error
    values = value.values if isinstance(value, Together) else (value,) * len(option.targets)
    for target, one in zip(option.targets, values, strict=True):
        settings[target] = [*settings.get(target, ()), *one] if target in COLLECTED else one


def _wrong(option: Option, name: str, why: str) -> str:
    usage = "\n".join(_row(option))
    return f'error while handling argument "{name}": {why}\n\nusage:\n{usage}'


def render_help() -> str:
    """All flags, in the two columns of the binary's ``--help``."""
    rows = [
        *_two_columns("-h,    --help, --usage", "print usage and exit"),
        *_two_columns("--version", "show version and exit"),
        *(line for option in OPTIONS for line in _row(option)),
    ]
    return "\n".join(["----- llama-server from xllamacpp -----", "", *rows, ""])


def _row(option: Option) -> list[str]:
    text = option.help + (f" (env: {option.env})" if option.env else "")
    return _two_columns(_left(option), text)


def _left(option: Option) -> str:
    names = [*option.names, *option.off]
    first = f"{names[0]}," if len(names) > 1 else names[0]
    rest = ", ".join(names[1:])
    is_short = not names[0].startswith("--")
    joined = f"{first:<6} {rest}" if is_short and rest else f"{first} {rest}".rstrip()
    return f"{joined} {option.takes}".rstrip()


def _two_columns(left: str, text: str) -> list[str]:
    lines = textwrap.wrap(text, HELP_WIDTH) or [""]
    margin = " " * HELP_COLUMN
    if len(left) >= HELP_COLUMN:
        return [left, *(margin + line for line in lines)]
    return [f"{left:<{HELP_COLUMN}}{lines[0]}", *(margin + line for line in lines[1:])]


_BY_NAME = {name: option for option in OPTIONS for name in (*option.names, *option.off)}
