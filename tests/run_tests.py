#!/usr/bin/env python3
"""The unit tests under each sanitizer, the protocols' models (model/run.py), then every behaviour test, four ways: native, under the
shim, with one carrier, in chaos mode (progress/ with 8 carriers, too), with VTSHIM_TLS=swap. Native must pass first. So also unmodified
programs, where they are installed (tests/apps/). At last the scheduler's races with some seeds (stress/run.py), the fuzzer (stress/fuzz.py), and
the hot paths' instructions (bench/instructions.py).

A test is a plain program in tests/behaviour/<family>/: exit 0 passes, 77 skips, anything else fails, as does a hang.
VTSHIM_TEST_MODES names those to run of the ways (native, shim, shim-1, shim-8, shim-chaos, shim-swap), VTSHIM_TEST_SEED seeds chaos mode,
VTSHIM_TEST_LIMIT bounds one run (seconds), VTSHIM_TEST_JOBS run side by side.
"""
import concurrent.futures, glob, os, signal, subprocess, sys, tempfile
from bench import instructions
from model import run as models
from stress import fuzz, run as races
TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LIB = os.path.join(TOP, "build", "libvtshim.so")
SEED = os.environ.get("VTSHIM_TEST_SEED", "1")
MODES = {
    "native": {},
    "shim": {"LD_PRELOAD": LIB},
    "shim-1": {"LD_PRELOAD": LIB, "VTSHIM_CARRIERS": "1"},
    "shim-chaos": {"LD_PRELOAD": LIB, "VTSHIM_CARRIERS": "4", "VTSHIM_CHAOS": SEED, "VTSHIM_TEST_SECONDS": "30"},
}
# And with VTSHIM_TLS=swap, where that can do it: README.md says what it can't.
SWAP = {"LD_PRELOAD": LIB, "VTSHIM_TLS": "swap"}
SWAP_CANNOT = {
    "thread/errno_per_thread.": "threads of a slot share the addresses of thread-local variables",
    "thread/os_thread_state.": "pins", "thread/pin.": "pins", "thread/seccomp.": "pins", "thread/unshare.": "pins",
    "process/raw_children.": "a child that runs beside its parent in the same memory, with the slot's thread pointer",
    "fairness/main_beside.": "who shares main's slot computes before main has its turn",
    "progress/raw_throughput.": "each call that nobody announced holds a slot up till the monitor looks",
    "python/callbacks.": "pins", "python/module.": "pins", "python/pin_warn.": "pins",
    "server/futex_users.": "Rust tells threads apart by addresses of thread-local variables",
    "signal/handler_waits.": "a handler that waits holds its slot up", "signal/main_waits_in_handler.": "so does one for a signal that its own call raised", "thread/cancel_async.": "libc's own mutexes", "sync/mutex_in_use.": "libc's own mutexes", "sync/priority.": "libc's own mutexes", "sync/robust.": "libc's own mutexes",
}
LIMIT = int(os.environ.get("VTSHIM_TEST_LIMIT", "120"))  # seconds
JOBS = int(os.environ.get("VTSHIM_TEST_JOBS", os.cpu_count()))
ALONE = ("server", "scale", "fairness", "progress/raw_throughput")  # families and tests that count OS threads, measure, and load both CPUs: after the others, one by one
# With no further carrier to be had.
ON_ONE_AT_MOST = ("progress/setter_behind.", "fairness/busy_caller.", "fairness/slices.")
# What issue 3 asks for on 1, 2 and 8 carriers, and where signals find threads.
ON_EIGHT = ("progress/", "fairness/", "signal/", "server/waves", "python/switchinterval", "python/callbacks.", "thread/pin.")


def command(source, out):
    if source.endswith(".py"):
        return ["/usr/bin/python3", source]
    here = os.path.join(out, os.path.basename(os.path.dirname(source)), os.path.basename(source))
    os.makedirs(here)
    for lib in glob.glob(os.path.join(os.path.dirname(source), "lib", "*.c")):  # shared libraries, found beside the program
        so = os.path.join(here, "lib" + os.path.basename(lib)[:-2] + ".so")
        subprocess.run(["gcc", "-g", "-O1", "-fPIC", "-shared", lib, "-o", so], check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    exe = os.path.join(here, "test")
    compiler = ["g++", "-std=c++20"] if source.endswith(".cpp") else ["gcc", "-std=gnu17"]
    subprocess.run(compiler + ["-Wall", "-Wextra", "-Werror", "-g", "-O1", "-pthread", source, "-o", exe], check=True,
                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return [exe]


TOLD = 12000  # characters of a failure's output at the most
DUMP_SIGNAL = 16  # SIGSTKFLT, which nobody sends


def family(pid):
    """It and its descendants."""
    parents = {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/stat") as f: parents.setdefault(int(f.read().rpartition(")")[2].split()[1]), []).append(int(entry))
        except OSError:
            pass  # ended meanwhile
    found = [pid]
    for p in found: found += parents.get(p, [])
    return found


def what_hangs(process):
    """Where each OS thread of a hung test is, and, if it has the shim, what each of its virtual threads waits for, as far as they tell; then it's killed. Its output."""
    lines, pids = [], family(process.pid)
    for pid in pids:
        try:
            with open(f"/proc/{pid}/maps") as f: shimmed = LIB in f.read()
            for tid in sorted(map(int, os.listdir(f"/proc/{pid}/task"))):
                for name in ("stat", "wchan", "syscall", "stack"):
                    try:
                        with open(f"/proc/{pid}/task/{tid}/{name}") as f: lines.append(f"{pid} {tid} {name}: " + f.read(400).replace("\n", " ")[:60 if name == "stat" else None])
                    except OSError as e:
                        lines.append(f"{pid} {tid} {name}: {e.strerror}")
            if shimmed: os.kill(pid, DUMP_SIGNAL)
        except OSError as e:
            lines.append(f"{pid}: {e}")
    try:
        text, _ = process.communicate(timeout=5)
    except subprocess.TimeoutExpired:
        for pid in pids:
            try: os.kill(pid, signal.SIGKILL)
            except OSError: pass  # ended meanwhile
        try:
            text, _ = process.communicate(timeout=5)
        except subprocess.TimeoutExpired as e:  # somebody else has the pipe
            text = e.stdout or b""
    return "\n".join(lines).encode()[:TOLD // 2] + b"\n" + text[-TOLD // 2:]


def bounded(argv, extra, limit):
    """Runs argv with `extra` in the environment: its exit status, or "hang" after `limit` seconds, and its output."""
    if "LD_PRELOAD" in extra: extra = {"VTSHIM_DUMP_SIGNAL": str(DUMP_SIGNAL), **extra}
    process = subprocess.Popen(argv, env={**os.environ, **extra}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        text, _ = process.communicate(timeout=limit)
        return process.returncode, text
    except subprocess.TimeoutExpired:
        return "hang", what_hangs(process)


SANITIZERS = {"plain": "none", "asan+ubsan": "address,undefined", "tsan": "thread"}
# The data structures once, the scenarios with each number of carriers.
UNIT_RUNS = {"data": (["-sfe=*scenarios*"], {})}
UNIT_RUNS |= {f"scenarios-{n}": (["-sf=*scenarios*"], {"VTSHIM_CARRIERS": str(n)}) for n in (1, 2, 4)}


def run_unit(name, sanitizer):
    """Builds the runtime into tests/unit with a sanitizer, and runs its parts. A finding of the sanitizer's is a failure."""
    folder = os.path.join(TOP, "build", "unit-" + name)
    if not os.path.exists(os.path.join(folder, "build.ninja")):
        setup = ["meson", "setup", folder, TOP, "-Dwerror=true", "-Db_sanitize=" + sanitizer, "-Db_lundef=false"]
        r = subprocess.run(setup, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if r.returncode:
            return [("FAIL", f"unit.{name} (setup)", r.stdout)]
    r = subprocess.run(["ninja", "-C", folder, "unit"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if r.returncode:
        return [("FAIL", f"unit.{name} (build)", r.stdout)]
    # TSan's shadow doesn't fit every layout that high-entropy ASLR picks.
    fixed = ["setarch", "-R"] if subprocess.run(["setarch", "-R", "true"], stderr=subprocess.DEVNULL).returncode == 0 else []
    results = []
    for part, (arguments, extra) in UNIT_RUNS.items():
        argv = fixed + [os.path.join(folder, "unit"), *arguments]
        code, text = bounded(argv, {"UBSAN_OPTIONS": "halt_on_error=1", **extra}, 4 * LIMIT)
        if b"test cases: 0 " in text:
            code = "nothing ran"
        results.append(("ok", f"unit.{name}.{part}", text) if code == 0 else ("FAIL", f"unit.{name}.{part} (exit {code})", text))
    return results


def run_ways(name, source, out):
    """One test in each mode: a list of (word, line, output)."""
    try:
        return list(in_each_mode(name, source, command(source, out)))
    except subprocess.CalledProcessError as e:
        return [("FAIL", f"{name} doesn't compile", e.stdout)]


def in_each_mode(name, source, argv):
    """run_ways' second half, for qemu/guest.py, too; each result as it comes. A native failure ends it."""
    ways = [(mode, extra, argv) for mode, extra in MODES.items()]
    others = ("3.12", "3.13") if name in ("server/python_5000.py", "server/stress.py") else ("3.8", "3.9", "3.10", "3.12", "3.13") if "/callbacks." in name else ()
    if source.endswith(".py"):  # and on the other Pythons that are installed
        for version in others:
            for python in sorted(glob.glob(os.path.expanduser(f"~/.pyenv/versions/{version}.*/bin/python3")))[:1]:
                mode = "shim-chaos" if "stress" in name or "callbacks" in name else "shim"
                ways.append((f"{mode}-{version}", MODES[mode], [python, source]))
    if name.startswith(ON_EIGHT):  # with more carriers than CPUs, too
        ways.insert(3, ("shim-8", {"LD_PRELOAD": LIB, "VTSHIM_CARRIERS": "8"}, argv))
    if name.startswith(ON_ONE_AT_MOST):
        ways.append(("shim-most-1", {"LD_PRELOAD": LIB, "VTSHIM_CARRIERS": "1", "VTSHIM_MAX_CARRIERS": "1"}, argv))
    if not any(name.startswith(test) for test in SWAP_CANNOT):
        ways.append(("shim-swap", SWAP, argv))
    wanted = os.environ.get("VTSHIM_TEST_MODES")
    for mode, extra, argv in ways:
        if wanted and mode not in wanted.split(): continue
        code, text = bounded(argv, extra, LIMIT)
        word = {0: "ok", 77: "skip"}.get(code, "FAIL")
        yield word, f"{name}.{mode}" + (f" (exit {code}, seed {SEED})" if word == "FAIL" else ""), text
        if mode == "native" and word != "ok":
            break


def main():
    # A shell starts what runs in its background with these ignored, and so would the tests.
    for number in (signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(number) == signal.SIG_IGN: signal.signal(number, signal.SIG_DFL)
    pattern = sys.argv[1] if len(sys.argv) > 1 else ""
    wants_list, pattern = pattern == "--list", "" if pattern == "--list" else pattern
    count = {"ok": 0, "FAIL": 0, "skip": 0}
    tests = []
    for source in sorted(glob.glob(os.path.join(TOP, "tests/behaviour/*/*"))) + sorted(glob.glob(os.path.join(TOP, "tests/apps/*.py"))):
        name = os.path.relpath(source, os.path.join(TOP, "tests")).removeprefix("behaviour/")
        if source.endswith((".c", ".cpp", ".py")) and pattern in name:
            tests.append((name, source))
    if wants_list:
        print("\n".join(["unit." + name for name in SANITIZERS] + [name for name, _ in tests]))
        return 0

    def report(results):
        for word, line, text in results:
            count[word] += 1
            print(f"{word:5}{line}", flush=True)
            if word == "FAIL":
                print(text.decode(errors="replace")[-TOLD:], flush=True)

    for name, sanitizer in SANITIZERS.items():
        if pattern in "unit." + name:
            report(run_unit(name, sanitizer))
    models.check_all(pattern, report)
    with tempfile.TemporaryDirectory(prefix="vtshim-tests-") as out:
        for jobs, some in ((JOBS, [t for t in tests if not t[0].startswith(ALONE)]), (1, [t for t in tests if t[0].startswith(ALONE)])):
            with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
                for results in pool.map(lambda t: run_ways(*t, out), some):
                    report(results)
    races.check_all(pattern, report)
    fuzz.check_all(pattern, report)
    instructions.check_all(pattern, report)
    if pattern and not any(count.values()): sys.exit(f"run_tests: no test's name contains {pattern}; scripts/test --list names them")
    print(f"{count['ok']} passed, {count['FAIL']} failed, {count['skip']} skipped")
    return 1 if count["FAIL"] or not count["ok"] else 0


if __name__ == "__main__":
    sys.exit(main())
