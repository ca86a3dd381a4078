"""The two popular ways to own a child, kept so that each test of ours also shows them failing.

``unread_pipe`` (U) and ``task_group_readline`` (N) are written as talks and blog posts write them
and must not be improved: a row of the fault matrix that they pass would prove nothing.
``driver`` runs one of them through one of the ``scenarios`` in a process of its own; ``verdict``
says from outside what became of it, by what ``standstill`` sees in /proc; ``sweep`` cleans up.
"""
