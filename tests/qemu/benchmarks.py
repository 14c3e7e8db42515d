#!/usr/bin/env python3
"""The benchmarks (tests/bench/) in an emulated machine whose CPU has no FSGSBASE (QEMU's TCG, 2 CPUs, Debian's kernel): a host where thread
areas are mounted by arch_prctl, or exchanged (`swap`). Emulation makes each instruction dearer, so only ratios mean something, and of the ratios
those that come from how many instructions and system calls a contender needs; `scripts/bench --calls` asks the other question.

`scripts/bench --qemu [--machine with] ARGUMENTS`: all else are scripts/bench's own arguments, for example --rounds 5 --only echo_64. Peers are those
in C that are written by hand, unless --peers or --no-peers says something else; compiled ones only.
"""
import os, sys, tempfile
import run as machines
TOP = machines.tests.TOP
sys.path.insert(0, os.path.join(TOP, "tests", "bench"))
import peers  # noqa: E402
PEERS = "epoll,io_uring"
VARIANTS = ["--variant", "arch_prctl:VTSHIM_TLS=arch_prctl", "--variant", "swap:VTSHIM_TLS=swap"]
MEMORY = "8G"  # files of the initramfs lie there, too


def main():
    arguments, name = sys.argv[1:], "without"
    if "--machine" in arguments:
        at = arguments.index("--machine")
        name = arguments[at + 1]
        del arguments[at:at + 2]
    if not any(a.startswith("--variant") for a in arguments) and name == "without":
        arguments += VARIANTS
    if "--no-peers" not in arguments and "--peers" not in arguments:
        arguments += ["--peers", PEERS]
    build, built = (os.path.join(TOP, "build", d) for d in ("tests/bench", "bench-peers"))
    if "--peers" in arguments:
        peers.available([p for p in arguments[arguments.index("--peers") + 1].split(",") if p in peers.PEERS], built, machines.PYTHON)
    plan = {"environment": {"PATH": "/usr/bin:/bin", "HOME": "/tmp", "LANG": "C.UTF-8"},
            "command": [machines.PYTHON, os.path.join(TOP, "tests", "bench", "run.py"), *arguments]}
    last = b""

    def on_line(line):
        nonlocal last
        last = line
        if not line.startswith(b"exit "):
            sys.stdout.buffer.write(line)
            sys.stdout.flush()

    with tempfile.TemporaryDirectory(prefix="vtshim-qemu-") as t:
        initramfs, console = os.path.join(t, "initramfs"), os.path.join(t, "console")
        try:
            machines.emulator(), machines.kernel()
        except machines.Missing as e:
            print(f"bench: {e}", file=sys.stderr)
            return 1
        machines.write_initramfs(initramfs, plan, [build, built])
        early = machines.boot(machines.MACHINES[name], initramfs, console, 7200, on_line, MEMORY)
        if not last.startswith(b"exit "):
            with open(console, errors="replace") as f:
                print(f"bench: {early or 'the machine ended early'}\n{f.read()[-2000:]}", file=sys.stderr)
            return 1
        return int(last.split()[1])


if __name__ == "__main__":
    sys.exit(main())
