"""What VTSHIM_PIN=callback costs a wait: CPU time of a short sleep, by the depth of the Python calls above it. Run it under the shim with
VTSHIM_PIN=auto and with callback."""
import sys, threading, time

sys.setrecursionlimit(5000)
threading.stack_size(64 << 20)


def at_depth(n):
    if n: return at_depth(n - 1)
    start = time.process_time()
    for _ in range(200): time.sleep(0.0002)
    return (time.process_time() - start) / 200 * 1e6


def measure():
    for n in (1, 100, 1000): print(f"{sys.version.split()[0]}: {n} calls deep: {at_depth(n):.0f} us of CPU a sleep")


thread = threading.Thread(target=measure)
thread.start()
thread.join()
