#!/usr/bin/env python3
"""Independent decoder of WALFS segments: python3 decode_walfs.py DIR_OR_SEGMENT [--json]

Written from the format alone, with a checksum table of its own, so that it shares no mistake with
the Rust code. Verifies header, frames, trailers, padding, the zero terminator and dense LSNs, which
it reads from field 0 of each FlatBuffer. Exits with 1 at the first thing that is wrong.
"""
import json
import os
import struct
import sys

TRAILER = bytes.fromhex("deadbeeffeedface")
HEADER = struct.Struct("<IIQQQQIQII4x")
FIELDS = ("magic", "version", "created_ns", "modified_ns", "write_offset", "entry_count", "flags",
          "first_lsn", "marker", "crc")
ACTIVE, SEALED = 8, 2


def table():
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        yield byte


TABLE = list(table())


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


class Bad(Exception):
    """Something is not as the format says."""


def check(condition, message):
    if not condition:
        raise Bad(message)


def record_lsn(payload):
    root, = struct.unpack_from("<I", payload, 0)
    to_vtable, = struct.unpack_from("<i", payload, root)
    vtable = root - to_vtable
    size, = struct.unpack_from("<H", payload, vtable)
    check(size >= 6, "the record has no field 0")
    field, = struct.unpack_from("<H", payload, vtable + 4)
    check(field, "the record has no LSN")
    return struct.unpack_from("<Q", payload, root + field)[0]


def frames(data):
    offset = 64
    while len(data) - offset >= 16 and data[offset:offset + 8] != bytes(8):
        crc, length = struct.unpack_from("<II", data, offset)
        end = offset + 8 + length
        following = end + 8 + -length % 8
        check(following <= len(data), f"the frame at {offset} reaches past the end")
        check(data[end:end + 8] == TRAILER, f"the frame at {offset} has a wrong trailer")
        check(not any(data[end + 8:following]), f"the frame at {offset} has padding that is not zero")
        check(crc32c(data[offset + 4:end]) == crc, f"the frame at {offset} has a wrong checksum")
        lsn = record_lsn(data[offset + 8:end])
        yield {"offset": offset, "lsn": lsn, "crc": crc, "length": length,
               "payload": data[offset + 8:end].hex()}
        offset = following
    check(not any(data[offset:offset + 16]), f"no zeros behind the last frame, at {offset}")


def segment(path):
    with open(path, "rb") as file:
        data = file.read()
    check(len(data) >= 64, "shorter than a header")
    header = dict(zip(FIELDS, HEADER.unpack_from(data)))
    check(header["magic"] == 0x5557414C, "wrong magic")
    check(header["crc"] == crc32c(data[:56]), "wrong header checksum")
    check(header["version"] == 1, "unknown version")
    check(header["marker"] in (0, 1), "unknown marker")
    found = list(frames(data))
    for before, after in zip(found, found[1:]):
        check(after["lsn"] == before["lsn"] + 1, f"LSN {after['lsn']} follows {before['lsn']}")
    end = 64
    if found:
        end = found[-1]["offset"] + 16 + found[-1]["length"] + -found[-1]["length"] % 8
    if header["flags"] & SEALED:
        check(header["write_offset"] == end, "a sealed header with a wrong write offset")
        check(header["entry_count"] == len(found), "a sealed header with a wrong count")
        check(header["first_lsn"] == (found[0]["lsn"] if found else 0), "a sealed header with a wrong LSN")
    else:
        check(header["write_offset"] <= end, "the header is ahead of the frames")
    return {"segment": os.path.basename(path), "size": len(data), "end": end, "header": header,
            "frames": found}


def main(arguments):
    paths = [argument for argument in arguments if not argument.startswith("--")]
    check(len(paths) == 1, __doc__)
    if os.path.isdir(paths[0]):
        names = sorted(name for name in os.listdir(paths[0]) if name.endswith(".seg"))
        paths = [os.path.join(paths[0], name) for name in names]
    segments, last = [], None
    for path in paths:
        try:
            decoded = segment(path)
        except (Bad, struct.error) as error:
            raise Bad(f"{path}: {error}") from None
        if decoded["frames"]:
            first = decoded["frames"][0]["lsn"]
            check(last in (None, first - 1), f"{path}: LSN {first} follows {last}")
            last = decoded["frames"][-1]["lsn"]
        segments.append(decoded)
    if "--json" in arguments:
        json.dump(segments, sys.stdout)
        return
    for decoded in segments:
        print(f"{decoded['segment']}: {len(decoded['frames'])} frames, end {decoded['end']}")
        for frame in decoded["frames"]:
            print(f"  {frame['offset']:>10}  LSN {frame['lsn']}  {frame['length']} bytes")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Bad as error:
        sys.exit(str(error))
