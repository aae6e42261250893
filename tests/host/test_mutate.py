"""tests/mutate/generate.py: which bugs it makes of a source, and that a seed decides them."""

from __future__ import annotations

import unittest

from support import ScriptTest

from mutate import generate

SOURCE = """/* if (comment) { 7 } */
enum { TABLE = 3 };

static int f(int a)
{
    int kept = a;

    g();
    if (a < 2 && say("x < 5")) { // 9
        kept += g(a,
                  8);
        return;
    }
    switch (a) {
    case 1:
        kept = 0x10;
    }
    return kept;
}

void h(void)
{
    g();
}
"""


class Generate(ScriptTest):
    def mutants(self, text: str) -> dict[str, str]:
        """The changed lines of each mutant of engine/x.c."""
        (self.folder / "engine").mkdir(exist_ok=True)
        (self.folder / "engine" / "x.c").write_text(text)
        found = {}
        for mutant in generate.candidates(self.folder):
            self.assertEqual(text.count(mutant.find), 1)
            now = text.replace(mutant.find, mutant.put).splitlines()
            changed = [b.strip() for a, b in zip(text.splitlines(), now, strict=False) if a != b]
            found[mutant.name.removeprefix("x.c:")] = changed[0]
        return found

    def test_each_kind_and_no_more(self) -> None:
        self.assertEqual(self.mutants(SOURCE), {
            "9-negate": 'if (!(a < 2 && say("x < 5"))) { // 9',
            "9-swap": 'if (a <= 2 && say("x < 5")) { // 9',
            "9-swap-2": 'if (a < 2 || say("x < 5")) { // 9',
            "9-plus": 'if (a < 3 && say("x < 5")) { // 9',
            "9-minus": 'if (a < 1 && say("x < 5")) { // 9',
            "11-plus": "9);",
            "11-minus": "7);",
            "15-plus": "case 2:",
            "15-minus": "case 0:",
            "16-plus": "kept = 17;",
            "16-minus": "kept = 15;",
            "8-drop": "",
            "10-drop": "",
            "12-drop": "",
            "16-drop": "",
            "23-drop": "",
        })

    def test_a_seed_decides(self) -> None:
        self.mutants(SOURCE)
        drawn = [[m.name for m in generate.draw(self.folder, 6, seed)] for seed in (1, 1, 2)]
        self.assertEqual(drawn[0], drawn[1])
        self.assertNotEqual(drawn[0], drawn[2])
        self.assertEqual(len(generate.draw(self.folder, 99, 1)), 16)
        named = generate.draw(self.folder, 99, 1, "drop$")
        self.assertEqual({m.name for m in named}, {f"x.c:{n}-drop" for n in (8, 10, 12, 16, 23)})


if __name__ == "__main__":
    unittest.main()
