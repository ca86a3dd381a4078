"""Programs of ours that run inside a child. Imported by nobody: they are started with ``-m``."""
