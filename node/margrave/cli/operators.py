"""Verbs of who runs a node: make it, check it, run it, and sign what no round signs."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from margrave.addresses import NOBODY
from margrave.cli.terminal import COLOURS, HERE, Config, out, text_of, write
from margrave.verdicts import Verdict

verbs = typer.Typer()
multipliers = typer.Typer(no_args_is_help=True, help="Multipliers of single accounts' margin: sign them, publish them.")
verbs.add_typer(multipliers, name="multipliers")
Contract = Annotated[str | None, typer.Option(help="The AccountRisk; the clearinghouse's of node.toml if not given.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Judge and show everything; do nothing.")]


@verbs.command()
def init(
    folder: Annotated[Path, typer.Argument(help="New folder for configuration, encrypted key and state.")],
    name: Annotated[str, typer.Option(help="How this node is called in logs and by peers.")] = "",
    rpc: Annotated[list[str] | None, typer.Option(help="RPC endpoint; repeat for more, preferred first.")] = None,
    chain_id: Annotated[int, typer.Option(help="The chain the oracle lives on.")] = 31337,
    oracle: Annotated[str, typer.Option(help="Address of the RiskOracle contract.")] = NOBODY,
    peer: Annotated[list[str] | None, typer.Option(help="URL of another member's node; repeat for more.")] = None,
    port: Annotated[int, typer.Option(help="Port this node serves peers and dashboards on.")] = 8710,
    passphrase_file: Annotated[
        Path | None, typer.Option(help="Take the keystore's passphrase from here; without it one is drawn at random.")
    ] = None,
) -> None:
    """Make a node's folder: node.toml, an encrypted keystore, and its passphrase file."""
    from margrave.operate.init import Plan
    from margrave.operate.init import init as make

    passphrase = None if passphrase_file is None else text_of(passphrase_file).rstrip("\n")
    plan = Plan(
        name=name or folder.name,
        rpc=tuple(rpc or ("http://127.0.0.1:8545",)),
        chain_id=chain_id,
        oracle=oracle,
        peers=tuple(peer or ()),
        port=port,
        passphrase=passphrase,
    )
    address = make(folder, plan)
    out.print(f"made {folder}: member address {address}")
    out.print("next: ask governance to add that address, send it gas money, then `margrave check`")


@verbs.command()
def check(
    config: Config = HERE,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """May this node go live? Looks at configuration, key, models, chain, venues, peers and clock."""
    from margrave.operate.check import Check
    from margrave.ops import log

    log.configure("text", node="check", level="error")  # the findings say it better
    findings = asyncio.run(Check(config).run())
    good = all(f.verdict is not Verdict.FAIL for f in findings)
    if as_json:
        rows = [{"check": f.check, "verdict": f.verdict, "found": f.found, "advice": f.advice} for f in findings]
        sys.stdout.write(json.dumps({"ready": good, "findings": rows}) + "\n")
    else:
        width = max(len(f.check) for f in findings)
        for f in findings:
            advice = f" — {f.advice}" if f.advice else ""
            out.print(f"{f.verdict:<5}", style=COLOURS[f.verdict], end="")
            out.print(f"{f.check:<{width}}  {f.found}{advice}", markup=False, highlight=False)
        out.print("ready to run" if good else "not ready")
    raise typer.Exit(0 if good else 1)


@verbs.command()
def run(
    config: Config = HERE,
    rounds: Annotated[int | None, typer.Option(min=1, help="Stop by itself after so many rounds.")] = None,
) -> None:
    """Run the node until it is told to stop (SIGTERM or Ctrl-C)."""
    _run(config, rounds)


@verbs.command()
def once(config: Config = HERE) -> None:
    """Run one whole round, the next one, and say how it ended."""
    from margrave.verdicts import Outcome

    outcome = _run(config, 1)
    raise typer.Exit(0 if outcome in (Outcome.PUBLISHED, Outcome.PUBLISHED_BY_PEER) else 1)


@multipliers.command("sign")
def sign_multipliers(
    file: Annotated[Path, typer.Argument(help="What is wanted: a round's time, accounts, multipliers, ends.")],
    config: Config = HERE,
    contract: Contract = None,
    into: Annotated[
        Path | None, typer.Option("--out", help="Where the signature goes; beside the file if not given.")
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Judge a file of multipliers against what governance allows, and sign it with this node's key."""
    from margrave.chain.signer import KeystoreSigner
    from margrave.operate import multiplier_quorum, multipliers
    from margrave.settings import load

    settings = load(config)
    wishes = multipliers.read_wishes(file)
    judged = multipliers.judge(wishes, multipliers.contract_of(settings, contract)[0])
    write(judged.lines())
    if dry_run:
        write(["nothing was signed"])
        return
    signed = multiplier_quorum.sign(judged, KeystoreSigner.unlock(settings.node.keys))
    path = into or file.with_name(f"{file.stem}.{signed.member}.json")
    signed.write(path)
    write([f"wrote {path}: hand it to whoever publishes"])


@multipliers.command("publish")
def publish_multipliers(
    signed: Annotated[list[Path], typer.Argument(help="What members wrote, a quorum of them.")],
    config: Config = HERE,
    contract: Contract = None,
    keystore: Annotated[
        Path | None, typer.Option(help="Who pays: any key but this node's, which counts its own transactions.")
    ] = None,
    passphrase_file: Annotated[Path | None, typer.Option(help="File with its passphrase.")] = None,
    dry_run: DryRun = False,
) -> None:
    """Gather a quorum's signatures and publish the multipliers in one transaction."""
    from margrave.chain.sender import Sender
    from margrave.chain.signer import KeystoreSigner
    from margrave.operate import multiplier_quorum, multipliers
    from margrave.settings import KeySettings, load

    settings = load(config)
    files = [multiplier_quorum.Signed.read(path) for path in signed]
    asked, endpoint = multipliers.contract_of(settings, contract)
    gathered = multiplier_quorum.gather(files, asked)
    write(gathered.lines())
    if dry_run:
        multiplier_quorum.rehearse(gathered, endpoint)
        write(["the contract would take it; nothing was sent"])
        return
    if keystore is None or passphrase_file is None:
        raise typer.BadParameter("name them both, or --dry-run", param_hint="--keystore, --passphrase-file")
    payer = KeystoreSigner.unlock(KeySettings(keystore=keystore, passphrase_file=passphrase_file))
    write(multiplier_quorum.send(gathered, Sender(endpoint.url, payer), asked))


def _run(config: Path, rounds: int | None) -> str:
    from margrave import daemon
    from margrave.ops import log
    from margrave.settings import load

    settings = load(config)
    log.configure(settings.node.log_format, node=settings.node.name, level=os.environ.get("MARGRAVE_LOG", "info"))
    receipts = asyncio.run(daemon.run(settings, rounds=rounds))
    for receipt in receipts if rounds is not None else ():
        out.print(f"round {receipt.round}: {receipt.outcome} ({receipt.detail})")
    return receipts[-1].outcome if receipts else ""
