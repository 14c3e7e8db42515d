"""What --check asks for: the target table of issue 5, a column for each back end, and what issues 2 and 3 asked for and no later one replaced."""
import dataclasses


@dataclasses.dataclass(frozen=True)
class Target:
    """`against`: whose figure the ratio is to (a speed: above 1 the shim is faster, or smaller); empty: the shim's own figure, in the
    benchmark's unit, at most so much; `-`: at most so much more than native's."""
    benchmark: str
    against: str
    arch_prctl: float | None
    swap: float | None


def both(against: str, **bounds: float) -> list[Target]:
    return [Target(name, against, bound, bound) for name, bound in bounds.items()]


TARGETS = [
    # Issue 5
    *(Target(f"echo_{n}{where}", *bounds) for n in (64, 1000) for where in ("", "_unpinned") for bounds in (
        ("native", 1.5, 2.6), ("epoll", 0.95, 1.3), ("io_uring", None, 0.88))),
    *(Target(f"echo_10000{where}", "native", 1.6, 2.5) for where in ("", "_unpinned")),
    *(Target(f"echo_p99_64{where}", "native", 1.0, 2.0) for where in ("", "_unpinned")),  # latency <= 1.0 x, 0.5 x
    *(Target(f"py_echo_64{where}", *bounds) for where in ("", "_unpinned") for bounds in (
        ("native", 1.5, 2.0), ("gevent", 1.2, 1.6), ("uvloop", 0.7, 1.0))),
    *(Target(f"py_echo_1000{where}", *bounds) for where in ("", "_unpinned") for bounds in (
        ("native", 3.0, 4.0), ("gevent", 1.0, 1.4), ("uvloop", 0.6, 0.9))),
    *(Target(f"py_http_64{where}", "native", 1.2, 1.4) for where in ("", "_unpinned")),
    Target("py_lock_pingpong", "native", 2.7, 22),
    Target("py_lock_pingpong_1core", "native", 1.2, 9),
    Target("py_queue_pingpong", "native", 2.0, 6.0),
    Target("py_queue_pingpong_1core", "native", 1.2, 2.5),
    *(Target(f"{kind}_pingpong_1core", *bounds) for kind in ("sem", "cond") for bounds in (
        ("native", 0.8, None), ("", None, 0.1), ("go", None, 1.0), ("fiber", None, 1.0))),  # 100 ns a round trip
    Target("spawn_join", "native", 10, 25),
    Target("spawn_join_batch100", "native", 10, 25),
    Target("mem_blocked", "", 8.5, 8.5),
    Target("mutex_uncontended", "native", 0.87, 0.87),  # 1.15 x the time
    Target("mutex_contended", "native", 0.95, 1.0),
    Target("prodcons", "native", 1.2, 6.0),
    Target("echo_1_p50", "native", 0.8, 0.91),  # 1.25 x, 1.1 x native's
    Target("cpu_pigz", "native", 0.98, 0.95),
    Target("cpu_zlib", "native", 0.98, 0.95),
    Target("rw_loop", "native", 0.97, 0.97),
    # Issues 2 and 3
    *both("native", py_event_pingpong=0.9, py_lock_pingpong_main=2.2, py_queue_pingpong_main=0.9, py_event_pingpong_main=0.9, sem_pingpong_main=0.9,
          sem_pingpong=0.9, cond_pingpong=0.9, py_compress_total=0.95, py_compress_p99=0.667, py_gil_total=0.97, py_asyncio_64=0.97,
          py_asyncio_thread_64=0.97, py_uvloop_64=0.97, py_uvloop_thread_64=0.97, py_trio_64=0.97, py_trio_thread_64=0.97),
    *both("", py_lock_main_cost=1.15, py_queue_main_cost=1.15, py_event_main_cost=1.15, sem_main_cost=1.15, py_gil_share=0.10),
    *both("-", startup_c=2.0, startup_python=2.0),  # ms
]


def column(env: dict[str, str]) -> str:
    """Which column a variant of the shim is held to."""
    return "swap" if env.get("VTSHIM_TLS") == "swap" else "arch_prctl"


def of(benchmark: str) -> list[Target]:
    return [t for t in TARGETS if t.benchmark == benchmark]


def find(benchmark: str, against: str, column_name: str) -> float | None:
    return next((getattr(t, column_name) for t in of(benchmark) if t.against == against), None)


def wish(against: str, bound: float, unit: str) -> str:
    return {"": f"<= {bound:g} {unit}".strip(), "-": f"<= +{bound:g} {unit}"}.get(against, f">= {bound:g} x")


def met(against: str, bound: float, value: float) -> bool:
    return value <= bound if against in ("", "-") else value >= bound
