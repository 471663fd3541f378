"""A little of the real work, on noise: rows scored, two workers against one, a GPU's bfloat16."""

import tempfile
import time
from dataclasses import replace
from typing import Any

import numpy as np
import ray
import torch
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from dfkd.execution.checks.capacity import machines_now, workers_on
from dfkd.execution.checks.finding import Finding, broken, ok, skipped
from dfkd.execution.compute import Compute
from dfkd.experiment import Cell
from dfkd.reporting.failures import in_a_line, reason_in
from dfkd.scores import Scorer
from dfkd.seeding import use_deterministic
from dfkd.training.distill import Run
from dfkd.training.inputs import Inputs
from dfkd.training.precision import resolved

ROWS, CLOSE = 256, 1e-5  # the largest difference, of numbers up to 1
WAIT_S = 120.0  # a busy machine takes half a minute to start two workers
SCORING, WORKERS, GPU = "scoring", "two workers", "GPU"
LOOK = "see `ray status` whether the cluster is busy, and Ray's logs, in /tmp/ray as a rule"

DRIVER = "look at the driver with `nvidia-smi`, and whether PyTorch was installed with CUDA"


def check_scoring(cell: Cell, inputs: Inputs) -> Finding:
    """Score a few rows on a worker and in this process."""
    asked = _score.remote(cell, inputs)
    if not ray.wait([asked], timeout=WAIT_S)[0]:
        return broken(SCORING, f"no worker has scored {ROWS} rows in {WAIT_S:g} s", LOOK)
    try:
        there_NK, seconds = ray.get(asked)
    except RayError as error:
        return broken(SCORING, f"a worker cannot score ({in_a_line(error)})", LOOK)
    here_NK, _ = _answers(cell, inputs)
    off = _difference(torch.tensor(here_NK), torch.tensor(there_NK))
    said = f"{ROWS} rows in {1000 * seconds:.0f} ms on a worker, {off:.0e} from this process"
    if off <= CLOSE:
        return ok(SCORING, said)
    return broken(SCORING, said, "the machines compute differently: use the same PyTorch on all")


@ray.remote(num_cpus=1, max_retries=0)
def _score(cell: Cell, inputs: Inputs) -> tuple[Any, float]:
    return _answers(cell, inputs)


def _answers(cell: Cell, inputs: Inputs) -> tuple[Any, float]:
    use_deterministic(1)
    assert inputs.teacher is not None
    scorer = Scorer(inputs.teacher, cell.experiment.task)
    started = time.monotonic()
    logits_NK, _ = scorer(inputs.images_NHWC[:ROWS])
    return logits_NK, time.monotonic() - started


def check_workers(cell: Cell, inputs: Inputs, compute: Compute) -> Finding:
    """Let two Train workers share a step, and compare its gradients with those of one."""
    two = replace(compute, workers=2)
    if workers_on(machines_now(), two) < 2:
        return skipped(WORKERS, "the cluster has room for one worker only: skipped")
    box: Any = ray.remote(num_cpus=0)(Box).remote()
    # on this node, where the scratch folder is
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        task = _train.options(scheduling_strategy=here)
        run = task.remote(cell, inputs, two, box, scratch)
        ended, _ = ray.wait([run], timeout=WAIT_S)
        try:
            if not ended:
                ray.cancel(run, force=True)
                return broken(WORKERS, f"two workers took more than {WAIT_S:g} s", LOOK)
            ray.get(run)
            off = ray.get(box.get.remote())
        except RayError as error:
            return broken(WORKERS, f"two workers cannot train ({reason_in(str(error))})", LOOK)
        finally:
            ray.kill(box)
    kind = "NCCL" if compute.gpus else "Gloo"
    said = f"gradients of two Train workers (by {kind}) are {off:.0e} from those of one"
    if off <= CLOSE:
        return ok(WORKERS, said)
    return broken(WORKERS, said, "the machines compute differently: use the same PyTorch on all")


class Box:
    """An actor that keeps one number."""

    def __init__(self) -> None:
        self.value: float = float("nan")

    def put(self, value: float) -> None:
        """Keep a number."""
        self.value = value

    def get(self) -> float:
        """Return the number that was kept, NaN where none was."""
        return self.value


@ray.remote(num_cpus=0, max_retries=0)
def _train(cell: Cell, inputs: Inputs, compute: Compute, box: Any, scratch: str) -> None:
    """Run Ray Train's driver in a task: its log does not mix with ours."""
    from ray.train import FailureConfig

    from dfkd.execution.worker_groups import trainer  # Ray Train takes seconds to import

    config = {"cell": cell, "inputs": inputs, "box": box, "gpus": bool(compute.gpus)}
    none = FailureConfig(max_failures=0, controller_failure_limit=0)  # type: ignore[call-arg]
    trainer(_share_a_step, config, compute, compute.cpus, scratch, "doctor", none).fit()


def _share_a_step(config: dict[str, Any]) -> None:
    import ray.train.torch

    from dfkd.execution.shared_run import SharedRun

    use_deterministic(1)
    device = str(ray.train.torch.get_device()) if config["gpus"] else "cpu"
    cell, inputs = config["cell"], config["inputs"]
    alone, shared = Run(cell, inputs, device), SharedRun(cell, inputs, device)
    off = _difference(_gradients(alone), _gradients(shared))
    if torch.distributed.get_rank() == 0:
        ray.get(config["box"].put.remote(off))


def _gradients(run: Run) -> torch.Tensor:
    run.objective.train()
    run.loss(0)["total"].backward()
    found = [p.grad.flatten() for p in run.objective.parameters() if p.grad is not None]
    return torch.cat(found).cpu()


def _difference(one: torch.Tensor, other: torch.Tensor) -> float:
    """Return the largest difference, where the largest number is 1."""
    return float((one - other).abs().max() / one.abs().max())


def check_gpus() -> list[Finding]:
    """Compute a product in bfloat16 on a GPU, where there is one."""
    if not ray.cluster_resources().get("GPU"):
        return [skipped(GPU, "no GPU: skipped")]
    asked = _bfloat16.remote()
    if not ray.wait([asked], timeout=WAIT_S)[0]:
        return [broken(GPU, f"no worker got a GPU in {WAIT_S:g} s", LOOK)]
    try:
        name, off, advised = ray.get(asked)
    except RayError as error:
        return [broken(GPU, f"PyTorch does not compute on the GPU ({in_a_line(error)})", DRIVER)]
    said = f"{name}: a product in bfloat16 is {off:.0e} from float32; --precision auto: {advised}"
    return [ok(GPU, said) if off < 0.05 else broken(GPU, said, DRIVER)]


@ray.remote(num_gpus=1, max_retries=0)
def _bfloat16() -> tuple[str, float, str]:
    draw = np.random.default_rng(0).standard_normal((256, 256), dtype=np.float32)
    one = torch.from_numpy(draw).cuda()
    with torch.autocast("cuda", torch.bfloat16):
        half = one @ one
    off = _difference((one @ one).cpu(), half.float().cpu())
    return torch.cuda.get_device_name(), off, resolved("auto", "cuda")


def two_gpus() -> bool:
    """Return whether two workers can have a GPU each, and so NCCL something to do."""
    return sum(machine.gpus * machine.count for machine in machines_now()) >= 2
