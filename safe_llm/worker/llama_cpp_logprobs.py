"""How probable each token was, in llama-server's form, and which text it belongs to.

The library offers the same, and loses every character that several tokens make up, such as most
emoji, from the text of a stream for which it is asked.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import llama_cpp
    from numpy.typing import NDArray

_LOWEST = float(np.finfo(np.float32).min)  # for minus infinity, which JSON does not have


class Logprobs:
    """The probabilities of tokens whose text has not been sent yet."""

    def __init__(self, model: llama_cpp.Llama, top: int) -> None:
        self._model = model
        self._top = min(max(top, 0), model.n_vocab())
        self._waiting: deque[tuple[dict[str, Any], int]] = deque()
        self._covered_bytes = 0  # by the text so far; negative where a token reaches beyond it

    def note(self, token: int, logits: NDArray[np.float32]) -> None:
        """Remember a token, and what was thought of all tokens before it was chosen."""
        logprobs = self._model.logits_to_logprobs(logits)
        ranked = _largest(logprobs, self._top)
        piece = self._model.detokenize([token])
        entry = {
            **self._entry(token, logprobs),
            "top_logprobs": [self._entry(other, logprobs) for other in ranked],
        }
        self._waiting.append((entry, len(piece)))

    def take(self, text: str) -> list[dict[str, Any]]:
        """Return those of the tokens in which this piece of text begins."""
        self._covered_bytes += len(text.encode())
        taken = []
        while self._waiting and self._covered_bytes > 0:
            entry, size = self._waiting.popleft()
            self._covered_bytes -= size
            taken.append(entry)
        return taken

    def _entry(self, token: int, logprobs: NDArray[np.float32]) -> dict[str, Any]:
        text = self._model.detokenize([int(token)]).decode("utf-8", "ignore")
        return {"token": text, "logprob": max(_LOWEST, float(logprobs[token]))}


def _largest(values: NDArray[np.float32], count: int) -> list[int]:
    """The indices of the largest values, in order; sorting all would take longer than a token."""
    if not count:
        return []
    candidates = np.argpartition(-values, count - 1)[:count].tolist()
    return sorted(candidates, key=lambda one: (-values[one], one))
