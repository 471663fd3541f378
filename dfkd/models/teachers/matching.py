"""The weights of a network among those of a file: below a prefix, and with others beside them."""

import re

import torch
from torch import Tensor

# Of DataParallel, torch.compile, Lightning and others
PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.")
# Of single layers that were wrapped by torch.compile, activation checkpoints, FSDP, DataParallel
WRAPPERS = re.compile(
    r"(?<=\.)(_orig_mod|_checkpoint_wrapped_module|_fsdp_wrapped_module|module)\."
)
# In the first part of a name: averaged copies of a network, which are not taken unless asked for
AVERAGED = {"ema", "averaged", "shadow", "swa", "momentum", "polyak"}
# And what else may lie beside a network's layers: what trained or measured it, auxiliary heads
BESIDE = AVERAGED | {
    "criterion",
    "loss",
    "losses",
    "lossfn",
    "metric",
    "metrics",
    "acc",
    "accuracy",
    "aux",
    "auxlogits",
    "auxiliary",
}
COUNTER = ".num_batches_tracked"  # of BatchNorms, which had none before PyTorch 0.4.1
Shapes = dict[str, tuple[int, ...]]


def matched(weights: dict[str, Tensor], shapes: Shapes) -> tuple[dict[str, Tensor], list[str]]:
    """Return the weights under the network's names, and in words what was done for it.

    shapes: of all weights of the network. What belongs to another network stays among the names, so
    that it is found. ValueError where several copies of the network lie there equal in rank.
    """
    found, said = _found(weights, shapes)
    if found.keys() == shapes.keys():
        return found, said
    unwrapped = {WRAPPERS.sub("", name): value for name, value in weights.items()}
    bare, more = _found(unwrapped, shapes)
    if len(unwrapped) == len(weights) and bare.keys() == shapes.keys():
        return bare, ["without the names of wrapped layers", *more]
    return found, said


def _found(weights: dict[str, Tensor], shapes: Shapes) -> tuple[dict[str, Tensor], list[str]]:
    """Return what `matched` does, where single layers were not wrapped."""
    weights, said = _without_common_prefixes(weights, shapes)
    if weights.keys() != shapes.keys():
        weights, more = _chosen(weights, shapes)
        said += more
    absent = shapes.keys() - weights.keys()
    if all(name.endswith(COUNTER) for name in absent):
        weights = weights | {name: torch.zeros((), dtype=torch.int64) for name in absent}
    return weights, said


def _without_common_prefixes(
    weights: dict[str, Tensor], shapes: Shapes
) -> tuple[dict[str, Tensor], list[str]]:
    """Return the weights without prefixes that all names have and none of the network's."""
    said: list[str] = []
    while weights and weights.keys() != shapes.keys():
        prefix = next((p for p in PREFIXES if all(name.startswith(p) for name in weights)), None)
        if prefix is None or any(name.startswith(prefix) for name in shapes):
            break
        weights = _below(weights, prefix)
        said.append(f"without the prefix {prefix!r}")
    return weights, said


def _chosen(weights: dict[str, Tensor], shapes: Shapes) -> tuple[dict[str, Tensor], list[str]]:
    """Return the one copy of the network that lies among the weights, without what is beside it."""
    copies = _prefixes_of_copies(weights, shapes)
    raw = [prefix for prefix in copies if not _words(prefix) & AVERAGED] or copies
    if not raw:
        return weights, []
    if len(raw) > 1:
        raise ValueError(
            f"holds {len(raw)} such networks, below {', '.join(map(repr, raw))}: name one of them "
            f"with inside={raw[-1].rstrip('.')!r}"
        )
    [prefix] = raw
    own = {
        name: value
        for name, value in _below(weights, prefix).items()
        if name in shapes or not _is_beside(name, shapes)
    }
    said = [f"without the prefix {prefix!r}"] if prefix else []
    others = [copy.rstrip(".") for copy in copies if copy != prefix]
    said += [f"not the copy in {other!r} (inside={other!r} takes it)" for other in others]
    left = [name for name in weights if name.removeprefix(prefix) not in own]
    left = [name for name in left if not any(name.startswith(f"{other}.") for other in others)]
    said += [f"without {len(left)} names beside it, such as {left[0]!r}"] if left else []
    return own, said


def _prefixes_of_copies(weights: dict[str, Tensor], shapes: Shapes) -> list[str]:
    """Return below which prefixes all of the network's names stand, "" for none; counters apart."""
    needed = [name for name in shapes if not name.endswith(COUNTER)]
    if not needed:
        return []
    found = [n.removesuffix(needed[0]) for n in weights if f".{n}".endswith(f".{needed[0]}")]
    return [prefix for prefix in found if all(f"{prefix}{name}" in weights for name in needed)]


def _below(weights: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): value for n, value in weights.items() if n.startswith(prefix)}


def _is_beside(name: str, shapes: Shapes) -> bool:
    """Return whether a name is no layer's of such a network: a deeper one would be another."""
    first = name.partition(".")[0]
    return bool(_words(first) & BESIDE) and not any(n.partition(".")[0] == first for n in shapes)


def _words(name: str) -> set[str]:
    return {re.sub("[0-9]", "", word) for word in re.split(r"[._]", name.lower())}
