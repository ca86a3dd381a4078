"""The page about the design names what is there, and nothing that is not."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "safe_llm"
PAGE = (ROOT / "docs" / "explanation" / "design.md").read_text("utf-8")


def test_every_room_has_a_place_on_the_page() -> None:
    rooms = {folder.name for folder in PACKAGE.iterdir() if (folder / "__init__.py").is_file()}
    assert rooms == {room for room in rooms if re.search(rf"\b{room}\b", PAGE)}


def test_every_module_that_is_named_exists() -> None:
    present = {file.name for file in PACKAGE.rglob("*.py")}
    named = set(re.findall(r"`(?:\w+/)*(\w+\.py)`", PAGE))
    assert named - present == set()
    assert len(named) > 30
