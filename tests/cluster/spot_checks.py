"""What nobody checks of spot machines in definitions for ``ray up``."""

from typing import Any

Config = dict[str, Any]

MARKET = {"aws": "InstanceMarketOptions", "gcp": "scheduling"}


def workers(config: Config) -> dict[str, Config]:
    """Return the node types of workers by name."""
    types = config["available_node_types"]
    return {name: types[name] for name in types if name != config["head_node_type"]}


def is_spot(provider: str, node: Config) -> bool:
    """Return whether a node type is on spot."""
    market = node["node_config"].get(MARKET[provider]) or {}
    if provider == "aws":
        return market.get("MarketType") == "spot"
    return isinstance(market, dict) and market.get("provisioningModel") == "SPOT"


def spot_with_fallback(config: Config) -> list[str]:
    """Workers are on spot, ended rather than stopped, with an on-demand type of the same shape."""
    provider, types = config["provider"]["type"], config["available_node_types"]
    if is_spot(provider, types[config["head_node_type"]]):
        return ["head: must not be on spot, the driver goes with it"]
    spot = {name: node for name, node in workers(config).items() if is_spot(provider, node)}
    if not spot:
        return ["no type of workers is on spot"]
    faults = []
    for name, node in spot.items():
        twins = [
            other
            for other, twin in workers(config).items()
            if other not in spot and _shape(provider, twin) == _shape(provider, node)
        ]
        if not twins:
            faults.append(f"{name}: no on-demand type has the same machine and resources")
        for twin in twins:
            first, second = node.get("priority", 0), types[twin].get("priority", 0)
            if first <= second:
                faults.append(f"{name}: priority ({first}) must be above that of {twin} ({second})")
    for name, node in workers(config).items():
        market = node["node_config"].get(MARKET[provider]) or {}
        required = _market(provider, name in spot)
        if provider == "aws":
            market = market.get("SpotOptions", {})
        faults += [
            f"{name}: {key} must be {value}, given: {market.get(key)}"
            for key, value in required.items()
            if market.get(key) != value
        ]
        if "preemptible" in market:
            faults.append(f"{name}: preemptible machines end after a day, say SPOT alone")
    return faults


def _shape(provider: str, node: Config) -> tuple[Any, Any]:
    kept = {key: node["node_config"][key] for key in node["node_config"] if key != MARKET[provider]}
    return kept, node["resources"]


def _market(provider: str, on_spot: bool) -> dict[str, Any]:
    if provider == "aws":
        ended = {"SpotInstanceType": "one-time", "InstanceInterruptionBehavior": "terminate"}
        return ended if on_spot else {}
    fixed = {"onHostMaintenance": "TERMINATE", "automaticRestart": False}
    return fixed | ({"instanceTerminationAction": "DELETE"} if on_spot else {})
