"""Ctrl-C while main waits, with workers alive that wait and compute: KeyboardInterrupt comes at once, out of each kind of wait; Python's other
signal services too: SIGCHLD, SIGALRM, setitimer, set_wakeup_fd, siginterrupt."""
import os, signal, subprocess, sys, time

PRELUDE = """
import os, queue, select, signal, socket, subprocess, sys, threading, time
def busy():
    n = 0
    while True: n += 1
for i in range(3):
    threading.Thread(target=threading.Event().wait, daemon=True).start()
if COMPUTING: threading.Thread(target=busy, daemon=True).start()
lock = threading.Lock(); lock.acquire()
cond = threading.Condition()
sleeper = threading.Thread(target=time.sleep, args=(1000,), daemon=True); sleeper.start()
r, w = os.pipe()
a, b = socket.socketpair()
listener = socket.create_server(("127.0.0.1", 0))
try:
    print("ready", flush=True)
    WAIT
except KeyboardInterrupt:
    os._exit(42)
"""
WAITS = ["time.sleep(1000)", "lock.acquire()", "lock.acquire(timeout=1000)", "sleeper.join()", "select.select([r], [], [])",
         "input()", "os.read(r, 1)", "a.recv(1)", "listener.accept()", "queue.Queue().get()", "threading.Event().wait()",
         "threading.Event().wait(1000)", "cond.acquire() and cond.wait()", "subprocess.run(['sleep', '1000'])", "signal.pause()",
         "select.poll().poll()", "exec('while True: pass')"]


def interrupted(wait, computing):
    code = PRELUDE.replace("WAIT", wait).replace("COMPUTING", str(computing))
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert child.stdout.readline() == "ready\n"
        # Sent until it answers: one that comes before the wait has begun would be Python's to lose.
        start = time.monotonic()
        while child.poll() is None and time.monotonic() - start < 20:
            child.send_signal(signal.SIGINT)
            try:
                child.wait(0.1)
            except subprocess.TimeoutExpired:
                pass
        assert child.returncode == 42, (wait, computing, child.returncode)
    finally:
        try:
            os.killpg(child.pid, signal.SIGKILL)  # the sleep that an interrupted subprocess.run may have left has our pipe, too
        except ProcessLookupError:
            pass
        child.communicate()


SERVICES = """
import os, signal, socket, threading, time
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
done = threading.Event()
threading.Thread(target=done.wait).start()
seen = []
signal.signal(signal.SIGCHLD, lambda s, f: seen.append(s))
signal.signal(signal.SIGALRM, lambda s, f: seen.append(s))
pid = os.fork()
if pid == 0: os._exit(0)
while signal.SIGCHLD not in seen: time.sleep(0.01)
os.waitpid(pid, 0)
signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
while seen.count(signal.SIGALRM) < 5: signal.pause()
signal.setitimer(signal.ITIMER_REAL, 0)
a, b = socket.socketpair()
b.setblocking(False)
signal.set_wakeup_fd(b.fileno())
signal.siginterrupt(signal.SIGALRM, False)
signal.alarm(1)
assert a.recv(1) == bytes([signal.SIGALRM])
signal.set_wakeup_fd(-1)
def raise_it(s, f): raise InterruptedError
signal.signal(signal.SIGALRM, raise_it)
signal.setitimer(signal.ITIMER_REAL, 0.05)
try:
    threading.Event().wait(1000)
    assert False
except InterruptedError:
    pass
assert signal.sigtimedwait([signal.SIGUSR1], 0.01) is None
os.kill(os.getpid(), signal.SIGUSR1)
assert signal.sigwait([signal.SIGUSR1]) == signal.SIGUSR1
done.set()
"""

for wait in WAITS:
    interrupted(wait, False)
for wait in WAITS[::3]:
    interrupted(wait, True)
subprocess.run([sys.executable, "-c", SERVICES], check=True, timeout=60)
