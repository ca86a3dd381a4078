"""llama-cpp-python as a user's program calls it, with nothing of ours around: the reference.

``python -m tests.benchmarks.in_process_program MODEL PARAMETERS`` loads and says that it is ready.
It then takes a job a line, as JSON, and answers each with what the loop that reads the stream saw;
one that is wanted ``aloud`` writes each piece too.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import llama_cpp

from tests.benchmarks.stopwatch import Stopwatch

_NEVER = -1e9  # a bias that no logit outweighs


def main(path: str, parameters: str) -> int:
    """Do jobs until there are no more."""
    model = llama_cpp.Llama(path, **json.loads(parameters))
    never = dict.fromkeys(_ending_tokens(model), _NEVER)
    _say({"ready": True})
    for line in sys.stdin:
        job = json.loads(line)
        _say(_embed(model, **job) if "texts" in job else _complete(model, never, **job))
    return 0


def _say(what: dict[str, Any]) -> None:
    print(json.dumps(what), flush=True)


def _complete(
    model: Any,
    never: dict[int, float],
    *,
    prompt: str,
    tokens: int,
    fresh: bool,
    endless: bool,
    aloud: bool,
    chat: bool,
) -> dict[str, Any]:
    watch, text = Stopwatch(), ""
    if fresh:
        model.reset()
    bias = never if endless else None
    begin = model.create_chat_completion if chat else model.create_completion
    asked = [{"role": "user", "content": prompt}] if chat else prompt
    for piece in begin(asked, max_tokens=tokens, temperature=0.0, logit_bias=bias, stream=True):
        choice = piece["choices"][0]
        said = choice["delta"].get("content", "") if chat else choice["text"]
        watch.heard(said)
        text += said
        if aloud:
            _say({"piece": said})
    return {
        "first_token": watch.first_token,
        "tokens_a_second": watch.tokens_a_second,
        "call": watch.age,
        "text": text,
    }


def _embed(model: Any, *, texts: list[str]) -> dict[str, Any]:
    began = time.perf_counter()
    made = model.create_embedding(texts)["data"]
    return {"seconds": time.perf_counter() - began, "last": made[-1]["embedding"]}


def _ending_tokens(model: Any) -> list[int]:
    vocabulary = range(model.n_vocab())
    return [one for one in vocabulary if llama_cpp.llama_vocab_is_eog(model._model.vocab, one)]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
