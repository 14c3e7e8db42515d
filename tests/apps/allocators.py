"""Debian's jemalloc and mimalloc preloaded together with the shim, in both orders: threads of Python and of C."""
import os, subprocess, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import app

allocators = [app.library(name) for name in ("libjemalloc.so.2", "libmimalloc.so.2.0")]
where, behaviour = app.folder(), os.path.join(app.TOP, "tests/behaviour")
programs = [["/usr/bin/python3", os.path.join(behaviour, "python", name)] for name in ("basics.py", "queues.py")]
programs += [[app.compiled(os.path.join(behaviour, name), where)]
             for name in ("tls/malloc_threads.c", "thread/many_in_turn.c", "sync/producer_consumer.c", "process/fork_worker.c", "thread/keys_destructors.c")]
runs = 0
for allocator in allocators:
    for libs in ([app.PRELOAD, allocator], [allocator, app.PRELOAD]) if app.SHIM else ([allocator],):
        for argv in programs:
            with app.App(argv, env={**app.environment(), "LD_PRELOAD": ":".join(libs)}, stdout=subprocess.DEVNULL) as it: it.ends()
            runs += 1
app.figure(f"{runs} runs", it)
