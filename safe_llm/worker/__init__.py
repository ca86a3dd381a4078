"""Programs of ours that run inside a child, and the pure parts that they share with us."""
