#!/usr/bin/env python3
"""Refuse the words that the vocabulary in CONTRIBUTING.md replaces; scripts/words.yaml lists them."""

from __future__ import annotations

import io
import re
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass

import yaml
from checkout import ROOT, files

FOLDERS = ("src", "underlay", "docs", "README.md", "CONTRIBUTING.md")
# The vocabulary table lists the banned words next to the correct terms.
TABLE = re.compile(r"<!-- vocabulary -->.*?<!-- /vocabulary -->", re.DOTALL)


@dataclass(frozen=True)
class BannedWords:
    """One row of words.yaml; ``where`` is ``names``, ``text`` or ``docs``."""

    words: tuple[str, ...]
    where: str
    use: str

    def pattern(self) -> re.Pattern[str]:
        return re.compile(rf"(?<![a-z])({'|'.join(map(re.escape, self.words))})(?![a-z])", re.IGNORECASE)


def rules() -> tuple[list[BannedWords], list[str]]:
    """The banned words and the allowed phrases."""
    content = yaml.safe_load((ROOT / "scripts" / "words.yaml").read_text())
    return [BannedWords(tuple(one["words"]), one["where"], one["use"]) for one in content["banned"]], content["allowed"]


def words_of(name: str) -> str:
    """Split a name into words for the patterns: ``cameraTap_2`` becomes ``camera Tap 2``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|_|\d+", " ", name)


def names(text: str) -> Iterator[tuple[int, str]]:
    """Line and words of every name in Python code."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.NAME:
            yield token.start[0], words_of(token.string)


def lines(text: str) -> Iterator[tuple[int, str]]:
    """Line by line, with names also split into words: ``picture_cache`` contains a banned word."""
    for number, line in enumerate(text.splitlines(), 1):
        yield number, f"{line} {words_of(line)}"


def without_allowed(text: str, allowed: list[str]) -> str:
    """The text without the allowed phrases; a phrase may be wrapped at a space, and lines keep their numbers."""
    for phrase in allowed:
        text = re.sub(r"\s+".join(map(re.escape, phrase.split())), lambda match: "\n" * match[0].count("\n"), text)
    return text


def findings(path: str, text: str, banned: list[BannedWords], allowed: list[str]) -> list[str]:
    """One line for each rule that a line of the file breaks; ``path`` is relative to the repository."""
    text = TABLE.sub(lambda match: "\n" * match[0].count("\n"), without_allowed(text, allowed))
    python = path.endswith(".py")
    document = path.endswith(".md") and not path.startswith(("src", "underlay"))
    everything = f"{path} {text} {words_of(path)} {words_of(text)}".lower()
    found = []
    for rule in banned:
        if rule.where == "docs" and not document:
            continue
        if not any(word.lower() in everything for word in rule.words):
            continue  # the quick path, for most files
        places = [(1, words_of(path))]
        if rule.where != "names":
            places += lines(text)
        elif python:
            places += names(text)
        hits = {number: hit[0] for number, place in places if (hit := rule.pattern().search(place))}
        found += [f"{path}:{number}: {word!r}: write {rule.use}" for number, word in hits.items()]
    return found


def main() -> int:
    banned, allowed = rules()
    found = []
    for path in files(*FOLDERS):
        try:
            text = (ROOT / path).read_text()
        except UnicodeDecodeError:
            continue  # an image
        found += findings(path, text, banned, allowed)
    print("\n".join(found), file=sys.stderr, end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
