"""Ruby's own threads, locks, queues, time-outs, and a server with 200 threads: lib/threads.rb. Ruby interrupts a thread that waits by a signal
(SIGVTALRM by pthread_kill), from its timer thread, until it has noticed."""
import os, subprocess, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import app

with app.App([app.program("ruby"), os.path.join(app.LIB, "threads.rb")], stdout=subprocess.PIPE) as it:
    done = it.process.stdout.read()
    it.ends()
app.figure(f"{int(done)} checks", it)
