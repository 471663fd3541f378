"""Samples are files of a tar with one name up to its first dot, as WebDataset has them."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

MOST = 8  # files of a folder that may be a sample


def kind_of(name: str) -> str:
    """Return what stands behind the first dot of a file's name: "input.jpg" of a/7.input.jpg."""
    return name.rpartition("/")[2].partition(".")[2].lower()


def is_member(name: str, member: str) -> bool:
    """Return whether a file is of this kind, or one of several (`jpg;png`), or is called so."""
    return bool({kind_of(name), name.rpartition("/")[2].lower()} & {*member.lower().split(";")})


def several_images(names: Iterable[str]) -> Counter[str]:
    """Return how many samples have which images, such as {"input.jpg, mask.png": 60}.

    names: of files that are images, in the order of the tar. Samples with one are left out. Files
    with a folder for each sample are told by their whole names.
    """
    by_name, by_folder = defaultdict[str, list[str]](list), defaultdict[str, list[str]](list)
    for name in names:
        folder, _, file = name.rpartition("/")
        by_name[f"{folder}/{file.partition('.')[0]}"].append(kind_of(name))
        by_folder[folder].append(file.lower())
    together = Counter(", ".join(kinds) for kinds in by_name.values() if len(kinds) > 1)
    folders = Counter(", ".join(files) for files in by_folder.values() if 1 < len(files) <= MOST)
    for files, count in folders.items():
        if count > 1 and not any(map(str.isdigit, files)):  # numbered ones are images of a class
            together[files] += count
    return together


def note(together: Mapping[str, int]) -> str:
    """Return a line's end for people where samples have several images, else ""."""
    if not together:
        return ""
    kinds, _ = max(together.items(), key=lambda item: item[1])
    return (
        f"; {sum(together.values())} samples have several images ({kinds}), and each is a row: "
        f"member={kinds.partition(', ')[0]!r} takes one of them"
    )
