"""The tables of parameters are those of the code, and the lists they are made of the originals'."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
import warnings
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.language_models.llms import LLM
from pydantic import BaseModel

from safe_llm.parameters.fields import EngineFields
from tests.originals import (
    CHAT_LLAMA_CPP,
    LLAMA_CPP,
    LLAMA_CPP_EMBEDDINGS,
    LLAMA_INDEX_LLAMA_CPP,
    REQUIRED,
)
from tests.parameters_page import CLASSES, FURTHER, PAGES, TABLE, generated

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

OF_LANGCHAIN: Mapping[str, tuple[Mapping[str, Any], type[BaseModel]]] = {
    "llms.llamacpp.LlamaCpp": (LLAMA_CPP, LLM),
    "chat_models.llamacpp.ChatLlamaCpp": (CHAT_LLAMA_CPP, BaseChatModel),
    "embeddings.llamacpp.LlamaCppEmbeddings": (LLAMA_CPP_EMBEDDINGS, BaseModel),
}
"""Where each original is, its list, and whose fields it inherits."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_has_the_tables_that_are_generated_today(page: Path) -> None:
    text = page.read_text("utf-8")
    assert text == generated(text), "make parameters"


def test_every_table_stands_on_a_page() -> None:
    found = [one["name"] for page in PAGES for one in TABLE.finditer(page.read_text("utf-8"))]
    assert found == [
        *("LlamaCpp", "ChatLlamaCpp", "LlamaCppEmbeddings", FURTHER),
        "LlamaCPP",
    ]
    assert {*CLASSES, FURTHER} == set(found)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_field_that_is_new_is_named_on_the_page(page: Path) -> None:
    fields = {field.alias or name for name, field in EngineFields.model_fields.items()}
    named = set(re.findall(r"`(\w+)\b", page.read_text("utf-8")))
    assert fields - set(LLAMA_CPP) - named == set()


@pytest.mark.parametrize("one", CLASSES.values(), ids=CLASSES)
def test_every_field_of_an_original_is_a_field_of_ours(one: Any) -> None:
    assert set(one.original) - set(one.ours.model_fields) == set()


if importlib.util.find_spec("langchain_community") is not None:

    @pytest.mark.parametrize("name", OF_LANGCHAIN)
    def test_a_list_is_the_constructor_of_the_original_of_langchain(name: str) -> None:
        fields, base = OF_LANGCHAIN[name]
        module, _, attribute = name.rpartition(".")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it announces its own end
            original = getattr(importlib.import_module(f"langchain_community.{module}"), attribute)
        assert set(original.model_fields) - (set(base.model_fields) - {"verbose"}) == set(fields)
        for field, default in fields.items():
            if default is not REQUIRED:
                there = original.model_fields[field].get_default(call_default_factory=True)
                assert there == default, field


if importlib.util.find_spec("llama_index.llms") is not None:

    def test_the_list_is_the_constructor_of_the_original_of_llama_index() -> None:
        original = importlib.import_module("llama_index.llms.llama_cpp.base").LlamaCPP
        parameters = dict(inspect.signature(original.__init__).parameters)
        del parameters["self"]
        assert {name: one.default for name, one in parameters.items()} == LLAMA_INDEX_LLAMA_CPP
