"""The probabilities of tokens in the words of the engines. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


def logprob_of(token: Mapping[str, Any]) -> float:
    """Return the logarithm of a token's probability."""
    if "logprob" in token:
        return float(token["logprob"])
    # With post_sampling_probs the server says probabilities.
    probability = float(token.get("prob", 0.0))
    return math.log(probability) if probability > 0 else -math.inf


def said_tokens(tokens: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the tokens without the end of the text, which has neither text nor bytes."""
    return [one for one in tokens if one.get("token") or one.get("bytes")]


def likeliest(token: Mapping[str, Any], count: int) -> Sequence[Mapping[str, Any]]:
    """Return the ``count`` likeliest tokens in the place of this one."""
    top: Sequence[Mapping[str, Any]] = token.get("top_logprobs") or token.get("top_probs") or ()
    return top[:count]
