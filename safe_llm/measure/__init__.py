"""What engines write into their logs, and when that stops them: measured, not quoted.

Each engine runs twice: drained by our own hub, and, as the control, with pipes that nobody reads.
Whose fault it is or what to do about it is not said here.
"""
