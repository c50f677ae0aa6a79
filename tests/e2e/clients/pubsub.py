"""What redis-py hears: channels, patterns, keyspace notifications, and what it does when the line breaks.

pubsub.py RESP
"""

import asyncio
import socket
import sys
import time

import redis
import redis.asyncio

host, port = sys.argv[1].rsplit(":", 1)
port = int(port)
PATIENCE = 20


def connect(**options):
    return redis.Redis(host, port, **options)


def expect(pubsub, *due):
    """The next messages, as (type, pattern, channel, data)."""
    for wanted in due:
        deadline = time.monotonic() + PATIENCE
        while (found := pubsub.get_message(timeout=1)) is None:
            assert time.monotonic() < deadline, f"nothing came, and {wanted} is due"
        found = (found["type"], found["pattern"], found["channel"], found["data"])
        assert found == wanted, f"{found}, not {wanted}"


def nothing(pubsub):
    assert (found := pubsub.get_message(timeout=0.2)) is None, found


def channels_and_patterns(protocol):
    node, pubsub = connect(protocol=protocol), connect(protocol=protocol).pubsub()
    pubsub.subscribe("site/7/door", "news")
    pubsub.psubscribe("site/*")
    expect(
        pubsub,
        ("subscribe", None, b"site/7/door", 1),
        ("subscribe", None, b"news", 2),
        ("psubscribe", None, b"site/*", 3),
    )
    assert node.publish("site/7/door", b"\xff\x00") == 2
    assert node.publish("site/8", "") == 1
    assert node.publish("elsewhere", "x") == 0
    expect(
        pubsub,
        ("message", None, b"site/7/door", b"\xff\x00"),
        ("pmessage", b"site/*", b"site/7/door", b"\xff\x00"),
        ("pmessage", b"site/*", b"site/8", b""),
    )
    assert sorted(node.pubsub_channels()) == [b"news", b"site/7/door"]
    assert node.pubsub_channels("n*") == [b"news"]
    assert node.pubsub_numsub("news", "none") == [(b"news", 1), (b"none", 0)]
    assert node.pubsub_numpat() == 1
    pubsub.ping("are you there")
    expect(pubsub, ("pong", None, None, b"are you there"))
    pubsub.unsubscribe("news")
    pubsub.punsubscribe()
    expect(pubsub, ("unsubscribe", None, b"news", 2), ("punsubscribe", None, b"site/*", 1))
    node.publish("news", "unheard")
    node.publish("site/8", "unheard")
    node.publish("site/7/door", "heard")
    expect(pubsub, ("message", None, b"site/7/door", b"heard"))
    pubsub.close()


def keyspace(protocol):
    node, pubsub = connect(protocol=protocol), connect(protocol=protocol).pubsub(ignore_subscribe_messages=True)
    node.config_set("notify-keyspace-events", "KEA")
    pubsub.psubscribe("__keyspace@0__:k*", "__keyevent@0__:hset")
    pubsub.subscribe(b"__keyspace@0__:\xff\x00")
    # Three answers that are not shown: until they are there, what is written may come before them.
    for _ in range(3):
        pubsub.get_message(timeout=PATIENCE)
    node.set("key", "1")
    node.set("other", "1")
    node.expire("key", 1_000)
    node.persist("key")
    node.delete("key")
    node.hset("kin", "column", "1")
    node.hdel("kin", "column")
    node.set(b"\xff\x00", "1")
    keys, rows = b"__keyspace@0__:k*", b"__keyevent@0__:hset"
    expect(
        pubsub,
        *[("pmessage", keys, b"__keyspace@0__:key", what) for what in (b"set", b"expire", b"persist", b"del")],
        ("pmessage", keys, b"__keyspace@0__:kin", b"hset"),
        ("pmessage", rows, b"__keyevent@0__:hset", b"kin"),
        ("pmessage", keys, b"__keyspace@0__:kin", b"hdel"),
        ("message", None, b"__keyspace@0__:\xff\x00", b"set"),
    )
    nothing(pubsub)
    pubsub.close()


def reconnects(protocol):
    """The client subscribes again by itself, and hears what comes then."""
    node, pubsub = connect(protocol=protocol), connect(protocol=protocol).pubsub(ignore_subscribe_messages=True)
    pubsub.subscribe("news")
    pubsub.psubscribe("site/*")
    for number in range(3):
        deadline = time.monotonic() + PATIENCE
        # It finds out that the line is gone when it listens.
        while not pubsub.get_message(timeout=0.1) or node.publish("news", "") + node.publish("site/1", "") < 2:
            assert time.monotonic() < deadline, "it does not come back"
            node.publish("news", "")
        while pubsub.get_message(timeout=0.2):
            pass
        node.publish("news", str(number))
        node.publish("site/1", str(number))
        text = str(number).encode()
        expect(pubsub, ("message", None, b"news", text), ("pmessage", b"site/*", b"site/1", text))
        pubsub.connection._sock.shutdown(socket.SHUT_RDWR)
    pubsub.close()


def handlers_in_a_thread():
    node, pubsub, heard = connect(), connect().pubsub(ignore_subscribe_messages=True), []
    pubsub.subscribe(news=heard.append)
    thread = pubsub.run_in_thread(sleep_time=0.01)
    deadline = time.monotonic() + PATIENCE
    while node.publish("news", "1") == 0 or not heard:
        assert time.monotonic() < deadline, "the handler is not called"
    thread.stop()
    thread.join()
    assert heard[0]["data"] == b"1"


async def in_asyncio():
    node = redis.asyncio.Redis(host=host, port=port)
    async with node.pubsub(ignore_subscribe_messages=True) as pubsub:
        await pubsub.subscribe("news")
        deadline = time.monotonic() + PATIENCE
        while await node.publish("news", "0") == 0:
            assert time.monotonic() < deadline
        for number in range(1, 500):
            await node.publish("news", str(number))
        for number in range(500):
            while (found := await pubsub.get_message(timeout=1)) is None:
                assert time.monotonic() < deadline
            assert found["data"] == str(number).encode(), (found, number)
    await node.aclose()


for version in (2, 3):
    channels_and_patterns(version)
    keyspace(version)
    reconnects(version)
handlers_in_a_thread()
asyncio.run(in_asyncio())
