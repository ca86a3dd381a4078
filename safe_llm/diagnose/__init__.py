"""Why is this process silent? Knows only a pid, and reads only /proc."""
