"""SQLite from many threads: Debian's libsqlite3 from C (lib/sqlite_threads.c, where its header is installed) and from Python."""
import os, subprocess, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import app

where = app.folder()
programs = [["/usr/bin/python3", os.path.join(app.LIB, "sqlite_threads.py"), os.path.join(where, "python.db")]]
if os.path.exists("/usr/include/sqlite3.h"):
    exe = app.compiled("sqlite_threads.c", where, "-lsqlite3")
    programs.append([exe, os.path.join(where, "c.db")])
for argv in programs:
    with app.App(argv, stdout=subprocess.PIPE) as it:
        done = int(it.process.stdout.read() or 0)
        it.ends()
    app.figure(f"{os.path.basename(argv[0])}: {done} statements checked", it)
