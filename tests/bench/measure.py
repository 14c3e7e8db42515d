"""Alternates the contenders of one benchmark, and makes ratios and verdicts of their figures."""
import statistics
from collections.abc import Callable

import targets
from harness import Benchmark, BenchmarkFailed, Contender, Context


def takers(benchmark: Benchmark, contenders: list[Contender]) -> list[Contender]:
    """Those who take part: of the peers those that the benchmark has a program of."""
    return [c for c in contenders if c.kind != "peer" or c.name in benchmark.peers]


def measure(benchmark: Benchmark, contenders: list[Contender], context: Context, rounds: int, tell: Callable[[str], None]) -> dict:
    """Every figure of every run, by contender. One that fails takes no further part."""
    runs: dict[str, list[dict[str, float]]] = {c.name: [] for c in takers(benchmark, contenders)}
    failures = {}
    for _ in range(rounds):
        for contender in contenders:
            if contender.name not in runs or contender.name in failures:
                continue
            run = benchmark.peers[contender.name] if contender.kind == "peer" else benchmark.run
            try:
                runs[contender.name].append(run(context, contender))
            except BenchmarkFailed as e:
                failures[contender.name] = str(e)
                tell(f"{benchmark.name} FAILED for {contender.name}: {e}")
    for name in failures:
        del runs[name]
    return {"name": benchmark.name, "unit": benchmark.unit, "better": benchmark.better, "about": benchmark.about, "chart": benchmark.chart,
            "scale": benchmark.scale, "runs": runs, "failures": failures}


def main_figures(result: dict, contender: str) -> list[float]:
    """In the benchmark's unit."""
    return [next(iter(run.values())) * result["scale"] for run in result["runs"][contender]]


def median(result: dict, contender: str) -> float:
    return statistics.median(main_figures(result, contender))


def further(result: dict, contender: str, key: str) -> float | None:
    """The median of a further figure, if there is such a one."""
    values = [run[key] for run in result["runs"][contender] if key in run]
    return statistics.median(values) if values else None


def compare(better: str, reference: float, other: float) -> float:
    if better == "difference":
        return other - reference
    # A memory difference can come out as nothing or less on a busy machine: no ratio then, rather than a wonderful one.
    if reference <= 0 or other <= 0:
        return float("nan")
    return reference / other if better == "lower" else other / reference


def spread(values: list[float]) -> dict[str, float] | None:
    values = [v for v in values if v == v]
    return {"median": statistics.median(values), "min": min(values), "max": max(values)} if values else None


def ratios(result: dict, contender: str, against: str) -> dict[str, float] | None:
    """Of adjacent runs: median, min and max. Above 1 the contender is faster, or smaller."""
    pairs = zip(main_figures(result, against), main_figures(result, contender))
    return spread([compare(result["better"], a, b) for a, b in pairs])


def cpu_ratios(result: dict, contender: str, against: str) -> dict[str, float] | None:
    """The same for the server's CPU time a request: it says more than requests/s where something else kept a CPU busy."""
    key = "server_us_per_request"
    if any(key not in run for name in (contender, against) for run in result["runs"][name]):
        return None
    return spread([compare("lower", a[key], b[key]) for a, b in zip(result["runs"][against], result["runs"][contender])])


def comparisons(result: dict, contenders: list[dict]) -> list[dict]:
    """For each variant of the shim: its ratios to native and to each peer, and its own figure where a target asks for it, each with the
    target and whether it is met (None: there is no target)."""
    found = []
    there = [c for c in contenders if c["name"] in result["runs"]]
    for variant in (c for c in there if c["kind"] == "shim"):
        column = targets.column(variant["env"])
        against = [c["name"] for c in there if c["kind"] != "shim"] if result["better"] != "bound" else []
        for other in [*against, ""]:
            key = "-" if other and result["better"] == "difference" else other
            bound = targets.find(result["name"], key, column)
            if not other and bound is None and result["better"] != "bound":
                continue
            value = ratios(result, variant["name"], other) if other else spread(main_figures(result, variant["name"]))
            if value:
                found.append({"variant": variant["name"], "against": other, "key": key, **value, "target": bound,
                              "met": None if bound is None else targets.met(key, bound, value["median"])})
    return found


def limited(result: dict, contender: str) -> int:
    """In how many runs the load generator was the bottleneck."""
    return sum(run.get("load_limited", 0) > 0 for run in result["runs"][contender])
