"""`edgeticket check`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from edgeticket.cli.options import counts, input_shape, names, points, share, write_json


@click.command()
@click.argument("candidate", type=click.Path(path_type=Path), required=False)
@click.option("--baseline", type=click.Path(path_type=Path), metavar="OTHER", help="The model to compare with.")
@click.option(
    "--max-latency-regression",
    "max_latency",
    type=share,
    default="5%",
    show_default=True,
    metavar="SHARE|off",
    help="The slow-down that must be caught. It is no allowance: between a half of it and all of it either verdict "
    "may come.",
)
@click.option("--max-size-regression", "max_size", type=share, default="1%", show_default=True, metavar="SHARE|off")
@click.option(
    "--max-accuracy-drop",
    "max_accuracy",
    type=points,
    default="0.5",
    show_default=True,
    metavar="POINTS|off",
    help="On the baseline's labelled slice.",
)
@click.option(
    "--max-memory-regression", "max_memory", type=share, default="off", show_default=True, metavar="SHARE|off"
)
@click.option("--max-nonzeros-regression", "max_nonzeros", type=share, default="off", metavar="SHARE|off")
@click.option("--max-macs-regression", "max_macs", type=share, default="off", metavar="SHARE|off")
@click.option("--max-nodes-regression", "max_nodes", type=share, default="off", metavar="SHARE|off")
@click.option(
    "--max-instructions-regression",
    "max_instructions",
    type=share,
    default="off",
    metavar="SHARE|off",
    help="Where the kernel counts them. [default of these four: off]",
)
@click.option("--budget-ms", type=click.FloatRange(min=0, min_open=True), help="What the median inference may take.")
@click.option(
    "--budget-host",
    default="any",
    show_default=True,
    metavar="any|this|FINGERPRINT",
    help="Where the budget holds; elsewhere it is inconclusive.",
)
@click.option(
    "--providers", type=names, default="cpu", show_default=True, help="cpu, sparse (the engine), or any installed."
)
@click.option("--baseline-provider", metavar="NAME", help="Another provider for the baseline.")
@click.option("--threads", type=counts, default="1", show_default=True, metavar="N,...", help="Threads to measure at.")
@click.option(
    "--seconds", type=click.FloatRange(min=1), default=60.0, show_default=True, help="For each provider and threads."
)
@click.option(
    "--process-seconds",
    type=click.FloatRange(min=0.1),
    default=30.0,
    show_default=True,
    help="After which one process is taken to hang.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the random orders.")
@click.option(
    "--input-shape",
    "input_shapes",
    type=input_shape,
    multiple=True,
    metavar="NAME=1x3x32x32",
    help="For free axes of ONNX files; repeatable.",
)
@click.option("--selftest", is_flag=True, help="Does this host catch 5 %? Of CANDIDATE, or of a sample network.")
@click.option("--json", "json_target", metavar="FILE|-", help="Write the result as JSON.")
@click.option("--junit", metavar="FILE|-", help="As JUnit XML; what is inconclusive counts as skipped.")
@click.option("--bencher", metavar="FILE|-", help="As Bencher Metric Format.")
@click.option("--action-benchmark", metavar="FILE|-", help="For github-action-benchmark, customSmallerIsBetter.")
@click.option("--append", metavar="FILE", help="Add a line to this history; `edgeticket trend` reads it.")
@click.option("--github/--no-github", default=None, help="Annotations and step summary. [default: on GitHub]")
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
@click.pass_context
def check(ctx: click.Context, /, **given: Any) -> None:
    """Check CANDIDATE on this host, alone or against a baseline that is run beside it.

    CANDIDATE is an artifact, a ticket's or run's folder with one inside, or (with --baseline or --budget-ms) an ONNX
    file. Alone, an artifact's hashes, bytes, golden outputs, accuracy and budget are checked, with numpy and
    onnxruntime alone.

    With --baseline both, and the baseline once more, run interleaved in fresh processes until the verdict is certain:
    pass (no slow-down of the tolerance), regression (at least 1 %, and by estimate more than half the tolerance), or
    inconclusive. Ctrl-C exits 130 and keeps what was measured.
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
    "budget_ms", "budget_host", "providers", "seconds", "process_seconds", "seed", "input_shapes", "junit", "bencher",
    "action_benchmark", "append", "github",
}  # fmt: skip
SELFTEST = {"selftest", "candidate", "seconds", "process_seconds", "seed", "json_target", "quiet"}


def _refuse(ctx: click.Context, given: dict[str, Any], effective: set[str], reason: str) -> None:
    """A gate that was asked for is made or refused, never left out; what is 'off' was not asked for."""
    for parameter in ctx.command.params:
        name = parameter.name or ""
        if name not in effective and _asked(ctx, name) and given[name] is not None and given[name] is not False:
            raise click.UsageError(f"{parameter.opts[0]} {reason}.")


def _asked(ctx: click.Context, name: str) -> bool:
    """Whether an option was given, and not left at its default."""
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
    from edgeticket import api
    from edgeticket.cli.check_outputs import Outputs
    from edgeticket.cli.check_progress import Line
    from edgeticket.cli.verdict_tables import print_report

    counted = {name: given[f"max_{name}"] for name in ("nonzeros", "macs", "nodes", "instructions")}
    on_github = os.environ.get("GITHUB_ACTIONS") == "true" if given["github"] is None else given["github"]
    targets = {name: given[name] for name in ("junit", "bencher", "action_benchmark", "append")}
    outputs = Outputs(json=given["json_target"], github=on_github, **targets)
    with Line(given["quiet"]) as line:
        report = api.check_against(
            given["candidate"],
            given["baseline"],
            max_latency=given["max_latency"],
            max_size=given["max_size"],
            max_accuracy_drop=given["max_accuracy"],
            accuracy_asked=_asked(ctx, "max_accuracy"),
            max_memory=given["max_memory"],
            max_counts={name: limit for name, limit in counted.items() if limit is not None},
            providers=given["providers"],
            baseline_provider=given["baseline_provider"],
            threads=given["threads"],
            budget_ms=given["budget_ms"],
            budget_host=given["budget_host"],
            seconds=given["seconds"],
            process_s=given["process_seconds"],
            seed=given["seed"],
            input_shapes=dict(given["input_shapes"]),
            watch=line.watch,
        )
    failed = outputs.write(report)
    if not outputs.on_stdout:
        print_report(report, given["quiet"])
    for sentence in failed:
        click.echo(f"edgeticket: {sentence}", err=True)
    if report.interrupted:
        click.echo("edgeticket: interrupted; what was measured is kept", err=True)
    return 2 if failed and not report.interrupted else report.exit_code


def _selftest(given: dict[str, Any]) -> int:
    from edgeticket import api
    from edgeticket.cli.check_progress import Line

    with Line(given["quiet"]) as line:
        done = api.selftest(
            given["candidate"], given["seconds"], given["process_seconds"], given["seed"], watch=line.watch
        )
    if given["json_target"]:
        write_json(given["json_target"], done.document())
    if given["json_target"] != "-" and not given["quiet"]:
        for sentence in done.sentences():
            click.echo(sentence)
    return done.exit_code
