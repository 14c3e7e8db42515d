"""Guile, whose collector is libgc: it stops the world by signals whose handlers wait, and scans each thread's stack from its handler's frame: lib/threads.scm."""
import os, subprocess, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import app

with app.App([app.program("guile"), "--no-auto-compile", "-s", os.path.join(app.LIB, "threads.scm")], stdout=subprocess.PIPE) as it:
    done = it.process.stdout.read()
    it.ends()
app.figure(f"{int(done)} checks", it)
