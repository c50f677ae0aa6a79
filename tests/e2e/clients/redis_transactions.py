"""What redis-py does with transactions: pipelines, which are transactions unless told otherwise, optimistic
locks, and the helper made of both.

redis_transactions.py HUB EDGE
"""

import sys
import threading
import time

import redis


def client(address, **options):
    host, port = address.rsplit(":", 1)
    return redis.Redis(host=host, port=int(port), decode_responses=True, **options)


def pipelines(hub):
    hub.delete("a", "b", "h", "m1", "m2")
    with hub.pipeline() as pipe:
        pipe.set("a", 1).get("a").incr("a", 41).get("a")
        pipe.hset("h", mapping={"x": "1", "y": "2"}).hgetall("h").hdel("h", "x").hlen("h")
        pipe.set("b", "v", ex=100).ttl("b").persist("b").ttl("b")
        pipe.append("b", "w").getset("b", "z").delete("a", "none").exists("a", "b", "h")
        pipe.mset({"m1": "1", "m2": "2"}).mget("m1", "m2", "none").type("h").publish("t", "m")
        got = pipe.execute()
    wanted = [True, "1", 42, "42", 2, {"x": "1", "y": "2"}, 1, 1, True, 100, True, -1]
    wanted += [2, "vw", 1, 2, True, ["1", "2", None], "hash", 0]
    assert got == wanted, got
    assert hub.pipeline().get("b").execute() == ["z"]
    assert all(large(hub, 20_000)) and hub.get("many:19999") == "19999"
    assert hub.pipeline().execute() == []


def large(hub, commands):
    """One transaction of many commands; a busy machine may need a second for it more than once."""
    for attempt in range(10):
        many = hub.pipeline()
        for number in range(commands):
            many.set(f"many:{number}", number)
        try:
            return many.execute()
        except redis.ResponseError as error:
            assert "takes at most 1 second" in str(error) and attempt < 9, error


def errors(hub):
    hub.set("text", "no number")
    pipe = hub.pipeline().set("before", "1").incr("text").set("behind", "2")
    got = pipe.execute(raise_on_error=False)
    assert got[0] is True and isinstance(got[1], redis.ResponseError) and got[2] is True, got
    try:
        hub.pipeline().set("never", "1").execute_command("GET").execute()
        raise AssertionError("a command that cannot be queued was carried out")
    except redis.ResponseError as error:
        assert "wrong number of arguments" in str(error), error
    assert hub.get("never") is None


def locks(hub, other):
    hub.set("w", "1")
    with hub.pipeline() as pipe:
        pipe.watch("w")
        assert pipe.get("w") == "1"
        other.set("w", "2")
        pipe.multi()
        pipe.set("w", "3")
        try:
            pipe.execute()
            raise AssertionError("a watched key changed and nobody was told")
        except redis.WatchError:
            pass
        pipe.watch("w")
        pipe.multi()
        assert pipe.set("w", "4").execute() == [True]
    assert other.get("w") == "4"


def race(address, rounds):
    """Several clients, each with the helper that tries again until it was alone."""

    def count():
        own = client(address)

        def add(pipe):
            value = int(pipe.get("counter") or 0)
            pipe.multi()
            pipe.set("counter", value + 1)
            pipe.hset("counted", f"{value + 1}", "1")

        for _ in range(rounds):
            own.transaction(add, "counter")

    threads = [threading.Thread(target=count) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    hub = client(address)
    assert int(hub.get("counter")) == hub.hlen("counted") == 3 * rounds


def edge(hub, edge):
    hub.pipeline().set("left", "9").set("right", "9").execute()
    deadline = time.monotonic() + 20
    while edge.pipeline().get("left").get("right").execute() != ["9", "9"]:
        assert time.monotonic() < deadline, "the edge does not follow"
    try:
        edge.pipeline().set("left", "1").execute()
        raise AssertionError("an edge has taken a write")
    except redis.ReadOnlyError:
        pass
    with edge.pipeline() as pipe:
        pipe.watch("left")
        hub.set("left", "10")
        while edge.get("left") != "10":
            assert time.monotonic() < deadline, "the edge does not follow"
        pipe.multi()
        pipe.get("left")
        try:
            pipe.execute()
            raise AssertionError("a watched key changed and nobody was told")
        except redis.WatchError:
            pass


for protocol in (2, 3):
    hub = client(sys.argv[1], protocol=protocol)
    pipelines(hub)
    errors(hub)
    locks(hub, client(sys.argv[1]))
    edge(hub, client(sys.argv[2], protocol=protocol))
race(sys.argv[1], 50)
