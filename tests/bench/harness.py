"""What every benchmark needs: contenders, programs that are started, measured and ended."""
import dataclasses
import os
import select
import signal
import subprocess
import typing
from collections.abc import Callable

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
CPUS = sorted(os.sched_getaffinity(0))
SERVER_CPU, LOAD_CPU = {CPUS[0]}, {CPUS[-1]}


class BenchmarkFailed(Exception):
    """A program of a benchmark failed, hung, or printed no figure."""


class NotHere(Exception):
    """A benchmark needs what isn't installed."""


@dataclasses.dataclass(frozen=True)
class Contender:
    """One of those that alternate: `native`, a variant of the shim (`env` preloads it into the same programs), or a peer: another program,
    which a benchmark looks up by the contender's name."""
    name: str
    env: dict[str, str] = dataclasses.field(default_factory=dict)
    kind: str = "native"  # native, shim or peer


@dataclasses.dataclass(frozen=True)
class Context:
    """What a benchmark needs to run: where the programs are and how long to measure. `peers`: the argv of those that are installed."""
    programs: str
    python: str
    seconds: float
    peers: dict[str, list[str]]
    recorder: typing.Any = None  # cpu_profile.Recorder: of the server, while it's under load

    def argv(self, name: str, *arguments: str) -> list[str]:
        """The command of a program of ours (C, or Python by its .py), or of `peer:NAME`."""
        if name.startswith("peer:"):
            return [*self.peers[name[5:]], *arguments]
        if name.endswith(".py"):
            return [self.python, os.path.join(HERE, name), *arguments]
        return [os.path.join(self.programs, name), *arguments]

    def limit_s(self) -> float:
        return 60 + 20 * self.seconds


Run = Callable[[Context, Contender], dict[str, float]]


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """`run` gives the figures of one run, the main one first; `peers` the same by other means. `better`: lower, higher, difference
    (contender minus native, in the figure's unit), or bound (the contender's own figure, whatever native's is). `chart`: its title there."""
    name: str
    unit: str
    better: str
    about: str
    run: Run
    scale: float = 1.0  # from the program's figure to the unit
    peers: dict[str, Run] = dataclasses.field(default_factory=dict)
    chart: str = ""


def clean_env() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if k != "LD_PRELOAD" and not k.startswith("VTSHIM_")}


def start(argv: list[str], env: dict[str, str], cpus: set[int] | None) -> subprocess.Popen:
    # The affinity is set in the child before exec: a taskset in between would be preloaded too.
    pin = (lambda: os.sched_setaffinity(0, cpus)) if cpus else None
    return subprocess.Popen(argv, env=clean_env() | env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, preexec_fn=pin, start_new_session=True)


def stop(process: subprocess.Popen) -> str:
    """Kills a program of ours with all that it started; returns what it wrote on stderr and not yet read."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    return process.communicate()[1] or ""


def figures(text: str) -> dict[str, float]:
    words = text.split()
    return {key: float(value) for key, value in zip(words[::2], words[1::2], strict=True)}


def finish(process: subprocess.Popen, name: str, limit: float) -> dict[str, float]:
    try:
        out, err = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        err = stop(process)
        raise BenchmarkFailed(f"{name} hung for {limit:.0f} s {err[-300:].strip()}") from None
    if process.returncode:
        raise BenchmarkFailed(f"{name} ended with {process.returncode}: {err[-300:].strip()}")
    try:
        found = figures(out)
    except ValueError:
        found = {}
    if not found:
        raise BenchmarkFailed(f"{name} printed no figure but {out[:100]!r}")
    return found


def answer(process: subprocess.Popen, limit: float) -> dict[str, str]:
    """The next line of `key value` pairs that a program which goes on prints."""
    ready, _, _ = select.select([process.stdout], [], [], limit)
    words = process.stdout.readline().split() if ready else []
    if ready and not words:
        process.wait(10)
        if process.returncode == 77:
            raise NotHere("what it needs isn't installed")
    if not words:
        raise BenchmarkFailed(f"it said nothing: {stop(process)[-300:].strip()}")
    return dict(zip(words[::2], words[1::2], strict=True))


def first(key: str, found: dict[str, float]) -> dict[str, float]:
    """The same figures, `key` the main one."""
    return {key: found[key]} | found
