"""Figures beside references: ours and something bare do the same work in turn. Asserts nothing.

    python -m tests.benchmarks [NAME …] [--json]

Seconds of one machine say little about another one, so each figure is a ratio to a reference that
runs in the same process and the same minute; runs alternate and medians count. Whether a target
holds is printed and judged by whoever reads it, never by a test.
"""
