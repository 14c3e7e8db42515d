"""The benchmarks. Unless their names say otherwise a server runs on one core and its load on another; `_unpinned`: both anywhere.
A ping-pong runs anywhere; `_1core`: all on one core."""
import os
import time

from harness import (CPUS, LOAD_CPU, SERVER_CPU, Benchmark, BenchmarkFailed, Contender, Context, NotHere, Run, answer, finish, first, start, stop)


def simple(name: str, *arguments: str, cpus: set[int] | None = None) -> Run:
    """A benchmark of one program."""
    def run(context: Context, contender: Contender) -> dict[str, float]:
        # A peer's program has its own first word: what it is to do.
        argv = context.argv(name, *arguments, "--seconds", str(context.seconds))
        return finish(start(argv, contender.env, cpus), name, context.limit_s())
    return run


def memory(context: Context, contender: Contender) -> dict[str, float]:
    # Natively 10,000 threads may not be had (pids.max, pid_max): 5,000 show the same figure.
    threads = "5000" if contender.kind == "native" else "10000"
    return finish(start(context.argv("mem_blocked", "--threads", threads), contender.env, None), "mem_blocked", context.limit_s())


def under_load(name: str, arguments: tuple[str, ...], connections: int, pinned: bool, load: tuple[str, ...], context: Context,
               contender: Contender) -> dict[str, float]:
    server = start(context.argv(name, *arguments), contender.env, SERVER_CPU if pinned else None)
    try:
        port = answer(server, 30)["port"]
        # Many connections answer in waves, so these need a longer look.
        seconds, warm_up = (context.seconds, 0.3) if connections < 5000 else (2 * context.seconds, 1.0)
        argv = context.argv("echo_load", "--port", port, "--connections", str(connections), "--pid", str(server.pid), "--seconds", str(seconds),
                            "--warm-up", str(warm_up), *load)
        generator = start(argv, {}, LOAD_CPU if pinned else None)
        if context.recorder:
            context.recorder.begin(server.pid, warm_up + 0.2, seconds)
        found = finish(generator, "echo_load", context.limit_s())
        if context.recorder:
            context.recorder.end()
        if server.poll() is not None:
            raise BenchmarkFailed(f"{name} ended with {server.returncode} under load")
        return found
    except BenchmarkFailed as e:
        raise BenchmarkFailed(f"{e} (server: {stop(server)[-300:].strip() or 'silent'})") from None
    finally:
        if server.returncode is None:
            stop(server)
        server.stdout.close()
        server.stderr.close()


def served(name: str, connections: int, *arguments: str, pinned: bool = True, key: str = "requests_per_s", load: tuple[str, ...] = ()) -> Run:
    """A server under a closed loop; `key`: its main figure."""
    def run(context: Context, contender: Contender) -> dict[str, float]:
        return first(key, under_load(name, arguments, connections, pinned, load, context, contender))
    return run


class SameLoad:
    """Latency at the same offered load for all: a share of what native threads reach in a closed loop, found once."""

    def __init__(self, connections: int, pinned: bool, share: float = 0.6):
        self.connections, self.pinned, self.share, self.rate = connections, pinned, share, 0

    def __call__(self, name: str, *arguments: str) -> Run:
        def run(context: Context, contender: Contender) -> dict[str, float]:
            if not self.rate:
                at_most = under_load("echo_server", (), self.connections, self.pinned, (), context, Contender("native"))
                self.rate = max(1000, int(at_most["requests_per_s"] * self.share / 1000) * 1000)
            # Only a generator that has a core to itself may poll.
            load = ("--rate", str(self.rate), "--spin", "yes" if self.pinned and len(CPUS) > 1 else "no")
            found = under_load(name, arguments, self.connections, self.pinned, load, context, contender)
            return first("p99_us", found | {"offered": float(self.rate)})
        return run


def echo_peers(serve, *names: str, **options) -> dict[str, Run]:
    """The same server by each of the peers: `serve(program, ..., **options)` makes the run."""
    words = {"go": ("echo",), "st": ("echo",)}
    return {n: serve(n, *words.get(n, ()), **options) for n in names}


def compression(key: str) -> Run:
    """zlib.compress in four threads beside 200 connections with 1,000 requests a second: the figures of both, `key` the main one."""
    connections, rate = 200, 1000

    def run(context: Context, contender: Contender) -> dict[str, float]:
        server = start(context.argv("py_compress.py", "--connections", str(connections)), contender.env, None)
        load = None
        try:
            port = answer(server, 60)
            argv = context.argv("echo_load", "--port", port["port"], "--connections", str(connections), "--rate", str(rate), "--warm-up", "0.5",
                                "--seconds", "1000")
            load = start(argv, {}, None)
            found = answer(server, context.limit_s() * 3)
            load.terminate()
            latencies = finish(load, "echo_load", 20)
            return first(key, {"compress_s": float(found["compress_s"]), "p99_us": latencies["p99_us"], "p50_us": latencies["p50_us"],
                               "answers": latencies["requests_per_s"]})
        finally:
            for process in (server, load):
                if process and process.returncode is None:
                    stop(process)
    return run


def startup(kind: str) -> Run:
    def run(context: Context, contender: Contender) -> dict[str, float]:
        program = context.argv("empty") if kind == "c" else [context.python, "-S", "-c", "pass"]
        settings = [f"{key}={value}" for key, value in contender.env.items()]
        argv = context.argv("startup", "--count", "200", "--", *settings, *program)
        return finish(start(argv, {}, None), "startup", context.limit_s())  # the spawner itself is native
    return run


def pigz(context: Context, contender: Contender) -> dict[str, float]:
    """Debian's pigz, four threads, 16 MiB of made-up text."""
    if not os.path.exists("/usr/bin/pigz"):
        raise NotHere("apt install pigz, or scripts/bench --peers-setup")
    data = os.path.join(os.path.dirname(context.programs), "bench-text")
    if not os.path.exists(data):
        text = "".join(f"{i * 2654435761 % 1000003} of {i % 977}, {i * i % 65537}\n" for i in range(1 << 20))
        with open(data, "w") as f:
            f.write((text * (1 + (16 << 20) // len(text)))[:16 << 20])
    argv = ["/usr/bin/pigz", "-p", "4", "-c", data]
    process = start(["/bin/sh", "-c", 'exec "$@" >/dev/null', "sh", *argv], contender.env, None)
    begin = time.perf_counter()
    _, err = process.communicate(timeout=context.limit_s())
    if process.returncode:
        raise BenchmarkFailed(f"pigz ended with {process.returncode}: {err[-300:]}")
    return {"s": time.perf_counter() - begin}


def make() -> list[Benchmark]:
    us = 1e-3  # the programs print nanoseconds
    one = SERVER_CPU

    def c_echo(n: int, pinned: bool, about: str, chart: str = "") -> Benchmark:
        name = f"echo_{n}" + ("" if pinned else "_unpinned")
        serve = lambda peer, *words: served("peer:" + peer, n, *words, pinned=pinned)
        # Debian's State Threads has poll only: no match for many connections.
        names = ("io_uring", "epoll", "asio", "go", *(("st",) if n < 1000 else ()))
        return Benchmark(name, "req/s", "higher", about, served("echo_server", n, pinned=pinned), 1.0, echo_peers(serve, *names), chart)

    def echo_p99(pinned: bool, about: str, chart: str = "") -> Benchmark:
        same = SameLoad(64, pinned)
        name = "echo_p99_64" + ("" if pinned else "_unpinned")
        return Benchmark(name, "us", "lower", about, same("echo_server"), 1.0, echo_peers(lambda p, *w: same("peer:" + p, *w), "io_uring", "epoll", "go"), chart)

    def one_connection() -> Benchmark:
        serve = lambda peer, *words: served("peer:" + peer, 1, *words, key="p50_us")
        return Benchmark("echo_1_p50", "us", "lower", "one connection: median latency", served("echo_server", 1, key="p50_us"), 1.0,
                         echo_peers(serve, "io_uring", "epoll", "go"), "Echo, one connection: median latency")

    def py_echo(n: int, pinned: bool, about: str, chart: str = "") -> Benchmark:
        name = f"py_echo_{n}" + ("" if pinned else "_unpinned")
        serve = lambda peer, *words: served("peer:" + peer, n, *words, pinned=pinned)
        return Benchmark(name, "req/s", "higher", about, served("py_echo.py", n, pinned=pinned), 1.0,
                         echo_peers(serve, "gevent", "asyncio", "uvloop"), chart)

    def http(pinned: bool, chart: str = "") -> Benchmark:
        return Benchmark("py_http_64" + ("" if pinned else "_unpinned"), "req/s", "higher", "Python: ThreadingHTTPServer, keep-alive, 64 connections",
                         served("py_http.py", 64, pinned=pinned, load=("--http", "yes")), chart=chart)

    def c_pingpong(kind: str, on_one: bool, about: str, chart: str = "") -> Benchmark:
        cpus = one if on_one else None
        go, fiber = ("pingpong", "sem") if kind == "sem" else ("cond", "cond")
        return Benchmark(f"{kind}_pingpong" + ("_1core" if on_one else ""), "us", "lower", about, simple(f"{kind}_pingpong", cpus=cpus), us,
                         {"go": simple("peer:go", go, cpus=cpus), "fiber": simple("peer:fiber", fiber, cpus=cpus),
                          "st": simple("peer:st", "pingpong", cpus=cpus)}, chart)

    def py_pingpong(kind: str, on_one: bool, about: str, chart: str = "") -> Benchmark:
        cpus = one if on_one else None
        script = os.path.join("peers", "pingpong.py")
        others = {"lock": {"gevent": (), "asyncio": (), "greenlet": ()}, "queue": {"gevent": ("queue",), "asyncio": ("queue",)}}.get(kind, {})
        return Benchmark(f"py_{kind}_pingpong" + ("_1core" if on_one else ""), "us", "lower", about, simple(f"py_{kind}_pingpong.py", cpus=cpus), us,
                         {n: simple(script, n, *words, cpus=cpus) for n, words in others.items()}, chart)

    def spawn(name: str, about: str, *arguments: str, chart: str = "") -> Benchmark:
        words = tuple(a for a in arguments if a not in ("--from", "worker"))
        return Benchmark(name, "us", "lower", about, simple("spawn_join", *arguments), us,
                         {p: simple("peer:" + p, "spawn", *words) for p in ("go", "fiber", "st")}, chart)

    def blocked_goroutines(context: Context, contender: Contender) -> dict[str, float]:
        return finish(start(context.argv("peer:go", "blocked"), {}, None), "goroutines", context.limit_s())

    return [
        c_echo(64, True, "C: a thread per connection, 64 of them", "C echo, 64 connections"),
        c_echo(1000, True, "the same with 1,000", "C echo, 1,000 connections"),
        c_echo(10000, True, "the same with 10,000", "C echo, 10,000 connections"),
        c_echo(64, False, "64, server and load on any core"),
        c_echo(1000, False, "1,000, server and load on any core"),
        c_echo(10000, False, "10,000, server and load on any core"),
        echo_p99(True, "99th percentile of latency at 60 % of native's requests/s, due at fixed moments", "C echo, 64 connections: p99 latency at the same load"),
        echo_p99(False, "the same, server and load on any core"),
        one_connection(),
        py_echo(64, True, "Python: a thread per connection, 64 of them", "Python echo, 64 connections"),
        py_echo(1000, True, "the same with 1,000", "Python echo, 1,000 connections"),
        py_echo(64, False, "64, server and load on any core"),
        py_echo(1000, False, "1,000, server and load on any core"),
        http(True, "Python ThreadingHTTPServer, keep-alive, 64 connections"),
        http(False),
        py_pingpong("lock", False, "Python: a turn to and fro through two Locks, two workers"),
        py_pingpong("lock", True, "the same, all on one core", "Python Lock ping-pong, one core"),
        py_pingpong("queue", False, "Python: an item to and fro through two Queues"),
        py_pingpong("queue", True, "the same, all on one core", "Python Queue ping-pong, one core"),
        py_pingpong("event", False, "Python: a turn to and fro through two Events"),
        Benchmark("py_lock_pingpong_main", "us", "lower", "Locks, one side is the main thread", simple("py_lock_pingpong.py", "--main"), us),
        Benchmark("py_queue_pingpong_main", "us", "lower", "Queues, one side is the main thread", simple("py_queue_pingpong.py", "--main"), us),
        Benchmark("py_event_pingpong_main", "us", "lower", "Events, one side is the main thread", simple("py_event_pingpong.py", "--main"), us),
        Benchmark("sem_pingpong_main", "us", "lower", "C: semaphores, one side is the main thread", simple("sem_pingpong", "--main", "yes"), us),
        Benchmark("py_lock_main_cost", "x", "bound", "Locks, in one run: main and worker against two workers", simple("py_lock_pingpong.py", "--compare")),
        Benchmark("py_queue_main_cost", "x", "bound", "Queues, the same", simple("py_queue_pingpong.py", "--compare")),
        Benchmark("py_event_main_cost", "x", "bound", "Events, the same", simple("py_event_pingpong.py", "--compare")),
        Benchmark("sem_main_cost", "x", "bound", "C: semaphores, the same", simple("sem_pingpong", "--compare", "yes")),
        Benchmark("py_compress_total", "s", "lower", "Python: zlib.compress of 64 MB in four threads beside 200 connections with 1,000 requests/s",
                  compression("compress_s")),
        Benchmark("py_compress_p99", "us", "lower", "the same: the 99th percentile of the answers' time", compression("p99_us")),
        Benchmark("py_gil_total", "turns/s", "higher", "Python: four threads compute under the GIL, what they do together", simple("py_gil.py")),
        Benchmark("py_gil_share", "", "bound", "the same: how far from a fair share the worst of them is", simple("py_gil.py", "--share")),
        Benchmark("py_wake_all", "s", "lower", "Python: an Event is set for which 4,000 threads wait, until all have run", simple("py_wake_all.py")),
        Benchmark("py_asyncio_64", "req/s", "higher", "asyncio, a server in main, 64 connections", served("py_event_loop.py", 64, pinned=False)),
        Benchmark("py_asyncio_thread_64", "req/s", "higher", "the same in a thread beside 50 others", served("py_event_loop.py", 64, "--thread", pinned=False)),
        Benchmark("py_uvloop_64", "req/s", "higher", "uvloop", served("py_event_loop.py", 64, "--loop", "uvloop", pinned=False)),
        Benchmark("py_uvloop_thread_64", "req/s", "higher", "uvloop in a thread beside 50 others",
                  served("py_event_loop.py", 64, "--loop", "uvloop", "--thread", pinned=False)),
        Benchmark("py_trio_64", "req/s", "higher", "trio", served("py_event_loop.py", 64, "--loop", "trio", pinned=False)),
        Benchmark("py_trio_thread_64", "req/s", "higher", "trio in a thread beside 50 others",
                  served("py_event_loop.py", 64, "--loop", "trio", "--thread", pinned=False)),
        c_pingpong("sem", False, "C: to and fro through two semaphores, two workers"),
        c_pingpong("sem", True, "the same, all on one core", "Semaphore ping-pong, one core (Go: channels)"),
        c_pingpong("cond", False, "C: to and fro through condition variables"),
        c_pingpong("cond", True, "the same, all on one core", "Condition variable ping-pong, one core"),
        spawn("spawn_join", "C: create and join, one at a time, from main", chart="Create and join a thread"),
        spawn("spawn_join_batch100", "C: 100 created, then joined, a thread", "--batch", "100", chart="Create 100 threads, then join: a thread"),
        spawn("spawn_join_worker", "C: create and join one at a time, from a worker", "--from", "worker"),
        Benchmark("mem_blocked", "KiB", "lower", "C: memory of a thread blocked in sem_wait, kernel's included", memory, 1 / 1024,
                  {"go": blocked_goroutines}, "Memory of a blocked thread"),
        Benchmark("mutex_uncontended", "ns", "lower", "C: lock+unlock that nobody else wants", simple("mutex_uncontended")),
        Benchmark("mutex_contended", "ns", "lower", "C: eight threads on one mutex", simple("mutex_contended")),
        Benchmark("prodcons", "ns", "lower", "C: 8 producers and 8 consumers, an item", simple("prodcons")),
        Benchmark("cpu_pigz", "s", "lower", "pigz -p 4, 16 MiB", pigz, chart="pigz -p 4"),
        Benchmark("cpu_zlib", "s", "lower", "Python: zlib.compress of 16 MiB in each of four threads", simple("py_zlib.py")),
        Benchmark("rw_loop", "ns", "lower", "C, no threads: write+read on a pipe", simple("rw_loop")),
        Benchmark("startup_c", "ms", "difference", "an empty C program, from spawn to exit", startup("c")),
        Benchmark("startup_python", "ms", "difference", "python3.11 -S -c pass, from spawn to exit", startup("python")),
    ]


BENCHMARKS = make()
