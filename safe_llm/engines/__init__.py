"""Engines: what to start, how it says "ready", how to speak to it, and who shares which one."""
