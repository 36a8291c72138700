"""Check all text of the repository for plain English, as `make check` does.

The script prints each banned word, and each docstring that starts with a question word.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

#: Each banned expression, and its replacement.
BANNED = {
    r"lest": "so that ... not",
    r"thrice": "three times",
    r"mend(?:s|ed|ing)?": "fix",
    r"work(?:s|ed)? off": "process",
    r"bears": "has or carries",
    r"told of": "notified about",
    r"sends? for": "send a new message, or request",
    r"anew": "again",
    r"had from": "received from",
    r"(?:comes?|follows?|stands?) behind": "after",
    r"beside": "next to, or in addition to",
}
PATTERN = re.compile(rf"\b(?:{'|'.join(BANNED)})\b", re.IGNORECASE)

#: A docstring that starts with one of these words describes a question instead of a thing or an action.
QUESTIONS = ("What", "Who", "Whether", "Where", "How")

EXCLUDED = {
    "LICENSE",  # not written by this project
    "scripts/check_language.py",  # contains the banned words
}
#: Images and lock files.
EXCLUDED_PATTERNS = ("*.png", "*package-lock.json", "*requirements*.txt")


def list_files() -> list[Path]:
    """Return the files that git tracks or would add, except excluded and deleted ones."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    return [
        ROOT / name
        for name in sorted(set(names) - {""} - EXCLUDED)
        if (ROOT / name).is_file() and not any(fnmatch(name, pattern) for pattern in EXCLUDED_PATTERNS)
    ]


def find_banned_words(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        for match in PATTERN.finditer(line):
            word = match.group()
            replacement = next(value for key, value in BANNED.items() if re.fullmatch(key, word, re.IGNORECASE))
            yield number, f"'{word}': write {replacement}"


def find_questions(source: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        docstring = ast.get_docstring(node)
        if docstring and docstring.startswith(QUESTIONS):
            yield node.body[0].lineno, f"docstring starts with '{docstring.split()[0]}': name the thing or the action"


def main() -> int:
    findings = 0
    for path in list_files():
        text = path.read_text(encoding="utf-8")
        problems = list(find_banned_words(text))
        if path.suffix == ".py":
            problems += find_questions(text)
        for line, problem in sorted(problems):
            print(f"{path.relative_to(ROOT)}:{line}: {problem}")
        findings += len(problems)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
