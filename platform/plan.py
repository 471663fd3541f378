"""`python -m platform.plan`: what a study or sweep would take: hours, bytes, time, money."""

from dfkd import cli


def main(output: cli.Output) -> None:
    parser = cli.parser(
        "plan",
        str(__doc__),
        "python -m platform.plan ablations.components --machines 4 --cpus-per-machine 16 "
        "--price 2.5/h",
    )
    parser.add_argument("module", help="a search space as for sweep, or a study as for ablate")
    parser.add_argument(
        "--recipe", default=None, help="another recipe, as for sweep and ablate (default: its own)"
    )
    parser.add_argument("--trials", type=int, default=24, help="of a sweep (default: 24)")
    parser.add_argument(
        "--blocks", type=int, default=None, help="of a study, or of a sweep's confirmation"
    )
    parser.add_argument(
        "--rows", type=int, default=None, help="as if the pool had so many, 1000000000 for example"
    )
    cluster = parser.add_argument_group("the cluster, machines that are alike")
    cluster.add_argument("--machines", type=int, default=1, help="how many (default: 1)")
    for kind in ("cpu", "gpu"):
        cluster.add_argument(
            f"--{kind}s-per-machine", type=int, default=None, help="(default: as here)"
        )
    cluster.add_argument(
        "--price",
        default=None,
        help="2.5/h: of a machine, from start to end; 2.5/gpu-h or 0.05/cpu-h: of a device, while "
        "it computes",
    )
    cli.add_settings(parser, "every variant or trial")
    cli.add_compute(parser)
    arguments = parser.parse_args()

    from dfkd.experiment.rebuild import parse_changes
    from dfkd.experiment.settings import values_of
    from dfkd.planning.cluster import Price, cluster_of
    from dfkd.planning.naming import demand_of
    from dfkd.planning.plan import plan
    from dfkd.planning.terminal import print_plan

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
        values=values_of(parse_changes(arguments.set), arguments.steps),
        anew=arguments.rows is not None,
    )
    found = plan(demand, compute, cluster_of(*machines), price, arguments.rows)
    print_plan(found, compute, console)
    command = "ablate" if demand.kind == "study" else "sweep"
    console.line(f"next:  python -m platform.{command} {arguments.module}")


if __name__ == "__main__":
    cli.run(main)
