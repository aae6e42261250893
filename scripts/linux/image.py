"""Linux's kernel and an initramfs with its nvme driver and fio, from Debian's riscv64 packages.

They are those of Debian 13, or of $DEBIAN_SUITE, whose kernel may be newer. apt runs in a private
configuration below build/peers: nothing of the system's own sources, lists or packages is read or
changed; Debian's archive key signs what comes. A second call finds everything there and needs no
network.
"""

from __future__ import annotations

import json
import lzma
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from qemu.machine import BUILD, UsageError

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
SUITE, ARCH = os.environ.get("DEBIAN_SUITE") or "trixie", "riscv64"
CACHE = BUILD / ("peers" if SUITE == "trixie" else f"peers-{SUITE}")
ARCHIVE_VARIABLE = "DEBIAN_ARCHIVE"  # names an archive where the system's apt knows none
KERNEL = "linux-image-riscv64"  # a package that depends on the current kernel's
FIO, BUSYBOX = "fio", "busybox-static"
MODULES = ("nvme",)
# Dependencies of fio's scripts and of packages' installation: fio runs without them.
UNUSED = re.compile(r"^(lib)?python3|^(tzdata|netbase|media-types|systemd|coreutils|dpkg|tar)$")
LIBRARIES, LOADER = "riscv64-linux-gnu", "ld-linux-riscv64-lp64d.so.1"
RUN_S = 600  # of a command, at most
MANIFEST = "manifest.json"  # written last: it says that the rest is whole

CONFIGURATION = """\
Dir "{root}";
Dir::State::status "{root}/status";
APT::Architecture "{arch}";
APT::Architectures {{ "{arch}"; }};
APT::Install-Recommends "false";
APT::Sandbox::User "";
Acquire::Languages "none";
Acquire::Retries "2";
Acquire::http::Timeout "20";
"""
SOURCE = "deb [signed-by={keyring}] {archive} {suite} main\n"


class Unavailable(UsageError):
    """The packages cannot be had: what, why, and what the user does about it."""

    status = 1


def say(text: str) -> None:
    """One line of progress."""
    print(f"peers: {text}", file=sys.stderr, flush=True)


def find_archive() -> str:
    """The Debian archive to fetch from: as named, else the one that the system's apt uses."""
    named = os.environ.get(ARCHIVE_VARIABLE, "")
    if named:
        return named
    # Without the release's information it answers before the first `apt-get update` too.
    words = ["apt-get", "indextargets", "--no-release-info", "--format", "$(REPO_URI)"]
    for uri in run(words, dict(os.environ)).split():
        if uri.rstrip("/").endswith("/debian"):
            return uri
    raise Unavailable("peers: this system's apt knows no archive of Debian; hint: name one: "
                      f"{ARCHIVE_VARIABLE}=http://HOST/debian; its keys are those of {KEYRING}")


def configure(root: Path) -> dict[str, str]:
    """Write apt's private configuration; the environment that makes apt use it."""
    archive = find_archive()
    if not KEYRING.is_file():
        raise Unavailable(f"peers: {KEYRING} is missing; hint: install debian-archive-keyring")
    for name in ("etc/apt", "var/lib/apt/lists/partial", "var/cache/apt/archives/partial", "debs"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "status").touch()
    (root / "etc" / "apt" / "sources.list").write_text(
        SOURCE.format(keyring=KEYRING, archive=archive, suite=SUITE))
    path = root / "apt.conf"
    path.write_text(CONFIGURATION.format(root=root, arch=ARCH))
    return {**os.environ, "APT_CONFIG": str(path), "LC_ALL": "C"}


def run(words: Sequence[str], environment: dict[str, str] | None = None,
        folder: Path | None = None) -> str:
    """What a command prints; Unavailable with its first complaint if it fails."""
    try:
        done = subprocess.run(words, env=environment, cwd=folder, capture_output=True, text=True,
                              timeout=RUN_S, check=False, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(
            f"peers: {words[0]} does not run: {error} (scripts/setup.sh peers)") from error
    if done.returncode or "Failed to fetch" in done.stderr:
        lines = [*done.stderr.splitlines(), "it gives no reason"]
        why = next((line for word in ("E:", "W:") for line in lines if line.startswith(word)),
                   lines[0])
        network = " (a first run needs the network, later runs do not)" if environment else ""
        raise Unavailable(f"peers: {' '.join(words[:2])}: {why}{network}")
    return done.stdout


def package_names(uris: str) -> list[str]:
    """The packages in the answer of --print-uris, without those that fio runs without."""
    found = re.findall(r"^'[^']+' ([^_\s]+)_", uris, re.M)
    return [name for name in found if not UNUSED.search(name)]


def fetch(root: Path) -> list[Path]:
    """Download the packages; their files."""
    environment = configure(root)
    say(f"reading Debian {SUITE}'s list of packages for {ARCH}")
    run(["apt-get", "update", "-q"], environment, root)
    depends = run(["apt-cache", "depends", "--important", KERNEL], environment, root)
    kernels = re.findall(r"Depends: (linux-image-\S+)", depends)
    if not kernels:
        raise Unavailable(f"peers: {KERNEL} depends on no kernel in Debian {SUITE}")
    uris = run(["apt-get", "install", "-qq", "-y", "--print-uris", FIO, BUSYBOX], environment, root)
    # Later suites have the kernel and its modules in packages of their own.
    parts = run(["apt-cache", "depends", "--important", kernels[0]], environment, root)
    names = [kernels[0], *re.findall(r"Depends: (linux-(?:binary|modules)-\S+)", parts),
             *package_names(uris)]
    say(f"fetching {len(names)} packages, about 155 MB: {kernels[0]}, {FIO} and its libraries")
    run(["apt-get", "download", "-q", *names], environment, root / "debs")
    return sorted((root / "debs").glob("*.deb"))


def module_order(tree: Path, wanted: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """Kernel modules in the order to insert them: each after those that it depends on."""
    files = {path.name.removesuffix(".ko.xz").replace("-", "_"): path
             for path in (tree / "usr" / "lib" / "modules").rglob("*.ko.xz")}
    done: set[str] = set()

    def visit(name: str) -> Iterator[tuple[str, bytes]]:
        if name in done or name not in files:  # what is no file is built into the kernel
            return
        done.add(name)
        data = lzma.decompress(files[name].read_bytes())
        match = re.search(rb"\0depends=([^\0]*)\0", data)
        for other in match[1].decode().split(",") if match else []:
            yield from visit(other.replace("-", "_"))
        yield name, data

    for name in wanted:
        yield from visit(name)


def pack(folder: Path, archive: Path) -> None:
    """A folder as what the kernel unpacks as its first filesystem.

    Archives laid one after the other are unpacked so: what changes with each boot goes into a small
    one after the large one.
    """
    names = [".", *sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))]
    words = ["cpio", "--create", "--format=newc", "--owner=0:0", "--quiet", "--null"]
    with archive.open("wb") as sink:
        subprocess.run(words, input="\0".join(names).encode(), stdout=sink, cwd=folder, check=True)


def write_base(tree: Path, archive: Path) -> list[str]:
    """The archive that no boot changes, with Debian's own folders; the modules in their order."""
    modules = dict(module_order(tree, MODULES))
    if not modules:
        raise Unavailable("peers: the kernel's package has no nvme module")
    with tempfile.TemporaryDirectory(dir=archive.parent) as name:
        base = Path(name)
        for each in ("dev", "proc", "sys", "tmp", "usr/bin", "usr/lib/modules"):
            (base / each).mkdir(parents=True)
        for each in ("bin", "lib"):
            (base / each).symlink_to(f"usr/{each}")
        for each in ("busybox", "fio"):
            shutil.copy(tree / "usr/bin" / each, base / "usr/bin")
        (base / "bin/sh").symlink_to("busybox")
        shutil.copytree(tree / "usr/lib" / LIBRARIES, base / "usr/lib" / LIBRARIES, symlinks=True)
        (base / "lib" / LOADER).symlink_to(f"{LIBRARIES}/{LOADER}")
        for each, data in modules.items():
            (base / "lib/modules" / f"{each}.ko").write_bytes(data)
        pack(base, archive)
    return list(modules)


def find_kernel(tree: Path) -> tuple[Path, str]:
    """The kernel's file and release: in boot/, in later suites beside its modules."""
    found = [(path, path.name.partition("-")[2]) for path in (tree / "boot").glob("vmlinu[xz]-*")]
    found += [(path, path.parent.name) for path in (tree / "usr/lib/modules").glob("*/vmlinuz")]
    if not found:
        raise Unavailable("peers: the kernel's packages have no kernel")
    return found[0]


def build(root: Path) -> dict:
    """Fetch, unpack and pack; what is there afterwards."""
    tree = root / "tree"
    for each in (root / "debs", tree):
        shutil.rmtree(each, ignore_errors=True)
    debs = fetch(root)
    say("unpacking")
    for deb in debs:
        run(["dpkg-deb", "-x", str(deb), str(tree)])
    kernel, release = find_kernel(tree)
    shutil.copyfile(kernel, root / "vmlinux")
    modules = write_base(tree, root / "base.cpio")
    shutil.rmtree(tree)
    shutil.rmtree(root / "debs")
    (fio,) = (deb.name.split("_")[1] for deb in debs if deb.name.startswith(f"{FIO}_"))
    manifest = {"kernel": release, "fio": fio.replace("%3a", ":"),
                "distribution": f"Debian {SUITE}, {ARCH}", "modules": modules}
    (root / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
    return manifest


def provide(root: Path = CACHE) -> dict:
    """The manifest of an image that is there, after building it if it is not."""
    try:
        manifest = json.loads((root / MANIFEST).read_text())
        if (root / "vmlinux").is_file() and (root / "base.cpio").is_file():
            return manifest
    except (OSError, ValueError):
        pass  # not built yet, or not to its end
    return build(root.resolve())
