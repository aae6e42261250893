"""Sentences are short: nine out of ten of a document have at most WORDS_MAX words.

Counted is prose: no code, tables, headings and targets of links; of a C file its comments.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

Finding = tuple[str, int, str]

WORDS_MAX = 30


def prose_of_markdown(text: str) -> str:
    """The paragraphs and list items of a document."""
    text = re.sub(r"```.*?```", "", text, flags=re.S)
    text = re.sub(r"^(?:    \S.*|\s*\|.*|#.*)$", "", text, flags=re.M)
    return re.sub(r"\]\([^)]*\)", "]", text)


def prose_of_c(text: str) -> str:
    """The comments, each a paragraph; indented tables in them are left out."""
    comments = re.findall(r"/\*.*?\*/|//[^\n]*", text, flags=re.S)
    lines = [
        re.sub(r"^\s*(?:/\*+|\*+/|\*|//)|\*/", "", line)
        for comment in comments
        for line in (*comment.splitlines(), "")
    ]
    return "\n".join("" if line.startswith("     ") else line for line in lines)


def sentences(prose: str) -> list[str]:
    """Paragraphs and list items, split after full stops."""
    parts = re.split(r"\n\s*\n|^\s*(?:[-*]|\d+\.|R\d+) ", prose, flags=re.M)
    return [s for part in parts for s in re.split(r"(?<=[.!?])\s+", part.strip()) if s]


def check(name: str, text: str) -> Iterator[Finding]:
    """The length that one sentence in ten exceeds."""
    prose = prose_of_markdown(text) if name.endswith(".md") else prose_of_c(text)
    found = sorted(sentences(prose), key=lambda sentence: len(sentence.split()))
    if found:
        longest = found[len(found) * 9 // 10]
        words = len(longest.split())
        if words > WORDS_MAX:
            yield name, 1, f"one sentence in ten has {words} words or more, at most {WORDS_MAX}"
