"""The same cells as Ray's guides write them: nothing of the platform drives them.

Trials are a function that reports to Tune, a process each ("Getting Started with Ray Tune"); a
student on several workers is a `TorchTrainer` of its own ("Get Started with Distributed Training
using PyTorch"). Data comes by `with_parameters` or the object store, a `DataLoader` makes batches,
the teacher answers in every step. Batches, start and formulas are the platform's, so that students
learn as much. B batch.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import ray
import ray.train
import ray.train.torch
import torch
from ray import tune
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from dfkd.data.images.transforms import to_tensor
from dfkd.experiment import Cell, Experiment
from dfkd.method.losses import Outputs
from dfkd.method.selection.selecting import rows_taken
from dfkd.models.networks import Tapped
from dfkd.models.teachers import answers
from dfkd.seeding import generator
from dfkd.training.batches import Batches
from dfkd.training.inputs import Inputs
from dfkd.training.objective import Objective, StepInputs


def tune_cells(cells: Sequence[Cell], inputs: Inputs, folder: Path) -> list[dict[str, Any]]:
    """Train each cell in a trial of Tune, in an open Ray session; return their last reports."""
    trainable = tune.with_parameters(train_student, cells=list(cells), inputs=inputs)
    tuner = tune.Tuner(
        tune.with_resources(trainable, {"cpu": 1}),
        param_space={"cell": tune.grid_search(list(range(len(cells))))},
        run_config=tune.RunConfig(storage_path=str(folder), verbose=0),
    )
    results = tuner.fit()
    for error in results.errors:
        raise error
    metrics = [results[place].metrics or {} for place in range(len(results))]
    return sorted(metrics, key=lambda reported: int(reported["config"]["cell"]))


def train_student(config: Mapping[str, Any], cells: Sequence[Cell], inputs: Inputs) -> None:
    """Train the student of one cell; report its agreement with the teacher now and then."""
    cell = cells[config["cell"]]
    experiment, probe = cell.experiment, inputs.probe
    objective = objective_of(cell, inputs)
    loader = DataLoader(images_of(cell, inputs), batch_sampler=batches_of(cell, inputs))
    for step in training_steps(cell, inputs, objective, objective, loader):
        if step in experiment.schedule.evaluation_steps():
            network = objective.student.network
            logits_PK = answers(network, inputs.images_NHWC[probe.rows_P], experiment.task)
            tune.report({"step": step, "probe": probe.agreement(logits_PK)["probe"]})
            objective.train()


def train_on_workers(cell: Cell, inputs: Inputs, workers: int, folder: Path) -> int:
    """Train one cell on several workers with a `TorchTrainer`; return the steps it took."""
    trainer = ray.train.torch.TorchTrainer(
        train_on_worker,  # it returns the steps
        train_loop_config={"cell": cell, "inputs": ray.put(inputs)},
        scaling_config=ray.train.ScalingConfig(num_workers=workers),
        run_config=ray.train.RunConfig(storage_path=str(folder)),
    )
    steps: int = trainer.fit().return_value
    return steps


def train_on_worker(config: Mapping[str, Any]) -> int:
    """Train on this worker's part of each batch, with averaged gradients; return the steps."""
    cell, inputs = config["cell"], ray.get(config["inputs"])
    context = ray.train.get_context()
    rank, workers = context.get_world_rank(), context.get_world_size()
    parts = [rows_B[rank::workers] for rows_B in batches_of(cell, inputs)]
    loader = DataLoader(images_of(cell, inputs), batch_sampler=parts)
    objective = objective_of(cell, inputs)
    shared = ray.train.torch.prepare_model(objective)
    *_, last = training_steps(cell, inputs, objective, shared, loader)
    ray.train.report({"step": last})
    return last


def training_steps(
    cell: Cell,
    inputs: Inputs,
    objective: Objective,
    module: Any,
    loader: DataLoader[tuple[Tensor, ...]],
) -> Iterator[int]:
    """Train, and yield the number of steps after each of them.

    module: the objective, or what wraps it to average gradients.
    """
    experiment = cell.experiment.canonical()
    schedule, dropping = experiment.schedule, experiment.dropping
    assert inputs.teacher is not None
    teacher = Tapped(inputs.teacher.build(experiment.task)).eval()
    optimizer = torch.optim.AdamW(
        objective.parameters(), schedule.learning_rate, weight_decay=schedule.weight_decay
    )
    decay = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, schedule.learning_rate, total_steps=schedule.steps + 1
    )
    objective.train()
    for step, (images_BCHW,) in enumerate(loader):
        with torch.no_grad():
            answer = Outputs(*teacher(images_BCHW))
        keep_BK = None
        if dropping is not None:
            keep_BK = dropping.keep(answer.logits_BK, generator(0, "no draw"))
        weights = objective.weights(step / schedule.steps)
        terms = module(StepInputs((images_BCHW,), answer, keep_BK, weights))
        optimizer.zero_grad()
        terms["total"].backward()
        optimizer.step()
        decay.step()
        yield step + 1


def objective_of(cell: Cell, inputs: Inputs) -> Objective:
    """Return the student with its losses, as the platform begins it."""
    return Objective(cell, teacher_width=inputs.scores.features_ND.shape[1])


def images_of(cell: Cell, inputs: Inputs) -> TensorDataset:
    """Return the selected images."""
    images_NHWC = np.asarray(inputs.images_NHWC[_rows(cell.experiment, cell.block.seed, inputs)])
    return TensorDataset(to_tensor(images_NHWC, cell.experiment.task))


def batches_of(cell: Cell, inputs: Inputs) -> list[list[int]]:
    """Return the places of each step's images among the selected ones."""
    rows_N = _rows(cell.experiment, cell.block.seed, inputs)
    schedule = cell.experiment.schedule
    batches = Batches(rows_N, schedule.batch, cell.block.seed)
    return [np.searchsorted(rows_N, batches.at(step)).tolist() for step in range(schedule.steps)]


def _rows(experiment: Experiment, seed: int, inputs: Inputs) -> Any:
    e = experiment.canonical()
    return rows_taken(e.selection, e.dropping, inputs.scores, inputs.probe.rows_P, seed)
