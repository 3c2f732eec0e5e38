"""Refuses connections in every Python process that has this folder in PYTHONPATH.

An attempt is also written to the file NETWORK_LOG, since a library may catch the error.
"""

import os
import socket
import traceback


def _refuse(*arguments, **_):
    with open(os.environ["NETWORK_LOG"], "a", encoding="utf-8") as log:
        log.write(f"{arguments}\n{''.join(traceback.format_stack()[-6:-1])}\n")
    raise OSError("the network is refused here")


class _Socket(socket.socket):
    def connect(self, address):
        return super().connect(address) if self.family == socket.AF_UNIX else _refuse(address)

    def connect_ex(self, address):
        return super().connect_ex(address) if self.family == socket.AF_UNIX else _refuse(address)


socket.socket = _Socket
socket.create_connection = socket.getaddrinfo = _refuse
