"""Fields of a request to llama-server: their names and their bounds. Sends none.

Read in ``tools/server/server-task.cpp`` of llama.cpp. The server takes what it does not know, and
much that cannot be meant, without a word: so names and bounds are checked here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from safe_llm.errors import MisuseError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Number:
    """A finite number within bounds; ``above`` excludes ``low`` itself."""

    low: float = -math.inf
    high: float = math.inf
    whole: bool = False
    above: bool = False

    def holds(self, value: Any) -> bool:
        """Whether the value is such a number."""
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        if not math.isfinite(value) or (self.whole and value != int(value)):
            return False
        return self.low <= value <= self.high and not (self.above and value == self.low)

    def __str__(self) -> str:
        kind = "a whole number" if self.whole else "a number"
        low = "" if self.low == -math.inf else f" {'above' if self.above else 'from'} {self.low:g}"
        high = "" if self.high == math.inf else f" to {self.high:g}"
        return f"{kind}{low}{high}"


@dataclass(frozen=True, slots=True)
class Kind:
    """A value of one of these types."""

    types: tuple[type, ...]

    def holds(self, value: Any) -> bool:
        """Whether the value is of such a type."""
        return isinstance(value, self.types)

    def __str__(self) -> str:
        return " or ".join(one.__name__ for one in self.types)


_ANY = Number()
_WHOLE = Number(whole=True)
_COUNT = Number(0, whole=True)
_FROM_ZERO = Number(0)
_SHARE = Number(0, 1)
_BACK = Number(-1, whole=True)  # tokens to look back; -1 is the whole context
_YES_NO = Kind((bool,))
_TEXT = Kind((str,))
_LIST = Kind((list, tuple))

FIELDS: Mapping[str, Number | Kind] = {
    "n_predict": _BACK,
    "temperature": _FROM_ZERO,
    "dynatemp_range": _FROM_ZERO,
    "dynatemp_exponent": _ANY,
    "top_k": _WHOLE,  # zero and less: the whole vocabulary
    "top_p": _SHARE,
    "min_p": _SHARE,
    "top_n_sigma": _ANY,
    "typical_p": _SHARE,
    "xtc_probability": _SHARE,
    "xtc_threshold": _SHARE,
    "repeat_penalty": Number(0, above=True),
    "repeat_last_n": _BACK,
    "presence_penalty": _ANY,
    "frequency_penalty": _ANY,
    "dry_multiplier": _FROM_ZERO,
    "dry_base": _ANY,
    "dry_allowed_length": _WHOLE,
    "dry_penalty_last_n": _BACK,
    "dry_sequence_breakers": _LIST,
    "mirostat": Number(0, 2, whole=True),
    "mirostat_tau": _FROM_ZERO,
    "mirostat_eta": _FROM_ZERO,
    "adaptive_target": _ANY,
    "adaptive_decay": _SHARE,
    "samplers": Kind((list, tuple, str)),
    "seed": Number(-1, 2**32 - 1, whole=True),
    "min_keep": _COUNT,
    "logit_bias": Kind((list, tuple, dict)),
    "ignore_eos": _YES_NO,
    "n_probs": _COUNT,
    "post_sampling_probs": _YES_NO,
    "grammar": _TEXT,
    "json_schema": Kind((dict,)),
    "stop": _LIST,
    "n_keep": _BACK,
    "n_discard": _COUNT,
    "n_indent": _COUNT,
    "n_cache_reuse": _COUNT,
    "t_max_predict_ms": _WHOLE,
    "cache_prompt": _YES_NO,
    "id_slot": _BACK,
    "lora": _LIST,
    "return_tokens": _YES_NO,
    "timings_per_token": _YES_NO,
}

CHAT_FIELDS: Mapping[str, Number | Kind] = {
    "max_tokens": _BACK,
    "tools": _LIST,
    "tool_choice": Kind((str, dict, bool)),
    "parallel_tool_calls": _YES_NO,
    "response_format": Kind((dict,)),
    "top_logprobs": _COUNT,
    "chat_template_kwargs": Kind((dict,)),
    "add_generation_prompt": _YES_NO,
    "continue_final_message": Kind((bool, str)),
    "reasoning_format": _TEXT,
    "reasoning_effort": _TEXT,
    "reasoning_budget_tokens": _BACK,
    "reasoning_budget_message": _TEXT,
}
"""What a chat may say besides; read in ``oaicompat_chat_params_parse`` of llama.cpp."""


def check_field(name: str, value: Any, called: str = "") -> None:
    """Raise ``MisuseError`` if ``value`` cannot be the field ``name``, ``called`` by the user."""
    rule = FIELDS.get(name) or CHAT_FIELDS[name]
    if not rule.holds(value):
        raise MisuseError(reason=f"{called or name}={value!r} is not {rule}")
    if name == "stop" and not all(isinstance(one, str) and one for one in value):
        raise MisuseError(
            reason=f"stop={list(value)!r} holds something that is not a non-empty string",
            hint="an empty stop string would end every answer before it begins",
        )
