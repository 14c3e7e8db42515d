"""postgres_pool.py FOLDER THREADS ROUNDS: psycopg2 and SQLAlchemy's pool on it: each thread sees what it wrote; a query is cancelled by its time limit;
a thread listens while another notifies."""
import select, sys, threading

import psycopg2, psycopg2.pool, psycopg2.extensions
import sqlalchemy

where, count, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
dsn = f"host={where} user=postgres dbname=postgres"
pool = psycopg2.pool.ThreadedConnectionPool(2, count + 1, dsn)
engine = sqlalchemy.create_engine(f"postgresql+psycopg2:///postgres?host={where}&user=postgres", pool_size=3, max_overflow=3, pool_timeout=60)
errors, listening = [], threading.Event()


def connected():
    c = psycopg2.connect(dsn)
    c.autocommit = True
    return c, c.cursor()


def work(i):
    for n in range(rounds):
        c = pool.getconn()
        cursor = c.cursor()
        cursor.execute("INSERT INTO t VALUES (%s, %s)", (i, n))
        c.commit()
        cursor.execute("SELECT n FROM t WHERE who = %s ORDER BY n", (i,))
        assert [r[0] for r in cursor.fetchall()] == list(range(n + 1))
        c.rollback()
        pool.putconn(c)
        with engine.begin() as e: assert e.execute(sqlalchemy.text("SELECT count(*) FROM t WHERE who = :i"), {"i": i}).scalar() == n + 1
    c, cursor = connected()
    cursor.execute("SET statement_timeout = 10")
    try:
        cursor.execute("SELECT pg_sleep(100)")
        assert False, "it isn't cancelled"
    except psycopg2.extensions.QueryCanceledError:
        pass
    c.close()


def listen(_):
    c, cursor = connected()
    cursor.execute("LISTEN x")
    listening.set()
    got = []
    while len(got) < 20:
        select.select([c], [], [])
        c.poll()
        got += [n.payload for n in c.notifies]
        c.notifies.clear()
    assert got == [str(n) for n in range(20)], got


def notify(_):
    listening.wait()
    c, cursor = connected()
    for n in range(20): cursor.execute(f"NOTIFY x, '{n}'")


def guarded(what, i):
    try:
        what(i)
    except BaseException as e:
        errors.append(repr(e))


c, cursor = connected()
cursor.execute("CREATE TABLE t (who int, n int); CREATE INDEX ON t (who)")
threads = [threading.Thread(target=guarded, args=a) for a in [(work, i) for i in range(count)] + [(listen, 0), (notify, 0)]]
for t in threads: t.start()
for t in threads: t.join()
assert not errors, errors
cursor.execute("SELECT count(*), count(DISTINCT (who, n)) FROM t")
assert cursor.fetchone() == (count * rounds,) * 2
