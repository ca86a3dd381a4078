"""Vectors a second through ``LlamaCppEmbeddings``, beside llama-cpp-python in the user's process.

The reference calls ``Llama(embedding=True).create_embedding``, which is all that the original does:
same file, context, batch, one thread, the mean of the tokens' vectors. It is timed where it is
called, ours where ``embed_documents`` is.

SmolLM2-135M shows what a user gets, the tiny model what our layers cost a text. The worker runs the
library of the reference; a llama-server is another build of llama.cpp, and reads texts side by
side.
"""

from __future__ import annotations

import math
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from safe_llm.langchain import LlamaCppEmbeddings
from tests.benchmarks.alternation import alternate, middle
from tests.benchmarks.figures import Figure, at_least
from tests.benchmarks.in_process import Embedded, InProcess
from tests.models import smollm2_path, tiny_gguf

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.benchmarks.figures import Target

    Runs = tuple[list[Embedded], list[Embedded]]

ROUNDS = 10
_CONTEXT = 512
_POOLED = 1  # LLAMA_POOLING_TYPE_MEAN
_REFERENCE = {
    "embedding": True,
    "pooling_type": _POOLED,
    "n_threads": 1,
    "n_threads_batch": 1,
    "n_ctx": _CONTEXT,
    "n_batch": _CONTEXT,
    "n_ubatch": _CONTEXT,
}
_ABOUT = "What happens to server {} when nobody reads its log, and how one can tell it from a slow"
_REAL = tuple(_ABOUT.format(number) for number in range(16))
_TINY = tuple(f"a raven and {number}" for number in range(256))
_ALIKE = 0.99  # cosine; builds of llama.cpp round differently


def measure() -> list[Figure]:
    """Return the rate of both engines, with both models."""
    real = _compared("SmolLM2", str(smollm2_path()), _REAL, at_least(0.97))
    with tempfile.TemporaryDirectory() as folder:
        return [*real, *_compared("tiny model", str(tiny_gguf(Path(folder))), _TINY, None)]


def _compared(name: str, model: str, texts: Sequence[str], target: Target | None) -> list[Figure]:
    with InProcess(model, _REFERENCE) as reference:
        theirs = partial(reference.embed, texts)
        return [
            _figure(
                f"vectors a second, {name}, {engine}",
                _taking_turns(engine, model, theirs, texts),
                target,
            )
            for engine in ("llama-cpp-python", "llama-server")
        ]


def _figure(what: str, runs: Runs, target: Target | None) -> Figure:
    ours, theirs = runs
    return Figure(
        what=what,
        unit="1/s",
        ours=middle(one.rate for one in ours),
        reference=middle(one.rate for one in theirs),
        beside="in process",
        target=target,
        note=_note(ours[-1], theirs[-1]),
    )


def _taking_turns(
    engine: str, model: str, theirs: Callable[[], Embedded], texts: Sequence[str]
) -> Runs:
    with LlamaCppEmbeddings(
        model_path=model, engine=engine, n_ctx=_CONTEXT, pooling="mean", n_threads=1, verbose=False
    ) as embeddings:
        embeddings.start()
        return alternate(ROUNDS, partial(_embedded, embeddings, texts), theirs)


def _embedded(model: LlamaCppEmbeddings, texts: Sequence[str]) -> Embedded:
    began = time.perf_counter()
    vectors = model.embed_documents(list(texts))
    seconds = time.perf_counter() - began
    return Embedded(len(vectors) / seconds, vectors[-1])


def _note(ours: Embedded, theirs: Embedded) -> str:
    """Say whether two sides have done the same work."""
    product = sum(a * b for a, b in zip(ours.last, theirs.last, strict=True))
    product /= math.hypot(*theirs.last)  # the library's are of any length
    return "" if product > _ALIKE else f"the vectors differ ({product:.3f}): this compares nothing"
