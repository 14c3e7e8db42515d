"""memcached with 4 threads (libevent): 60 connections at once store, fetch, count and delete; every answer is checked."""
import os, signal, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import app

CONNECTIONS, ROUNDS = 60, 40
server, port = app.program("memcached"), app.free_port()
argv = [server, "-t", "4", "-l", "127.0.0.1", "-p", str(port), "-m", "64"] + (["-u", "nobody"] if os.geteuid() == 0 else [])
requests = 0
with app.App(argv) as it:
    it.wait_for_port(port)
    connections = [app.Line(port) for _ in range(CONNECTIONS)]
    for n in range(ROUNDS):
        value = [f"{i}-{n}-".encode() * (1 + n * 20) for i in range(CONNECTIONS)]
        for i, c in enumerate(connections):
            c.send(b"set key%d 0 0 %d\r\n%s\r\nget key%d\r\nadd count 0 0 1\r\n0\r\nincr count 1\r\ndelete key%d\r\nget key%d\r\n" %
                   (i, len(value[i]), value[i], i, i, i))
            requests += 6
        counts, added = set(), 0
        for i, c in enumerate(connections):
            assert c.line() == b"STORED"
            assert c.line() == b"VALUE key%d 0 %d" % (i, len(value[i]))
            assert c.exactly(len(value[i]) + 2) == value[i] + b"\r\n" and c.line() == b"END"
            added += c.line() == b"STORED"
            counts.add(int(c.line()))
            assert c.line() == b"DELETED" and c.line() == b"END"
        assert added == (n == 0), "add stored twice"
        assert counts == set(range(n * CONNECTIONS + 1, (n + 1) * CONNECTIONS + 1)), "a count is lost or doubled"
    c.send(b"stats\r\n")
    stats = dict(x.split()[1:3] for x in iter(c.line, b"END"))
    assert int(stats[b"cmd_set"]) >= ROUNDS * CONNECTIONS and int(stats[b"threads"]) == 4
    took = it.stop(signal.SIGINT)
app.figure(f"{requests} requests on {CONNECTIONS} connections, ended in {took:.1f} s", it)
