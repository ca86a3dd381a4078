"""Makes programs that cannot be started, one for each way to fail, in a directory of the caller."""

from __future__ import annotations

import sys
from pathlib import Path

CONTENT = {
    "not_executable": "#!/bin/sh\nexit 0\n",
    "bad_shebang": "#!/no/such/interpreter\n",
    "empty_shebang": "#!\n",
    "not_a_program": "\x01\x02\x03 neither ELF nor script\n",
    "empty": "",
}


def make_unstartable(directory: Path) -> dict[str, Path]:
    """Return name to path; ``missing`` is a path where there is nothing."""
    programs = {"missing": directory / "missing", "a_directory": directory / "a_directory"}
    programs["a_directory"].mkdir(parents=True, exist_ok=True)
    for name, content in CONTENT.items():
        programs[name] = directory / name
        programs[name].write_text(content)
        programs[name].chmod(0o644 if name == "not_executable" else 0o755)
    return programs


if __name__ == "__main__":
    for one in make_unstartable(Path(sys.argv[1])).values():
        print(one)
