# vtshim-test: timeout=180
"""Proof 5: mixed stress of queues, locks, conditions, events, semaphores, barriers, a pool of 2,000, timers and sockets.

VTSHIM_TEST_SECONDS or the first argument: how long (default 5), in rounds. Every hand-over is counted, and what went in must
have come out: a lost wake-up hangs (the watchdog prints all stacks), a doubled one breaks a count. After each round a census
starts more threads than ever were alive: what threads are made of must suffice from the second on, else something leaks.
"""
import faulthandler, os, queue, random, select, socket, sys, threading, time
from concurrent.futures import ThreadPoolExecutor

ROUNDS = 4
CENSUS = 4500  # above the most that a round has alive: the pool of 2,000, the one before it that still ends, and the others
seconds = float(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("VTSHIM_TEST_SECONDS", 5))
faulthandler.dump_traceback_later(seconds + 120, exit=True)  # it takes 10 s, and 20 beside other work
end = 0
running = lambda: time.monotonic() < end
totals, errors = {}, []


def same(name, got, want):
    totals[name] = want
    if got != want:
        errors.append(f"{name}: got {got}, want {want}")


def run(*bodies):
    """Runs the bodies as threads, returns their results in order; a body's exception is an error of the test."""
    out = [None] * len(bodies)
    def call(i, body):
        try:
            out[i] = body()
        except BaseException as e:
            errors.append(f"{body}: {e!r}")
            raise
    threads = [threading.Thread(target=call, args=x) for x in enumerate(bodies)]
    for t in threads: t.start()
    for t in threads: t.join()
    return out


def queues(name, q, producers=4, consumers=4):
    def produce():
        count = total = 0
        while running():
            count += 1
            total += count
            q.put(count)
            while q.qsize() > 1000: time.sleep(0.001)  # SimpleQueue has no bound
        return count, total
    def consume():
        count = total = 0
        while (item := q.get()) != 1 << 60:  # sorts last in a PriorityQueue
            count += 1
            total += item
        return count, total
    def end_it(made):
        # A LifoQueue gives the last first: wait until all real items are taken before the sentinels go in.
        while not q.empty(): time.sleep(0.001)
        for _ in range(consumers): q.put(1 << 60)
    def producing():
        made = run(*[produce] * producers)
        end_it(made)
        return made
    made, *taken = run(producing, *[consume] * consumers)
    same(name, tuple(map(sum, zip(*taken))), tuple(map(sum, zip(*made))))


def counting(name, lock, depth):
    value = [0]
    def add():
        n = 0
        while running():
            for _ in range(depth): lock.acquire()
            seen = value[0]
            if n % 16 == 0: time.sleep(0)
            value[0] = seen + 1
            for _ in range(depth): lock.release()
            n += 1
        return n
    made = run(*[add] * 8)
    same(name, value[0], sum(made))


def condition_ring(name, members=8):
    cond, turn, stop = threading.Condition(), [0], [False]
    def member(me):
        n = 0
        while True:
            with cond:
                while turn[0] % members != me and not stop[0]: cond.wait()
                if stop[0]: return n
                turn[0] += 1
                n += 1
                if not running(): stop[0] = True
                cond.notify_all()
    made = run(*[lambda me=me: member(me) for me in range(members)])
    same(name, sum(made), turn[0])


def condition_credits(name, takers=6):
    """One notify per credit, each taker takes with or without a timeout: every credit is taken once."""
    cond, credits, done = threading.Condition(), [0], [False]
    def give():
        n = 0
        while running():
            with cond:
                credits[0] += 1
                n += 1
                cond.notify()
            if n % 64 == 0: time.sleep(0)
        with cond:
            done[0] = True
            cond.notify_all()
        return n
    def take(timeout):
        n = 0
        while True:
            with cond:
                while not credits[0] and not done[0]: cond.wait(timeout)
                if not credits[0]: return n
                credits[0] -= 1
                n += 1
    given, *taken = run(give, *[lambda i=i: take(0.002 if i % 2 else None) for i in range(takers)])
    same(name, sum(taken), given)


def event_pairs(name, pairs=4):
    def pair():
        ping, pong, last = threading.Event(), threading.Event(), [False]
        def first():
            n = 0
            while not last[0]:
                n += 1
                last[0] = not running()
                ping.set()
                pong.wait()
                pong.clear()
            return n
        def second():
            n = 0
            while True:
                ping.wait()
                ping.clear()
                n += 1
                over = last[0]
                pong.set()
                if over: return n
        return run(first, second)
    made = run(*[pair] * pairs)
    same(name, sum(b for _, b in made), sum(a for a, _ in made))


def semaphores(name, permits=3):
    sem, inside, most, guard = threading.BoundedSemaphore(permits), [0], [0], threading.Lock()
    def body():
        n = 0
        while running():
            if not sem.acquire(timeout=None if n % 2 else 60): raise AssertionError("no permit in 60 s")
            with guard:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            time.sleep(0)
            with guard: inside[0] -= 1
            sem.release()
            n += 1
        return n
    totals[name] = sum(run(*[body] * 8))
    if most[0] > permits: errors.append(f"{name}: {most[0]} inside, {permits} permits")
    for _ in range(permits):
        if not sem.acquire(blocking=False): errors.append(f"{name}: a permit is lost")
    if sem.acquire(blocking=False): errors.append(f"{name}: a permit too many")


def barriers(name, parties=8):
    go, gathered = [True], [0]
    def action():
        gathered[0] += 1
        go[0] = running()
    barrier = threading.Barrier(parties, action)
    def body():
        rounds = indices = 0
        while True:
            indices += barrier.wait()
            rounds += 1
            if not go[0]: return rounds, indices
            # The flag may only change again when all have read it.
            second.wait()
    second = threading.Barrier(parties)
    made = run(*[body] * parties)
    same(name, [m[0] for m in made], [gathered[0]] * parties)
    same(name + " indices", sum(m[1] for m in made), gathered[0] * parties * (parties - 1) // 2)


def pool(name, size=2000):
    rounds = 0
    while rounds == 0 or running():
        gate = threading.Semaphore(0)
        here = threading.Semaphore(0)
        def task(i):
            here.release()
            gate.acquire()
            return i
        with ThreadPoolExecutor(size) as executor:
            futures = [executor.submit(task, i) for i in range(size)]
            for _ in range(size): here.acquire()  # all of them wait at the same time
            gate.release(size)
            got = sum(f.result() for f in futures)
        rounds += 1
        if got != size * (size - 1) // 2: errors.append(f"{name}: sum {got}")
    totals[name] = rounds


def timers(name):
    fired, guard, wanted, rng = [0], threading.Lock(), 0, random.Random(1)
    def fire():
        with guard: fired[0] += 1
    while running():
        batch = [threading.Timer(rng.random() * 0.05, fire) for _ in range(50)]
        late = [threading.Timer(1000, fire) for _ in range(10)]
        for t in batch + late: t.start()
        for t in late: t.cancel()
        for t in batch + late: t.join()
        wanted += len(batch)
    same(name, fired[0], wanted)


def sockets(name, pairs=4):
    """Waits that are cancelled, because time is up or another descriptor was ready: a slot of the ring that isn't given back
    keeps its socket open, and the other side waits for the end in vain."""
    def pair():
        rounds, ready = 0, queue.SimpleQueue()
        def watch():
            nonlocal rounds
            while running():
                ends = [socket.socketpair() for _ in range(3)]
                poll, tried = select.poll(), ends[0][0]
                tried.settimeout(0.001)
                try:
                    errors.append(f"{name}: got {tried.recv(1)} from nobody")
                except TimeoutError:
                    pass
                for a, _ in ends: poll.register(a, select.POLLIN)
                chosen = rounds % 3
                ready.put(ends[chosen][1])
                if poll.poll() != [(ends[chosen][0].fileno(), select.POLLIN)]: errors.append(f"{name}: the wrong one is ready")
                for a, b in ends:
                    a.close()
                    b.settimeout(20)
                    try:
                        if b.recv(1) != b"": errors.append(f"{name}: bytes that nobody sent")
                    except ConnectionResetError:  # what was sent to it was never read
                        pass
                    b.close()
                rounds += 1
        def watch_then_end():
            try:
                watch()
            finally:
                ready.put(None)
        def send():
            while sender := ready.get():
                time.sleep(0)
                sender.send(b"x")
        run(watch_then_end, send)
        return rounds
    totals[name] = sum(run(*[pair] * pairs))


def counts(line):
    """Of a mapping in /proc/self/maps. Not the small anonymous ones, of which CPython makes each thread one of 16 KiB: neighbours merge as they
    happen to lie, so that their number varies by hundreds (3,367, then 2,796) while their size, which is in the address space, doesn't."""
    fields = line.split()
    low, high = (int(x, 16) for x in fields[0].split("-"))
    return len(fields) > 5 or fields[1] != "rw-p" or high - low >= 1 << 20


def take_census():
    """Needs of a process with CENSUS threads: MB of address space, mappings, descriptors, OS threads when they have ended."""
    time.sleep(0.3)  # what the round has joined may still be on its way out
    gates = [threading.Lock() for _ in range(CENSUS)]
    for g in gates: g.acquire()
    threads = [threading.Thread(target=g.acquire) for g in gates]
    for t in threads: t.start()
    with open("/proc/self/status") as f: size = int(f.read().split("VmSize:")[1].split()[0]) // 1024
    with open("/proc/self/maps") as f: maps = sum(1 for line in f if counts(line))
    for g, t in zip(gates, threads):  # one by one: no crowd at the GIL
        g.release()
        t.join()
    return size, maps, len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))


def compare(before, after):
    """What a thread is made of has 8 MB of address space, and new ones come 16 at a time. An OS thread more, of the shim's own, has
    a stack, an arena of malloc's, a ring and an eventfd, and sooner or later two files of /proc."""
    more = max(0, after[3] - before[3])
    limits = 64 + 128 * more, 250 + 16 * more, 2 * more + 2 * after[3]
    for what, b, a, limit in zip(("MB of address space", "mappings", "descriptors"), before, after, limits):
        if a - b > limit: errors.append(f"leak: {what} grew from {b} to {a}, {limit} more are allowed")


everything = [
    lambda: queues("Queue", queue.Queue(8)), lambda: queues("LifoQueue", queue.LifoQueue(8)),
    lambda: queues("PriorityQueue", queue.PriorityQueue(8)), lambda: queues("SimpleQueue", queue.SimpleQueue(), 1, 3),
    lambda: counting("Lock", threading.Lock(), 1), lambda: counting("RLock", threading.RLock(), 3),
    lambda: condition_ring("Condition ring"), lambda: condition_credits("Condition credits"), lambda: event_pairs("Event"),
    lambda: semaphores("Semaphore"), lambda: barriers("Barrier"), lambda: pool("ThreadPoolExecutor(2000)"), lambda: timers("Timer"),
    lambda: sockets("sockets")]
censuses = []
for _ in range(ROUNDS):
    end = time.monotonic() + seconds / ROUNDS
    run(*everything)
    if errors: break
    censuses.append(take_census())
else:
    compare(censuses[1], censuses[-1])
faulthandler.cancel_dump_traceback_later()
for name, total in totals.items(): print(name, total)
for c in censuses: print("%d MB, %d mappings, %d descriptors, %d OS threads" % c)
if threading.active_count() != 1: errors.append(f"{threading.active_count()} threads are left")
for e in errors: print("stress:", e)
sys.exit(1 if errors or len(totals) != len(everything) + 1 else 0)
