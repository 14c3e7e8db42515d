"""The library and vtrun need no glibc newer than 2.34, so that what is built on Debian 12 runs on newer ones, too. Newer headers lead strtol and its kin to
glibc 2.38: what is built there isn't for older ones."""
import os, re, subprocess, sys
TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
MOST = (2, 34)
if tuple(int(n) for n in os.confstr("CS_GNU_LIBC_VERSION").split()[1].split(".")) >= (2, 38):
    print("built for this glibc and newer ones")
    sys.exit(77)
env = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}
bad = []
for name in ("libvtshim.so", "vtrun"):
    out = subprocess.run(["objdump", "-T", os.path.join(TOP, "build", name)], stdout=subprocess.PIPE, text=True, check=True, env=env).stdout
    needed = re.findall(r"\*UND\*.*GLIBC_([\d.]+)\)?\s+(\S+)", out)
    assert needed, f"{name}: objdump tells nothing"
    bad += [f"{name} needs {symbol} of glibc {version}" for version, symbol in needed if tuple(map(int, version.split("."))) > MOST]
print("\n".join(bad) or "ok")
sys.exit(1 if bad else 0)
