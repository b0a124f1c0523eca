"""The chain as this node sees it: endpoints, the oracle contract, deployments."""
