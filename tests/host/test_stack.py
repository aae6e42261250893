"""tests/lint/stack.py adds the frames of the deepest chain of calls."""

import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "lint"))

import stack  # noqa: E402


def node(name: str, size: int, kind: str = "static") -> str:
    """A function's line of GCC's file."""
    return f'node: {{ title: "{name}" label: "{name}\\nfile.c:1:2\\n{size} bytes ({kind})" }}\n'


def edge(caller: str, callee: str) -> str:
    """A call's line of GCC's file."""
    return f'edge: {{ sourcename: "{caller}" targetname: "{callee}" label: "file.c:1:2" }}\n'


class Stack(unittest.TestCase):
    def test_the_deepest_chain_counts_across_files(self) -> None:
        first = node("top", 16) + edge("top", "flat") + edge("top", "deep") + node("flat", 96)
        second = node("deep", 32) + node("file.c:last.isra.0", 128)
        second += edge("deep", "file.c:last.isra.0") + edge("deep", "memset")
        self.assertEqual(stack.Graph([first, second]).need("top"), (176, False))

    def test_a_callback_is_told(self) -> None:
        text = node("top", 16) + edge("top", "below") + node("below", 16)
        text += edge("below", "__indirect_call")
        self.assertEqual(stack.Graph([text]).need("top"), (32, True))

    def test_a_known_way_back_counts_once(self) -> None:
        text = node("nvme_queue_reap", 64) + node("a.c:reap_slow", 16)
        text += edge("nvme_queue_reap", "a.c:reap_slow") + edge("a.c:reap_slow", "nvme_queue_reap")
        self.assertEqual(stack.Graph([text]).need("nvme_queue_reap"), (160, False))

    def test_what_has_no_bound_is_refused(self) -> None:
        text = node("top", 16) + edge("top", "below") + node("below", 16) + edge("below", "top")
        with self.assertRaisesRegex(ValueError, "no bound"):
            stack.Graph([text]).need("top")
        with self.assertRaisesRegex(ValueError, "dynamic"):
            stack.Graph([node("top", 16, "dynamic")])

    def test_public_functions_are_found(self) -> None:
        names = stack.public_functions()
        self.assertLessEqual({"nvme_read", "nvme_queue_reap", "nvme_memory_needed"}, names)
        self.assertNotIn("nvme_done", names)


if __name__ == "__main__":
    unittest.main()
