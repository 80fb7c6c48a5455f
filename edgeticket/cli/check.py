"""`edgeticket check`."""

from __future__ import annotations

import os
from typing import Any

import click

from edgeticket.cli import options, values
from edgeticket.cli.output import write_json

COUNTED = ("nonzeros", "macs", "nodes", "instructions")


@click.command()
@click.argument("candidate", type=click.Path(), callback=values.paths, required=False)
@click.option(
    "--baseline", type=click.Path(), callback=values.paths, metavar="OTHER", help="The model to compare with."
)
@options.tolerance(
    "--max-latency-regression",
    "max_latency",
    "5%",
    show_default=True,
    help="The slow-down that must be caught, 5% or 0.05. It is no allowance: between a half of it and all of it either "
    "verdict may come.",
)
@options.growth("--max-size-regression", "max_size", "1%", show_default=True)
@click.option(
    "--max-accuracy-drop",
    type=values.points,
    default="0.5",
    show_default=True,
    metavar="POINTS|off",
    help="On the baseline's labelled slice, in points of its metric: 0.5 is from 97.5 % to 97.0 %.",
)
@options.tolerance("--max-memory-regression", "max_memory", show_default=True)
@options.growth("--max-nonzeros-regression", "max_nonzeros")
@options.growth("--max-macs-regression", "max_macs")
@options.growth("--max-nodes-regression", "max_nodes")
@options.growth(
    "--max-instructions-regression",
    "max_instructions",
    help="Where the kernel counts them. [default of these four: off]",
)
@options.budget_ms
@options.budget_host
@options.providers
@click.option("--baseline-provider", metavar="NAME", help="Another provider for the baseline.")
@options.thread_counts
@options.seconds
@click.option(
    "--process-seconds",
    "process_s",
    type=click.FloatRange(min=0.1),
    default=30.0,
    show_default=True,
    help="After which one process is taken to hang.",
)
@options.seed
@options.input_shapes
@click.option("--selftest", is_flag=True, help="Does this host catch 5 %? Of CANDIDATE, or of a sample network.")
@options.json("the result")
@options.document("--junit", "As JUnit XML; what is inconclusive counts as skipped.")
@options.document("--bencher", "As Bencher Metric Format.")
@options.document("--action-benchmark", "For github-action-benchmark, customSmallerIsBetter.")
@options.append
@click.option("--github/--no-github", default=None, help="Annotations and step summary. [default: on GitHub]")
@options.quiet
@click.pass_context
def check(ctx: click.Context, /, **given: Any) -> None:
    """Check CANDIDATE on this host, alone or against a baseline that is run beside it.

    CANDIDATE is an artifact, a ticket's or run's folder with one inside, or (with --baseline or --budget-ms) an ONNX
    file. Alone, an artifact's hashes, bytes, golden outputs, accuracy and budget are checked, with numpy and
    onnxruntime alone.

    With --baseline both, and the baseline once more, run interleaved in fresh processes until the verdict is certain:
    pass (no slow-down of the tolerance), regression (at least 1 %, and by estimate more than half the tolerance), or
    inconclusive. Ctrl-C exits 130 and keeps what was measured. A SHARE is written as 5% or 0.05.
    """
    if given["selftest"]:
        _refuse(ctx, given, SELFTEST, "has no meaning with --selftest; leave it out")
        code = _selftest(given)
    elif given["candidate"] is None:
        raise click.UsageError("Missing argument 'CANDIDATE'.")
    elif given["baseline"] is None and given["budget_ms"] is None:
        _refuse(ctx, given, ALONE, "compares; give --baseline, the model to compare with")
        code = _alone(given)
    else:
        if given["baseline"] is None:
            _refuse(ctx, given, LIMITED, "compares; give --baseline, the model to compare with")
        elif given["budget_ms"] is None:
            _refuse(ctx, given, set(given) - {"budget_host"}, "says where a budget holds; give the budget, --budget-ms")
        code = _against(ctx, given)
    raise SystemExit(code)


# What has an effect: on an artifact alone, with a budget and no baseline, and in the self-test.
ALONE = {"candidate", "threads", "json_target", "quiet"}
LIMITED = ALONE | {
    "budget_ms", "budget_host", "providers", "seconds", "process_s", "seed", "input_shapes", "junit", "bencher",
    "action_benchmark", "append", "github",
}  # fmt: skip
SELFTEST = {"selftest", "candidate", "seconds", "process_s", "seed", "json_target", "quiet"}


def _refuse(ctx: click.Context, given: dict[str, Any], effective: set[str], reason: str) -> None:
    """Refuse an option without effect: a gate that was asked for is never left out. What is 'off' was not asked for."""
    for parameter in ctx.command.params:
        name = parameter.name or ""
        if name not in effective and _asked(ctx, name) and given[name] is not None and given[name] is not False:
            raise click.UsageError(f"{parameter.opts[0]} {reason}.")


def _asked(ctx: click.Context, name: str) -> bool:
    """Say whether an option was given, and not left at its default."""
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _alone(given: dict[str, Any]) -> int:
    import json

    from edgeticket import api
    from edgeticket.cli.verdict_tables import print_rows

    if len(given["threads"]) > 1:
        raise click.UsageError("--threads: an artifact alone is checked at one number of threads; give one.")
    outcome = api.check(given["candidate"], threads=given["threads"][0], engine=True)
    if given["json_target"]:
        write_json(given["json_target"], json.loads(outcome.to_json()))
    if given["json_target"] != "-" and not given["quiet"]:
        print_rows([(each.name, each.verdict, each.sentence) for each in outcome.checks])
    return outcome.exit_code


def _against(ctx: click.Context, given: dict[str, Any]) -> int:
    from dataclasses import fields

    from edgeticket import api
    from edgeticket.cli.check_outputs import Outputs
    from edgeticket.cli.check_progress import Line
    from edgeticket.cli.verdict_tables import print_comparison
    from edgeticket.gate.request import ComparisonRequest

    on_github = os.environ.get("GITHUB_ACTIONS") == "true" if given["github"] is None else given["github"]
    targets = {name: given[name] for name in ("junit", "bencher", "action_benchmark", "append")}
    outputs = Outputs(json=given["json_target"], github=on_github, **targets)
    limits = {name: given[f"max_{name}"] for name in COUNTED if given[f"max_{name}"] is not None}
    given |= {"max_counts": limits, "accuracy_asked": _asked(ctx, "max_accuracy_drop")}
    request = ComparisonRequest(**{field.name: given[field.name] for field in fields(ComparisonRequest)})
    with Line(given["quiet"]) as line:
        comparison = api.check_against(request, line.watch)
    failed = outputs.write(comparison)
    if not outputs.on_stdout:
        print_comparison(comparison, given["quiet"])
    for sentence in failed:
        click.echo(f"edgeticket: {sentence}", err=True)
    if comparison.interrupted:
        click.echo("edgeticket: interrupted; what was measured is kept", err=True)
    return 2 if failed and not comparison.interrupted else comparison.exit_code


def _selftest(given: dict[str, Any]) -> int:
    from edgeticket import api
    from edgeticket.cli.check_progress import Line

    with Line(given["quiet"]) as line:
        done = api.selftest(given["candidate"], given["seconds"], given["process_s"], given["seed"], watch=line.watch)
    if given["json_target"]:
        write_json(given["json_target"], done.document())
    if given["json_target"] != "-" and not given["quiet"]:
        for sentence in done.sentences():
            click.echo(sentence)
    return done.exit_code
