"""Reuse: which recorded work can be told from the ledger alone, before anything is prepared."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import torch

from dfkd.execution.compute import Compute
from dfkd.training.jobs import RunContext


def known_run_context(
    saved: Mapping[str, Any], inputs: Iterable[str], compute: Compute
) -> RunContext | None:
    """Return the run context of an earlier call, which gives cells their names without a cluster.

    saved: `dataclasses.asdict` of it, by way of JSON. inputs: `inputs_key` of each cell that will
    be named. compute: what this call asks for. None where PyTorch has another version now, where
    another precision was computed in or passes were compiled and are not now, or where inputs are
    not among the saved ones: then everything has to be prepared first.
    Pieces that changed since need no check here: their cells get other names.
    """
    context = RunContext.of(dict(saved))
    environment = context.environment
    same = environment.torch == torch.__version__ and environment.compiled == compute.compiled
    same &= compute.precision in ("auto", environment.precision)
    if not (same and set(inputs) <= context.digests.keys()):
        return None
    return replace(context, accept_changed_code=compute.accept_changed_code)
