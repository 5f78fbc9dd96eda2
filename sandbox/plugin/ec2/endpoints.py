"""VPC endpoints: what they cost in time, and what private DNS forbids."""
import dataclasses
import json
import re
import time

from ..registry import Request, operations
from ..world import After, Fault, Place, new_id, tag_list
from . import groups as security
from . import vpc
from .filters import page, passes

_ID = re.compile(r"vpce-[0-9a-f]{8}(?:[0-9a-f]{9})?")
# Those that a deployment, or a config gone wrong, may ask for; AWS has hundreds.
_SERVICES = ("secretsmanager", "rds", "lambda", "logs", "sts", "kms", "monitoring", "events", "s3", "ec2", "ssm", "dynamodb")


@dataclasses.dataclass
class Endpoint:
    endpoint_id: str
    kind: str
    vpc_id: str
    service: str
    subnets: list[str]
    groups: list[str]
    private_dns: bool
    tags: dict[str, str]
    policy: str | None
    ready: After
    created: float = dataclasses.field(default_factory=time.time)
    gone: After | None = None
    interfaces: list[str] = dataclasses.field(default_factory=list)
    routes: list[str] = dataclasses.field(default_factory=list)

    @property
    def state(self) -> str:
        return "deleting" if self.gone is not None else "available" if self.ready else "pending"


class Endpoints:
    def __init__(self, place: Place):
        self.place = place
        self._by_id: dict[str, Endpoint] = {}
        self.tokens: dict[str, tuple[dict, str]] = {}  # ClientToken → (request, endpoint id)

    def all(self) -> list[Endpoint]:
        self._by_id = {key: each for key, each in self._by_id.items() if not each.gone}
        return list(self._by_id.values())

    def add(self, endpoint: Endpoint) -> None:
        self._by_id[endpoint.endpoint_id] = endpoint

    def get(self, endpoint_id: str) -> Endpoint:
        self.all()
        if endpoint_id not in self._by_id:
            if not _ID.fullmatch(endpoint_id):
                raise Fault("InvalidVpcEndpointId.Malformed", f'Invalid id: "{endpoint_id}" (expecting "vpce-...")')
            raise Fault("InvalidVpcEndpointId.NotFound", f"The Vpc Endpoint Id '{endpoint_id}' does not exist")
        return self._by_id[endpoint_id]

    def tags_of(self, resource_id: str) -> dict[str, str] | None:
        return next((each.tags for each in self.all() if each.endpoint_id == resource_id), None)

    def tagged(self):
        for each in self.all():
            yield self.place.arn("ec2", f"vpc-endpoint/{each.endpoint_id}"), each.tags

    def check_private_dns(self, vpc_id: str, service: str, but: Endpoint | None = None) -> None:
        if not vpc.dns(self.place, vpc_id):
            raise Fault("InvalidParameter", "Enabling private DNS requires both enableDnsSupport and enableDnsHostnames VPC "
                        f"attributes set to true for {vpc_id}")
        if any(each.vpc_id == vpc_id and each.service == service and each.private_dns and each is not but for each in self.all()):
            name = service.removeprefix(f"com.amazonaws.{self.place.region}.")
            raise Fault("InvalidParameter", "private-dns-enabled cannot be set because there is already a conflicting DNS domain "
                        f"for {name}.{self.place.region}.amazonaws.com in the VPC {vpc_id}")


def _shown(place: Place, endpoint: Endpoint) -> dict:
    known = place.of(security.Groups)
    shown = {
        "VpcEndpointId": endpoint.endpoint_id, "VpcEndpointType": endpoint.kind, "VpcId": endpoint.vpc_id,
        "ServiceName": endpoint.service, "State": endpoint.state, "PolicyDocument": endpoint.policy,
        "RouteTableIds": endpoint.routes, "SubnetIds": endpoint.subnets, "PrivateDnsEnabled": endpoint.private_dns,
        "Groups": [{"GroupId": each, "GroupName": known.get(each).name} for each in endpoint.groups],
        "RequesterManaged": False, "NetworkInterfaceIds": endpoint.interfaces, "CreationTimestamp": endpoint.created,
        "Tags": tag_list(endpoint.tags), "OwnerId": place.account.number,
    }
    if endpoint.kind == "Interface":
        shown["IpAddressType"] = "ipv4"
        shown["DnsOptions"] = {"DnsRecordIpType": "ipv4"}
        host = endpoint.service.rsplit(".", 1)[-1]
        shown["DnsEntries"] = [{"DnsName": f"{endpoint.endpoint_id}-sandbox.{host}.{place.region}.vpce.amazonaws.com"}]
        if endpoint.private_dns:
            shown["DnsEntries"].append({"DnsName": f"{host}.{place.region}.amazonaws.com"})
    return shown


def _check_subnets(place: Place, vpc_id: str, subnets: list[str]) -> None:
    zones = set()
    for each in subnets:
        record = vpc.subnet(place, each)
        if record["VpcId"] != vpc_id:
            raise Fault("InvalidParameter", f"The subnet ID '{each}' is not in the VPC '{vpc_id}'")
        if record["AvailabilityZone"] in zones:
            raise Fault("DuplicateSubnetsInSameZone", f"Found another VPC endpoint subnet in the availability zone of {each}. "
                        "VPC endpoint subnets should be in different availability zones supported by the VPC endpoint service.")
        zones.add(record["AvailabilityZone"])


def _check_groups(place: Place, vpc_id: str, groups: list[str]) -> None:
    for each in groups:
        if place.of(security.Groups).get(each).vpc_id != vpc_id:
            raise Fault("InvalidParameter", f"Security group {each} and VPC {vpc_id} belong to different networks.")


def _check_policy(params: dict) -> None:
    try:
        json.loads(params.get("PolicyDocument") or "{}")
    except ValueError as wrong:
        raise Fault("InvalidPolicyDocument", "The policy document is not valid JSON") from wrong


def _create(request: Request) -> dict:
    place, params = request.place, request.params
    endpoints = place.of(Endpoints)
    token = params.get("ClientToken")
    asked = {key: value for key, value in params.items() if key != "ClientToken"}
    if token in endpoints.tokens:
        earlier, endpoint_id = endpoints.tokens[token]
        if earlier != asked:
            raise Fault("IdempotentParameterMismatch", "The request uses the same client token as a previous, but non-identical request.")
        return {"VpcEndpoint": _shown(place, endpoints.get(endpoint_id)), "ClientToken": token}
    kind, vpc_id, service = params.get("VpcEndpointType", "Gateway"), params["VpcId"], params["ServiceName"]
    vpc.vpc(place, vpc_id)
    if service not in [f"com.amazonaws.{place.region}.{each}" for each in _SERVICES]:
        raise Fault("InvalidServiceName", f"The Vpc Endpoint Service '{service}' does not exist")
    interface = kind == "Interface"
    if not interface and service.rsplit(".", 1)[-1] not in ("s3", "dynamodb"):
        raise Fault("InvalidParameter", f"Endpoint type ({kind}) does not match available service types ([Interface]).")
    subnets = params.get("SubnetIds", [])
    groups = params.get("SecurityGroupIds") or ([place.of(security.Groups).default(vpc_id).group_id] if interface else [])
    _check_subnets(place, vpc_id, subnets)
    _check_groups(place, vpc_id, groups)
    _check_policy(params)
    private_dns = interface and params.get("PrivateDnsEnabled", True)
    if private_dns:
        endpoints.check_private_dns(vpc_id, service)
    endpoint = Endpoint(new_id("vpce"), kind, vpc_id, service, subnets, groups, private_dns,
                        security.given_tags(params, "vpc-endpoint"), params.get("PolicyDocument"),
                        After(place.delay("endpoint_create") if interface else 0),
                        interfaces=[new_id("eni") for _ in subnets], routes=params.get("RouteTableIds", []))
    endpoints.add(endpoint)
    if token:
        endpoints.tokens[token] = (asked, endpoint.endpoint_id)
    return {"VpcEndpoint": _shown(place, endpoint), "ClientToken": token}


def _describe(request: Request) -> dict:
    place, params = request.place, request.params
    endpoints = place.of(Endpoints)
    shown = [endpoints.get(each) for each in params["VpcEndpointIds"]] if params.get("VpcEndpointIds") else endpoints.all()
    shown = [each for each in shown if passes(params.get("Filters"), {
        "service-name": each.service, "vpc-id": each.vpc_id, "vpc-endpoint-id": each.endpoint_id,
        "vpc-endpoint-type": each.kind, "vpc-endpoint-state": each.state}, each.tags)]
    part, token = page([_shown(place, each) for each in shown], params)
    return {"VpcEndpoints": part, "NextToken": token}


def _modify(request: Request) -> dict:
    place, params = request.place, request.params
    endpoints = place.of(Endpoints)
    endpoint = endpoints.get(params["VpcEndpointId"])
    if not endpoint.ready or endpoint.gone is not None:
        raise Fault("IncorrectState", f"The VPC endpoint {endpoint.endpoint_id} is in the state {endpoint.state}.")
    groups = [each for each in endpoint.groups if each not in params.get("RemoveSecurityGroupIds", [])]
    groups += [each for each in params.get("AddSecurityGroupIds", []) if each not in groups]
    subnets = [each for each in endpoint.subnets if each not in params.get("RemoveSubnetIds", [])]
    subnets += [each for each in params.get("AddSubnetIds", []) if each not in subnets]
    _check_groups(place, endpoint.vpc_id, groups)
    _check_subnets(place, endpoint.vpc_id, subnets)
    _check_policy(params)
    if endpoint.kind == "Interface" and not groups:
        raise Fault("InvalidParameter", "An interface endpoint needs at least one security group.")
    if params.get("PrivateDnsEnabled") and not endpoint.private_dns:
        endpoints.check_private_dns(endpoint.vpc_id, endpoint.service, endpoint)
    if subnets != endpoint.subnets:
        endpoint.ready = After(place.delay("endpoint_create"))
        endpoint.interfaces = [new_id("eni") for _ in subnets]
    endpoint.groups, endpoint.subnets = groups, subnets
    endpoint.private_dns = params.get("PrivateDnsEnabled", endpoint.private_dns)
    endpoint.policy = None if params.get("ResetPolicy") else params.get("PolicyDocument", endpoint.policy)
    return {"Return": True}


def _delete(request: Request) -> dict:
    """Answers 200 even when it deleted none: the failures are in the answer. What is not there has another code in it
    than in DescribeVpcEndpoints' error, as Terraform's provider knows them apart too."""
    endpoints, failed = request.place.of(Endpoints), []
    for each in request.params["VpcEndpointIds"]:
        try:
            endpoint = endpoints.get(each)
            if endpoint.gone is None:
                endpoint.gone = After(request.place.delay("endpoint_delete"))
        except Fault as fault:
            code = fault.code.replace("EndpointId.NotFound", "Endpoint.NotFound")
            failed.append({"ResourceId": each, "Error": {"Code": code, "Message": fault.message}})
    return {"Unsuccessful": failed}


security.USERS.append(lambda place, group: any(group in each.groups for each in place.of(Endpoints).all()))

operations("ec2", CreateVpcEndpoint=_create, DescribeVpcEndpoints=_describe, ModifyVpcEndpoint=_modify,
           DeleteVpcEndpoints=_delete)
