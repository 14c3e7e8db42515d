"""Locks, queues, pools, sockets and a subprocess from threads."""
import queue, socket, subprocess, sys, threading, time
from concurrent.futures import ThreadPoolExecutor

lock, total = threading.Lock(), [0]
def add():
    for _ in range(200):
        with lock:
            total[0] += 1
threads = [threading.Thread(target=add) for _ in range(50)]
for t in threads: t.start()
for t in threads: t.join(30)
assert total[0] == 10000, total

q, r = queue.Queue(5), queue.Queue()
def work():
    while (x := q.get()) is not None:
        r.put(x * x)
threads = [threading.Thread(target=work) for _ in range(10)]
for t in threads: t.start()
for i in range(1000): q.put(i)
for _ in threads: q.put(None)
for t in threads: t.join(30)
assert sorted(r.get() for _ in range(1000)) == [i * i for i in range(1000)]

with ThreadPoolExecutor(200) as pool:
    start = time.monotonic()
    assert sum(pool.map(lambda i: time.sleep(0.1) or i, range(200))) == 19900
    assert time.monotonic() - start >= 0.1

server = socket.create_server(("127.0.0.1", 0), backlog=200)
def echo(s):
    with s:
        while data := s.recv(100):
            s.sendall(data)
def accept():
    for _ in range(100):
        threading.Thread(target=echo, args=(server.accept()[0],)).start()
threading.Thread(target=accept).start()
def client(i):
    with socket.create_connection(server.getsockname()) as s:
        for k in range(20):
            message = b"%d-%d" % (i, k)
            s.sendall(message)
            assert s.recv(100) == message
    return i
with ThreadPoolExecutor(100) as pool:
    assert sum(pool.map(client, range(100))) == 4950
with ThreadPoolExecutor(8) as pool:
    out = pool.map(lambda i: subprocess.run([sys.executable, "-S", "-c", f"print({i})"], stdout=subprocess.PIPE).stdout, range(8))
    assert [int(o) for o in out] == list(range(8))
