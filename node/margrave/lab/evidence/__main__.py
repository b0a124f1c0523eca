"""`scripts/evidence VERB`: what is too long, or needs too many tools, for every change's tests."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from margrave.chain.artifacts import CONTRACTS_DIR
from margrave.errors import MargraveError
from margrave.lab.evidence import campaign, coverage, findings, gas, long, symbolic

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)
JOURNALS = CONTRACTS_DIR / "mutation"
WANTED_KILLS = 0.85
SEED = 20_261_122


def _say(line: str) -> None:
    typer.echo(line, err=True)


@app.command("coverage")
def coverage_command() -> None:
    """Lines of contracts/src that the Solidity tests reach; fails under 95 %."""
    with tempfile.TemporaryDirectory(prefix="margrave-coverage-") as folder:
        files = coverage.measure(Path(folder))
    typer.echo(coverage.table(files))
    _ends(coverage.share(files) >= coverage.WANTED)


@app.command("symbolic")
def symbolic_command(
    match: Annotated[str, typer.Option(help="only contracts that match")] = "Symbolic",
    limit_s: Annotated[int, typer.Option(help="seconds the solver may spend on one assertion")] = 300,
) -> None:
    """Prove every property of contracts/test/symbolic with halmos; fails on any that is not proven."""
    with tempfile.TemporaryDirectory(prefix="margrave-symbolic-") as folder:
        proofs = symbolic.prove(match, limit_s, Path(folder))
    for proof in proofs:
        name = f"{proof.contract}.{proof.name}"
        typer.echo(f"{proof.outcome:<16} {proof.seconds:>8.1f} s {proof.paths:>6} paths  {name}")
    proven = sum(proof.outcome == "proven" for proof in proofs)
    typer.echo(f"{proven} of {len(proofs)} proven in {sum(proof.seconds for proof in proofs):.0f} s")
    _ends(proven == len(proofs) > 0)


@app.command("slither")
def slither_command() -> None:
    """Run slither; fails on a finding that contracts/slither.toml does not answer, or an answer to nothing."""
    with tempfile.TemporaryDirectory(prefix="margrave-slither-") as folder:
        verdict = findings.judge(findings.find(Path(folder)), findings.answers())
    for finding in verdict.news:
        typer.echo(f"unanswered  {finding.detector} ({finding.impact})  {finding.where}: {finding.text[:400]}")
    for answer in verdict.stale:
        typer.echo(f"stale       {answer.detector}  {answer.where}")
    typer.echo(f"{len(verdict.answered)} answered, {len(verdict.news)} unanswered, {len(verdict.stale)} stale answers")
    _ends(not verdict.news and not verdict.stale)


@app.command("mutate")
def mutate_command(
    area: Annotated[str, typer.Argument(help=", ".join(campaign.AREAS))],
    sample: Annotated[int, typer.Option(help="mutants that compile")] = 60,
    seed: Annotated[int, typer.Option(help="which sample")] = SEED,
    minutes: Annotated[float, typer.Option(help="then stop; the next run goes on")] = 600,
) -> None:
    """Change the contracts in small ways, one at a time; fails when the tests notice fewer than 85 % of the changes."""
    if area not in campaign.AREAS:
        raise typer.BadParameter(f"no area {area!r}: choose one of {', '.join(campaign.AREAS)}")
    JOURNALS.mkdir(exist_ok=True)
    journal = JOURNALS / f"{area}.jsonl"
    score = campaign.run(area, sample, seed, journal, _say, time.monotonic() + 60 * minutes)
    for trial in score.survivors:
        typer.echo(f"survived  {Path(trial.file).name}:{trial.line}  {trial.shown}")
    typer.echo(f"{area}: {score.killed} of {score.tried} killed ({score.share:.1%}); {score.mutants} mutants in all")
    _ends(score.share >= WANTED_KILLS and score.tried == sample)


@app.command("gas")
def gas_command(
    write: Annotated[bool, typer.Option("--write", help="make today's figures the committed ones")] = False,
) -> None:
    """Compare the gas of contracts/test/gas with contracts/gas-snapshots; fails on a change over 1 %."""
    measured = gas.measure()
    if write:
        gas.write(measured)
    changes = gas.changes(gas.committed(), measured)
    for change in changes:
        typer.echo(change)
    typer.echo(f"{len(changes)} of {sum(map(len, measured.values()))} figures changed by more than 1 %")
    _ends(not changes)


@app.command("fuzz")
def fuzz_command(
    match: Annotated[str, typer.Option(help="only files that match a glob")] = "contracts/test/**",
) -> None:
    """Every Solidity test in the long profile: 10,000 runs a property, long invariant runs."""
    began = time.monotonic()
    outcome = long.run(match)
    for name, reason in outcome.failed:
        typer.echo(f"failed  {name}: {reason}")
    typer.echo(
        f"{outcome.passed} passed, {len(outcome.failed)} failed; {outcome.fuzz_runs} fuzz runs, "
        f"{outcome.invariant_calls} calls under invariants, {time.monotonic() - began:.0f} s"
    )
    _ends(not outcome.failed and outcome.passed > 0)


def _ends(well: bool) -> None:
    if not well:
        raise typer.Exit(1)


if __name__ == "__main__":
    try:
        app()
    except MargraveError as error:
        typer.echo(f"margrave: {error}", err=True)
        sys.exit(2)
    except msgspec.ValidationError as error:
        typer.echo(f"margrave: {error} — mend contracts/slither.toml", err=True)
        sys.exit(2)
