"""Whether packets would get through: security groups, endpoints and routes, read as AWS applies them.

The sandbox's processes all reach one another on the loopback; this stands for the VPC between them.
A function has an interface in its subnets with its security groups; a rule lets packets through if
its peer is the other side's group or covers its address (we know an instance's and an endpoint's
address only by its subnets, and take a CIDR that covers one of those subnets whole).
https://docs.aws.amazon.com/vpc/latest/userguide/security-group-rules.html
"""
import json

from ministack.core.responses import request_scope
from ministack.services import lambda_svc

from .ec2 import vpc
from .ec2.endpoints import Endpoints
from .ec2.groups import Groups, Rule
from .world import Fault, Place

HTTPS = 443


def function_config(place: Place, name: str) -> dict | None:
    with request_scope(place.account.number, place.region):
        function = lambda_svc._functions.get(name)
        return function and function["config"]


def unreachable(place: Place, name: str, service: str) -> bool:
    """Whether a function of that name cannot reach an AWS API."""
    config = function_config(place, name)
    return bool(config) and not reaches_api(place, config.get("VpcConfig") or {}, service)


def reaches_api(place: Place, vpc_config: dict, service: str) -> bool:
    if not vpc_config.get("SubnetIds"):
        return True  # outside any VPC: by the internet
    if all(vpc.has_nat(place, subnet) for subnet in vpc_config["SubnetIds"]):
        if _allowed(place, vpc_config["SecurityGroupIds"], True, [], ["0.0.0.0/0"], HTTPS):
            return True
    for endpoint in place.of(Endpoints).all():
        if endpoint.kind == "Interface" and endpoint.private_dns and endpoint.state == "available" \
                and endpoint.vpc_id == vpc_config.get("VpcId") and endpoint.service.endswith(f".{service}"):
            return connects(place, vpc_config, endpoint.groups, endpoint.subnets, HTTPS)
    return False


def connects(place: Place, vpc_config: dict, groups: list[str], subnets: list[str], port: int) -> bool:
    """A function's way to something in the VPC: its groups must let out, the other's let in."""
    here, there = (_cidrs(place, each) for each in (vpc_config["SubnetIds"], subnets))
    return _allowed(place, vpc_config["SecurityGroupIds"], True, groups, there, port) and \
        _allowed(place, groups, False, vpc_config["SecurityGroupIds"], here, port)


def _cidrs(place: Place, subnets: list[str]) -> list[str]:
    return [vpc.subnet(place, each)["CidrBlock"] for each in subnets]


def _allowed(place: Place, groups: list[str], egress: bool, peers: list[str], cidrs: list[str], port: int) -> bool:
    for group_id in groups:
        try:
            rules = place.of(Groups).get(group_id).rules.values()
        except Fault:
            continue
        if any(_lets_through(rule, peers, cidrs) for rule in rules if rule.egress == egress and rule.covers(port)):
            return True
    return False


def _lets_through(rule: Rule, peers: list[str], cidrs: list[str]) -> bool:
    if rule.peer_kind == "GroupId":
        return rule.peer in peers
    # Every one of the subnets, since the function or instance may be in any.
    return bool(cidrs) and all(vpc.inside(cidr, rule.peer) for cidr in cidrs)


def blocked(place: Place, config: dict, text: str) -> str | None:
    """Why this invocation could not do its work, or None. `text` is where a database's host may be named:
    the function's environment, the event, the secret that the event is about."""
    from .rds.clusters import Clusters  # which import us
    from .rds.instances import Instances
    vpc_config = config.get("VpcConfig") or {}
    if not reaches_api(place, vpc_config, "secretsmanager"):
        return "no way to Secrets Manager: no available endpoint with private DNS whose and whose caller's security " \
               "groups let port 443 through, and no NAT"
    text += json.dumps((config.get("Environment") or {}).get("Variables") or {})
    for instance in place.of(Instances).all():
        if instance.address and instance.address in text and not _reaches_instance(place, vpc_config, instance):
            return f"no way to the database {instance.identifier}: its and the function's security groups do not let port {instance.port} through"
    for cluster in place.of(Clusters).all():
        named = any(address in text for address in cluster.addresses)
        if named and not all(_reaches_instance(place, vpc_config, member) for member in cluster.members()):
            return f"no way to the cluster {cluster.identifier}: its and the function's security groups do not let port {cluster.port} through"
    return None


def _reaches_instance(place: Place, vpc_config: dict, instance) -> bool:
    if vpc_config.get("SubnetIds"):
        return vpc_config.get("VpcId") == instance.vpc_id and \
            connects(place, vpc_config, instance.groups, instance.subnets, instance.port)
    # From outside: a public instance that lets everyone in, since a function's address is not known.
    return instance.public and _allowed(place, instance.groups, False, [], ["0.0.0.0/0"], instance.port)
