"""sqlite3 from threads of Python, a connection each and one file: transfers between accounts keep the sum; reads beside them see it, too."""
import sqlite3, sys, threading
THREADS, ROUNDS, ACCOUNTS = 24, 30, 10
errors = []


def connect(): return sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)


def transfer(me):
    try:
        db = connect()
        for n in range(ROUNDS):
            db.execute("BEGIN IMMEDIATE")
            db.execute("UPDATE account SET money = money - 1 WHERE id = ?", ((me + n) % ACCOUNTS,))
            db.execute("UPDATE account SET money = money + 1 WHERE id = ?", ((me * n) % ACCOUNTS,))
            db.execute("COMMIT")
            assert db.execute("SELECT sum(money) FROM account").fetchone() == (ACCOUNTS * 100,)
        db.close()
    except BaseException as e:
        errors.append(repr(e))


db = connect()
db.execute("PRAGMA synchronous=OFF")
db.execute("CREATE TABLE account (id INTEGER PRIMARY KEY, money)")
db.executemany("INSERT INTO account VALUES (?, 100)", [(i,) for i in range(ACCOUNTS)])
threads = [threading.Thread(target=transfer, args=(i,)) for i in range(THREADS)]
for t in threads: t.start()
for t in threads: t.join()
assert not errors, errors
assert db.execute("SELECT sum(money) FROM account").fetchone() == (ACCOUNTS * 100,)
print(THREADS * ROUNDS * 2)
