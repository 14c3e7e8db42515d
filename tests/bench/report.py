"""What is printed of a benchmark's figures: a line for each comparison, and what else its programs told."""
import measure
import targets

WIDTHS = (28, 10, 10, -11, -11, -9, -17, -12, 0)
HEADINGS = ("benchmark", "variant", "against", "variant's", "other's", "ratio", "min .. max", "target", "verdict")


def row(*cells: str) -> str:
    return "  ".join(f"{c:<{w}}" if w >= 0 else f"{c:>{-w}}" for c, w in zip(cells, WIDTHS)).rstrip()


def amount(value: float) -> str:
    size = abs(value)
    return f"{value:,.0f}" if size >= 1000 else f"{value:.1f}" if size >= 100 else f"{value:.2f}" if size >= 0.1 else f"{value:.4f}"


def ratio(value: float, key: str) -> str:
    return f"{value:+.2f}" if key == "-" else "-" if key == "" else f"{value:.2f} x"


def heading(result: dict) -> str:
    return result["name"] + (f" ({result['unit']})" if result["unit"] else "")


def range_of(c: dict) -> str:
    return f"{c['min']:+.2f} .. {c['max']:+.2f}" if c["key"] == "-" else f"{amount(c['min'])} .. {amount(c['max'])}"


def lines(result: dict, contenders: list[dict]) -> list[str]:
    out = []
    for c in measure.comparisons(result, contenders):
        own = measure.median(result, c["variant"])
        other = amount(measure.median(result, c["against"])) if c["against"] else "-"
        wish = "-" if c["target"] is None else targets.wish(c["key"], c["target"], result["unit"])
        word = {None: "-", True: "ok", False: "BELOW"}[c["met"]]
        out.append(row(heading(result) if not out else "", c["variant"], c["against"] or "its own", amount(own), other, ratio(c["median"], c["key"]), range_of(c), wish, word))
    if not out and result["runs"]:
        out.append(row(heading(result), *("",) * 7, "no figures to compare"))
    return out + [f"    {line}" for line in remarks(result, contenders)]


def remarks(result: dict, contenders: list[dict]) -> list[str]:
    """What the programs told beside their main figures."""
    out = []
    for name in result["runs"]:
        def of(key: str) -> float | None:
            return measure.further(result, name, key)

        shown = []
        if of("compress_s") is not None:
            shown = [f"{key} {of(key):,.1f}" for key in ("compress_s", "p50_us", "p99_us", "answers")]
        elif of("server_us_per_request") is not None:
            shown = [f"{of('requests_per_s'):,.0f} req/s", f"p50 {of('p50_us'):,.0f} us", f"p99 {of('p99_us'):,.0f} us",
                     f"server's CPU {of('server_us_per_request'):.2f} us a request ({of('server_cpu') * 100:.0f} % busy)",
                     f"load's {of('load_us_per_request'):.2f} ({of('load_cpu') * 100:.0f} %)"]
            if of("offered"):
                shown += [f"{of('offered'):,.0f}/s due, p99 of lateness {of('late_p99_us'):,.0f} us"]
            cpu = measure.cpu_ratios(result, name, "native") if name != "native" and "native" in result["runs"] else None
            if cpu:
                shown += [f"by CPU {cpu['median']:.2f} x native ({cpu['min']:.2f} .. {cpu['max']:.2f})"]
        elif of("share_0") is not None:
            shares = [of(f"share_{i}") for i in range(4)]
            shown = ["shares " + " ".join(f"{s:.2f}" for s in shares if s is not None), f"{of('turns_per_cpu_s') / 1e6:.1f} million turns a second of CPU time"]
        elif of("rss_bytes_per_thread") is not None:
            shown = [f"resident {of('rss_bytes_per_thread') / 1024:.1f} KiB a thread, {of('threads'):.0f} threads"]
        if shown:
            out.append(f"{name}: " + ", ".join(shown))
        times = measure.limited(result, name)
        if times:
            what = "REQUESTS LEFT LATE (something else kept the load generator's CPU busy)" if of("offered") else "THE LOAD GENERATOR WAS THE BOTTLENECK"
            out.append(f"{name}: {what} in {times} of {len(result['runs'][name])} runs")
    return out
