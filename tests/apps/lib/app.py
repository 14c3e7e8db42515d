"""What the tests of unmodified programs share. The test itself, the client, runs natively: if it finds itself under the shim it starts
again without, and gives LD_PRELOAD to the programs that it starts only.

A program runs in a session of its own, with a bound: after LIMIT seconds each of its processes prints what its threads wait for
(VTSHIM_DUMP_SIGNAL), all are killed, and the test fails.
"""
import atexit, os, shutil, signal, socket, subprocess, sys, tempfile, threading, time

if os.environ.get("LD_PRELOAD"):
    os.environ["VTSHIM_TEST_PRELOAD"] = os.environ.pop("LD_PRELOAD")
    os.execv(sys.executable, [sys.executable, *sys.argv])
PRELOAD = os.environ.pop("VTSHIM_TEST_PRELOAD", "")
SHIM, CHAOS = bool(PRELOAD), os.environ.get("VTSHIM_CHAOS", "0") != "0"
LIMIT = int(os.environ.get("VTSHIM_TEST_APP_LIMIT", "100"))  # s
DUMP = int(os.environ.get("VTSHIM_DUMP_SIGNAL", 16))  # the runner's, else SIGSTKFLT; none of the programs uses it
LIB = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(os.path.dirname(LIB)))
begun = time.monotonic()


def skip(why):
    print("skipped:", why)
    sys.exit(77)


def program(name):
    """Its path; ends the test with 77 where it isn't installed."""
    for folder in (None, "/usr/sbin", "/usr/local/sbin"):
        if path := shutil.which(name, path=folder): return path
    skip(f"{name} isn't installed")


def library(name):
    path = os.path.join("/usr/lib/x86_64-linux-gnu", name)
    return path if os.path.exists(path) else skip(f"{name} isn't installed")


def folder():
    """A new one, which any user may enter; removed at the end."""
    path = tempfile.mkdtemp(prefix="vtshim-app-")
    os.chmod(path, 0o755)
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


def compiled(source, where, *libraries):
    """The program made of a C file in lib/, or of the given path."""
    exe = os.path.join(where, os.path.basename(source)[:-2])
    subprocess.run(["gcc", "-std=gnu17", "-Wall", "-Wextra", "-Werror", "-g", "-O1", "-pthread", os.path.join(LIB, source), "-o", exe,
                    *libraries], check=True)
    return exe


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s: return s.getsockname()[1]


def environment(preload=(), **more):
    """Preloads the shim, if this run is under it, and then `preload`."""
    libs = ([PRELOAD] if SHIM else []) + list(preload)
    env = {**os.environ, **more}
    if libs: env["LD_PRELOAD"] = ":".join(libs)
    if SHIM: env.setdefault("VTSHIM_DUMP_SIGNAL", str(DUMP))
    return env


def processes(session):
    """The session's processes."""
    found = []
    for entry in os.listdir("/proc"):
        try:
            if entry.isdigit() and os.getsid(int(entry)) == session: found.append(int(entry))
        except ProcessLookupError:
            pass
    return found


class App:
    """A program under test. `threads` is the most OS threads that one of its processes was seen with."""

    def __init__(self, argv, env=None, log=None, **popen):
        self.log = log  # a file whose end is shown when the program hangs
        self.threads, self.over, self.stopped = 0, False, threading.Event()
        self.process = subprocess.Popen(argv, env=env or environment(), start_new_session=True, **{"stdin": subprocess.DEVNULL, **popen})
        self.pid = self.process.pid
        self.watcher = threading.Thread(target=self._watch, daemon=True)
        self.watcher.start()

    def _watch(self):
        end = time.monotonic() + LIMIT
        while not self.stopped.wait(0.02):
            for pid in processes(self.pid):
                try:
                    self.threads = max(self.threads, len(os.listdir(f"/proc/{pid}/task")))
                except FileNotFoundError:
                    pass
            if time.monotonic() > end:
                print(f"not done after {LIMIT} s", flush=True)
                if SHIM:
                    for pid in processes(self.pid): os.kill(pid, DUMP)
                    time.sleep(1)
                if self.log: print(open(self.log).read()[-6000:], flush=True)
                self.kill()
                os._exit(1)

    def kill(self):
        self.stopped.set()
        for pid in processes(self.pid): os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def is_virtual(self):
        """Has the shim been loaded, if it should be?"""
        return not SHIM or "libvtshim" in open(f"/proc/{self.pid}/maps").read()

    def wait_for(self, ready, seconds=60):
        end = time.monotonic() + seconds
        while not ready():
            assert self.process.poll() is None, f"it ended by itself: {self.process.returncode}"
            assert time.monotonic() < end, "it isn't ready"
            time.sleep(0.05)

    def wait_for_port(self, port, path=None):
        def ready():
            try:
                connected(port, path).close()
                return True
            except (ConnectionRefusedError, FileNotFoundError):
                return False
        self.wait_for(ready)
        assert self.is_virtual()

    def stop(self, number=signal.SIGTERM, code=0, seconds=20):
        """Asks it to end, and sees that it does, with this status and nobody left; how long that took."""
        start = time.monotonic()
        self.process.send_signal(number)
        return self.ends(code, seconds, start)

    def ends(self, code=0, seconds=LIMIT + 30, start=None):
        start = start or time.monotonic()
        got = self.process.wait(seconds)
        took = time.monotonic() - start
        self.stopped.set()
        assert got == code, f"exit status {got}"
        assert not processes(self.pid), "processes are left"
        return took

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self.process.poll() is None or processes(self.pid): self.kill()


def figure(what, app):
    print(f"{what}, {time.monotonic() - begun:.1f} s, at most {app.threads} OS threads", flush=True)


def connected(port, path=None):
    """To 127.0.0.1, or a UNIX socket."""
    if not path: return socket.create_connection(("127.0.0.1", port), timeout=30)
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(30)
    s.connect(path)
    return s


class Line:
    """A connection that is read by lines and counts."""

    def __init__(self, port, path=None):
        self.socket = connected(port, path)
        self.file = self.socket.makefile("rb")

    def send(self, data):
        self.socket.sendall(data)

    def line(self):
        line = self.file.readline()
        assert line.endswith(b"\r\n"), f"the server hung up after {line!r}"
        return line[:-2]

    def exactly(self, size):
        data = self.file.read(size)
        assert len(data) == size, f"the server hung up after {data!r}"
        return data

    def close(self):
        self.file.close()
        self.socket.close()
