"""Reads an operations log by what docs/journal.md says and nothing else; prints a line an operation, then the end."""

import hashlib
import struct
import sys
import zlib

ACTIONS = ["write", "read", "visit"]
OUTCOMES = ["ok", "ok_local", "fail", "unknown", "missed", "unsent"]
FOUND = ["", "intact", "corrupted", "absent"]


def whole(value):
    """As a signed number of 64 bits."""
    value &= 2**64 - 1
    return value - 2**64 if value >= 2**63 else value


def unsigned(data, at):
    value, shift = 0, 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def signed(data, at):
    value, at = unsigned(data, at)
    return (value >> 1) ^ -(value & 1), at


def operations(payload, count, state):
    at = 0
    for _ in range(count):
        tag = payload[at]
        step, at = signed(payload, at + 1)
        lag, at = signed(payload, at)
        took, at = signed(payload, at)
        state["due"] = due = whole(state["due"] + step)
        sent = whole(due + lag)
        done = whole(sent + took)
        writer, seq = "", ""
        if tag & 0x80:
            writer, at = unsigned(payload, at)
            step, at = signed(payload, at)
            seq = state["seqs"][writer] = (state["seqs"].get(writer, 0) + step) % 2**64
        words = ACTIONS[tag & 3], OUTCOMES[tag >> 2 & 7], FOUND[tag >> 5 & 3]
        print(*words, due, sent, done, writer, seq, sep=",")
    assert at == len(payload)


def main(path):
    data = open(path, "rb").read()
    magic, version, length = struct.unpack_from("<8sHH", data)
    assert (magic, version) == (b"bstk-ops", 1)
    at = 12 + length
    assert struct.unpack_from("<I", data, at) == (zlib.crc32(data[:at]),)
    name, at = data[12:at].decode(), at + 4
    head, state, blocks, total = hashlib.sha256(data[:at]).digest(), {"due": 0, "seqs": {}}, 0, 0
    while at + 44 <= len(data):
        sizes, crc, chain = struct.unpack_from("<8sI32s", data, at)
        length, count = struct.unpack("<II", sizes)
        payload = data[at + 44 : at + 44 + length]
        if len(payload) < length:
            break
        assert crc == zlib.crc32(sizes + payload)
        head = hashlib.sha256(head + sizes + payload).digest()
        assert head == chain
        operations(payload, count, state)
        at, blocks, total = at + 44 + length, blocks + 1, total + count
    print("end", name, blocks, total, at, head.hex(), sep=",")


main(sys.argv[1])
