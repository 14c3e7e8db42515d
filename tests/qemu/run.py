#!/usr/bin/env python3
"""Runs behaviour tests in an emulated machine (QEMU's TCG, Debian's kernel of the cloud flavour, an initramfs made of this machine's
own files), so that a CPU with FSGSBASE, and one without, is there whatever the host has.

Without arguments: the families that TLS and moves between OS threads matter to, where the CPU has FSGSBASE (`with`), then some where it
hasn't, and AT_HWCAP2 must lead to arch_prctl (`without`). In each machine each test runs in run_tests.py's ways, and a probe tells which back
end each VTSHIM_TLS leads to. scripts/test includes this; `scripts/test --qemu ARGUMENTS` is this alone. VTSHIM_TEST_LIMIT bounds one
run of a test (seconds, default 300). Where QEMU or the kernel can't be had, that is one skipped test.
"""
import argparse, collections, concurrent.futures, getpass, glob, json, os, re, subprocess, sys, tempfile, threading, time
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
import run_tests as tests  # noqa: E402
from initramfs import LOADER, Archive  # noqa: E402
CACHE = os.path.join(tests.TOP, "build", "qemu")
PYTHON = "/usr/bin/python3.11"
PROGRAMS = ("bash", "dash", "sh", "true", "false", "cat", "sleep", "echo", "test", "ls", "kill", "env", "grep", "wc", "python3", PYTHON)
FILES = ("/etc/passwd", "/etc/group", "/etc/hosts", "/etc/nsswitch.conf", "/etc/services", "/etc/protocols", "/etc/ld.so.cache")
LIBRARIES = ("libgcc_s.so.1", "libnss_files.so.2", "libnss_dns.so.2")  # those that are loaded by name
PROBE, PROBE_ARGUMENTS = "tls/tls_parks.c", ["10"]
ARGUMENTS = {PROBE: ["100"]}  # parks of each of 1,000 threads: emulation is slow
# A machine: QEMU's and the kernel's options, whether FSGSBASE is there, the back ends that each setting must lead to, the one to test,
# run_tests.py's ways, and the tests.
Machine = collections.namedtuple("Machine", "cpu kernel fsgsbase choices tls modes patterns")
MACHINES = {
    "with": Machine("max", "", True, {"auto": "fsgsbase", "fsgsbase": "fsgsbase", "arch_prctl": "arch_prctl"}, "fsgsbase",
                    "native shim shim-1 shim-8 shim-chaos", ("tls/", "signal/", "process/", "io/no_nowait", "io/terminals")),
    "without": Machine("max,-fsgsbase", "", False, {"auto": "arch_prctl", "fsgsbase": "arch_prctl", "swap": "swap"}, "auto",
                       "native shim shim-chaos shim-swap", ("tls/tls_dlopen", "tls/tls_models", "process/fork")),
}

# Not run unless asked for by name, and told as skipped: what is known not to be right here yet, and what emulation makes too long.
NOT_YET = {
    "signal/process_routing.": "a signal of the process's is handled by another thread once in some rounds: not understood",
    "process/fork_nested.": "a minute for each way",
}


class Missing(Exception):
    pass


def kernel():
    """The path of Debian's newest cloud kernel, downloaded and unpacked once; it is not installed."""
    r = subprocess.run(["apt-cache", "depends", "linux-image-cloud-amd64"], stdout=subprocess.PIPE, text=True)
    names = re.findall(r"Depends: (linux-image-\S+)", r.stdout)
    for name in names[:1]:
        where = os.path.join(CACHE, name)
        if not os.path.isdir(where):
            os.makedirs(CACHE, exist_ok=True)
            with tempfile.TemporaryDirectory() as t:
                # As the caller: apt's own user may not write there.
                r = subprocess.run(["apt-get", "-o", "APT::Sandbox::User=" + getpass.getuser(), "download", "-qq", name], cwd=t,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
                for package in glob.glob(t + "/*.deb"):
                    subprocess.run(["dpkg-deb", "-x", package, where + ".new"], check=True)
                    os.rename(where + ".new", where)
    found = sorted(glob.glob(CACHE + "/*/boot/vmlinuz-*"))
    if not found:
        raise Missing("no kernel: apt-get download " + " ".join(names) + "\n" + r.stdout)
    return found[-1]


def emulator():
    if subprocess.run(["which", "qemu-system-x86_64"], stdout=subprocess.DEVNULL).returncode:
        r = subprocess.run([os.path.join(tests.TOP, "scripts/setup"), "--qemu"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if r.returncode:
            raise Missing("no QEMU: scripts/setup --qemu\n" + r.stdout)
    return "qemu-system-x86_64"


def compiled(patterns, out):
    """(name, source, argv) of the tests in C and C++ whose names contain a pattern."""
    found = []
    for source in sorted(glob.glob(os.path.join(tests.TOP, "tests/behaviour/*/*.c*")), reverse=True):  # the longest of tls begins early
        name = os.path.relpath(source, os.path.join(tests.TOP, "tests/behaviour"))
        if name == PROBE or any(p in name for p in patterns):
            found.append((name, source))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return [(*f, argv) for f, argv in zip(found, pool.map(lambda f: tests.command(f[1], out), found))]


def write_initramfs(path, plan, folders):
    """This machine's files that tests and Python need, the shim, tests/ and those folders."""
    with open(path, "wb") as f:
        a = Archive(f)
        a.device("/dev/console", 5, 1)
        a.file("/init", os.path.join(HERE, "guest.py"))
        a.entry("/plan.json", 0o100644, json.dumps(plan).encode())
        for p in PROGRAMS:
            a.program(p if "/" in p else "/bin/" + p)
        for name in FILES:
            if os.path.exists(name): a.file(name)
        for name in (LOADER, *("/lib/x86_64-linux-gnu/" + n for n in LIBRARIES)): a.file(name)
        a.tree("/usr/lib/python3.11", ("test", "dist-packages", "idlelib", "lib2to3", "tkinter", "ensurepip", "pydoc_data") +
               tuple(os.path.basename(c) for c in glob.glob("/usr/lib/python3.11/config-*")))
        for extension in glob.glob("/usr/lib/python3.11/lib-dynload/*.so"): a.program(extension)
        a.tree("/usr/lib/locale")
        a.program(tests.LIB)
        a.tree(os.path.join(tests.TOP, "tests"), ("__pycache__",))
        for where, _, names in (step for folder in folders for step in os.walk(folder)):
            for n in names: a.program(os.path.join(where, n))
        a.end()


def boot(machine, initramfs, console, seconds, on_line, memory="3G"):
    """Runs the machine; `on_line` gets each line of its second serial port. What ended it too early, or None."""
    argv = ["setpriv", "--pdeathsig", "KILL", emulator(), "-accel", "tcg,thread=multi", "-machine", "q35", "-cpu", machine.cpu,
            "-m", memory, "-smp", "2", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-kernel", kernel(), "-initrd", initramfs,
            "-serial", "file:" + console, "-serial", "stdio",
            "-append", f"console=ttyS0 loglevel=5 panic=-1 mitigations=off no5lvl tsc=reliable clocksource=tsc {machine.kernel}"]
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as q:
        late = threading.Timer(seconds, q.kill)
        late.start()
        try:
            for line in q.stdout: on_line(line)
        finally:
            q.kill()
            expired = not late.is_alive()
            late.cancel()
    return f"not done in {seconds} s" if expired else None


def run(name, machine, options, report):
    """One machine and all that is run there, reported as by run_tests.py."""
    begun, ended = time.monotonic(), False

    def on_line(line):
        nonlocal ended
        try:
            word, what, seconds, text = json.loads(line)
        except ValueError:
            return report([("FAIL", f"qemu/{name} (QEMU)", line)])
        if word == "end":
            ended = True
        else:
            report([(word, f"qemu/{name}/{what}" + f" ({seconds} s)" * (seconds > 5), text.encode())])

    with tempfile.TemporaryDirectory(prefix="vtshim-qemu-") as t:
        out, initramfs, console = (os.path.join(t, n) for n in ("programs", "initramfs", "console"))
        os.mkdir(out)
        programs = compiled(machine.patterns, out)
        probe = next(argv for n, _, argv in programs if n == PROBE) + PROBE_ARGUMENTS
        environment = {"PATH": "/usr/bin:/bin", "HOME": "/tmp", "LANG": "C.UTF-8", "VTSHIM_TLS": machine.tls, "VTSHIM_TEST_SEED": tests.SEED,
                       "VTSHIM_TEST_MODES": machine.modes, "VTSHIM_TEST_LIMIT": os.environ.get("VTSHIM_TEST_LIMIT", "300")}
        asked = [(n, s, argv + ARGUMENTS.get(n, [])) for n, s, argv in programs if any(p in n for p in machine.patterns)]
        left_out = {n: why for n, _, _ in asked for test, why in NOT_YET.items() if n.startswith(test) and not options.patterns}
        report([("skip", f"qemu/{name}/{n} ({why})", b"") for n, why in left_out.items()])
        wanted = [test for test in asked if test[0] not in left_out]
        plan = {"programs": wanted, "probe": probe, "fsgsbase": machine.fsgsbase, "choices": machine.choices, "jobs": options.jobs,
                "environment": environment, "tests": os.path.join(tests.TOP, "tests")}
        write_initramfs(initramfs, plan, [out])
        early = boot(machine, initramfs, console, options.seconds, on_line)
        if early or not ended:
            with open(console, errors="replace") as f:
                tail = f.read()[-4000:]
            report([("FAIL", f"qemu/{name} ({early or 'the machine ended early'})", tail.encode())])
    print(f"qemu/{name}: {time.monotonic() - begun:.0f} s", flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("patterns", nargs="*", help="which tests, by parts of their names, instead of each machine's own")
    p.add_argument("--machine", choices=MACHINES, help="this one only")
    p.add_argument("--tls", metavar="BACKEND", help="VTSHIM_TLS of the tests, which must be what the shim chooses then")
    p.add_argument("--modes", help="run_tests.py's ways, for example 'native shim-chaos'")
    p.add_argument("--cpu", help="QEMU's -cpu, for example max,-xsave")
    p.add_argument("--kernel", metavar="OPTIONS", help="further options of the kernel, for example nofsgsbase")
    p.add_argument("--jobs", type=int, default=2, help="tests side by side (default 2)")
    p.add_argument("--seconds", type=int, default=1800, help="bound of a whole machine (default 1800)")
    options = p.parse_args()
    count = {"ok": 0, "FAIL": 0, "skip": 0}

    def report(results):
        for word, line, text in results:
            count[word] += 1
            print(f"{word:5}{line}", flush=True)
            if word == "FAIL": print(text.decode(errors="replace"), flush=True)

    try:
        emulator(), kernel()
        for name in [options.machine] if options.machine else MACHINES:
            m = MACHINES[name]
            m = m._replace(cpu=options.cpu or m.cpu, kernel=options.kernel or m.kernel, modes=options.modes or m.modes,
                           patterns=tuple(options.patterns) or m.patterns)
            if options.tls: m = m._replace(tls=options.tls, choices={options.tls: options.tls, **m.choices})
            run(name, m, options, report)
    except Missing as e:
        report([("skip", f"qemu: {str(e).strip()}", b"")])
    except subprocess.CalledProcessError as e:
        report([("FAIL", f"qemu: {e}", e.stdout or b"")])
    print(f"{count['ok']} passed, {count['FAIL']} failed, {count['skip']} skipped")
    return 1 if count["FAIL"] else 0


if __name__ == "__main__":
    sys.exit(main())
