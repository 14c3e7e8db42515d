#!/usr/bin/python3
"""/init of the emulated machine (run.py): mounts what programs expect, runs the tests of /plan.json in run_tests.py's ways, and reports on
the second serial port, one JSON list [word, line, seconds, output] a line. The last word is "end"; then the machine restarts, which ends QEMU.
Where the plan has a `command` (benchmarks.py), that alone is run, and what it prints goes to the port as it is."""
import concurrent.futures, ctypes, fcntl, json, os, resource, socket, struct, subprocess, sys, termios, time, tty

LIBC = ctypes.CDLL(None, use_errno=True)
HWCAP2, FSGSBASE = 26, 2  # AT_HWCAP2, and its bit
RESTART = 0x1234567  # LINUX_REBOOT_CMD_RESTART
MOUNTS = (("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev"), ("devpts", "/dev/pts"), ("tmpfs", "/dev/shm"), ("mqueue", "/dev/mqueue"))


def prepare():
    for kind, where in MOUNTS:
        os.makedirs(where, exist_ok=True)
        if LIBC.mount(kind.encode(), where.encode(), kind.encode(), 0, None):
            raise OSError(ctypes.get_errno(), f"mount {where}")
    for where in ("/tmp", "/run", "/var/tmp"):  # the root is a tmpfs itself
        os.makedirs(where, exist_ok=True)
        os.chmod(where, 0o1777)
    for name, target in (("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
        os.symlink(target, "/dev/" + name)
    with socket.socket() as s:  # the loopback device, up
        fcntl.ioctl(s, 0x8914, struct.pack("16sH14x", b"lo", 1 | 64))  # SIOCSIFFLAGS, IFF_UP | IFF_RUNNING
    # As a login has them: what init inherits is the kernel's own.
    resource.setrlimit(resource.RLIMIT_NOFILE, (65536, 1 << 20))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def choice(tests, plan):
    """Is FSGSBASE where it should be, and which back end does the shim choose? Told by its counters in each wanted setting."""
    here = bool(LIBC.getauxval(HWCAP2) & FSGSBASE)
    word = "ok" if here == plan["fsgsbase"] else "FAIL"
    yield word, "AT_HWCAP2 " + ("tells of FSGSBASE" if here else "doesn't tell of FSGSBASE"), b""
    for asked, expected in plan["choices"].items():
        code, text = tests.bounded(plan["probe"], {**tests.MODES["shim"], "VTSHIM_TLS": asked, "VTSHIM_LOG": "info"}, tests.LIMIT)
        word = "ok" if code == 0 and f" tls={expected} ".encode() in text else "FAIL"
        yield word, f"VTSHIM_TLS={asked} is {expected}", text


def command(argv):
    with open(os.open("/dev/ttyS1", os.O_RDWR | os.O_NOCTTY), "wb", buffering=0) as port:
        tty.setraw(port, termios.TCSANOW)
        code = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=port, stderr=subprocess.STDOUT).returncode
        port.write(b"exit %d\n" % code)
        termios.tcdrain(port)


def main():
    prepare()
    with open("/plan.json") as f:
        plan = json.load(f)
    os.environ.clear()
    os.environ.update(plan["environment"])
    if "command" in plan:
        return command(plan["command"])
    sys.path.insert(0, plan["tests"])
    import run_tests as tests
    with open(os.open("/dev/ttyS1", os.O_RDWR | os.O_NOCTTY), "wb", buffering=0) as port:
        tty.setraw(port, termios.TCSANOW)

        def report(word, line="", seconds=0, text=b""):
            port.write(json.dumps([word, line, seconds, text.decode(errors="replace")[-tests.TOLD:]]).encode() + b"\n")

        def run(program):
            begun = time.monotonic()
            for word, line, text in tests.in_each_mode(*program):
                now = time.monotonic()
                report(word, line, round(now - begun, 1), text)
                begun = now

        for word, line, text in choice(tests, plan):
            report(word, line, text=text)
        with concurrent.futures.ThreadPoolExecutor(plan["jobs"]) as pool:
            list(pool.map(run, plan["programs"]))
        report("end")
        termios.tcdrain(port)


if tests_process := os.fork():  # init itself waits for everybody's orphans
    while os.wait()[0] != tests_process:
        pass
    LIBC.reboot(RESTART)
main()
