"""Memory maps, scores, pools and teachers that no record refers to.

Only what carries our mark is ever named: the note of a memory map or a teacher, the records or the
footers of a pool's shards, the columns of scores. A folder that holds anything else beside is a
user's, and stays.
"""

from collections.abc import Iterable, Iterator

from dfkd.cleaning.items import NOBODY, Item, as_young_as, item
from dfkd.cleaning.references import References
from dfkd.data.pools.stored import stored_pools
from dfkd.models.teachers.supervised import stored_digest
from dfkd.scores.scores import holds_scores
from dfkd.storage import layout


def unused_sources(known: References) -> list[Item]:
    """Return teachers, pools, scores and memory maps that nothing refers to.

    While scores that no cell uses yet are young, any pool may be theirs.
    """
    scores = list(_scores(known))
    return [*_packs(known), *scores, *as_young_as(_pools(known), scores), *_teachers(known, scores)]


def _packs(known: References) -> Iterator[Item]:
    for key in known.packs:
        if not known.uses_pack(key):
            yield item(known.storage, "pack", key, NOBODY)


def _scores(known: References) -> Iterator[Item]:
    teachers = {layout.scores_of_teacher(use.teacher).name for use in known.uses}
    for folder in known.storage.list(layout.SCORES):
        used = known.scores(folder)
        if used is None:
            continue
        whose = "pool" if folder in teachers else "teacher"
        why = f"of a {whose} that no recorded cell uses"
        keys = [
            layout.SCORES / folder / name for name in known.storage.list(layout.SCORES / folder)
        ]
        items = [
            item(known.storage, "scores", key, why)
            for key in keys
            if key.name not in used and holds_scores(known.storage.file(key))
        ]
        yield from as_young_as(items, items)  # a pool is scored for hours, and is of one piece


def _pools(known: References) -> Iterator[Item]:
    pools = {use.pool for use in known.uses}
    for name in known.storage.list(layout.POOLS):
        key = layout.pool(name)
        stored = stored_pools(known.storage.below(key))
        if stored is not None and not (known.shards & stored.shards or pools & stored.digests):
            yield item(known.storage, "pool", key, NOBODY)


def _teachers(known: References, scores: Iterable[Item]) -> Iterator[Item]:
    """Yield teachers; one with young scores is about to be used, and as young as these."""
    teachers = {use.teacher for use in known.uses}
    for name in known.storage.list(layout.TEACHERS):
        key = layout.teacher(name)
        digest = stored_digest(known.storage.below(key))
        if digest is not None and digest not in teachers:
            folder = layout.scores_of_teacher(digest)
            own = [one for one in scores if one.key.parent == folder]
            yield from as_young_as([item(known.storage, "teacher", key, NOBODY)], own)
