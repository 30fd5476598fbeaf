#!/usr/bin/env python3
"""A small web server to be broken: what the drills for a host's faults break.

usage: web.py PIDFILE PORT [--tls CERTIFICATE KEY]

GET /      200 "ok", with the server's pid in the header X-Pid
GET /time  its idea of the time, in seconds since 1970
GET /open  opens 64 files at once and closes them again: 200, or 503 when it cannot

The pidfile is written when it serves. SIGHUP makes it read certificate and key again. Standard library only.
"""

import os
import signal
import ssl
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Page(BaseHTTPRequestHandler):
    def do_GET(self):
        status, text = 200, "ok\n"
        if self.path.startswith("/time"):
            text = f"{time.time():.3f}\n"
        elif self.path.startswith("/open"):
            status, text = opened()
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Pid", str(os.getpid()))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def opened():
    files = []
    try:
        files = [open("/dev/null", "rb") for _ in range(64)]
        return 200, "64 files\n"
    except OSError as error:
        return 503, f"{error}\n"
    finally:
        for file in files:
            file.close()


def main():
    pidfile, port = sys.argv[1], int(sys.argv[2])
    server = ThreadingHTTPServer(("127.0.0.1", port), Page)
    server.daemon_threads = True
    if sys.argv[3:4] == ["--tls"]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[4], sys.argv[5])
        # New connections get what was read last.
        signal.signal(signal.SIGHUP, lambda *_: context.load_cert_chain(sys.argv[4], sys.argv[5]))
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    with open(pidfile + ".new", "w", encoding="ascii") as file:
        file.write(f"{os.getpid()}\n")
    os.rename(pidfile + ".new", pidfile)
    server.serve_forever()


main()
