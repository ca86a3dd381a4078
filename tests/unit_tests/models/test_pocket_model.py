"""The file that is in the package, and the card that describes it."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import pytest

import safe_llm
from safe_llm import models
from safe_llm.errors import ModelFileInvalid
from safe_llm.protocol.gguf import read_metadata

ROOT = Path(__file__).parents[3]
CARD = (ROOT / "docs" / "reference" / "pocket-model.md").read_text("utf-8")
MOST_BYTES = 4_000_000


@pytest.fixture(scope="module")
def metadata() -> dict[str, Any]:
    with safe_llm.pocket_model().open("rb") as file:
        return read_metadata(file.read)


def row(name: str) -> str:
    """What the card's table says of something."""
    found = re.search(rf"^\| {name} \| (.+) \|$", CARD, re.MULTILINE)
    assert found, name
    return found[1]


def test_it_is_a_file_with_an_absolute_path() -> None:
    path = safe_llm.pocket_model()
    assert path.is_absolute()
    assert path.read_bytes()[:4] == b"GGUF"


def test_its_size_is_within_the_bound_and_the_one_of_the_card() -> None:
    size = safe_llm.pocket_model().stat().st_size
    assert size <= MOST_BYTES
    assert row("size") == f"{size:,} bytes"


def test_it_is_the_file_of_the_card_to_the_bit() -> None:
    assert row("sha256") == f"`{hashlib.sha256(safe_llm.pocket_model().read_bytes()).hexdigest()}`"


def test_it_says_of_itself_what_the_card_says(metadata: dict[str, Any]) -> None:
    assert row("network").startswith(
        f"{metadata['general.architecture']}, {metadata['llama.block_count']} layers of width"
        f" {metadata['llama.embedding_length']}, {metadata['llama.attention.head_count']} heads,"
        f" feed-forward {metadata['llama.feed_forward_length']}"
    )
    assert row("context") == f"{metadata['llama.context_length']:,} tokens"
    assert row("tokens").startswith(f"{metadata['llama.vocab_size']}: ")
    assert row("licence") == metadata["general.license"]


def test_its_chat_template_begins_the_prompt_and_shows_tools(metadata: dict[str, Any]) -> None:
    template = metadata["tokenizer.chat_template"]
    assert template.startswith("{{- bos_token -}}")  # which llama-cpp-python would not add
    for word in ("tools", "tool_calls", "tool_response"):
        assert word in template


def test_git_and_the_wheel_do_not_pass_it_over() -> None:
    # The backend that builds the wheel leaves out what git ignores; the last line that fits counts.
    rules = (ROOT / ".gitignore").read_text("utf-8").splitlines()
    assert rules.index("!safe_llm/models/pocket.gguf") > rules.index("*.gguf")


def test_an_installation_that_has_lost_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "_FILE", tmp_path / "pocket.gguf")
    with pytest.raises(ModelFileInvalid, match="there is no such file") as refused:
        safe_llm.pocket_model()
    assert str(tmp_path / "pocket.gguf") in str(refused.value)
    assert "install safe-llm again" in refused.value.hint
