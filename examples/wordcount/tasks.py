"""The three parts of a word count."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from typing import Any

from treadle import task


@task
def count_words(chapter: dict[str, str]) -> dict[str, int]:
    return dict(Counter(re.findall(r"[a-z]+", chapter["text"].lower())))


@task
def by_letter(counts: list[dict[str, int]]) -> dict[str, list[dict[str, int]]]:
    """Every chapter's words that begin with a letter."""
    shuffled: dict[str, list[dict[str, int]]] = defaultdict(list)
    for words in counts:
        for letter in sorted({word[0] for word in words}):
            shuffled[letter].append({word: count for word, count in words.items() if word[0] == letter})
    return dict(shuffled)


@task
def add_up(part: dict[str, Any]) -> dict[str, Any]:
    words: Counter[str] = Counter()
    for counts in part["counts"]:
        words.update(counts)
    return {"letter": part["letter"], "words": dict(sorted(words.items()))}
