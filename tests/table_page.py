#!/usr/bin/env python3
"""tests/behaviour/README.md: which tests use each function that shim/interpose.def lists. Writes it; `--check` says what is wrong with the
one that is there, or that a function has no test. A test uses what its source, or a header or library of its family, names outside comments."""
import collections, glob, os, re, sys
TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PAGE = os.path.join(TOP, "tests/behaviour/README.md")
MOST = 3  # tests a row names: those in which the function occurs most often

HEAD = """# The table and its tests
Written by `tests/table_page.py` from `shim/interpose.def` and the sources of the tests; `process/table.py` checks that it is up to date and
that no function is without a test. A row names the {most} tests in which its function occurs most often, and how many others use it.
A test is a plain program that runs natively, under the shim, with one carrier and in chaos mode (`tests/run_tests.py`).
The functions of libc that are left alone, and why, are in `shim/left.def`.
"""


def rows():
    """(section, names) in the table's order."""
    sections, title = [], ""
    for line in open(os.path.join(TOP, "shim/interpose.def")):
        if line.startswith("// "):
            title = line[3:].strip()
        elif m := re.match(r"VT_ROW\((\w+)", line):
            if not sections or sections[-1][0] != title:
                sections.append((title, []))
            sections[-1][1].append(m.group(1))
    return sections


def uses():
    """name: {test: how often}."""
    found = collections.defaultdict(dict)
    folder = os.path.join(TOP, "tests/behaviour")
    for source in sorted(glob.glob(folder + "/*/*.c*")):
        text = open(source).read()
        for lib in glob.glob(os.path.dirname(source) + "/lib/*.c*"):
            if re.search(rf'\b{os.path.splitext(os.path.basename(lib))[0]}\b', text):
                text += open(lib).read()
        words = collections.Counter(re.findall(r"\b\w+\b", re.sub(r"//.*", "", text)))
        for word, n in words.items():
            found[word][os.path.relpath(source, folder)] = n
    return found


def page():
    found, bare, lines = uses(), [], [HEAD.format(most=MOST)]
    for title, names in rows():
        lines.append(f"## {title[0].upper()}{title[1:]}\n| function | tests |\n|---|---|")
        for name in names:
            tests = sorted(found.get(name, {}).items(), key=lambda t: (-t[1], t[0]))
            if not tests:
                bare.append(name)
            more = f", {len(tests) - MOST} more" if len(tests) > MOST else ""
            lines.append(f"| `{name}` | {', '.join(t for t, n in tests[:MOST])}{more} |")
        lines.append("")
    return "\n".join(lines).rstrip("\n") + "\n", bare


def check():
    """What is wrong, as lines."""
    text, bare = page()
    bad = [f"{name}: interposed, and no test uses it" for name in bare]
    if not os.path.exists(PAGE) or open(PAGE).read() != text:
        bad.append("tests/behaviour/README.md is not up to date: run tests/table_page.py")
    return bad


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        print("\n".join(check()))
        sys.exit(1 if check() else 0)
    text, bare = page()
    open(PAGE, "w").write(text)
    for name in bare:
        print(f"{name}: no test")
