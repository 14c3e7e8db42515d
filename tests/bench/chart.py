"""Makes a chart (SVG by hand, for light and dark pages) and a table (Markdown) of what a run measured."""
import html
import os

import measure
import peers
import report
import targets

WIDTH, COLUMNS, GAP = 1000, 2, 36
LABEL, VALUE, BAR, STEP = 128, 128, 13, 20  # pixels: room for names and figures, a bar's height, from bar to bar
PANEL = (WIDTH - GAP * (COLUMNS + 1)) / COLUMNS

STYLE = """
  .page { fill: #ffffff } .title { fill: #1f2328; font-weight: 600; font-size: 14px } .note { fill: #656d76; font-size: 11px }
  .name { fill: #1f2328; font-size: 12px; text-anchor: end } .figure { fill: #1f2328; font-size: 12px } .axis { stroke: #d0d7de }
  .range { stroke: #1f2328; stroke-width: 1.2 } .native { fill: #9aa2ac } .peer { fill: #8fb4dd } .shim0 { fill: #d9660b } .shim1 { fill: #8a4fc4 }
  .shim2 { fill: #2f9e62 } .strong { font-weight: 600 }
  text { font-family: -apple-system, "Segoe UI", "DejaVu Sans", Helvetica, Arial, sans-serif }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117 } .title, .name, .figure { fill: #e6edf3 } .note { fill: #9198a1 } .axis { stroke: #3d444d } .range { stroke: #e6edf3 }
    .native { fill: #6e7681 } .peer { fill: #3f6ea5 } .shim0 { fill: #f0883e } .shim1 { fill: #a371f7 } .shim2 { fill: #3fb950 }
  }"""


def title(name: str, contenders: list[dict]) -> str:
    if name in peers.PEERS:
        return peers.PEERS[name].title
    if name == "native":
        return "native threads"
    variants = [c for c in contenders if c["kind"] == "shim"]
    return "vtshim" if len(variants) == 1 else f"vtshim, {name}"


def css_class(name: str, contenders: list[dict]) -> str:
    variants = [c["name"] for c in contenders if c["kind"] == "shim"]
    return f"shim{variants.index(name) % 3}" if name in variants else "native" if name == "native" else "peer"


def text(x: float, y: float, words: str, classes: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{classes}">{html.escape(words)}</text>'


def panel(result: dict, contenders: list[dict], x: float, y: float) -> tuple[list[str], float]:
    """One benchmark's bars with their ranges; and the height."""
    better = "more is better" if result["better"] == "higher" else "less is better"
    out = [text(x, y + 14, result["chart"], "title"), text(x, y + 29, f"{result['unit']}, {better}", "note")]
    names = list(result["runs"])
    all_figures = {n: measure.main_figures(result, n) for n in names}
    shown = {n: measure.median(result, n) for n in names}
    longest = max([max(f) for f in all_figures.values()] + [1e-9])
    room = PANEL - LABEL - VALUE
    top = y + 40
    for i, name in enumerate(names):
        kind, line = css_class(name, contenders), top + i * STEP
        bar = max(0.0, shown[name]) / longest * room
        strong = " strong" if kind.startswith("shim") else ""
        low, high = (max(0.0, f(all_figures[name])) / longest * room for f in (min, max))
        against = measure.ratios(result, name, "native") if name != "native" and "native" in shown else None
        figure = report.amount(shown[name]) + (f"  ({against['median']:.2f} x)" if against else "")
        out += [text(x + LABEL - 8, line + BAR - 2, title(name, contenders), "name" + strong),
                f'<rect x="{x + LABEL:.1f}" y="{line:.1f}" width="{max(bar, 1):.1f}" height="{BAR}" rx="2" class="{kind}"/>']
        if high - low > 2:
            middle = line + BAR / 2
            out.append(f'<path d="M{x + LABEL + low:.1f} {middle:.1f}H{x + LABEL + high:.1f}" class="range"/>')
        out.append(text(x + LABEL + max(bar, high) + 6, line + BAR - 2, figure, "figure" + strong))
    bottom = top + len(names) * STEP
    out.append(f'<path d="M{x + LABEL:.1f} {top - 3:.1f}V{bottom - 4:.1f}" class="axis"/>')
    return out, bottom - y


def svg(found: dict) -> str:
    contenders, about = found["about"]["contenders"], found["about"]
    tops, out = [78.0] * COLUMNS, []
    for result in found["results"]:
        if not result["chart"] or not result["runs"]:
            continue
        column = tops.index(min(tops))
        lines, height = panel(result, contenders, GAP + column * (PANEL + GAP), tops[column])
        out += lines
        tops[column] += height + 22
    height = max(tops) + 6
    heading = [text(GAP, 28, "vtshim: unmodified thread programs against native threads and peers", "title"),
               text(GAP, 46, machine(about), "note"),
               text(GAP, 61, "Bars: medians. Lines: from the least run to the most. (x): speed against native threads; above 1 is faster, or smaller.", "note")]
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:.0f}" viewBox="0 0 {WIDTH} {height:.0f}" role="img">',
                      f"<title>vtshim benchmarks</title>\n<style>{STYLE}\n</style>", f'<rect width="{WIDTH}" height="{height:.0f}" class="page"/>',
                      *heading, *out, "</svg>\n"])


def span(value: float | list[float]) -> str:
    """Of one run, or of several that were put together."""
    values = value if isinstance(value, list) else [value]
    return f"{values[0]:g}" if values[0] == values[-1] else f"{values[0]:g} to {values[-1]:g}"


def machine(about: dict) -> str:
    busy = f"; busy with something else (load {about['load']:.0f})" if about["load"] > 0.5 * about["cpus"] else ""
    return (f"{about['cpu']}, {about['cpus']} CPUs, {'with' if about['fsgsbase'] else 'no'} FSGSBASE, Linux {about['kernel']}, {about['time'][:10]}, "
            f"{span(about['rounds'])} alternating runs of {span(about['seconds'])} s{busy}")


def table(headings: list[str], rows: list[list[str]]) -> list[str]:
    return ["| " + " | ".join(r) + " |" for r in [headings, ["---"] * len(headings), *rows]]


def markdown(found: dict) -> str:
    contenders, about = found["about"]["contenders"], found["about"]
    out = ["# Benchmarks", "",
           f"Made by `scripts/bench --plot`, from the same data as `results.svg`. {machine(about)}.",
           "Ratios are speeds, medians of adjacent runs with their range: above 1, vtshim is faster (or smaller). What each benchmark does: `scripts/bench --list`."]
    for variant in (c for c in contenders if c["kind"] == "shim"):
        settings = ", ".join(f"{k}={v}" for k, v in variant["env"].items() if k != "LD_PRELOAD")
        out.append(f"{title(variant['name'], contenders)}: " + (f"`{settings}`" if settings else "default settings") +
                   f"; held to the targets for `{targets.column(variant['env'])}`.")
    rows = []
    for result in found["results"]:
        for c in measure.comparisons(result, contenders):
            value = report.ratio(c["median"], c["key"]) if c["key"] else f"{report.amount(c['median'])} {result['unit']}".strip()
            wish = "" if c["target"] is None else targets.wish(c["key"], c["target"], result["unit"])
            rows.append([result["name"], title(c["variant"], contenders), title(c["against"], contenders) if c["against"] else "", value,
                         report.range_of(c), wish, {None: "", True: "yes", False: "**no**"}[c["met"]]])
    out += ["", "## Ratios and targets", "", *table(["benchmark", "variant", "against", "ratio", "range", "target", "met"], rows)]
    names = [c["name"] for c in contenders if any(c["name"] in r["runs"] for r in found["results"])]
    rows = [[report.heading(r), *(report.amount(measure.median(r, n)) if n in r["runs"] else "" for n in names)]
            for r in found["results"]]
    out += ["", "## Medians", "", *table(["benchmark", *(title(n, contenders) for n in names)], rows)]
    keys = (("requests_per_s", "requests/s", 1), ("p50_us", "p50 us", 1), ("p99_us", "p99 us", 1), ("server_us_per_request", "server's CPU, us a request", 1),
            ("load_cpu", "load generator busy, %", 100))
    rows = [[r["name"], title(n, contenders), *(report.amount(measure.further(r, n, k) * scale) for k, _, scale in keys),
             f"{measure.limited(r, n)} of {len(r['runs'][n])}"]
            for r in found["results"] for n in r["runs"] if measure.further(r, n, "server_us_per_request") is not None]
    if rows:
        out += ["", "## Servers", "", "The last column: in how many runs the load generator was the bottleneck, so that the server could have done more.", "",
                *table(["benchmark", "server", *(heading for _, heading, _ in keys), "limited"], rows)]
    if found["failures"]:
        out += ["", "## Failed", "", *(f"- {name}: {why}" for name, why in found["failures"].items())]
    return "\n".join(out) + "\n"


def write(path: str, found: dict) -> None:
    for ending, made in ((".svg", svg(found)), (".md", markdown(found))):
        with open(path + ending, "w") as f:
            f.write(made)
        print(f"wrote {os.path.relpath(path + ending)}")
