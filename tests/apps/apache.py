"""apache2 with mpm_worker and mpm_event: 40 clients fetch files of three sizes, each byte checked, while the server restarts gracefully (new
children, the old ones finish); then it stops gracefully."""
import hashlib, http.client, os, pwd, signal, sys, threading
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import app

CLIENTS, ROUNDS, SIZES = 40, 60, (1, 5000, 300000)
server = app.program("apache2")
modules = "/usr/lib/apache2/modules"
CONFIG = """
ServerRoot {where}
ServerName localhost
PidFile {where}/pid
Mutex default:{where}
Listen 127.0.0.1:{port}
LoadModule mpm_{kind}_module {modules}/mod_mpm_{kind}.so
LoadModule authz_core_module {modules}/mod_authz_core.so
DocumentRoot {where}/files
ErrorLog {where}/log
StartServers 2
ThreadsPerChild 25
MinSpareThreads 25
MaxSpareThreads 75
MaxRequestWorkers 100
"""


def fetch(port, contents, number, errors):
    """A new connection every five requests, and where the server has closed an idle one, as it may."""
    try:
        c = None
        for n in range(ROUNDS):
            size = SIZES[(n + number) % len(SIZES)]
            try:
                r = request(c, size) if c else None
            except (http.client.RemoteDisconnected, ConnectionError):
                r = None
            if not r: r = request(c := http.client.HTTPConnection("127.0.0.1", port, timeout=30), size)
            got = r.read()
            assert (r.status, got == contents[size]) == (200, True), f"{r.status}, {len(got)} bytes of {size}"
            if n % 5 == 4 or r.will_close: c = c.close()
    except Exception as e:
        errors.append(f"client {number}, request {n}: {e!r}")


def request(connection, size):
    connection.request("GET", f"/{size}")
    return connection.getresponse()


def serve(kind):
    where, port = app.folder(), app.free_port()
    os.mkdir(f"{where}/files")
    contents = {size: hashlib.shake_128(b"x").digest(size) for size in SIZES}
    for size, data in contents.items():
        with open(f"{where}/files/{size}", "wb") as file: file.write(data)
    with open(f"{where}/conf", "w") as file:
        file.write(CONFIG.format(where=where, port=port, kind=kind, modules=modules))
        if os.geteuid() == 0: file.write("User nobody\nGroup #%d\n" % pwd.getpwnam("nobody").pw_gid)
    with app.App([server, "-f", f"{where}/conf", "-DFOREGROUND"]) as it:
        it.wait_for_port(port)
        # The port is open once before, while the configuration is read for the first time, then closed again.
        it.wait_for(lambda: "resuming normal operations" in open(f"{where}/log").read())
        errors = []
        clients = [threading.Thread(target=fetch, args=(port, contents, i, errors)) for i in range(CLIENTS)]
        for c in clients[:CLIENTS // 2]: c.start()
        it.process.send_signal(signal.SIGUSR1)
        for c in clients[CLIENTS // 2:]: c.start()
        for c in clients: c.join()
        assert not errors, errors
        took = it.stop(signal.SIGWINCH)
    log = open(f"{where}/log").read()
    assert "Doing graceful restart" in log and "shutting down gracefully" in log, log
    assert "did not exit" not in log and "exit signal" not in log, log
    app.figure(f"{kind}: {CLIENTS * ROUNDS} requests of {CLIENTS} clients, ended in {took:.1f} s", it)


for kind in ("worker", "event"): serve(kind)
