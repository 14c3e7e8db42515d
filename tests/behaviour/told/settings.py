"""VTSHIM_* that are misspelt or have wrong values: one line each, with the nearest name; VTSHIM_DUMP_SIGNAL takes names."""
import os, signal, subprocess, sys
TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
if not os.environ.get("LD_PRELOAD"): sys.exit(0)
ENV = {**{k: v for k, v in os.environ.items() if not k.startswith("VTSHIM_")}, "LD_PRELOAD": os.path.join(TOP, "build", "libvtshim.so")}
DUMPS = "import os, signal, sys, threading; t = threading.Thread(target=print); t.start(); t.join(); os.kill(os.getpid(), int(sys.argv[1]))"


def told(argv=("true",), status=0, **settings):
    r = subprocess.run(argv, env={**ENV, **settings}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert r.returncode == status, (settings, r)
    return r.stderr


def once(text, *words):
    assert text.count("\n") == 1 and text.startswith("vtshim: ") and all(w in text for w in words), text


assert told() == "" and told(VTSHIM_CARRIERS="2", VTSHIM_LOG="off") == ""
for wrong, right in {"VTSHIM_CARIERS": "VTSHIM_CARRIERS", "VTSHIM_LGO": "VTSHIM_LOG", "VTSHIM_TSL": "VTSHIM_TLS", "VTSHIM_DUMPSIGNAL": "VTSHIM_DUMP_SIGNAL",
                     "VTSHIM_PIN_LIB": "VTSHIM_PIN_LIBS", "VTSHIM_MAXCARRIERS": "VTSHIM_MAX_CARRIERS"}.items():
    once(told(**{wrong: "1"}), wrong, f"do you mean {right}?")
text = told(VTSHIM_SOMETHING_ELSE_ALTOGETHER="1")
once(text, "VTSHIM_SOMETHING_ELSE_ALTOGETHER")
assert "do you mean" not in text, text
once(told(VTSHIM_CARRIERS="0"), "VTSHIM_CARRIERS=0", "1..256")
for name, number in {"USR1": signal.SIGUSR1, "SIGUSR2": signal.SIGUSR2, "usr1": signal.SIGUSR1, "10": 10, "RTMIN+3": signal.SIGRTMIN + 3, "SIGRTMIN": signal.SIGRTMIN,
                     "RTMAX-9": signal.SIGRTMAX - 9, "STKFLT": 16}.items():
    text = told(("/usr/bin/python3", "-c", DUMPS, str(int(number))), VTSHIM_DUMP_SIGNAL=name)
    assert " virtual threads: " in text, (name, text)
for name in ("USR9", "SIG", "RTMIN+31", "RTMAX-31", "RTMIN-1", "65", "RTMIN+", "USR1 "):
    once(told(VTSHIM_DUMP_SIGNAL=name), f"VTSHIM_DUMP_SIGNAL={name}")
once(told(VTSHIM_DUMP_SIGNAL="KILL"), "SIGKILL can't be handled")
