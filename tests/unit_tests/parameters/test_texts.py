from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safe_llm import MisuseError
from safe_llm.parameters.texts import (
    BYTES_A_REQUEST,
    TEXTS_A_REQUEST,
    check_texts,
    requests_for,
)

LARGEST = BYTES_A_REQUEST
SIZES = st.sampled_from([1, 100, LARGEST // 3, LARGEST // 2, LARGEST - 1, LARGEST, LARGEST + 1])


@given(st.lists(SIZES, max_size=300))
def test_texts_stay_in_order_and_no_request_is_larger_than_it_must_be(sizes: list[int]) -> None:
    texts = ["x" * size for size in sizes]
    parts = list(requests_for(texts))
    assert [text for part in parts for text in part] == texts
    for part in parts:
        assert 1 <= len(part) <= TEXTS_A_REQUEST
        assert len(part) == 1 or sum(map(len, part)) <= BYTES_A_REQUEST
    for part, following in pairwise(parts):
        full = sum(map(len, part)) + len(following[0]) > BYTES_A_REQUEST
        assert full or len(part) == TEXTS_A_REQUEST


def test_a_letter_counts_by_its_bytes() -> None:
    half = "東" * (BYTES_A_REQUEST // 6)
    assert [len(part) for part in requests_for([half, half, "xxx", half])] == [2, 2]


@pytest.mark.parametrize(("text", "said"), [("", "empty"), (None, "a NoneType"), (b"a", "a bytes")])
def test_what_is_no_text_is_named_by_its_number(text: Any, said: str) -> None:
    with pytest.raises(MisuseError, match=f"text 2 of 3 is {said}"):
        check_texts(["a", "b", text])
