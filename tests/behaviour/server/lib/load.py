"""Starts a server, opens many connections at once, serves each 20 times checking every byte, counts its OS threads, ends it by SIGINT."""
import os, select, signal, socket, subprocess, sys, time
def main(argv, native, virtual, rounds=20):
    shim = os.environ.get("LD_PRELOAD")
    # Chaos makes thousands of threads runnable at once and spreads them: under the GIL each then waits in 5 ms steps, and the
    # steps alone keep the CPUs busy (HACKING.md, "GIL convoys"). So fewer there, and no bound on the carriers it makes.
    chaos = os.environ.get("VTSHIM_CHAOS", "0") != "0"
    count = min(virtual, 1000) if chaos else virtual if shim else native
    server = subprocess.Popen(argv, stdout=subprocess.PIPE)
    try:
        talk(server, count, rounds, bounded=shim and not chaos)
    finally:
        server.kill()
def talk(server, count, rounds, bounded):
    port = int(server.stdout.readline())
    os.environ.pop("LD_PRELOAD", None)
    ep, conns, most = select.epoll(), {}, 0
    for i in range(count):
        s = socket.create_connection(("127.0.0.1", port), timeout=30)
        s.setblocking(False)
        conns[s.fileno()] = [s, 0, i]
        if i % 500 == 0:
            most = max(most, len(os.listdir(f"/proc/{server.pid}/task")))
    text = lambda c: b"%08d-%08d" % (c[2], c[1])
    for fd, c in conns.items():
        ep.register(fd, select.EPOLLIN)
        c[0].send(text(c))
    left, steps = count, 0
    while left:
        ready = ep.poll(30)
        assert ready, f"no answer for 30 s, {left} connections unfinished"
        steps += 1
        if steps % 50 == 1:
            most = max(most, len(os.listdir(f"/proc/{server.pid}/task")))
        for fd, _ in ready:
            c = conns[fd]
            got = c[0].recv(100)
            assert got == text(c), (got, text(c))
            c[1] += 1
            if c[1] < rounds:
                c[0].send(text(c))
            else:
                left -= 1
                ep.unregister(fd)
    server.send_signal(signal.SIGINT)
    code = server.wait(30)
    print(f"{count} connections, {count * rounds} answers, at most {most} OS threads, exit {code}")
    assert code == 0, code
    if bounded:
        assert most <= os.cpu_count() + 6, most
