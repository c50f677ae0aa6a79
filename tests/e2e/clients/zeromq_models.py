"""What a ZeroMQ subscriber hears of keys, rows, large objects and messages.

zeromq_models.py ZEROMQ RESP HTTP
"""

import base64
import json
import sys
import time
import urllib.request

import redis
import zmq

publisher, resp, http = sys.argv[1:4]
host, port = resp.rsplit(":", 1)
node = redis.Redis(host, int(port))
context = zmq.Context()


def subscriber(*prefixes):
    """A subscriber whose subscriptions have arrived: it hears of a key that is written until then."""
    socket = context.socket(zmq.SUB)
    socket.setsockopt(zmq.RCVTIMEO, 100)
    for prefix in (*prefixes, "default.kv"):
        socket.setsockopt(zmq.SUBSCRIBE, prefix.encode())
    socket.connect("tcp://" + publisher)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        node.set("probe", "1")
        try:
            socket.recv_multipart()
        except zmq.Again:
            continue
        while heard(socket) is not None:
            pass
        return socket
    sys.exit("nothing is heard")


def heard(socket):
    """The next message as its topic and its data, without the LSN."""
    try:
        frames = socket.recv_multipart()
    except zmq.Again:
        return None
    assert len(frames) == 2, frames
    data = json.loads(frames[1])
    assert isinstance(data.pop("lsn"), int), data
    assert data.pop("namespace") == "default", data
    return frames[0].decode(), data


def expect(socket, *due):
    socket.setsockopt(zmq.RCVTIMEO, 20_000)
    for model, key, operation in due:
        name = {"key": key} if isinstance(key, str) else {"key": base64.b64encode(key).decode(), "key_encoding": "base64"}
        wanted = (f"default.{model}", {**name, "entry_type": model, "operation": operation})
        found = heard(socket)
        assert found == wanted, f"{found}, not {wanted}"


everything, rows = subscriber("default."), subscriber("default.row")
rows.setsockopt(zmq.UNSUBSCRIBE, b"default.kv")
# The other subscriber has heard of the probes of this one, and nothing tells when an unsubscription arrives.
time.sleep(0.5)
everything.setsockopt(zmq.RCVTIMEO, 100)
while heard(everything) is not None:
    pass

node.set(b"\xff\x00binary", b"\x01")
node.set("tür", "offen")
node.hset("door-7", mapping={"state": "open"})
node.hdel("door-7", "state")
node.publish("site/7/door", b"\xfe")
upload = urllib.request.Request(f"http://{http}/api/v1/default/lob/map", data=b"x" * 600_000, method="PUT")
urllib.request.urlopen(upload, timeout=20).read()
node.delete("tür")

changes = [("row", "door-7", "put"), ("row", "door-7", "delete_columns")]
expect(rows, *changes)
expect(
    everything,
    ("kv", b"\xff\x00binary", "put"),
    ("kv", "tür", "put"),
    *changes,
    ("topic", "site/7/door", "publish"),
    ("lob", "map", "put"),
    ("kv", "tür", "delete"),
)
rows.setsockopt(zmq.RCVTIMEO, 200)
assert (more := heard(rows)) is None, more
