"""QEMU's monitor (QMP), by a socket in the folder of this run.

    path = qmp.new_path()
    with Guest(Machine(..., qemu_args=qmp.arguments(path))) as guest:
        monitor = qmp.Qmp(path)
        monitor.ask("device_del", id="n0")
"""

from __future__ import annotations

import itertools
import json
import os
import socket
import time

from nvme_guest import Failure, check, folder

LOOK_S = 0.1
LOOKS_MAX = 900
_numbers = itertools.count()


class Ended(Failure):
    """QEMU is gone; its guest's console says why."""


def new_path() -> str:
    """Of a socket that no other guest of this run has. It is relative: a socket's name is short."""
    return os.path.relpath(folder() / f"{next(_numbers)}.qmp")


def arguments(path: str) -> list[str]:
    """What makes QEMU listen there."""
    return ["-qmp", f"unix:{path},server=on,wait=off"]


class Qmp:
    """The monitor of a QEMU that has been started."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        for _ in range(LOOKS_MAX):
            if self._socket.connect_ex(path) == 0:
                break
            time.sleep(LOOK_S)
        self._answers = self._socket.makefile("r")
        self.ask("qmp_capabilities")

    def ask(self, command: str, **arguments: object) -> object:
        """What the command returns. Raises Failure where QEMU refuses it, Ended if QEMU is gone."""
        words = json.dumps({"execute": command, "arguments": arguments})
        try:
            self._socket.sendall(words.encode())
            for line in self._answers:  # the greeting and events are none
                answer = json.loads(line)
                if "return" in answer:
                    return answer["return"]
                check("error" not in answer, f"{command}: {line}")
        except OSError as error:
            raise Ended(f"{command}: {error}") from error
        raise Ended(f"{command}: QEMU has ended")

    def close(self) -> None:
        """Leave QEMU alone."""
        self._answers.close()
        self._socket.close()
