"""Vectors of texts, of a real model: the same request to both engines."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from safe_llm.errors import RemoteError
from tests.llama_engine import PATIENT, leased
from tests.models import smollm2_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from safe_llm.engines.lease import Lease
    from tests.engine_kinds import Kind

pytestmark = [pytest.mark.smollm2, pytest.mark.timeout(60)]  # 135 M parameters, on one thread

TEXTS = ("a cat sleeps on the sofa", "the stock market fell by two percent", "naïve café 東京")
WIDTH = 576  # of SmolLM2-135M


@pytest.fixture(scope="module")
def engine(kind: Kind, nothing_is_left: None) -> Iterator[Lease]:
    with leased(kind.embedding(smollm2_path())) as made:
        made.start(PATIENT)
        yield made


def product(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def test_each_text_has_one_vector_of_length_one(engine: Lease) -> None:
    answer = engine.embed(TEXTS, PATIENT)
    assert [len(one) for one in answer.vectors] == [WIDTH] * 3
    assert [product(one, one) for one in answer.vectors] == pytest.approx([1.0] * 3, abs=1e-5)
    assert answer.prompt_tokens > 15


def test_a_text_has_the_same_vector_alone_and_among_others(engine: Lease) -> None:
    among = engine.embed(TEXTS, PATIENT).vectors
    alone = [asyncio.run(engine.embed_async([text], PATIENT)).vectors[0] for text in TEXTS]
    assert all(product(*pair) > 0.999 for pair in zip(among, alone, strict=True))
    assert product(among[0], among[1]) < 0.99


def test_a_text_that_is_too_long_is_refused_and_the_engine_lives(engine: Lease) -> None:
    with pytest.raises(RemoteError):
        engine.embed([TEXTS[0], "word " * 5000], PATIENT)
    assert len(engine.embed(TEXTS[:1], PATIENT).vectors) == 1


def test_an_engine_that_was_not_made_for_it_says_so(kind: Kind, model: Path) -> None:
    with leased(kind.spec(model)) as other, pytest.raises(RemoteError, match="embedding"):
        other.embed(TEXTS, PATIENT)
