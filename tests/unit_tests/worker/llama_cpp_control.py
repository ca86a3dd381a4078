"""The library in a process as its users have it: the control for what a worker says.

Reads a job as JSON on stdin: ``{"model": PATH, "parameters": {...}, "calls": [[METHOD, {...}]]}``.
Writes the results as a JSON list into the file that it is given: so nobody can print into them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import llama_cpp


def main() -> None:
    job = json.load(sys.stdin)
    library = llama_cpp.Llama(job["model"], verbose=False, **job["parameters"])
    results = [_called(library, method, arguments) for method, arguments in job["calls"]]
    Path(sys.argv[1]).write_text(json.dumps(results), encoding="utf-8")


def _called(library: llama_cpp.Llama, method: str, arguments: dict[str, Any]) -> Any:
    if isinstance(arguments.get("grammar"), str):
        arguments["grammar"] = llama_cpp.LlamaGrammar.from_string(arguments["grammar"])
    result = getattr(library, method)(**arguments)
    return list(result) if arguments.get("stream") else result


if __name__ == "__main__":
    main()
