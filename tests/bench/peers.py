"""The peers: what other systems make of the same task. Each is optional; one that isn't installed is left out, and one line tells which
packages it needs (scripts/bench --peers-setup installs them all)."""
import dataclasses
import os
import shutil
import subprocess

import harness

SOURCES = os.path.join(harness.HERE, "peers")
C = ["gcc", "-std=gnu17", "-D_GNU_SOURCE", "-O2", "-g", "-Wall", "-Wextra", "-Werror", "-pthread"]
CXX = ["g++", "-std=c++20", "-D_GNU_SOURCE", "-O2", "-g", "-Wall", "-Wextra", "-Werror", "-pthread"]


@dataclasses.dataclass(frozen=True)
class Peer:
    """`needs`: a program, a header below /usr/include, or a module of the Python under test."""
    title: str
    source: str
    packages: str = ""
    needs: str = ""
    libraries: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()


PEERS = {
    "epoll": Peer("epoll, by hand", "epoll_echo.c"),
    "io_uring": Peer("io_uring, by hand", "uring_echo.c", "liburing-dev", "liburing.h", ("-luring",)),
    "go": Peer("Go", "goroutines.go", "golang-go", "go"),
    "fiber": Peer("Boost.Fiber", "fiber.cpp", "libboost-fiber1.81-dev", "boost/fiber/all.hpp", ("-lboost_fiber", "-lboost_context")),
    "asio": Peer("Boost.Asio", "asio_echo.cpp", "libboost1.81-dev", "boost/asio.hpp"),
    "st": Peer("State Threads", "state_threads.c", "libst-dev", "st.h", ("-lst",)),
    "greenlet": Peer("greenlet", "pingpong.py", "python3-greenlet", "greenlet"),
    "gevent": Peer("gevent", "gevent_echo.py", "python3-gevent", "gevent"),
    "asyncio": Peer("asyncio", "streams_echo.py"),
    "uvloop": Peer("uvloop", "streams_echo.py", "python3-uvloop", "uvloop", (), ("uvloop",)),
}
OTHER_PACKAGES = "pigz python3-trio"  # what a benchmark needs beside the peers


def program(peer: Peer, out: str) -> str | None:
    """Where it is when it has been compiled; None for a Python script."""
    return None if peer.source.endswith(".py") else os.path.join(out, os.path.splitext(peer.source)[0])


def is_built(peer: Peer, out: str) -> bool:
    """Compiled, and up to date."""
    path = program(peer, out)
    sources = (os.path.join(SOURCES, peer.source), os.path.join(SOURCES, "listen.h"), os.path.join(harness.HERE, "bench.h"))
    return path is not None and os.path.exists(path) and os.path.getmtime(path) >= max(os.path.getmtime(f) for f in sources)


def missing(peer: Peer, out: str, python: str) -> bool:
    if not peer.needs or is_built(peer, out):
        return False
    if peer.source.endswith(".go"):
        return not shutil.which(peer.needs)
    if peer.source.endswith(".py"):
        return subprocess.run([python, "-c", f"import {peer.needs}"], stderr=subprocess.DEVNULL).returncode != 0
    return not os.path.exists(os.path.join("/usr/include", peer.needs))


def build(peer: Peer, out: str, python: str) -> list[str]:
    """Its argv; compiles it if it is out of date."""
    source, path = os.path.join(SOURCES, peer.source), program(peer, out)
    if not path:
        return [python, source, *peer.arguments]
    if not is_built(peer, out):
        if source.endswith(".go"):
            argv = ["go", "build", "-o", path, source]
        else:
            argv = [*(C if source.endswith(".c") else CXX), source, "-o", path, *peer.libraries]
        r = subprocess.run(argv, env=os.environ | {"GO111MODULE": "off"}, stderr=subprocess.PIPE, text=True)
        if r.returncode:
            raise harness.BenchmarkFailed(f"{peer.source} doesn't compile: {r.stderr[-1500:]}")
    return [path, *peer.arguments]


def available(wanted: list[str], out: str, python: str) -> dict[str, list[str]]:
    """The argv of each wanted peer that is installed; a line for each that isn't."""
    found = {}
    os.makedirs(out, exist_ok=True)
    for name in wanted:
        if missing(PEERS[name], out, python):
            print(f"  {PEERS[name].title}: left out (apt install {PEERS[name].packages}, or scripts/bench --peers-setup)")
        else:
            found[name] = build(PEERS[name], out, python)
    return found


def setup() -> int:
    """Installs the peers' Debian packages, as root or by sudo."""
    packages = sorted({p for peer in PEERS.values() for p in peer.packages.split()} | set(OTHER_PACKAGES.split()))
    as_root = [] if os.geteuid() == 0 else ["sudo"]
    apt = [*as_root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300"]
    print("installing", *packages, flush=True)
    for argv in ([*apt, "update"], [*apt, "install", "-y", "--no-install-recommends", *packages]):
        r = subprocess.run(argv, stdout=subprocess.DEVNULL)
        if r.returncode:
            return r.returncode
    return 0
