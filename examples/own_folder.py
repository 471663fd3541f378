"""From a folder of images and a teacher's file (made up here) to a student as ONNX, by commands."""

import json
import subprocess
import sys
from pathlib import Path

import torch
from PIL import Image

from dfkd.data.tasks import Digits
from dfkd.models.networks import SmallResNet
from dfkd.models.teachers import SupervisedTeacher
from dfkd.storage import FolderStorage

SETTINGS = """task=unlabelled task.classes=10 task.image_shape=16,16,1 task.mean=0.31 task.std=0.32
pool=image_folder pool.path=mine/images teacher=teacher_file teacher.path=mine/teacher.pt
teacher.network=small_res_net teacher.network.width=16 teacher.network.stem_stride=2"""


def make_up(folder: Path) -> None:
    teacher = SupervisedTeacher(network=SmallResNet(width=16, stem_stride=2), steps=150, batch=64)
    trained = teacher.obtain(Digits(), FolderStorage(folder / "elsewhere"))
    torch.save(trained.weights, folder / "teacher.pt")
    (folder / "images").mkdir(exist_ok=True)
    for i, image_HWC in enumerate(Digits().train().images):
        Image.fromarray(image_HWC[..., 0]).save(folder / "images" / f"{i:04}.png")


def command(words: str) -> str:
    return subprocess.check_output([sys.executable, "-m", *words.split()], text=True)


if __name__ == "__main__":
    make_up(Path("mine"))
    told = json.loads(command(f"platform.distill --json --set {SETTINGS}"))["result"]
    print(command(f"platform.export {told['cells'][0]['cell']} --out mine/onnx"))
