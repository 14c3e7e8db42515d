#!/usr/bin/env python3
"""stress-ng's stressors of threads, locks, sockets, pipes, poll and fork with --verify: none fails, natively and under the shim.

In the test run one second each. `scripts/vtrun tests/apps/stress_ng.py --long` takes 10 minutes for all, --seconds N N each, --only NAME one.
"""
import argparse, os, re, sys, tempfile, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import app

# Those with threads; and those that fork, which must be as natively with the library loaded.
STRESSORS = ("pthread", "mutex", "sem", "sock", "pipe", "poll", "fork")
FURTHER = ("futex", "sem-sysv", "sockpair", "epoll", "eventfd", "timerfd", "switch", "sigpending", "sigsuspend", "aio", "mq", "msg",
           "vfork", "clone", "daemon", "membarrier", "mcontend", "pidfd", "zombie", "sockmany", "flock", "lockf", "sendfile", "splice", "tee")
p = argparse.ArgumentParser()
p.add_argument("--long", action="store_true")
p.add_argument("--seconds", type=int)
p.add_argument("--only", action="append")
p.add_argument("--further", action="store_true", help="other stressors too: " + ", ".join(FURTHER))
args = p.parse_args()
stress = app.program("stress-ng")
names = args.only or STRESSORS + (FURTHER if args.further else ())
seconds = args.seconds or (600 // len(names) if args.long else 1)
where, most, failed = app.folder(), 0, []
app.LIMIT = seconds * len(names) + 100
for name in names:
    argv = [stress, "--" + name, "2", "--timeout", str(seconds), "--verify", "--metrics-brief", "--oomable", "--temp-path", where]
    with tempfile.TemporaryFile("w+") as out, app.App(argv, stdout=out, stderr=out) as it:
        status = it.process.wait()
        end = time.monotonic() + 10  # what a child has left behind may take its time
        while (left := app.processes(it.pid)) and time.monotonic() < end: time.sleep(0.1)
        most = it.threads = max(most, it.threads)
        out.seek(0)
        text = out.read()
    done = re.search(rf"\] {name} +(\d+) ", text)
    print(f"{name}: exit {status}, {done[1] if done else 'no'} operations", flush=True)
    if status or left or re.search(r" (fail|error): ", text): failed.append(f"{name}: exit {status}, {len(left)} left\n{text}")
print("".join(failed), end="")
app.figure(f"{len(names)} stressors for {seconds} s, {len(failed)} failed", it)
sys.exit(1 if failed else 0)
