#!/usr/bin/env python3
"""The way from one region to the other: whatever comes in on a port goes to another one of this machine, and back.

    link.py PORT TO [drop N]

`drop N` is a deliberate violation for tests: of every N documents that a replication sends (POST _bulk_docs), one is
taken out, and the sender is told that all is well. Nothing else in this staging forges anything.
"""
import asyncio
import json
import sys

PORT, TO = int(sys.argv[1]), int(sys.argv[2])
DROP = int(sys.argv[4]) if sys.argv[3:4] == ["drop"] else 0
seen = 0


async def copy(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def body_of(reader, headers):
    if b"chunked" in headers.get(b"transfer-encoding", b""):
        body = b""
        while size := int((await reader.readline()).split(b";")[0], 16):
            body += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
        return body
    return await reader.readexactly(int(headers.get(b"content-length", b"0")))


def fewer(body):
    """The documents without every Nth record of a ledger."""
    global seen
    message = json.loads(body)
    kept = []
    for document in message.get("docs", []):
        seen += document["_id"].startswith("blackstart_ledger:")
        if not document["_id"].startswith("blackstart_ledger:") or seen % DROP:
            kept.append(document)
    message["docs"] = kept
    return json.dumps(message).encode()


async def copy_and_drop(reader, writer):
    try:
        while line := await reader.readline():
            head, headers = [line], {}
            while (field := await reader.readline()) not in (b"\r\n", b""):
                name, _, value = field.partition(b":")
                headers[name.strip().lower()] = value.strip().lower()
                if name.strip().lower() not in (b"content-length", b"transfer-encoding"):
                    head.append(field)
            body = await body_of(reader, headers)
            if line.startswith(b"POST") and b"/_bulk_docs" in line:
                body = fewer(body)
            length = b"content-length: %d\r\n" % len(body)
            writer.write(b"".join(head) + length + b"\r\n" + body)
            await writer.drain()
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def connected(reader, writer):
    try:
        there, out = await asyncio.open_connection("127.0.0.1", TO)
    except OSError:
        writer.close()
        return
    await asyncio.gather((copy_and_drop if DROP else copy)(reader, out), copy(there, writer))


async def main():
    server = await asyncio.start_server(connected, "127.0.0.1", PORT)
    async with server:
        await server.serve_forever()


asyncio.run(main())
