"""Threaded Python services: gunicorn (gthread: a restart under load; a worker that no longer answers), waitress, CherryPy, werkzeug and uWSGI with Flask,
Django and SQLAlchemy, psycopg2 with a PostgreSQL server, side by side. Clients check every byte, threads' and requests' own values, sessions, uploads and streams; then each is ended by a signal
while it answers. What a server does when a signal comes is what it does natively. Who isn't installed is left out."""
import contextlib, glob, hashlib, http.client, importlib.util, json, os, shutil, signal, socket, sqlite3, subprocess, sys, threading, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import app

PYTHON, WEB = "/usr/bin/python3", os.path.join(app.LIB, "web")
CLIENTS, ROUNDS = int(os.environ.get("WEB_CLIENTS", "6")), int(os.environ.get("WEB_ROUNDS", "2"))
DATA = {size: hashlib.shake_128(b"x").digest(size) for size in (0, 1, 2000, 70000, 600000)}
requests = again = 0
tally = threading.Lock()


class Client:
    """Keeps its connection and its cookie. A server that ends may close a connection on which no answer has begun: then it's asked once more, anew."""

    keep = True

    def __init__(self, port, number):
        self.port, self.number, self.connection, self.cookie = port, number, None, ""

    def ask(self, path, body=None, status=200, **headers):
        global requests, again
        if self.cookie: headers["Cookie"] = self.cookie
        if not self.keep: headers["Connection"] = "close"
        for last in (False, True):
            fresh = not self.connection
            try:
                if fresh: self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
                self.connection.request("POST" if body is not None else "GET", path, body, headers)
                r = self.connection.getresponse()
                break
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                self.connection = None
                if last: raise
                with tally: again += 1
        data = r.read()
        assert r.status == status, f"{path}: {r.status}, {data[:200]}"
        if cookie := r.headers["Set-Cookie"]: self.cookie = cookie.partition(";")[0]
        if r.will_close or not self.keep: self.connection = None
        with tally: requests += 1
        return data

    def upload(self, path):
        files = {f"file{size}": (f"name-{self.number}-{size}", data) for size, data in DATA.items() if size}
        border = "-" * 20 + str(self.number)
        body = b"".join(f'--{border}\r\nContent-Disposition: form-data; name="{name}"; filename="{called}"\r\n\r\n'.encode() + data + b"\r\n"
                        for name, (called, data) in files.items()) + f"--{border}--\r\n".encode()
        got = json.loads(self.ask(path, body, **{"Content-Type": f"multipart/form-data; boundary={border}"}))
        assert got == {name: [called, hashlib.sha256(data).hexdigest()] for name, (called, data) in files.items()}, got

    def stream(self, size):
        token = f"s{self.number}"
        got = self.ask(f"/stream/{size}?token={token}")
        assert got == b"".join(hashlib.shake_128(f"{token}-{at}".encode()).digest(min(3000, size - at)) for at in range(0, size, 3000)), "a stream"


def flask_client(c, n):
    for i in range(2):
        token = f"t{c.number}-{n}-{i}"
        assert c.ask(f"/context?token={token}").split()[0] == token.encode()
    for size in list(DATA)[:4]: assert c.ask("/echo", DATA[size]) == DATA[size], f"an echo of {size}"
    if n == 0: c.upload("/upload")
    c.stream(20000 + c.number)
    assert c.ask("/session") == b"%d" % (n + 1)
    for i in range(2):
        rows = c.ask(f"/rows/{c.number}/r{n}-{i}").decode().split()
        assert rows == [f"r{m}-{j}" for m in range(n + 1) for j in range(2) if (m, j) <= (n, i)], rows
    assert b"Internal Server Error" in c.ask("/fails", status=500)


def django_client(c, n):
    for i in range(3): assert c.ask(f"/count/{c.number}") == b"%d" % (3 * n + i + 1)
    for code in ("de", "fr"): assert c.ask(f"/language/{code}") == code.encode()
    assert c.ask("/session") == b"%d" % (n + 1)
    if n == 0: c.upload("/upload")
    c.stream(20000 + c.number)
    with open(os.path.join(WEB, "django_app.py"), "rb") as file: assert c.ask("/file") == file.read()


def uwsgi_client(c, n):
    c.keep = False
    flask_client(c, n)


def stuck_client(c, n):
    for i in range(3): assert c.ask(f"/{c.number}-{n}-{i}").split()[0] == f"/{c.number}-{n}-{i}".encode()


def load(port, client, between, quiet):
    """All clients at once; `between` is done meanwhile, after the first round; if `quiet`, the second waits for it."""
    errors, begun, done = [], threading.Barrier(CLIENTS + 1), threading.Event()
    if not quiet: done.set()

    def run(number):
        try:
            c = Client(port, number)
            for n in range(ROUNDS):
                client(c, n)
                if n == 0:
                    begun.wait(60)
                    assert done.wait(60)
        except BaseException as e:
            begun.abort()
            errors.append(f"client {number}: {e!r}")

    threads = [threading.Thread(target=run, args=(i,)) for i in range(CLIENTS)]
    for t in threads: t.start()
    with contextlib.suppress(threading.BrokenBarrierError): begun.wait(60)
    try:
        between()
    finally:
        done.set()
    for t in threads: t.join()
    assert not errors, errors


def ports():
    """Free ones, each once: not where the kernel takes those of connections from, as the servers' clients and the servers start side by side."""
    for port in range(20000 + os.getpid() % 1000 * 12, 32000):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)): yield port


def served(name, port, argv, client, number, code, graceful=True, between=None, last=None, quiet=False):
    """Loads one server, and ends it by signal `number` while it answers."""
    where = app.folder()
    sqlite3.connect(where + "/flask.db").executescript("PRAGMA journal_mode=WAL; CREATE TABLE entry(id INTEGER PRIMARY KEY, who INTEGER, what TEXT)").close()
    env = app.environment(WEB_DATABASE=where + "/flask.db", WEB_FOLDER=where, PYTHONPATH=WEB, PYTHONDONTWRITEBYTECODE="1", PYTHONUNBUFFERED="1")
    env.pop("PYTHONHASHSEED", None)
    with open(where + "/log", "w+") as log:
        try:
            with app.App([a.format(port=port, where=where) for a in argv], env, where + "/log", stdout=log, stderr=log, cwd=where) as it:
                it.wait_for_port(port)
                load(port, client, lambda: between and between(it, where + "/log"), quiet)
                if last: last(it, port)
                if graceful:
                    answers = []
                    slow = threading.Thread(target=lambda: answers.append(Client(port, 0).ask("/slow/300")))
                    slow.start()
                    time.sleep(0.1)
                took = it.stop(number, code)
                if graceful:
                    slow.join()
                    assert answers == [b"done"], "the last answer is lost"
            log.seek(0)
            text = log.read()
            for bad in ("vtshim:", "Fatal Python error", "Exception in thread", "AssertionError", "Exception ignored"): assert bad not in text, bad
            return it, took
        except BaseException:
            log.seek(0)
            print(f"{name}:", log.read()[-3000:], flush=True)
            raise


def logged(it, log, what, times=1):
    it.wait_for(lambda: open(log).read().count(what) >= times)


def hang_up(it, log):
    it.process.send_signal(signal.SIGHUP)
    logged(it, log, "Booting worker", 4)
    logged(it, log, "Worker exiting", 2)


def reload_uwsgi(it, log):
    """Its handler cancels the threads, which wait for a lock, and joins them. While they answer it may hang natively: it interrupts main with the GIL."""
    it.process.send_signal(signal.SIGHUP)
    logged(it, log, "gracefully killing worker")
    logged(it, log, "spawned uWSGI worker", 4)


def abort(it, port):
    """A worker whose main thread waits for good is ended by SIGABRT, which Python handles there, and another takes its place."""
    before = {Client(port, 0).ask("/x").split()[1] for _ in range(4)}
    try:
        Client(port, 0).ask("/stuck")
        assert False, "it answered"
    except (http.client.RemoteDisconnected, ConnectionResetError):
        pass
    after = {Client(port, 0).ask("/x").split()[1] for _ in range(8)}
    assert not before & after, (before, after)


def with_postgres():
    """A PostgreSQL server, natively, and psycopg2's users."""
    where = app.folder()
    binaries = sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1]
    user = {}
    if os.geteuid() == 0:
        shutil.chown(where, "postgres")
        user = {"user": "postgres", "extra_groups": ()}
    subprocess.run([binaries + "/initdb", "-D", where + "/data", "-A", "trust", "--no-sync", "-U", "postgres"], stdout=subprocess.DEVNULL, check=True, cwd=where, **user)
    with open(where + "/log", "w") as log:
        server = subprocess.Popen([binaries + "/postgres", "-D", where + "/data", "-k", where, "-c", "listen_addresses=", "-c", "fsync=off"], stdout=log, stderr=log, cwd=where, **user)
    try:
        end = time.monotonic() + 60
        while "ready to accept" not in open(where + "/log").read():
            assert server.poll() is None and time.monotonic() < end, open(where + "/log").read()
            time.sleep(0.02)
        with app.App([PYTHON, WEB + "/postgres_pool.py", where, "12", "6"]) as it: it.ends()
        return it, 0
    finally:
        server.send_signal(signal.SIGQUIT)  # at once
        server.wait()


def has(*modules):
    return all(importlib.util.find_spec(m) for m in modules)


def chosen():
    """name: what `served` is given."""
    found, serve = {}, [PYTHON, WEB + "/serve.py"]
    flask, django = has("flask", "sqlalchemy"), has("django")
    gunicorn = [PYTHON, "-m", "gunicorn", "-b", "127.0.0.1:{port}", "--graceful-timeout", "20"]
    if has("gunicorn"):
        if flask: found["gunicorn"] = ([*gunicorn, "-k", "gthread", "-w", "2", "--threads", "6", "--preload", "flask_app:app"], flask_client, signal.SIGTERM, 0, True, hang_up)
        found["stuck"] = ([*gunicorn, "-w", "1", "-t", "1", "stuck_app:app"], stuck_client, signal.SIGINT, 0, False, None, abort)
    if django and has("waitress"): found["waitress"] = ([*serve, "waitress", "{port}"], django_client, signal.SIGINT, 0, False)
    if flask:
        if has("cherrypy"): found["cherrypy"] = ([*serve, "cherrypy", "{port}"], flask_client, signal.SIGTERM, 0)
        found["werkzeug"] = ([*serve, "werkzeug", "{port}"], flask_client, signal.SIGINT, 0, False)
        if os.environ.get("VTSHIM_TLS") != "swap" and os.path.exists("/usr/lib/uwsgi/plugins/python3_plugin.so"):
            found["uwsgi"] = (["/usr/bin/uwsgi-core", "--plugin", "python3", "--http-socket", "127.0.0.1:{port}", "--master", "--processes", "2", "--threads", "6",
                               "--enable-threads", "--die-on-term", "--thunder-lock", "--wsgi", "flask_app:app"],
                              uwsgi_client, signal.SIGTERM, 0, False, reload_uwsgi, None, True)
    if has("psycopg2", "sqlalchemy") and glob.glob("/usr/lib/postgresql/*/bin/initdb"): found["postgres"] = None
    only = os.environ.get("WEB_ONLY")
    return {n: f for n, f in found.items() if not only or n in only.split(",")}


failures, times = [], {}


def guarded(name, port, what):
    try:
        it, took = served(name, port, *what) if what else with_postgres()
        times[name] = (it, time.monotonic() - app.begun, took)
    except BaseException as e:
        failures.append(f"{name}: {e!r}")


servers = chosen() or app.skip("no servers are installed")
threads = [threading.Thread(target=guarded, args=(n, port, what)) for (n, what), port in zip(servers.items(), ports())]
for t in threads: t.start()
for t in threads: t.join()
assert not failures, failures
for name, (it, total, took) in times.items(): print(f"{name}: {total:.1f} s, ended in {took:.1f} s, at most {it.threads} OS threads")
app.figure(f"{requests} requests of {CLIENTS} clients to each of {len(servers)} servers, {again} asked again", max((t[0] for t in times.values()), key=lambda i: i.threads))
