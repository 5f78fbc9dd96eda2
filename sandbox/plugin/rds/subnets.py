"""DB subnet groups."""
import dataclasses
import re

from ..ec2 import vpc
from ..registry import Request, operations
from ..world import Fault, Place
from . import tags
from .instances import Instances
from .pages import page

_NAME = re.compile(r"[A-Za-z0-9._ -]{1,255}")


@dataclasses.dataclass
class SubnetGroup:
    place: Place
    name: str
    description: str
    vpc_id: str
    subnets: list[str]
    tags: dict[str, str]

    @property
    def arn(self) -> str:
        return self.place.arn("rds", f"subgrp:{self.name}")

    def shown(self) -> dict:
        return {
            "DBSubnetGroupName": self.name, "DBSubnetGroupDescription": self.description, "VpcId": self.vpc_id,
            "SubnetGroupStatus": "Complete", "DBSubnetGroupArn": self.arn, "SupportedNetworkTypes": ["IPV4"],
            "Subnets": [{"SubnetIdentifier": each, "SubnetStatus": "Active", "SubnetOutpost": {},
                         "SubnetAvailabilityZone": {"Name": vpc.subnet(self.place, each)["AvailabilityZone"]}}
                        for each in self.subnets],
        }


class SubnetGroups:
    def __init__(self, place: Place):
        self.place = place
        self.by_name: dict[str, SubnetGroup] = {}

    def get(self, name: str) -> SubnetGroup:
        group = self.by_name.get(name.lower())
        if group is None:
            raise Fault("DBSubnetGroupNotFoundFault", f"DB subnet group '{name}' does not exist.")
        return group

    def tags_of(self, arn: str) -> dict[str, str] | None:
        return next((each.tags for each in self.by_name.values() if each.arn == arn), None)

    def tagged(self):
        for each in self.by_name.values():
            yield each.arn, each.tags


def _checked(place: Place, subnets: list[str]) -> str:
    """The VPC of those subnets. The codes of subnets that are not there, or none, are as others met them
    (aws-cdk-examples issue 824, terraform-aws-rds issue 326); of several VPCs, as documented."""
    if not subnets:
        raise Fault("InvalidSubnet", "Subnet IDs are required.")
    records = []
    for each in subnets:
        try:
            records.append(vpc.subnet(place, each))
        except Fault as fault:
            raise Fault("InvalidParameterValue", f"Some input subnets in :[{each}] are invalid.") from fault
    if len({record["VpcId"] for record in records}) > 1:
        raise Fault("InvalidSubnet", "The requested subnets are not all in a common VPC.")
    zones = sorted({record["AvailabilityZone"] for record in records})
    if len(zones) < 2:
        raise Fault("DBSubnetGroupDoesNotCoverEnoughAZs", "The DB subnet group doesn't meet Availability Zone (AZ) coverage "
                    f"requirement. Current AZ coverage: {', '.join(zones)}. Add subnets to cover at least 2 AZs.")
    return records[0]["VpcId"]


def _create(request: Request) -> dict:
    groups, params = request.place.of(SubnetGroups), request.params
    name = params["DBSubnetGroupName"].lower()
    if not _NAME.fullmatch(name):
        raise Fault("InvalidParameterValue", "The parameter DBSubnetGroupName is not valid: it must have up to 255 letters, "
                    "digits, periods, underscores, spaces and hyphens.")
    if name == "default":
        raise Fault("InvalidParameterValue", "The DB subnet group name 'default' is reserved.")
    if name in groups.by_name:
        raise Fault("DBSubnetGroupAlreadyExistsFault", f"The DB subnet group '{name}' already exists.")
    group = SubnetGroup(request.place, name, params["DBSubnetGroupDescription"], _checked(request.place, params["SubnetIds"]),
                        list(dict.fromkeys(params["SubnetIds"])), tags.given(params.get("Tags")))
    groups.by_name[name] = group
    return {"DBSubnetGroup": group.shown()}


def _modify(request: Request) -> dict:
    groups, params = request.place.of(SubnetGroups), request.params
    group = groups.get(params["DBSubnetGroupName"])
    wanted = list(dict.fromkeys(params["SubnetIds"]))
    if _checked(request.place, wanted) != group.vpc_id:
        raise Fault("InvalidParameterValue", "The new subnets are not in the same VPC as the existing subnet group.")
    for instance in request.place.of(Instances).all():
        if instance.subnet_group == group.name and not set(group.subnets) <= set(wanted):
            raise Fault("SubnetAlreadyInUse", f"The subnets of the DB subnet group '{group.name}' are in use by {instance.identifier}.")
    group.subnets, group.description = wanted, params.get("DBSubnetGroupDescription", group.description)
    return {"DBSubnetGroup": group.shown()}


def _describe(request: Request) -> dict:
    groups, params = request.place.of(SubnetGroups), request.params
    shown = [groups.get(params["DBSubnetGroupName"])] if "DBSubnetGroupName" in params else list(groups.by_name.values())
    part, marker = page([group.shown() for group in shown], params)
    return {"DBSubnetGroups": part, "Marker": marker}


def _delete(request: Request) -> dict:
    groups = request.place.of(SubnetGroups)
    group = groups.get(request.params["DBSubnetGroupName"])
    users = [each.identifier for each in request.place.of(Instances).all() if each.subnet_group == group.name]
    if users:
        raise Fault("InvalidDBSubnetGroupStateFault", f"Cannot delete the subnet group '{group.name}' because at least one "
                    f"database instance: {users[0]} is still using it.")
    del groups.by_name[group.name]
    return {}


operations("rds", CreateDBSubnetGroup=_create, ModifyDBSubnetGroup=_modify, DescribeDBSubnetGroups=_describe,
           DeleteDBSubnetGroup=_delete)
