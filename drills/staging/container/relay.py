#!/usr/bin/env python3
"""Leads TCP connections from this machine's loopback into another network namespace.

usage: relay.py PORT PID HOST TARGET_PORT

It listens on 127.0.0.1:PORT here, enters the network namespace of PID, and connects to HOST:TARGET_PORT from there: a
socket stays in the namespace that it was made in. Nothing of either namespace is changed.
"""

import ctypes
import os
import socket
import sys
import threading

PORT, PID, HOST, TARGET = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
CLONE_NEWNET = 0x40000000


def enter(pid):
    """Enters the network namespace of a process; threads that are started later are in it too."""
    handle = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    if ctypes.CDLL(None, use_errno=True).setns(handle, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
    os.close(handle)


def pump(source, sink):
    """Hands bytes on until one side ends; the other side is told so."""
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        for one in (source, sink):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def lead(client):
    """One connection from its beginning to its end."""
    try:
        server = socket.create_connection((HOST, TARGET), timeout=5)
        server.settimeout(30)
        client.settimeout(30)
    except OSError:
        client.close()
        return
    with client, server:
        back = threading.Thread(target=pump, args=(server, client), daemon=True)
        back.start()
        pump(client, server)
        back.join()


threading.stack_size(256 * 1024)
listener = socket.create_server(("127.0.0.1", PORT), backlog=256)
enter(PID)
while True:
    accepted, _ = listener.accept()
    threading.Thread(target=lead, args=(accepted,), daemon=True).start()
