"""Listens on a unix socket or a loopback port (0: any) where somebody else wants to, and answers.

Prints where it listens. Every request gets ``200 OK`` and a page that no engine would send.
"""

from __future__ import annotations

import os
import signal
import socket
import sys

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\nhello\n"


def listen(where: str) -> socket.socket:
    if where.isdecimal():
        listener = socket.create_server(("127.0.0.1", int(where)))
        os.write(1, b"%d\n" % listener.getsockname()[1])
        return listener
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(where)
    listener.listen()
    os.write(1, where.encode() + b"\n")
    return listener


def main(where: str) -> None:
    signal.alarm(600)
    listener = listen(where)
    while True:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(5)
            connection.recv(65536)
            connection.sendall(ANSWER)


if __name__ == "__main__":
    main(sys.argv[1])
