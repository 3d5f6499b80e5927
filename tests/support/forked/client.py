"""What stands in for `jobqueue`: asks the forking process beside it for a copy of itself, and waits for its end.

It is run with `-I -S` and imports as little as it can.
"""

import json
import os
import signal
import socket
import sys


def main() -> int:
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(os.path.realpath(__file__).rpartition("/")[0] + "/socket")
        asked = {"words": sys.argv[1:], "folder": os.path.realpath("."), "environment": dict(os.environ)}
        message = json.dumps(asked).encode()
        socket.send_fds(server, [len(message).to_bytes(4, "big")], [0, 1, 2])
        server.sendall(message)
        pid = int.from_bytes(server.recv(4), "big")
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda number, _frame: os.kill(pid, number))
        return int.from_bytes(server.recv(4), "big")


if __name__ == "__main__":
    sys.exit(main())
