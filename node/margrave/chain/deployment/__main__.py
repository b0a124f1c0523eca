"""`scripts/deploy plan|run|check|draft`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from eth_utils.address import is_address, to_checksum_address
from eth_utils.crypto import keccak
from web3.exceptions import Web3Exception

from margrave.chain.deployment import proposal
from margrave.chain.deployment.adapters import plan_adapters
from margrave.chain.deployment.blueprint import Blueprint
from margrave.chain.deployment.check import check, line
from margrave.chain.deployment.network import Network, load_network
from margrave.chain.deployment.plan import plan
from margrave.chain.deployment.record import Record
from margrave.chain.deployment.run import begin, dry_run, extend
from margrave.chain.deployment.run import run as take
from margrave.chain.sender import Sender
from margrave.chain.signer import KeystoreSigner
from margrave.errors import Fatal, MargraveError
from margrave.settings import KeySettings
from margrave.verdicts import Verdict

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

NetworkFile = Annotated[Path, typer.Argument(help="What is wanted: config/networks/NAME.toml.")]
RpcUrl = Annotated[str, typer.Option(help="HTTP endpoint of the chain.")]
Journal = Annotated[
    Path | None, typer.Option("--file", help="The deployment file; NAME.json beside the network file if not given.")
]


@app.command("plan")
def plan_only(
    network_file: NetworkFile,
    rpc: RpcUrl,
    deployer: Annotated[str, typer.Option(help="Address that would send the transactions.")],
) -> None:
    """Print every transaction that `run` would send now, whole; send nothing and write nothing."""
    if not is_address(deployer):
        raise typer.BadParameter(f"{deployer!r} is not an address", param_hint="--deployer")
    network, wanted = load_network(network_file, to_checksum_address(deployer))
    sender = _dial(rpc, None, network_file, network)
    blueprint = plan(wanted, network.salt_for(wanted.deployer))
    beside = plan_adapters(wanted.adapters, blueprint.contracts["oracle"].address, blueprint.salt)
    contracts, steps = {**blueprint.contracts, **beside.contracts}, [*blueprint.steps, *beside.steps]
    count = dry_run(sender, Blueprint(blueprint.salt, contracts, steps), typer.echo)
    width = max(map(len, contracts))
    for key, made in contracts.items():
        typer.echo(f"{key:<{width}} {made.address}  {made.artifact}")
    typer.echo(f"{count} of {len(steps)} transactions to send; nothing was sent")


@app.command()
def run(
    network_file: NetworkFile,
    rpc: RpcUrl,
    keystore: Annotated[Path, typer.Option(help="Encrypted key of the deployer, who keeps no power.")],
    passphrase_file: Annotated[Path, typer.Option(help="File with its passphrase, readable by you only.")],
    file: Journal = None,
) -> None:
    """Deploy, configure, hand over and make the adapters; started again after whatever stopped it, it goes on where it
    was, and makes adapters that the network file names meanwhile."""
    signer = KeystoreSigner.unlock(KeySettings(keystore=keystore, passphrase_file=passphrase_file))
    path = file or network_file.with_suffix(".json")
    record = Record.read(path) if path.exists() else None
    # A complete deployment is only added to, by any key: its plan is that of the deployer it had.
    deployer = signer.address if record is None or not record.complete else record.deployer
    network, wanted = load_network(network_file, deployer)
    sender = _dial(rpc, signer, network_file, network)

    def keep(now: Record) -> None:
        now.write(path)

    if record is not None and record.complete:
        typer.echo(f"{path}: {record.name} is complete already")
    else:
        blueprint = plan(wanted, network.salt_for(deployer))
        powers = None if wanted.governance is None else wanted.governance.powers()
        record = take(sender, blueprint, record or begin(network.name, sender, blueprint, powers), keep, typer.echo)
        typer.echo(f"wrote {path}")
    beside = plan_adapters(wanted.adapters, record.address("oracle"), bytes.fromhex(record.salt[2:]))
    record = extend(sender, beside, record, keep, typer.echo)
    _report(record, sender)


@app.command("check")
def check_only(
    file: Annotated[Path, typer.Argument(help="The deployment file.")],
    rpc: RpcUrl,
) -> None:
    """Prove that the committed code is where the file says, wired as planned, and nobody's but governance's."""
    _report(Record.read(file), Sender(rpc, None))


@app.command()
def draft(
    file: Annotated[Path, typer.Argument(help="The deployment file.")],
    rpc: RpcUrl,
    call: Annotated[str, typer.Argument(help="CONTRACT.FUNCTION, the contract as the deployment file names it.")],
    arguments: Annotated[str, typer.Argument(help="Its arguments, a JSON list; structs as lists, bytes as 0x….")],
    description: Annotated[str, typer.Argument(help="What voters read; part of the proposal's number.")],
) -> None:
    """Rehearse a call of governance and print the proposal that makes it; send nothing."""
    record, sender = Record.read(file), Sender(rpc, None)
    key, _, function = call.partition(".")
    try:
        told = json.loads(arguments)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="arguments") from error
    drafted = proposal.draft(record, sender, key, function, tuple(told), keccak(text=description))
    typer.echo(f"{call}: would be done; propose to governor {record.address('governor')}")
    for effect in drafted.effects:
        typer.echo(f"effect      {effect}")
    typer.echo(f"proposal    {proposal.proposal_id(drafted.actions, description)}")
    for number, action in enumerate(drafted.actions, 1):
        typer.echo(f"target {number}    {action.target}")
        typer.echo(f"calldata {number}  0x{action.data.hex()}")
    if (later := drafted.later) is not None:
        typer.echo(f"then, after the wait, anybody: execute on timelock {record.address('timelock')} with")
        typer.echo(f"  {later.target} {later.value} 0x{later.data.hex()}")
        typer.echo(f"  0x{later.predecessor.hex()} 0x{later.salt.hex()}")


def _dial(rpc: str, signer: KeystoreSigner | None, network_file: Path, network: Network) -> Sender:
    """After the file was read: a fault in it is told without a chain."""
    sender = Sender(rpc, signer)
    if sender.chain_id != network.chain_id:
        raise Fatal(
            f"{network_file} is for chain {network.chain_id}, this is {sender.chain_id}", advice="correct --rpc"
        )
    return sender


def _report(record: Record, sender: Sender) -> None:
    try:
        findings = check(record, sender)
    except (Web3Exception, OSError) as error:
        raise Fatal(
            f"the chain cannot be asked: {error}", advice="use an endpoint that serves logs of all blocks"
        ) from error
    for finding in findings:
        typer.echo(line(finding))
    failed = sum(finding.verdict is Verdict.FAIL for finding in findings)
    typer.echo(f"{failed} of {len(findings)} findings are bad" if failed else f"all {len(findings)} findings are good")
    if failed:
        raise typer.Exit(1)


if __name__ == "__main__":
    try:
        app()
    except MargraveError as stop:
        typer.echo(f"margrave: {stop}", err=True)
        raise SystemExit(2) from stop
