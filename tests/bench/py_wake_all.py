"""--threads threads wait for one Event; prints the seconds from its set() until each has computed for some 10 us."""
import sys
import threading
import time

threads = int(sys.argv[sys.argv.index("--threads") + 1]) if "--threads" in sys.argv else 4000
threading.stack_size(64 << 10)
event, done = threading.Event(), threading.Semaphore(0)


def work():
    event.wait()
    sum(range(200))
    done.release()


for _ in range(threads):
    threading.Thread(target=work, daemon=True).start()
start = time.perf_counter()
event.set()
for _ in range(threads):
    done.acquire()
print(f"s {time.perf_counter() - start:.4f}")
