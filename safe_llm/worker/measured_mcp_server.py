"""An MCP server with one tool, there to be measured: ``python -m … [LEVEL]``, on stdin and stdout.

Written with whatever version of the ``mcp`` SDK is importable, as its documentation does it.
"""

from __future__ import annotations

import sys


def main(level: str) -> None:
    """Serve until stdin ends."""
    try:
        from mcp.server.mcpserver import MCPServer as Server  # noqa: PLC0415  the SDK from 2.0 on
    except ImportError:
        from mcp.server.fastmcp import FastMCP as Server  # noqa: PLC0415  its name before 2.0
    server = Server("measured", log_level=level)
    server.add_tool(add)
    server.run()


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "INFO")
