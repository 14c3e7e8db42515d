"""Four threads compute for long without the GIL: zlib.compress of --megabytes each; prints the seconds that it took."""
import random
import sys
import threading
import time
import zlib

THREADS = 4
megabytes = int(sys.argv[sys.argv.index("--megabytes") + 1]) if "--megabytes" in sys.argv else 16
rng = random.Random(1)
words = [bytes(rng.choices(b"abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 9))) for _ in range(5000)]
part = b" ".join(rng.choices(words, k=200000))
data = (part * ((megabytes << 20) // len(part) + 1))[:megabytes << 20]
sizes = []
threads = [threading.Thread(target=lambda: sizes.append(len(zlib.compress(data)))) for _ in range(THREADS)]
start = time.perf_counter()
for t in threads:
    t.start()
for t in threads:
    t.join()
took = time.perf_counter() - start
if sizes != sizes[:1] * THREADS:
    raise SystemExit(f"the threads' results differ: {sizes}")
print(f"s {took:.3f}")
