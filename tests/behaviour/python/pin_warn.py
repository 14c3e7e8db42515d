"""VTSHIM_PIN_WARN: one line, with return addresses, for a thread that stays pinned for longer; none for short pins, and none unless asked."""
import os, subprocess, sys
TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
under = "libvtshim.so" in os.environ.get("LD_PRELOAD", "")
PROGRAM = f"""
import sys, threading, time
sys.path.insert(0, {os.path.join(TOP, "build/pyglue")!r})
import vtshim
def run(seconds):
    with vtshim.pinned():
        time.sleep(seconds)
for seconds in SECONDS:
    t = threading.Thread(target=run, args=(seconds,))
    t.start()
    t.join()
print("done")
"""


def lines(seconds, warn):
    env = {k: v for k, v in os.environ.items() if k != "VTSHIM_PIN_WARN"} | ({"VTSHIM_PIN_WARN": warn} if warn else {})
    r = subprocess.run([sys.executable, "-c", PROGRAM.replace("SECONDS", repr(seconds))], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert r.returncode == 0 and r.stdout == "done\n", (r.returncode, r.stdout, r.stderr)
    return r.stderr.splitlines()


assert lines([0.3], "") == []
assert lines([0.0, 0.0, 0.0], "5000") == []
told = lines([0.3, 0.3], "20")
if under:
    assert len(told) == 2, told
    for line in told:
        assert line.startswith("vtshim: ") and "pinned" in line and line.count("0x") >= 3, line
else:
    assert told == []
