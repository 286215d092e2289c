#!/usr/bin/env python3
"""Checks the project's documents against STYLE.md: the width of lines, and the words of scripts/words.txt.

    scripts/prose.py [FILE...]

Without arguments, every Markdown file of the repository. Each finding is a line FILE:LINE: MESSAGE; exit status 1 where there is one.
Code blocks are not looked at, nor `code` for its words, nor rows of tables and lines that are one unbroken link for their width.
"""

import os
import re
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
WIDTH = 100


def words():
    with open(f"{TOP}/scripts/words.txt", encoding="utf-8") as file:
        lines = [line.rstrip("\n").split(" => ") for line in file if line.strip() and not line.startswith("#")]
    return [(re.compile(pattern), instead) for pattern, instead in lines]


def prose(text):
    """The lines that are prose or tables, with their numbers: neither fenced nor indented code."""
    fenced = False
    previous = ""
    in_code = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
            previous = ""
            continue
        # Indented code begins after an empty line that ends no item of a list.
        if line.startswith("    ") and not in_code:
            in_code = previous == "" and not re.match(r"\s*([-*]|\d+\.) ", line)
        elif line.strip() and not line.startswith("    "):
            in_code = False
        if not fenced and not in_code:
            yield number, line
        previous = line.strip()


def documents():
    """Every Markdown file of the repository."""
    for directory, names, files in os.walk(TOP):
        names[:] = sorted(name for name in names if name not in {".git", "target"})
        yield from (os.path.relpath(f"{directory}/{name}", TOP) for name in sorted(files) if name.endswith(".md"))


def findings(text, forbidden):
    for number, line in prose(text):
        is_row = line.lstrip().startswith("|")
        unbroken = " " not in line.strip().removeprefix("- ") or re.match(r"\[[^]]+\]: ", line)
        if len(line) > WIDTH and not is_row and not unbroken:
            yield number, f"{len(line)} characters, of at most {WIDTH}"
        bare = re.sub(r"`[^`]*`", "", line)
        for pattern, instead in forbidden:
            if match := pattern.search(bare):
                yield number, f'"{match[0]}": write {instead}'


def main():
    paths = sys.argv[1:] or list(documents())
    assert paths, "no documents"
    forbidden = words()
    found = False
    for path in paths:
        with open(path if sys.argv[1:] else f"{TOP}/{path}", encoding="utf-8") as file:
            for number, message in findings(file.read(), forbidden):
                print(f"{path}:{number}: {message}")
                found = True
    sys.exit(found)


main()
