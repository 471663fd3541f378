"""Compute: where cells are computed."""

from __future__ import annotations

from dataclasses import dataclass

from dfkd.storage import Storage


@dataclass(frozen=True, kw_only=True)
class Compute:
    """WHERE cells are computed.

    storage: a folder that every node sees. workers: Train workers per cell; 1 is the warm path.
    cpus, gpus: of one worker. concurrency: cells at a time, None for as many as the cluster holds.
    device: "cpu" or "cuda". accept_changed_code: use cells that an own class computed whose code
    has changed since.
    """

    storage: Storage
    tracking_uri: str | None = None
    workers: int = 1
    cpus: int = 1
    gpus: float = 0.0
    concurrency: int | None = None
    accept_changed_code: bool = False

    def __post_init__(self) -> None:
        if self.workers < 1 or self.cpus < 1 or not self.gpus >= 0:
            raise ValueError(f"workers and cpus must be 1 or more, gpus 0 or more, but got {self}")
        if self.concurrency is not None and self.concurrency < 1:
            raise ValueError(f"concurrency must be 1 or more, but got {self.concurrency=}")

    @property
    def device(self) -> str:
        return "cuda" if self.gpus else "cpu"
