"""Runs cells (a JSON list of sources on stdin) in a kernel; prints their outputs as JSON.

A program of its own, because nbclient leaves sockets open that only the end of a process closes.
"""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module

import nbclient
import nbformat

notebook = nbformat.v4.new_notebook()
notebook.cells = [nbformat.v4.new_code_cell(cell) for cell in json.load(sys.stdin)]
# The kernel of this very interpreter, whatever kernels are installed for the user.
manager = import_module("jupyter_client.manager").AsyncKernelManager(transport="ipc")
manager._kernel_spec = import_module("jupyter_client.kernelspec").KernelSpec(
    argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
    env=dict(os.environ),
    display_name="this interpreter",
    language="python",
)
nbclient.NotebookClient(notebook, km=manager, timeout=30).execute()
json.dump([cell.outputs for cell in notebook.cells], sys.stdout)
