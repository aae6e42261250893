"""The documents name what exists: files, functions, and functions of a file.

In a document `engine/io.c` is a file, `nvme_read()` a function, and `engine/io.c:nvme_read()` a
function that the file defines.
"""

import re
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "CONTRIBUTING.md"]
FILES = [
    path.relative_to(ROOT).as_posix()
    for path in ROOT.rglob("*.*")
    if path.is_file() and path.relative_to(ROOT).parts[0] not in ("build", ".git", "results")
]
SOURCES = {
    name: (ROOT / name).read_text(errors="replace")
    for name in FILES
    if name.endswith((".c", ".h", ".S", ".py", ".sh"))
}
PATH = re.compile(r"[\w.-]+(/[\w.-]*)+|[\w-]+\.(c|h|S|py|md|toml)")
MADE = ("build/", "results/")  # what a command writes
DEFINITION = r"^(?:[A-Za-z_][\w\s*]*[\s*])?{0}\(|^\s*def {0}\(|^{0}:|^#define {0}\b"


def defines(text: str, function: str) -> bool:
    """Whether a source defines or declares a function: C, assembly, shell or Python."""
    return re.search(DEFINITION.format(re.escape(function)), text, re.M) is not None


def is_there(name: str) -> bool:
    """Whether a path of the repository, or a file's own name, exists."""
    if "/" in name:
        return (ROOT / name).exists() or name.startswith(MADE)
    return any(each.rsplit("/", 1)[-1] == name for each in FILES)


class Documents(unittest.TestCase):
    def test_what_is_named_exists(self) -> None:
        for document in DOCUMENTS:
            text = re.sub(r"```.*?```", "", document.read_text(), flags=re.S)
            for code in sorted(set(re.findall(r"`([^`]+)`", text))):
                call = re.fullmatch(r"(?:([\w./-]+):)?([a-z_]\w*)\(.*\)", code)
                path = call[1] if call else code
                with self.subTest(document=document.name, code=code):
                    if path and PATH.fullmatch(path):
                        self.assertTrue(is_there(path), "no such file")
                    if call:
                        where = [SOURCES[path]] if path in SOURCES else SOURCES.values()
                        self.assertTrue(any(defines(t, call[2]) for t in where), "no such function")


if __name__ == "__main__":
    unittest.main()
