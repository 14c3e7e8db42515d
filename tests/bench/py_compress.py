"""A thread per connection that echoes, and, once --connections have come and half a second has passed, zlib.compress of --megabytes in each of
four threads. Prints "port N", then how long that took; the server goes on until killed."""
import contextlib
import random
import socket
import sys
import threading
import time
import zlib

THREADS = 4


def option(name, otherwise):
    return int(sys.argv[sys.argv.index(name) + 1]) if name in sys.argv else otherwise


def serve(connection):
    with connection, contextlib.suppress(ConnectionResetError):
        while data := connection.recv(64):
            connection.sendall(data)


def compress_all(data):
    sizes = []
    threads = [threading.Thread(target=lambda: sizes.append(len(zlib.compress(data)))) for _ in range(THREADS)]
    time.sleep(0.5)
    start = time.perf_counter()
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    took = time.perf_counter() - start
    if sizes != sizes[:1] * THREADS:
        raise SystemExit(f"the threads' results differ: {sizes}")
    print(f"compress_s {took:.3f}", flush=True)


rng = random.Random(1)
words = [bytes(rng.choices(b"abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 9))) for _ in range(5000)]
part = b" ".join(rng.choices(words, k=200000))
data = (part * (option("--megabytes", 64) * (1 << 20) // len(part) + 1))[:option("--megabytes", 64) << 20]
with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
    print("port", listener.getsockname()[1], flush=True)
    for number in range(1, 1 << 30):
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=serve, args=(connection,), daemon=True).start()
        if number == option("--connections", 200):
            threading.Thread(target=compress_all, args=(data,)).start()
