"""Text that compresses as text does, the same each time."""
import filecmp, random


def write(path, size):
    chance = random.Random(7)
    words = ["".join(chance.choices("etaoinshrdlu", k=chance.randint(2, 9))) for _ in range(4000)]
    with open(path, "w") as file:
        while file.tell() < size: file.write(" ".join(chance.choices(words, k=50000)) + "\n")
    return path


def same(one, other):
    assert filecmp.cmp(one, other, shallow=False), f"{one} and {other} differ"
