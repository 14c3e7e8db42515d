"""10,000 threading.Threads wait, half of them on an Event, half on Locks of their own; are woken and joined (natively 1,000; 100,000 with --long).
Prints time and memory a thread."""
import os, sys, threading, time

shim, chaos = os.environ.get("LD_PRELOAD"), os.environ.get("VTSHIM_CHAOS", "0") != "0"
COUNT = 100_000 if "--long" in sys.argv else 1_000 if chaos or not shim else 10_000
# CPython 3.11 looks through all threads alive that are no daemons at each start (threading._maintain_shutdown_locks).
DAEMON = "--long" in sys.argv
event, counted = threading.Event(), threading.Semaphore(0)
locks = [threading.Lock() for _ in range(COUNT // 2)]
done = [False] * COUNT


def kib(key):
    with open("/proc/self/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith(key))


def body(i):
    counted.release()
    if i % 2: event.wait()
    else:
        with locks[i // 2]: pass
    done[i] = True


def wave(count):
    """Seconds of CPU for both halves; KiB resident and of page tables while all wait."""
    event.clear()
    for lock in locks[:count // 2]: lock.acquire()
    threads, began = [threading.Thread(target=body, args=(i,), daemon=DAEMON) for i in range(count)], time.process_time()
    for t in threads: t.start()
    for _ in threads: counted.acquire()
    time.sleep(0.3)
    waiting, memory = time.process_time(), (kib("VmRSS"), kib("VmPTE"))
    assert not any(done[:count])
    event.set()
    for lock in locks[:count // 2]: lock.release()
    for t in threads: t.join()
    assert all(done[:count])
    done[:] = [False] * COUNT
    return waiting - began, time.process_time() - waiting, memory


wave(2)
before, start = (kib("VmRSS"), kib("VmPTE")), time.monotonic()
created, ended, memory = wave(COUNT)
print(f"{COUNT} threads: {created / COUNT * 1e6:.1f} us of CPU each till all wait, {ended / COUNT * 1e6:.1f} us to wake and join them, "
      f"{(memory[0] - before[0]) / COUNT:.1f} KiB resident and {(memory[1] - before[1]) / COUNT:.1f} KiB of page tables each, "
      f"{time.monotonic() - start:.1f} s in all", flush=True)
assert threading.active_count() == 1
