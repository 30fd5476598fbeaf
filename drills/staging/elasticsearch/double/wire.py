"""HTTP/1.1 for the double: a server that answers one request after the other, and a client for its own nodes. What is said
over it is decided elsewhere.
"""
import asyncio
import json
from urllib.parse import parse_qsl, unquote, urlsplit

REASONS = {200: "OK", 201: "Created", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
           405: "Method Not Allowed", 409: "Conflict", 429: "Too Many Requests", 500: "Internal Server Error",
           503: "Service Unavailable", 504: "Gateway Timeout"}


class Request:
    def __init__(self, method, target, headers, body):
        parts = urlsplit(target)
        self.method, self.headers, self.body = method, headers, body
        self.path = [unquote(word) for word in parts.path.split("/") if word]
        self.query = dict(parse_qsl(parts.query, keep_blank_values=True))

    def json(self):
        return json.loads(self.body) if self.body.strip() else {}

    def flag(self, name):
        return self.query.get(name) in ("", "true")


async def read_head(reader):
    """The first line and the headers, names in lower case; none at the end of the connection."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None, {}
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    return first, {name.strip().lower(): value.strip() for name, value in pairs}


async def serve(reader, writer, answer):
    """Answers until the other side has had enough. `answer` gives a status and something for JSON, or text."""
    try:
        while True:
            first, headers = await read_head(reader)
            if first is None:
                return
            method, target, _ = first.split(" ", 2)
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            status, said = await answer(Request(method, target, headers, body))
            text = said.encode() if isinstance(said, str) else json.dumps(said, separators=(",", ":")).encode()
            kind = "text/plain; charset=UTF-8" if isinstance(said, str) else "application/json"
            if not isinstance(said, str) and "compatible-with" in headers.get("accept", ""):
                kind = next(part for part in headers["accept"].split(",") if "compatible-with" in part)
            head = (f"HTTP/1.1 {status} {REASONS.get(status, '')}\r\nX-elastic-product: Elasticsearch\r\n"
                    f"content-type: {kind}\r\ncontent-length: {len(text)}\r\n\r\n")
            writer.write(head.encode() + (b"" if method == "HEAD" else text))
            await writer.drain()
    except (ConnectionError, asyncio.IncompleteReadError, ValueError):
        pass
    finally:
        writer.close()


class Peer:
    """Another node of the cluster. Raises OSError when it cannot be reached, and when it hangs up or is too slow."""

    def __init__(self, port):
        self.port, self.idle = port, []

    async def ask(self, method, path, body=None, limit=5.0):
        return await asyncio.wait_for(self.exchange(method, path, body), limit)

    async def exchange(self, method, path, body):
        data = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
        head = f"{method} {path} HTTP/1.1\r\nhost: node\r\nx-node: yes\r\ncontent-length: {len(data)}\r\n\r\n".encode()
        kept = bool(self.idle)
        reader, writer = self.idle.pop() if kept else await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 26)
        done = False
        try:
            writer.write(head + data)
            first, headers = await read_head(reader)
            if first is None:
                raise ConnectionResetError("the node hung up")
            said = await reader.readexactly(int(headers["content-length"]))
            done = True
            self.idle.append((reader, writer))
            return int(first.split(" ")[1]), json.loads(said)
        except asyncio.IncompleteReadError as cut:
            raise ConnectionResetError("the node hung up") from cut
        finally:
            if not done:
                writer.close()
