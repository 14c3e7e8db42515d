"""threading's Lock, RLock, Condition, Semaphore and BoundedSemaphore: ownership, timeouts, hand-over, errors."""
import faulthandler, threading, time, unittest

faulthandler.dump_traceback_later(50, exit=True)


def threads(count, body):
    made = [threading.Thread(target=body, args=(i,)) for i in range(count)]
    for t in made: t.start()
    return made


def join(made):
    for t in made: t.join()


class Locks(unittest.TestCase):
    def test_exclusion(self):
        for lock in threading.Lock(), threading.RLock():
            total = [0]
            def add(_):
                for n in range(300):
                    with lock:
                        seen = total[0]
                        if n % 10 == 0: time.sleep(0)
                        total[0] = seen + 1
            join(threads(20, add))
            self.assertEqual(total[0], 6000)

    def test_try_and_timeout(self):
        for lock in threading.Lock(), threading.RLock():
            lock.acquire()
            got = []
            def attempt(_):
                got.append(lock.acquire(blocking=False))
                start = time.monotonic()
                got.append(lock.acquire(timeout=0.1))
                got.append(time.monotonic() - start)
            join(threads(1, attempt))
            self.assertEqual(got[:2], [False, False])
            self.assertGreaterEqual(got[2], 0.09)
            self.assertLess(got[2], 10)
            lock.release()
            self.assertTrue(lock.acquire(timeout=0))
            lock.release()

    def test_timed_wait_gets_the_lock(self):
        lock, got = threading.Lock(), []
        lock.acquire()
        made = threads(5, lambda _: got.append(lock.acquire(timeout=40)) or lock.release())
        lock.release()
        join(made)
        self.assertEqual(got, [True] * 5)

    def test_lock_is_released_by_another_thread(self):
        lock = threading.Lock()
        lock.acquire()
        made = threads(1, lambda _: lock.release())
        lock.acquire()
        join(made)
        self.assertTrue(lock.locked())

    def test_rlock_belongs_to_its_thread(self):
        lock, errors = threading.RLock(), []
        for _ in range(3): lock.acquire()
        def alien(_):
            try:
                lock.release()
            except RuntimeError as e:
                errors.append(str(e))
        join(threads(1, alien))
        self.assertEqual(len(errors), 1)
        for _ in range(3): lock.release()
        self.assertRaises(RuntimeError, lock.release)

    def test_condition_notify_counts(self):
        cond, waiting, woken, tokens = threading.Condition(), [0], [0], [0]
        def wait(_):
            with cond:
                waiting[0] += 1
                cond.notify_all()
                while not tokens[0]: cond.wait()
                tokens[0] -= 1
                woken[0] += 1
                cond.notify_all()
        made = threads(30, wait)
        with cond:
            self.assertTrue(cond.wait_for(lambda: waiting[0] == 30, 40))
            tokens[0] = 10
            cond.notify_all()
            self.assertTrue(cond.wait_for(lambda: woken[0] == 10, 40))
            self.assertEqual(tokens[0], 0)
            tokens[0] = 20
            cond.notify(20)
            self.assertTrue(cond.wait_for(lambda: woken[0] == 30, 40))
        join(made)

    def test_condition_timeout(self):
        cond = threading.Condition()
        out = []
        def wait(_):
            with cond:
                start = time.monotonic()
                out.append((cond.wait(0.1), cond.wait_for(lambda: False, 0.1), time.monotonic() - start))
        join(threads(3, wait))
        for first, second, spent in out:
            self.assertEqual((first, second), (False, False))
            self.assertGreaterEqual(spent, 0.18)
        self.assertRaises(RuntimeError, cond.wait)
        self.assertRaises(RuntimeError, cond.notify)

    def test_condition_keeps_the_depth_of_an_rlock(self):
        lock = threading.RLock()
        cond, ready, seen = threading.Condition(lock), [], []
        def wait(_):
            with lock, lock, lock:
                ready.append(1)
                cond.notify_all()
                seen.append(cond.wait_for(lambda: len(ready) == 2, 40))
                for _ in range(3): lock.release()
                try:
                    lock.release()
                except RuntimeError:
                    seen.append("free")
                for _ in range(3): lock.acquire()
        with cond:
            made = threads(1, wait)
            cond.wait_for(lambda: ready, 40)
            ready.append(2)
            cond.notify_all()
        join(made)
        self.assertEqual(seen, [True, "free"])

    def test_semaphore(self):
        sem, guard, inside, most = threading.BoundedSemaphore(3), threading.Lock(), [0], [0]
        def body(_):
            for _ in range(20):
                with sem:
                    with guard:
                        inside[0] += 1
                        most[0] = max(most[0], inside[0])
                    time.sleep(0)
                    with guard: inside[0] -= 1
        join(threads(20, body))
        self.assertLessEqual(most[0], 3)
        self.assertRaises(ValueError, sem.release)
        self.assertEqual([sem.acquire(blocking=False) for _ in range(4)], [True, True, True, False])
        self.assertFalse(sem.acquire(timeout=0.05))

    def test_semaphore_releases_many(self):
        sem, done = threading.Semaphore(0), []
        made = threads(50, lambda i: sem.acquire() and done.append(i))
        sem.release(20)
        sem.release(30)
        join(made)
        self.assertEqual(sorted(done), list(range(50)))
        self.assertFalse(sem.acquire(blocking=False))


if __name__ == "__main__":
    unittest.main()
