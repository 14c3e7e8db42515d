"""redis-server with 4 I/O threads: 60 connections at once set, get and count; a blocked BLPOP; BGSAVE (forks), SAVE, and a second server that
finds everything in the dump."""
import os, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import app

server, where = app.program("redis-server"), app.folder()
CONNECTIONS, ROUNDS = 60, 40
VALUE = "v" * 500
port = app.free_port()
argv = [server, "--port", str(port), "--bind", "127.0.0.1", "--io-threads", "4", "--io-threads-do-reads", "yes", "--dir", where,
        "--save", "", "--logfile", os.path.join(where, "log")]
requests = 0


def send(connection, *commands):
    global requests
    requests += len(commands)
    connection.send(b"".join(f"*{len(c)}\r\n".encode() + b"".join(b"$%d\r\n%s\r\n" % (len(x), x) for x in map(str.encode, c)) for c in commands))


def answer(connection):
    line = connection.line()
    kind, rest = line[:1], line[1:].decode()
    if kind == b":": return int(rest)
    if kind == b"+": return rest
    if kind == b"*": return [answer(connection) for _ in range(int(rest))]
    assert kind == b"$", line
    if rest == "-1": return None
    value = connection.exactly(int(rest) + 2)
    return value[:-2].decode()


def ask(connection, *command):
    send(connection, command)
    return answer(connection)


def load(connections):
    for n in range(ROUNDS):
        for i, c in enumerate(connections):
            send(c, ("SET", f"key:{i}:{n}", f"{i}-{n}-{VALUE}"), ("GET", f"key:{i}:{n}"), ("INCR", "count"), ("GET", f"key:{i}:none"))
        counts = set()
        for i, c in enumerate(connections):
            got = [answer(c) for _ in range(4)]
            counts.add(got.pop(2))
            assert got == ["OK", f"{i}-{n}-{VALUE}", None], got
        assert counts == set(range(n * CONNECTIONS + 1, (n + 1) * CONNECTIONS + 1)), "a count is lost or doubled"


def child_saves(c):
    assert ask(c, "BGSAVE") == "Background saving started"
    it.wait_for(lambda: "rdb_bgsave_in_progress:0" in ask(c, "INFO", "persistence"))
    assert "rdb_last_bgsave_status:ok" in ask(c, "INFO", "persistence")


with app.App(argv) as it:
    it.wait_for_port(port)
    connections = [app.Line(port) for _ in range(CONNECTIONS)]
    load(connections)
    first, second = connections[:2]
    send(first, ("BLPOP", "list", "0"))
    assert ask(second, "RPUSH", "list", "x") == 1
    assert answer(first) == ["list", "x"]
    child_saves(first)
    assert ask(first, "SAVE") == "OK"
    assert ask(first, "DBSIZE") == CONNECTIONS * ROUNDS + 1
    it.stop()
with app.App(argv) as again:
    again.wait_for_port(port)
    c = app.Line(port)
    assert ask(c, "DBSIZE") == CONNECTIONS * ROUNDS + 1
    assert ask(c, "GET", "key:7:9") == f"7-9-{VALUE}" and ask(c, "GET", "count") == str(CONNECTIONS * ROUNDS)
    again.stop()
app.figure(f"{requests} requests on {CONNECTIONS} connections", it)
