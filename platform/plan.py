"""`python -m platform.plan`: what a study or sweep would take: hours, bytes, time, money."""

import argparse
import shlex

from dfkd import cli

# of ablate and sweep as well: what makes a call the one that was planned
OF_BOTH = ("recipe", "blocks", "steps", "workers", "cpus", "gpus", "precision", "concurrency")


def _parser() -> argparse.ArgumentParser:
    parser = cli.parser(
        "plan",
        str(__doc__),
        "python -m platform.plan ablations.components --machines 4 --cpus-per-machine 16 "
        "--price 2.5/h",
    )
    parser.add_argument("module", help="a search space as for sweep, or a study as for ablate")
    parser.add_argument(
        "--recipe", help="another recipe, as for sweep and ablate (default: its own)"
    )
    parser.add_argument("--trials", type=int, default=24, help="of a sweep (default: 24)")
    parser.add_argument("--blocks", type=int, help="of a study, or of a sweep's confirmation")
    parser.add_argument(
        "--rows", type=int, help="as if the pool had so many, 1000000000 for example"
    )
    cluster = parser.add_argument_group("the cluster, machines that are alike")
    cluster.add_argument("--machines", type=int, default=1, help="how many (default: 1)")
    for kind in ("cpu", "gpu"):
        cluster.add_argument(f"--{kind}s-per-machine", type=int, help="(default: as here)")
    cluster.add_argument(
        "--price",
        help="2.5/h: of a machine, from start to end; 2.5/gpu-h or 0.05/cpu-h: of a device, while "
        "it computes",
    )
    cli.add_settings(parser, "every variant or trial")
    cli.add_compute(parser)
    return parser


def main(output: cli.Output) -> None:
    parser = _parser()
    arguments = parser.parse_args()

    from dfkd.planning.cluster import Price, cluster_of
    from dfkd.planning.naming import demand_of
    from dfkd.planning.plan import plan
    from dfkd.planning.terminal import print_plan
    from dfkd.reporting.shell import options

    if arguments.rows is not None and arguments.rows < 1:
        raise ValueError(f"--rows must be 1 or more, but got {arguments.rows}")
    price = None if arguments.price is None else Price.parse(arguments.price)
    machines = (arguments.machines, arguments.cpus_per_machine, arguments.gpus_per_machine)
    compute, console = cli.compute_and_console(arguments, output)
    demand = demand_of(
        arguments.module,
        compute,
        recipe=arguments.recipe,
        trials=arguments.trials,
        blocks=arguments.blocks,
        values=cli.values_in(arguments),
        anew=arguments.rows is not None,
    )
    found = plan(demand, compute, cluster_of(*machines), price, arguments.rows)
    print_plan(found, compute, console)
    command, own = ("ablate", ()) if demand.kind == "study" else ("sweep", ("trials",))
    names = [n for n in (*OF_BOTH, *own, "storage") if vars(arguments)[n] != parser.get_default(n)]
    said = [arguments.module, *options({name: vars(arguments)[name] for name in names})]
    said += ["--compile"] if arguments.compile else []
    said += [f"--set {shlex.join(arguments.set)}"] if arguments.set else []
    console.line(f"next:  python -m platform.{command} {' '.join(said)}")


if __name__ == "__main__":
    cli.run(main)
