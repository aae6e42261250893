"""What to do on this host, in one sentence, and the message of the first picture.

Both come from the verdicts on interrupts over polling, in IOPS and in host CPU, and on hybrid mode
over either: with commands submitted one by one, and with the whole depth as a batch.
"""

from __future__ import annotations

from analysis import host_noise, loads, metrics
from analysis.comparisons import Ratios, depths_text, factor_text, paired
from analysis.intervals import LEAST_EFFECT, Estimate, ratio_text
from analysis.series import main_loops

IRQ, HOST = "IOPS", "host CPU per I/O"  # of interrupts over polling
POLL, POLL_HYBRID, IRQ_HYBRID = "polling", "hybrid / polling", "hybrid / interrupts"
IOPS_PAIRS = {IRQ: ("irq", "poll"), POLL: ("poll", "irq"), POLL_HYBRID: ("hybrid", "poll"),
              IRQ_HYBRID: ("hybrid", "irq")}
Found = dict[str, Ratios]  # by the words for the batch


def compared(result: dict) -> dict[str, Found]:
    """One mode over another, where both were measured: in IOPS, and interrupts over polling in
    host CPU."""
    found: dict[str, Found] = {what: {} for what in (HOST, *IOPS_PAIRS)}
    for series, modes in main_loops(result).items():
        ratios = {what: paired(modes, *pair) for what, pair in IOPS_PAIRS.items()}
        ratios[HOST] = metrics.over(modes, "irq", "poll", metrics.HOST)
        for what, each in ratios.items():
            found[what] |= {series.batch_text(): each} if each else {}
    return found


def unsure(result: dict) -> str:
    """Why the result has no sure verdict on interrupts and polling; empty if it has one."""
    found = compared(result)
    ratios = [each for what in (IRQ, HOST) for loop in found[what].values()
              for each in loop.values()]
    if host_noise.warnings(result):
        return "the host was not quiet"
    if not any(each.sure for each in ratios):
        return "too few boots"
    return "" if any(each.verdict() for each in ratios) else "no difference is certain"


class _Judge:
    """Where a ratio is above or below 1: for certain, or where nothing is, by the median."""

    def __init__(self, result: dict, figures: bool) -> None:
        self.found, self.why, self._figures = compared(result), unsure(result), figures

    def sign(self, ratio: Estimate) -> int:
        """1 above 1, -1 below, 0 neither."""
        off = ratio.median - 1
        return (off > LEAST_EFFECT) - (off < -LEAST_EFFECT) if self.why else ratio.verdict()

    def depths(self, ratios: Ratios, sign: int) -> list[int]:
        """Those at which a ratio is above 1 or, with a sign of -1, below."""
        return [depth for depth, each in ratios.items() if self.sign(each) == sign]

    def light(self, ratios: dict[str, Estimate]) -> str:
        """The loads at which interrupts take less host CPU; empty where they do at none."""
        told = [f"{load}, host CPU x{ratio_text(each.median)}" for load, each in ratios.items()
                if self.sign(each) < 0]
        return "the load is below saturation" * bool(told) + (
            f" ({'; '.join(told)})" if told and self._figures else "")

    def where(self, words: str, what: str, sign: int) -> str:
        """`IOPS count (batch 1: depth 1 to 8, x0.70 to x0.90)`; empty where it holds nowhere.

        Without figures it tells only at which batch this holds for most depths, if not at every.
        """
        every = self.found[what]
        places = {name: depths for name, ratios in every.items()
                  if (depths := self.depths(ratios, sign))}
        if self._figures and places:
            told = (f"{name}: depth {depths_text(depths, every[name])}, "
                    f"{factor_text(every[name], depths)}" for name, depths in places.items())
            return f"{words} ({'; '.join(told)})"
        most = [name for name, depths in places.items() if 2 * len(depths) > len(every[name])]
        where = most[0] if most else "some depths"
        return words + (f" (at {where})" if most != [*every] else "") if places else ""

    def mostly(self, what: str) -> str:
        """`host CPU higher at batch 1, lower at batch = depth`: what holds at most depths."""
        words = {}
        for name, ratios in self.found[what].items():
            most = [word for word, sign in (("higher", 1), ("lower", -1))
                    if 2 * len(self.depths(ratios, sign)) > len(ratios)]
            words[name] = most[0] if most else "alike or mixed"
        if len({*words.values()}) == 1:
            return f"{what} {words.popitem()[1]}"
        return f"{what} " + ", ".join(f"{word} at {name}" for name, word in words.items())


def sentence(result: dict, figures: bool = True) -> str:
    """`On this host: poll when ...; take interrupts when ...; hybrid ...`; empty where nothing was
    measured that compares. `figures` are depths and factors."""
    judge = _Judge(result, figures)
    if not judge.found[IRQ]:
        return ""
    poll = judge.where("IOPS count", POLL, 1)
    irq = " or ".join(filter(None, (judge.where("IOPS count", IRQ, 1),
                                    judge.where("host CPU counts", HOST, -1),
                                    judge.light(loads.host_ratios(result)))))
    parts = [f"poll when {poll}" if poll else "polling is not faster",
             f"take interrupts when {irq}" if irq else
             "interrupts are neither faster nor cheaper for the host"]
    if judge.found[POLL_HYBRID]:
        slower = filter(None, (judge.where("than polling", POLL_HYBRID, -1),
                               judge.where("than interrupts", IRQ_HYBRID, -1)))
        parts.append("take hybrid mode when you cannot choose: it is "
                     + (" and ".join(f"slower {each}" for each in slower) or "slower than neither"))
    why = f"nothing is sure ({judge.why}); by the medians alone, " * bool(judge.why)
    return f"On this host: {why}{'; '.join(parts)}."


def message(result: dict) -> str:
    """The first picture in a line."""
    judge = _Judge(result, False)
    if not judge.found[IRQ]:
        return ""
    parts = [judge.mostly(what) for what in (IRQ, HOST) if judge.found[what]]
    return "; ".join(parts) + f" (not sure: {judge.why})" * bool(judge.why)
