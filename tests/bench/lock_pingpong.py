"""threading.Lock ping-pong between two worker threads; prints microseconds a round trip."""
import threading, time
N = 20000
a, b = threading.Lock(), threading.Lock()
a.acquire(); b.acquire()
def one():
    for _ in range(N):
        a.acquire(); b.release()
def two():
    for _ in range(N):
        a.release(); b.acquire()
t = [threading.Thread(target=f) for f in (one, two)]
start = time.monotonic()
for x in t: x.start()
for x in t: x.join()
print((time.monotonic() - start) / N * 1e6)
