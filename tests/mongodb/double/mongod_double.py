#!/usr/bin/env python3
"""A double of mongod: what stands in for MongoDB in tests, because no registry has a server that could be installed.

usage: mongod_double.py --port PORT --dbpath FOLDER [--replSet NAME --members HOST:PORT,… --keyFile FILE]
                        [--election-timeout MILLIS] [--wire VERSION] [--tlsCertificateKeyFile FILE]

It speaks the wire protocol (OP_MSG, and OP_QUERY for the first hello of old drivers) as the manual describes it, with
SCRAM-SHA-256, write and read concerns, retryable writes, cursors, elections and rollbacks; `pymongo` drives it as it drives a
server. Documents are read and written by pymongo's own `bson`. See the files beside it for what it does and what not: it is
slow, keeps everything in memory, and is no database.
"""

import argparse
import asyncio
import ssl
import struct
import sys

import bson
from bson.raw_bson import RawBSONDocument

from commands import Client, Commands
from documents import Refused
from members import Member
from oplog import Oplog

OP_REPLY, OP_QUERY, OP_MSG = 1, 2004, 2013
# Drivers may send such a write again (with a transaction number).
RETRYABLE = {189, 91, 11600, 11602, 10107, 13435, 13436}


def options():
    parser = argparse.ArgumentParser(description="a double of mongod, for tests")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--dbpath", required=True)
    parser.add_argument("--replSet", dest="set")
    parser.add_argument("--members", default="")
    parser.add_argument("--keyFile", dest="key_file")
    parser.add_argument("--election-timeout", dest="election", type=int, default=10000)
    parser.add_argument("--wire", type=int, default=21)
    parser.add_argument("--tlsCertificateKeyFile", dest="tls")
    chosen = parser.parse_args()
    chosen.me = f"127.0.0.1:{chosen.port}"
    chosen.members = chosen.members.split(",") if chosen.members else [chosen.me]
    chosen.version = "7.0.0"
    chosen.key = None
    if chosen.key_file:
        with open(chosen.key_file, encoding="ascii") as file:
            chosen.key = file.read().strip()
    if len(chosen.members) > 1 and (chosen.key is None or chosen.tls):
        parser.error("several members need a --keyFile, and speak no TLS with each other")
    return chosen


def sections(body):
    """The command of an OP_MSG, with the documents that came beside it."""
    (flags,) = struct.unpack_from("<I", body)
    end = len(body) - (4 if flags & 1 else 0)
    at, command, lists = 4, None, {}
    while at < end:
        kind = body[at]
        (length,) = struct.unpack_from("<i", body, at + 1)
        section = body[at + 1 : at + 1 + length]
        if kind == 0:
            command = RawBSONDocument(section)
        else:
            stop = section.index(b"\0", 4)
            name, rest, found = section[4:stop].decode(), section[stop + 1 :], []
            while rest:
                (size,) = struct.unpack_from("<i", rest)
                found.append(RawBSONDocument(rest[:size]))
                rest = rest[size:]
            lists[name] = found
        at += 1 + length
    return flags, {**command, **lists}


class Server:
    def __init__(self, chosen):
        self.log = Oplog(chosen.dbpath)
        self.member = Member(chosen, self.log)
        self.commands = Commands(chosen, self.member, self.log)
        self.options = chosen
        self.number = 0

    async def serve(self):
        tls = None
        if self.options.tls:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(self.options.tls)
        server = await asyncio.start_server(self.client, "127.0.0.1", self.options.port, ssl=tls, backlog=512)
        async with server:
            await asyncio.gather(server.serve_forever(), self.member.run())

    async def client(self, reader, writer):
        client = Client()
        try:
            while True:
                header = await reader.readexactly(16)
                length, number, _, kind = struct.unpack("<iiii", header)
                if not 16 < length <= 48000000:
                    break
                body = await reader.readexactly(length - 16)
                answer = await self.answer(client, kind, body)
                if answer is None:
                    continue
                self.number += 1
                code = OP_MSG if kind == OP_MSG else OP_REPLY
                writer.write(struct.pack("<iiii", 16 + len(answer), self.number, number, code) + answer)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            writer.close()

    async def answer(self, client, kind, body):
        if kind == OP_QUERY:
            # Only for the first greeting of a driver that does not know yet whom it speaks to.
            start = body.index(b"\0", 4) + 9
            command = RawBSONDocument(body[start : start + struct.unpack_from("<i", body, start)[0]])
            reply = await self.reply(client, dict(command), "admin")
            return struct.pack("<iqii", 8, 0, 0, 1) + bson.encode(reply)
        if kind != OP_MSG:
            raise OSError("no such message")
        flags, command = sections(body)
        reply = await self.reply(client, command, command["$db"])
        # The client wants no answer.
        return None if flags & 2 else b"\0\0\0\0\0" + bson.encode(reply)

    async def reply(self, client, command, database):
        name = next(iter(command))
        try:
            reply = {**await self.commands.run(client, name, database, command), "ok": 1.0}
        except Refused as refused:
            reply = {"ok": 0.0, "errmsg": refused.words, "code": refused.code, "codeName": refused.name}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            print(f"{name}: {error!r}", file=sys.stderr, flush=True)
            words = f"the double does not understand this {name}: {error!r}"
            reply = {"ok": 0.0, "errmsg": words, "code": 9, "codeName": "FailedToParse"}
        code = reply.get("code") or reply.get("writeConcernError", {}).get("code")
        if "txnNumber" in command and code in RETRYABLE:
            reply["errorLabels"] = ["RetryableWriteError"]
        return reply


if __name__ == "__main__":
    asyncio.run(Server(options()).serve())
