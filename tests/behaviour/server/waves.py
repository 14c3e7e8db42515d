"""Issue 3, proof 5: the count of OS threads follows the load of a thread-per-connection C server. 10,000 connections (1,000 natively) come, talk,
wait and go, twice; then 300 threads sit in bare system calls, then nothing happens any more. Prints the counts as a table.

Under the shim: CPUs + 6 at the most, but for raw blockers, of which each holds one, until 2 s after its end; and 5 s after the last
thread they are gone, but for main's, though that has been waiting in accept since before.
"""
import os, socket, subprocess, sys, tempfile, time

shim, chaos = bool(os.environ.pop("LD_PRELOAD", None)), os.environ.get("VTSHIM_CHAOS", "0") != "0"
lib = os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib")
COUNT = 2000 if chaos else 10000 if shim else 1000
RAW = 300
FEW = max(os.cpu_count(), int(os.environ.get("VTSHIM_CARRIERS", "1"))) + 6
LEAVE, END = 8, 15  # s in which surplus ones, and all of them, must have gone: they may after 2 s and 5 s
errors, begun = [], time.monotonic()

exe = os.path.join(tempfile.mkdtemp(), "server_waves")
subprocess.run(["gcc", "-O1", "-pthread", os.path.join(lib, "server_waves.c"), "-o", exe], check=True)
preload = {"LD_PRELOAD": os.path.join(lib, "../../../../build/libvtshim.so")} if shim else {}
server = subprocess.Popen([exe], stdout=subprocess.PIPE, env={**os.environ, **preload})
port = int(server.stdout.readline())
threads = lambda: len(os.listdir(f"/proc/{server.pid}/task"))


def row(what, seen, least, most):
    print(f"{time.monotonic() - begun:6.1f} s  {what:42} {seen:6} OS threads   ({least} .. {most})", flush=True)
    if not least <= seen <= most: errors.append(f"{what}: {seen} OS threads, {least} to {most} are allowed")


def connect(count):
    """Connections that have talked once, and the most OS threads meanwhile."""
    found, most = [], 0
    for i in range(count):
        found.append(socket.create_connection(("127.0.0.1", port), timeout=30))
        if i % 500 == 0: most = max(most, threads())
    return found, max(most, talk(found, b"hello"))


def talk(connections, text):
    """Sends to each, then gets it back from each; the most OS threads meanwhile."""
    most = 0
    for c in connections: c.sendall(text)
    for i, c in enumerate(connections):
        got = b""
        while len(got) < len(text):
            part = c.recv(100)
            assert part, "the server hung up"
            got += part
        assert got == text, got
        if i % 500 == 0: most = max(most, threads())
    return most


def until(condition, seconds):
    """Waits for it; how long that took."""
    start = time.monotonic()
    while not condition() and time.monotonic() - start < seconds: time.sleep(0.02)
    return time.monotonic() - start


try:
    row("nobody has come yet", threads(), 1, 1)
    for wave in (1, 2):
        connections, most = connect(COUNT)
        # Natively there is one each; under the shim they come and talk on few.
        row(f"wave {wave}: {COUNT} come and talk", most, 1, FEW if shim else COUNT + 1)
        row(f"wave {wave}: {COUNT} wait", threads(), 1 if shim else COUNT + 1, FEW if shim else COUNT + 1)
        for c in connections: c.close()
        if not shim: until(lambda: threads() == 1, LEAVE)
        row(f"wave {wave} is over", threads(), 1, FEW if shim else 1)
    connections, _ = connect(RAW)
    for c in connections: c.sendall(b"R")
    took = until(lambda: threads() >= RAW, LEAVE)
    row(f"{RAW} in bare system calls, after {took:.2f} s", threads(), RAW, RAW + FEW)
    others, most = connect(100)  # who come now are served
    row("100 more come and talk", threads(), RAW, RAW + (FEW if shim else 101))
    for c in others: c.close()
    took = -time.monotonic()
    talk(connections, b"x")
    row("the bare calls have ended", threads(), 1, RAW + (FEW if shim else 101))
    if shim:
        until(lambda: threads() <= FEW, LEAVE)
        row(f"{took + time.monotonic():.1f} s later, {RAW} wait as others do", threads(), 1, FEW)
    for c in connections: c.close()
    took = until(lambda: threads() == 1, END)
    row(f"{took:.1f} s after the last connection", threads(), 1, 1)
    assert server.poll() is None, "the server has ended"
    row("one more is served", connect(1)[1], 1 if shim else 2, FEW)
finally:
    server.kill()
for e in errors: print("waves:", e)
sys.exit(1 if errors else 0)
