#!/usr/bin/env python3
"""Boot a hartq program on QEMU, print its console and return its status.

Exit status: 0 the guest succeeded, 1 it failed or printed nothing, 2 usage, 124 time-out.
qemu/machine.py writes QEMU's command line, qemu/guest.py runs it.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
import shlex
import sys
from collections.abc import Sequence

from cli import command
from cli.errors import UsageError, listed, number, parse_number
from cli.signals import heed_signals
from qemu.backing import BACKING_HELP
from qemu.guest import STATUS_OK, STATUS_TIMEOUT, Line, Result, run_guest
from qemu.machine import (CONTROLLERS_MAX, HARTS_MAX, IRQCHIPS, MEMORY_MIB_MAX, MEMORY_MIB_MIN,
                          QEMU_OLDEST, SLOT_MAX, SOCKETS_MAX, TIMEOUT_MAX_S, TIMEOUT_MIN_S, Machine,
                          find_app, parse_properties)
from sim import profile
from sim.machine import SimMachine, check_options


class ConsolePrinter:
    """Prints the guest's lines, without the firmware's banner unless nothing follows it.

    With `document` the guest prints JSON: notes and other lines go to standard error.
    """

    FIRMWARE_LAST = "Boot HART MEDELEG"
    DOCUMENT = ("{", "}", " ")  # a line of the document begins with one of them (runtime/json.h)

    def __init__(self, show_firmware: bool, document: bool = False) -> None:
        self._held: list[str] | None = None if show_firmware else []
        self._skip_blank = False
        self._document = document

    def __call__(self, line: Line) -> None:
        if self._held is not None:
            self._held.append(line.text)
            if line.text.startswith(self.FIRMWARE_LAST):
                self._held, self._skip_blank = None, True
            return
        if self._skip_blank and not line.text:
            return
        self._skip_blank = False
        aside = self._document and not line.text.startswith(self.DOCUMENT)
        print(line.text, flush=True, file=sys.stderr if aside else sys.stdout)

    def close(self) -> None:
        """Print the banner after all if the firmware did not finish."""
        for text in self._held or ():
            print(text, file=sys.stderr if self._document else sys.stdout)
        sys.stdout.flush()


EXAMPLES = """\
examples:
  scripts/run.py hello --backing build/hello.img
  scripts/run.py nvme identify --harts 2
  scripts/run.py nvme crc lba=0 count=131072 completion=irq --backing disk.img
  scripts/run.py nvme crc lba=0 count=131072 --backing disk:64m,aio=native
  scripts/run.py nvme smart format=json | python3 -m json.tool   notes go to standard error
  scripts/run.py nvme read lba=0 count=8 --slots 1,5             two controllers on one line
  scripts/run.py nvme read lba=0 count=8 --nvme mdts=5,max_ioqpairs=2
another PCI device before the controller, a disk behind a bridge, a backing with errors:
  ... --slots 2 --qemu-arg='-device virtio-rng-pci,addr=1'
  ... --no-disk --qemu-arg='-device pci-bridge,id=b,chassis_nr=1,addr=1' \\
                --qemu-arg='-device nvme,serial=hartq,drive=disk0,bus=b,addr=2'
  ... --no-disk --qemu-arg='-blockdev driver=blkdebug,node-name=bad,image=disk0,\\
inject-error.0.event=none,inject-error.0.iotype=read,inject-error.0.sector=100,\\
inject-error.0.errno=5' \\
                --qemu-arg='-device nvme,serial=hartq,drive=bad'
exit status: 0 the guest succeeded, 1 it failed or printed nothing, 2 usage, 124 time-out,
128 + N ended by signal N
"""
# What the machine in virtual time heeds.
MODELLED = ("machine", "harts", "memory_mib", "controllers", "timeout_s", "dry_run")


def controllers(text: str) -> int | None:
    """A number; None for auto."""
    return None if text == "auto" else parse_number(text, "--controllers", 1, CONTROLLERS_MAX)


def build_parser() -> command.Parser:
    """The command line of scripts/run.py; an option of Machine has the name of the field."""
    parser = command.Parser(
        prog="run.py", description="Boot build/APP.elf on QEMU virt with NVMe controllers.",
        epilog=EXAMPLES)
    add = parser.add_argument
    add("app", metavar="APP",
        help="program: a name in build/ (hello, nvme, bench, ...) or a path to an ELF")
    add("arguments", metavar="key=value", nargs="*", default=[],
        help="the guest's arguments (kernel command line)")
    add("--machine", default="qemu", metavar="M",
        help="qemu, or sim[:PROFILE], a machine in virtual time on this host, for bench alone: "
        f"{', '.join(profile.names())} (default qemu; sim is sim:{profile.names()[0]})")
    add("--harts", type=number("--harts", 1, HARTS_MAX), default=4, metavar="N",
        help=f"harts, 1 to {HARTS_MAX} (default 4)")
    add("--memory", type=number("--memory", MEMORY_MIB_MIN, MEMORY_MIB_MAX), default=256,
        dest="memory_mib", metavar="MIB",
        help="guest memory in MiB (default 256)")
    add("--backing", default="null", metavar="WHERE", help=BACKING_HELP)
    add("--controllers", type=controllers, metavar="N",
        help="NVMe controllers that share the namespace (default auto: min(harts, 4) with wires, "
        "1 with the IMSIC)")
    add("--irqchip", default="plic", choices=tuple(IRQCHIPS),
        help="interrupt controllers: plic has wires; aplic has wires of the advanced interrupt "
        "architecture, no messages; imsic has messages (default plic)")
    add("--sockets", type=number("--sockets", 1, SOCKETS_MAX), default=1, metavar="N",
        help="sockets (NUMA nodes); each has a part of the harts and of the memory, and its own "
        "interrupt controllers; PCI is wired to the last of the first three (default 1)")
    add("--lba", type=number("--lba", 512, 4096), default=512, dest="lba_bytes", metavar="BYTES",
        help="logical block size, 512 or 4096 (default 512)")
    add("--nvme", action="append", default=[], metavar="k=v,...",
        help="more properties of each nvme device (repeatable), such as mdts=5 or max_ioqpairs=2")
    add("--ns", action="append", default=[], dest="namespace", metavar="k=v,...",
        help="more properties of the nvme-ns device (repeatable), such as nsid=7")
    add("--slots", type=listed(parse_number, "--slots", 1, SLOT_MAX), metavar="S,...",
        help="PCI slot of each controller (default 1,2,3,...); on virt the interrupt line is the "
        "slot modulo 4")
    add("--no-disk", action="store_false", dest="attach",
        help="attach no controller; --qemu-arg can use the backing as block node `disk0`")
    add("--qemu", metavar="PATH",
        help="emulator (default $QEMU, else qemu-system-riscv64); "
        f"{'.'.join(map(str, QEMU_OLDEST))} or newer")
    add("--qemu-arg", action="append", default=[], dest="qemu_args", metavar="ARGS",
        help="more QEMU arguments, split as a shell does, added last (repeatable)")
    add("--icount", action="store_true",
        help="count instructions exactly: -icount shift=0, one host thread")
    add("--gdb", action="store_true", help="wait for a debugger on port 1234, without time-out")
    add("--timeout", type=number("--timeout", TIMEOUT_MIN_S, TIMEOUT_MAX_S), default=60.0,
        dest="timeout_s", metavar="S",
        help="seconds until QEMU is ended (default 60)")
    add("--firmware", action="store_true", help="show the firmware's banner too")
    add("--dry-run", action="store_true", help="print QEMU's command line and stop")
    return parser


def machine_from(options: argparse.Namespace) -> Machine:
    """The Machine that the command line asks for."""

    def properties(texts: list[str], what: str) -> dict[str, str]:
        return {k: v for text in texts for k, v in parse_properties(text, what).items()}

    given = {each.name: getattr(options, each.name) for each in dataclasses.fields(Machine)}
    given["nvme"] = properties(options.nvme, "--nvme")
    given["namespace"] = properties(options.namespace, "--ns")
    try:
        given["qemu_args"] = [word for text in options.qemu_args for word in shlex.split(text)]
    except ValueError as error:
        raise UsageError(f"--qemu-arg: {error}") from error
    return Machine(**given)


def modelled_from(options: argparse.Namespace) -> SimMachine:
    """The machine in virtual time that the command line asks for."""
    check_options(options.machine, build_parser().given(options, MODELLED))
    name = options.machine if ":" in options.machine else f"sim:{profile.names()[0]}"
    return SimMachine(name, options.app, options.arguments, options.harts,
                      options.controllers or 1, options.memory_mib, timeout_s=options.timeout_s)


def report(result: Result) -> None:
    """Say on standard error what went wrong, if anything did."""
    if result.resets:
        print(f"run.py: the guest reset the machine: its firmware started {result.resets + 1} "
              "times", file=sys.stderr)
    if result.status == STATUS_OK:
        return
    if result.stderr:
        print(result.stderr, file=sys.stderr)
    print(f"run.py: {result.reason}", file=sys.stderr)
    if result.status == STATUS_TIMEOUT:
        lines = result.tail or ["(nothing)"]
        print("run.py: the last console lines were:", *lines, sep="\n  ", file=sys.stderr)


@command.entry
def main(argv: Sequence[str] | None = None) -> int:
    """Run as a command; the return value is the exit status."""
    options = build_parser().parse_intermixed_args(argv)
    heed_signals()
    if not re.fullmatch(r"qemu|sim(:.+)?", options.machine):
        raise UsageError(f"--machine: '{options.machine}' is unknown (qemu, sim or sim:PROFILE)")
    modelled = options.machine != "qemu"
    machine = modelled_from(options) if modelled else machine_from(options)
    if options.dry_run:
        print(shlex.join(machine.argv()))
        return STATUS_OK
    if options.gdb:
        elf = shlex.quote(str(find_app(machine.app)))
        print(f"waiting for: gdb-multiarch {elf} -ex 'target remote :1234'", file=sys.stderr)
    printer = ConsolePrinter(options.firmware or modelled, "format=json" in options.arguments)
    result = run_guest(machine, printer)
    printer.close()
    report(result)
    return result.status


if __name__ == "__main__":
    sys.exit(main())
