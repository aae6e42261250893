"""A cpio archive in the `newc` format, which the Linux kernel unpacks as its first filesystem.

Archives laid one after the other are unpacked one after the other, so that what changes with each
boot goes into a small one after the large one.
"""

from __future__ import annotations

MAGIC = b"070701"
FOLDER, FILE, LINK, DEVICE = 0o040000, 0o100000, 0o120000, 0o020000
TRAILER = "TRAILER!!!"


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


class Archive:
    """Collects entries; data() is the whole archive."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def _entry(
        self, name: str, mode: int, data: bytes = b"", device: tuple[int, int] = (0, 0)
    ) -> None:
        number = len(self._parts) + 1
        links = 2 if mode & FOLDER and not mode & FILE else 1
        text = name.encode() + b"\0"
        # ino, mode, uid, gid, nlink, mtime, filesize, dev (2), rdev (2), namesize, check
        fields = (number, mode, 0, 0, links, 0, len(data), 0, 0, *device, len(text), 0)
        header = MAGIC + b"".join(b"%08x" % field for field in fields)
        self._parts.append(_padded(header + text) + _padded(data))

    def folder(self, name: str) -> None:
        """An empty folder."""
        self._entry(name, FOLDER | 0o755)

    def file(self, name: str, data: bytes, permissions: int) -> None:
        """A file with its bytes."""
        self._entry(name, FILE | permissions, data)

    def link(self, name: str, target: str) -> None:
        """A symbolic link."""
        self._entry(name, LINK | 0o777, target.encode())

    def device(self, name: str, major: int, minor: int) -> None:
        """A character device."""
        self._entry(name, DEVICE | 0o600, device=(major, minor))

    def data(self) -> bytes:
        """The archive with its end mark."""
        self._entry(TRAILER, 0)
        whole = b"".join(self._parts)
        del self._parts[-1]
        return whole
