"""Keep a child useful: readiness, deadlines, the watchdog, restarts. Speaks no protocol."""
