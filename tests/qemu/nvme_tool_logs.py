"""The nvme tool's commands that tell: smart, errors, changed-ns, reset, and format=json.

Cases of nvme_tool.py. The names are nvme-cli's, the values what QEMU is known to answer.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence

from nvme_guest import ROOT, TIMEOUT_S, check, nvme, qemu_version
from run import ConsolePrinter  # scripts/run.py

SMART = (
    "critical_warning temperature avail_spare spare_thresh percent_used "
    "endurance_grp_critical_warning_summary data_units_read data_units_written "
    "host_read_commands host_write_commands controller_busy_time power_cycles power_on_hours "
    "unsafe_shutdowns media_errors num_err_log_entries warning_temp_time critical_comp_time "
    "thm_temp1_trans_count thm_temp2_trans_count thm_temp1_total_time thm_temp2_total_time"
).split()
KELVIN = 323  # QEMU's NVME_TEMPERATURE
RELIABILITY = 4  # a bit of the critical warning
BLOCKS_OF_4_KIB = "logical_block_size=4096,physical_block_size=4096"
CHANGED = "Changed Namespace List Log"


def document(console: Sequence[str]) -> list[dict]:
    """The controllers of a document on the console, as Python's json reads it."""
    lines = [line for line in console if line.startswith(ConsolePrinter.DOCUMENT)]
    return json.loads("\n".join(lines))["controllers"]


def smart() -> None:
    """Of each controller: its temperature, and the warning that QEMU was told of."""
    warned = {"nvme": {"smart_critical_warning": str(RELIABILITY)}}
    text = nvme(
        "smart",
        "^Smart Log for NVME device:00:01.0 namespace-id:ffffffff$",
        "^Smart Log for NVME device:00:02.0",
        rf"^critical_warning +: {RELIABILITY:#x}$",
        rf"^temperature +: {KELVIN - 273} C .{KELVIN} K.$",
        r"^available_spare_threshold +: 0%$",
        r"^Data Units Read +: 0 .0 kB.$",
        controllers=2,
        **warned,
    )
    check(sum(line.startswith("temperature") for line in text) == 2, "not told of both", text)
    console = nvme("smart format=json", controllers=2, **warned)
    both = document(console)
    check([each.pop("address") for each in both] == ["00:01.0", "00:02.0"], "addresses", console)
    expected = dict.fromkeys(SMART, 0) | {
        "critical_warning": RELIABILITY, "temperature": KELVIN}
    check(both == [expected, expected], f"not {expected}", console)


def logs() -> None:
    """QEMU has no errors to tell of, and no namespace has changed."""
    nvme("errors", "^Error Log Entries for device:00:01.0 entries:0$")
    nvme("changed-ns", "^Changed Namespace List Log for device:00:01.0$", "^no ns changed$")
    for command, name, empty in (("errors", "errors", []), ("changed-ns", CHANGED, {})):
        console = nvme(f"{command} format=json")
        check(document(console) == [{"address": "00:01.0", name: empty}], command, console)


def reset() -> None:
    """Every controller, or the one that is named; it is ready again."""
    both = {"controllers": 2}
    nvme("reset", "^reset 00:01.0: .* is ready$", "^reset 00:02.0: .* is ready$", **both)
    console = nvme("reset controller=00:02.0", "^reset 00:02.0: QEMU NVMe Ctrl hartq", **both)
    check(not any("00:01.0" in line for line in console), "another was reset", console)
    nvme("reset controller=00:03.0", "error: controller=00:03.0: no NVMe", status=1, **both)


def identify_json() -> None:
    """Numbers as the device has them; a namespace that cannot be used has the reason."""
    arguments = [
        *("-blockdev", "driver=null-co,node-name=n,size=1048576"),
        *("-device", "nvme,id=c,serial=x,addr=1,mdts=5", "-device", "nvme,serial=y,addr=2"),
        *("-device", f"nvme-ns,drive=n,bus=c,nsid=1,ms=8,{BLOCKS_OF_4_KIB}"),
        *("-device", "nvme-ns,drive=disk0,bus=c,nsid=7,eui64=0x5254000000000001"),
    ]
    machine = {"attach": False, "backing": "null:2m", "qemu_args": arguments}
    console = nvme("identify format=json", **machine)
    first, second = document(console)
    version = ".".join(map(str, qemu_version()))
    expected = {"address": "00:01.0", "sn": "x", "mn": "QEMU NVMe Ctrl", "mdts": 5, "vid": 0x1B36,
                "ver": 0x10400, "sqes": 0x66, "cqes": 0x44, "nn": 256, "queue_pairs": 1}
    for name, value in expected.items():
        check(first[name] == value, f"{name}: {first[name]}, not {value}", console)
    check(first["fr"].startswith(version), f"fr: {first['fr']}", console)
    check((second["sn"], second["namespaces"]) == ("y", []), "the second controller", console)
    bad, good = first["namespaces"]
    check((bad["nsid"], good["nsid"]) == (1, 7), "the namespaces are others", console)
    check("8 bytes of metadata" in bad["unusable"], "not refused for its metadata", console)
    used = bad["lbafs"][bad["flbas"] & 15]
    check((used["ms"], used["ds"]) == (8, 12), f"format {used}", console)
    check("unusable" not in good and good["nsze"] == 4096, f"nsze {good['nsze']}", console)
    check(good["eui64"] == "5254000000000001", f"eui64 {good['eui64']}", console)


def piped() -> None:
    """scripts/run.py prints the document alone, and notes on standard error."""
    command = [sys.executable, str(ROOT / "scripts/run.py"), "nvme"]
    machine = ["--harts", "1", "--no-disk", "--qemu-arg=-device nvme,serial=x,addr=1"]
    answer = subprocess.run(
        [*command, "identify", "format=json", *machine],
        capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    words = (answer.stdout + answer.stderr).splitlines()
    check(json.loads(answer.stdout)["controllers"][0]["sn"] == "x", "the serial number", words)
    check("exit 0" in answer.stderr and answer.returncode == 0, "it did not succeed", words)
