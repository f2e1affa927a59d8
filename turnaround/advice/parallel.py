"""What more or fewer devices would change: a slow loader, a slow rank, uneven lengths."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from turnaround.advice.base import Advice, Case, brief

WAITS = 0.1  # of the wall clock: less time in the loader is no cause
FAR = 0.5  # of what others wait: so much more must the slow rank have worked
READERS = 8  # devices that are worth asking for, for the loader's sake
WINDOW = 50  # batches that are sorted by length together


def loaders(case: Case) -> Iterator[Advice]:
    """Each rank reads its share of a batch, so more ranks read at the same time."""
    data, devices = case.rows["data"], case.plan.devices
    if data < WAITS * case.account.total:
        return
    more = min(case.devices, READERS, case.plan.data.batch // case.plan.update.accumulate)
    more = more if _plain(case) else 0
    each = brief(data / max(case.facts.steps, 1))
    message = f"every step waits {each} for its batch: the recipe's data and collate are slow"
    if more <= devices:
        hint = f"{message}; no device is left to share the reading, so make them cheaper"
        yield Advice("loader", "data", hint, (), 0.0, 0.0, data)
        return
    less = 1 - devices / more
    yield Advice(
        cause="loader",
        row="data",
        message=f"{message}; {more} ranks read it in parts, and learn the same",
        words=("layout=ddp", f"layout.replicate={more}"),
        saves=less * data,
        low=0.8 * less * data,
        high=less * (data + case.rows["compute"]),
        frees=case.timed,
    )


def _plain(case: Case) -> bool:
    """Replicas in step, which may be more or fewer for the same curve."""
    return case.plan.layout.name in ("single", "ddp") and case.plan.update.name == "sync"


def ranks(case: Case) -> Iterator[Advice]:
    """The one that waits least for the others is the one they wait for."""
    rows = case.facts.ranks
    if len(rows) < 2 or not _plain(case):
        return  # stages and groups wait for each other for reasons of their own
    waits = {rank: of.get("communicate", 0.0) for rank, of in rows.items()}
    works = {rank: of.get("data", 0.0) + of.get("compute", 0.0) for rank, of in rows.items()}
    slow = min(waits, key=lambda rank: waits[rank])
    usual = median(work for rank, work in works.items() if rank != slow)
    lost = median(wait for rank, wait in waits.items() if rank != slow) - waits[slow]
    if works[slow] - usual > FAR * max(lost, waits[slow]):
        yield from _straggler(case, slow, works[slow], usual, lost)
    else:
        yield from _uneven(case, min(waits.values()))


def _straggler(case: Case, slow: int, work: float, usual: float, lost: float) -> Iterator[Advice]:
    """One rank is slow all the time: without it the others do its share."""
    count = len(case.facts.ranks)
    where = case.facts.places.get(slow, "its device")
    message = (
        f"rank {slow} ({where}) works {brief(work)} where others need {brief(usual)}; "
        f"they wait {brief(lost)} for it"
    )
    alone = count == 2
    exchange = case.facts.ranks[slow].get("communicate", 0.0) if alone else 0.0
    gain = work - usual * count / (count - 1) + exchange
    if gain <= 0:
        hint = f"{message}. See what else runs there; as fast as the others it would save as much"
        yield Advice("imbalance", "communicate", hint, (), 0.0, 0.0, lost)
        return
    words = ("layout=single",) if alone else ("layout=ddp", f"layout.replicate={count - 1}")
    hint = f"{message}. {count - 1} of {count} are faster, if the slow one is left out"
    if where.startswith("cuda"):
        hint = f"{hint} (CUDA_VISIBLE_DEVICES says which are used)"
    yield Advice(
        "imbalance", "communicate", hint, words, gain, 0.8 * gain, work - usual, frees=case.timed
    )


def _uneven(case: Case, wait: float) -> Iterator[Advice]:
    """All ranks wait: for each other by turns where lengths differ, or for the exchange itself."""
    if wait < WAITS * case.account.total or case.plan.data.bucket > 1:
        return
    message = (
        f"each rank waits {brief(wait)} for the others, now one and now another: their shares of a "
        "batch differ in length, unless the exchange itself is slow"
    )
    words = (f"data.bucket={WINDOW}",)
    yield Advice("imbalance", "communicate", message, words, wait / 2, 0.0, wait, frees=case.timed)
