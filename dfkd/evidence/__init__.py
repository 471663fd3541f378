"""What finished cells say: designs of studies, statistics and racing over their outcomes.

Input is a pandas frame of outcomes, one row per cell: `variant` (str), `block` (str or int), `state` ("finished",
"diverged" or "errored") and `value` (accuracy in [0, 1]; a diverged cell carries chance accuracy, an errored one has
no value).
"""
