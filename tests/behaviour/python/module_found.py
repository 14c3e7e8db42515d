"""`import vtshim` works under scripts/vtrun without installing, in each CPython from 3.8 on that is here and in a virtual environment, from any folder; what the user has on
PYTHONPATH stays, and comes first."""
import glob, os, subprocess, sys, tempfile
TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
VTRUN = os.path.join(TOP, "scripts/vtrun")
CODE = "import sys, threading, vtshim; t = threading.Thread(target=lambda: print(vtshim.active(), vtshim.is_virtual(), users.here)); import users; t.start(); t.join()"
env = {k: v for k, v in os.environ.items() if k not in ("LD_PRELOAD", "PYTHONPATH") and not k.startswith("VTSHIM_")}
pythons = ["/usr/bin/python3"]
for version in ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14"):
    pythons += sorted(glob.glob(os.path.expanduser(f"~/.pyenv/versions/{version}.*/bin/python3")))[:1]
with tempfile.TemporaryDirectory() as folder:
    with open(os.path.join(folder, "users.py"), "w") as f: f.write("here = 'user'\n")
    venv = os.path.join(folder, "venv")
    if subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip", venv], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0:
        pythons.append(os.path.join(venv, "bin/python3"))
    env["PYTHONPATH"] = folder
    for python in pythons:
        r = subprocess.run([VTRUN, python, "-c", CODE], cwd="/", env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
        assert r.stdout == "True True user\n" and r.returncode == 0, (python, r.returncode, r.stdout)
print(f"{len(pythons)} Pythons")
