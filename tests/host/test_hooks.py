"""The commit hook refuses what CONTRIBUTING.md excludes, and `make setup` installs it."""

from __future__ import annotations

import os
import shutil
import subprocess
import unittest
from pathlib import Path

from support import SCRIPTS, ScriptTest

NOBODY = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
# A hook that runs these tests hands down its own repository.
ENV = {name: value for name, value in os.environ.items() if name[:4] != "GIT_"} | NOBODY


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """A command in a folder, with no user's git settings."""
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False, env=ENV)


class Message(ScriptTest):
    def setUp(self) -> None:
        super().setUp()
        run(self.folder, "git", "init", "-q")
        run(self.folder, "git", "config", "user.name", "T")
        run(self.folder, "git", "config", "user.email", "t@example.org")
        run(self.folder, "git", "config", "core.hooksPath", str(SCRIPTS / "hooks"))

    def commit(self, message: str, file: str = "docs") -> str:
        """Commit a new file; empty, or why it was refused."""
        path = self.folder / file / "file"
        path.parent.mkdir(exist_ok=True)
        path.write_text(message)
        run(self.folder, "git", "add", ".")
        done = run(self.folder, "git", "commit", "-q", "-m", message)
        return done.stderr if done.returncode else ""

    def test_a_good_message_passes(self) -> None:
        for message, folder in (
            ("docs: " + "a" * 54, "docs"),
            ("bench, docs: a thing", "docs"),
            ("engine: a thing\n\nWhy; how it was tested.", "engine"),
            ("Merge branch 'of a name that is a good deal too long for a subject'", "docs"),
        ):
            with self.subTest(message=message):
                self.assertEqual(self.commit(message, folder), "")

    def test_a_bad_subject_is_refused(self) -> None:
        for message, why in (
            ("docs: " + "a" * 55, "61 characters, at most 60"),
            ("Add a thing", "names no area"),
            ("docs: a thing; another", "has a ';'"),
        ):
            with self.subTest(message=message):
                self.assertIn(why, self.commit(message))

    def test_a_change_in_engine_without_a_body_is_refused(self) -> None:
        self.assertIn("no body", self.commit("engine: a thing", "engine"))
        self.assertIn("no body", self.commit("engine: b\n\nSigned-off-by: T <t@e>", "engine"))


class Install(ScriptTest):
    def install(self, repository: Path, project: Path, chosen: str = "") -> str:
        """What core.hooksPath is after scripts/setup.sh has run in a copy of the project."""
        (project / "scripts").mkdir(parents=True)
        shutil.copy(SCRIPTS / "setup.sh", project / "scripts")
        run(self.folder, "git", "init", "-q", str(repository))
        if chosen:
            run(repository, "git", "config", "core.hooksPath", chosen)
        self.assertEqual(run(project, "scripts/setup.sh", "hooks").returncode, 0)
        return run(repository, "git", "config", "core.hooksPath").stdout.strip()

    def test_a_checkout_gets_the_hook(self) -> None:
        self.assertEqual(self.install(self.folder / "a", self.folder / "a"), "scripts/hooks")

    def test_hooks_of_the_user_stay(self) -> None:
        self.assertEqual(self.install(self.folder / "a", self.folder / "a", "mine"), "mine")

    def test_another_repository_around_the_project_is_left_alone(self) -> None:
        self.assertEqual(self.install(self.folder / "a", self.folder / "a" / "inner"), "")


if __name__ == "__main__":
    unittest.main()
