"""Without the rule of VTSHIM_PIN=callback, threads parked inside callbacks from C cost no OS threads: 10,000 of them at once."""
import functools, os, threading

under = "libvtshim.so" in os.environ.get("LD_PRELOAD", "")
# Natively 10,000 aren't this test's business; in chaos mode that many wake-ups make a GIL convoy (runtime/HACKING.md).
count = 10000 if under and not os.environ.get("VTSHIM_CHAOS") else 500
threading.stack_size(256 << 10)
inside, gate = threading.Semaphore(0), threading.Event()


def parks(x):
    inside.release()
    gate.wait()
    return x


def body(n):
    if n % 2: sorted([n], key=parks)
    else: functools.reduce(lambda a, b: parks(a + b), [n, 1])


threads = [threading.Thread(target=body, args=(n,)) for n in range(count)]
for t in threads: t.start()
for _ in threads: inside.acquire()
tasks = len(os.listdir("/proc/self/task"))
carriers = int(os.environ.get("VTSHIM_CARRIERS", os.cpu_count()))
print(f"{count} threads inside callbacks, {tasks} OS threads")
if under: assert tasks <= carriers + 6, tasks
gate.set()
for t in threads: t.join()
