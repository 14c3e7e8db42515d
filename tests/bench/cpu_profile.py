"""Where a server's CPU time goes, in microseconds a request: samples of perf(1) by what the calls on the stack are for. Of the served
benchmarks; `scripts/bench --profile --only py_http_64`. Counts nothing that isn't the server's, and perf itself costs some percent."""
import collections
import dataclasses
import os
import re
import shutil
import subprocess
import tempfile
import time

from harness import Benchmark, BenchmarkFailed, Contender, Context, NotHere, start

HZ = 1999

# From the innermost frame outwards the first that is known says what a sample is for.
KERNEL = [("TCP send, with its delivery", r"tcp_sendmsg|sock_sendmsg|__sys_sendto"), ("TCP receive", r"tcp_recvmsg|sock_recvmsg|__sys_recvfrom"),
          ("other calls on sockets", r"__sys_\w*(accept|connect|sendmsg|recvmsg)\w*"),
          ("epoll", r"(do_|sys_)?epoll_\w*|ep_\w+"), ("io_uring itself", r"__do_sys_io_uring_enter|io_\w+"),
          ("waiting in the kernel", r"schedule|__schedule|\w*futex\w*|schedule_timeout|\w*nanosleep\w*"),
          ("mounts by arch_prctl", r"do_arch_prctl\w*|__x64_sys_arch_prctl"),
          ("memory", r"asm_exc_page_fault|\w*mmap\w*|\w*madvise\w*"), ("system calls as such", r"do_syscall_64|entry_SYSCALL_64\w*"),
          ("interrupts", r"asm_(common|sysvec)\w*")]
KERNEL = [(name, re.compile(f"^({pattern})$")) for name, pattern in KERNEL]
FRAME = re.compile(r"^\s+[0-9a-f]+ (.*) \((.*)\)$")


@dataclasses.dataclass
class Recorder:
    """Goes with a Context: records the server while it's under load."""
    path: str
    process: subprocess.Popen | None = None
    pid: int = 0

    def begin(self, pid: int, warm_up: float, seconds: float) -> None:
        time.sleep(warm_up)
        # Of the CPU, not the process: events that belong to threads make each of its context switches dearer.
        argv = ["perf", "record", "-q", "-F", str(HZ), "-e", "cpu-clock", "-g", "-a", "-o", self.path, "--", "sleep", str(seconds)]
        self.pid = pid
        self.process = start(argv, {}, None)

    def end(self) -> None:
        if self.process.wait(60):
            raise NotHere(f"perf record: {self.process.stderr.read()[-300:].strip()}")


def purpose(stack: list[tuple[str, str]]) -> str:
    """`stack`: symbol and file of each frame, the innermost first."""
    inner_file = os.path.basename(stack[0][1])
    if inner_file != "[kernel.kallsyms]":
        if inner_file.startswith("libvtshim"):
            return "vtshim"
        if inner_file.startswith(("libc.", "[vdso]", "libpthread")):
            return "libc"
        return "interpreter" if "python" in inner_file or ".cpython" in inner_file else f"program ({inner_file})"
    for symbol, file in stack:
        if file != "[kernel.kallsyms]":
            break
        for name, pattern in KERNEL:
            if pattern.match(symbol):
                return name
    return "other in the kernel"


def shares(recorder: Recorder) -> dict[str, float]:
    text = subprocess.run(["perf", "script", "-i", recorder.path, "--pid", str(recorder.pid), "-F", "comm,ip,sym,dso", "--no-inline"], capture_output=True, text=True, check=True).stdout
    counts: collections.Counter[str] = collections.Counter()
    for sample in text.split("\n\n"):
        stack = [(m[1].split("+0x")[0], m[2]) for m in map(FRAME.match, sample.splitlines()) if m]
        if stack:
            counts[purpose(stack)] += 1
    total = counts.total()
    if not total:
        raise BenchmarkFailed("perf recorded nothing")
    return {name: count / total for name, count in counts.items()}


def profile(benchmark: Benchmark, contenders: list[Contender], context: Context) -> str:
    """A table: a row for each purpose, a column for each contender."""
    if not shutil.which("perf"):
        raise NotHere("apt install linux-perf")
    columns: dict[str, dict[str, float]] = {}
    for contender in contenders:
        run = benchmark.peers.get(contender.name) if contender.kind == "peer" else benchmark.run
        if not run:
            continue
        with tempfile.TemporaryDirectory() as directory:
            recorder = Recorder(os.path.join(directory, "perf.data"))
            figures = run(dataclasses.replace(context, recorder=recorder), contender)
            if "server_us_per_request" not in figures:
                raise NotHere(f"{benchmark.name} has no server under load")
            each = figures["server_us_per_request"]
            columns[contender.name] = {"all": each} | {name: share * each for name, share in shares(recorder).items()}
    names = sorted({n for c in columns.values() for n in c}, key=lambda n: -max(c.get(n, 0) for c in columns.values()))
    names = [n for n in names if max(c.get(n, 0) for c in columns.values()) >= 0.02]
    lines = [f"{benchmark.name}: the server's CPU, us a request", "| | " + " | ".join(columns) + " |", "| --- |" + " --- |" * len(columns)]
    return "\n".join(lines + [f"| {n} | " + " | ".join(f"{c.get(n, 0):.2f}" for c in columns.values()) + " |" for n in names])
