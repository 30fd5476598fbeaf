#!/usr/bin/env python3
"""A small web service that stands behind a network.

usage: store.py ADDRESS PORT

GET /         200 and a short page
GET /bytes/N  200 and N bytes, at most 16 MiB

Standard library only. It logs nothing.
"""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MOST = 16 << 20


class Store(BaseHTTPRequestHandler):
    """The two answers."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        kind, _, number = self.path.strip("/").partition("/")
        if kind == "":
            return self.answer(200, b"here\n")
        if kind == "bytes" and number.isdigit() and int(number) <= MOST:
            return self.answer(200, b"x" * int(number))
        return self.answer(404, b"nothing there\n")

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        """Silent: many visits a second."""


class Server(ThreadingHTTPServer):
    """Many visitors may wait at once during an outage."""

    request_queue_size = 256
    daemon_threads = True


Server((sys.argv[1], int(sys.argv[2])), Store).serve_forever()
