"""Results of your own, from any tool, compared: `python examples/own_results.py`.

The numbers are made up. Same seed, same block: differences are paired.
"""

import csv
import subprocess
import sys

ACCURACY = {  # of five seeds
    "plain": (0.912, 0.905, 0.921, 0.899, 0.917),
    "with mixup": (0.924, 0.911, 0.936, 0.908, 0.925),
    "with dropout": (0.915, 0.899, 0.925, 0.896, 0.920),
}

with open("results.csv", "w", newline="", encoding="utf-8") as file:
    table = csv.writer(file)
    table.writerow(["variant", "seed", "accuracy"])
    for variant, values in ACCURACY.items():
        table.writerows([variant, seed, value] for seed, value in enumerate(values))

compare = [sys.executable, "-m", "platform.compare", "--from", "results.csv", "--baseline", "plain"]
subprocess.run(compare, check=True)
