"""MariaDB with a thread a connection: 200 connections at once insert, wait for each other's row locks, transfer in transactions, hold named locks,
sleep and are killed, on InnoDB in a private data directory. Every answer is checked; then it is shut down, and started again."""
import os, signal, subprocess, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import app, mysql

CONNECTIONS, ROUNDS, ROWS = 200, 6, 10
server, install, where = app.program("mariadbd"), app.program("mariadb-install-db"), app.folder()
data, socket = os.path.join(where, "data"), os.path.join(where, "socket")
user = []
if os.geteuid() == 0:
    user = ["--user=mysql"]
    os.mkdir(data)
    subprocess.run(["chown", "mysql", where, data], check=True)
subprocess.run([install, "--no-defaults", "--datadir=" + data, "--auth-root-authentication-method=normal", "--skip-test-db", *user],
               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
argv = [server, "--no-defaults", "--datadir=" + data, "--socket=" + socket, "--skip-networking", "--pid-file=" + where + "/pid",
        "--thread-handling=one-thread-per-connection", "--max-connections=300", "--innodb-buffer-pool-size=32M",
        "--innodb-lock-wait-timeout=60", "--innodb-flush-log-at-trx-commit=2", *user]
requests = 0


def all_ask(clients, *questions):
    """Each asks all of these, at the same time as the others."""
    global requests
    answers = [[] for _ in clients]
    for question in questions:
        requests += len(clients)
        for i, c in enumerate(clients): c.query(question.format(i=i, row=i % ROWS, other=(i + 1) % ROWS))
        for a, c in zip(answers, clients): a.append(c.result())
    return answers


def killed(victim, killer):
    """KILL QUERY ends a sleep and a wait for a named lock with their answers."""
    assert killer.ask("SELECT GET_LOCK('held', 0)") == [["1"]]
    for question in ("SELECT SLEEP(1000)", "SELECT GET_LOCK('held', 1000)"):
        victim.query(question)
        app_wait(lambda: killer.ask(f"SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID = {victim.id} AND "
                                    "STATE LIKE 'User%'") == [["1"]])
        assert killer.ask(f"KILL QUERY {victim.id}") == 0
        try:
            assert victim.result() in ([["1"]], [[None]])
        except mysql.Failed as e:
            assert e.args[0] in (1317, 3024), e  # interrupted
    assert killer.ask("SELECT RELEASE_LOCK('held')") == [["1"]]


def started():
    it = app.App(argv, stdout=log, stderr=log)
    it.wait_for_port(None, socket)
    return it


log = open(os.path.join(where, "log"), "w+")
try:
    with started() as it:
        app_wait = it.wait_for
        first = mysql.Client(socket)
        for sql in ("CREATE DATABASE d", "CREATE TABLE d.count (id INT PRIMARY KEY, n INT) ENGINE=InnoDB",
                    "CREATE TABLE d.log (who INT, what INT) ENGINE=InnoDB"): first.ask(sql)
        for row in range(ROWS): first.ask(f"INSERT INTO d.count VALUES ({row}, 0)")
        clients = [mysql.Client(socket) for _ in range(CONNECTIONS)]
        for n in range(ROUNDS):
            assert all_ask(clients, "UPDATE d.count SET n = n + 1 WHERE id = {row}", f"INSERT INTO d.log VALUES ({{i}}, {n})",
                           f"SELECT who, what FROM d.log WHERE who = {{i}} AND what = {n}") == [[1, 1, [[str(i), str(n)]]] for i in range(CONNECTIONS)]
        for c in clients: c.query("SELECT GET_LOCK('one', 60), RELEASE_LOCK('one')")
        for c in clients: assert c.result() == [["1", "1"]]
        assert all_ask(clients, "SELECT SLEEP(0.2)") == [[[["0"]]]] * CONNECTIONS
        # One at a time holds the row over two questions; the others wait for it.
        assert all_ask(clients[:1], "BEGIN", "UPDATE d.count SET n = n + 1 WHERE id = 0") == [[0, 1]]
        for c in clients[1:50]: c.query("UPDATE d.count SET n = n + 1 WHERE id = 0")
        assert clients[0].ask("COMMIT") == 0
        for c in clients[1:50]: assert c.result() == 1
        killed(clients[0], first)
        want = [[str(CONNECTIONS * ROUNDS + 50)]]
        assert first.ask("SELECT SUM(n) FROM d.count") == want
        assert first.ask("SELECT COUNT(DISTINCT who, what) FROM d.log") == [[str(CONNECTIONS * ROUNDS)]]
        for c in clients[::2]: c.close()
        assert all_ask(clients[1::2], "SELECT {i}") == [[[[str(i)]]] for i in range(CONNECTIONS // 2)]
        took = it.stop(signal.SIGTERM, seconds=60)
    with started() as again:
        assert mysql.Client(socket).ask("SELECT SUM(n) FROM d.count") == want
        again.stop(signal.SIGTERM, seconds=60)
except BaseException:
    log.seek(0)
    print(log.read()[-3000:], flush=True)
    raise
app.figure(f"{requests} requests on {CONNECTIONS} connections, ended in {took:.1f} s", it)
