"""The network that every new account finds, and look-ups in MiniStack's VPCs, subnets and routes."""
import ipaddress

from ministack.core.responses import get_account_id, get_region, request_scope
from ministack.services import ec2 as ministack_ec2

from ..world import Fault, Place

# The article's. They are the same in every account, so that one config suits all tests.
VPC = "vpc-02294c945121da772"
CIDR = "172.31.0.0/16"
SUBNETS = (("subnet-05a8a2c78756260ed", "172.31.16.0/20", "a"), ("subnet-0cf57825fcf0c3cbd", "172.31.32.0/20", "b"))
INTERNET_GATEWAY, ROUTES = "igw-0b1f3a5c7d9e02468", "rtb-0b1f3a5c7d9e02468"


def _seed() -> None:
    """In the place of MiniStack's own defaults, which have other ids and no DNS host names."""
    account, region, ec2 = get_account_id(), get_region(), ministack_ec2
    ec2._default_initialized_scopes.add((account, region))
    if VPC in ec2._vpcs:
        return
    ec2._vpcs[VPC] = {
        "VpcId": VPC, "CidrBlock": CIDR, "State": "available", "IsDefault": True, "DhcpOptionsId": "dopt-00000001",
        "InstanceTenancy": "default", "OwnerId": account, "DefaultNetworkAclId": "", "DefaultSecurityGroupId": "",
        "MainRouteTableId": ROUTES, "EnableDnsSupport": True, "EnableDnsHostnames": True,
    }
    for subnet, cidr, zone in SUBNETS:
        ec2._subnets[subnet] = {
            "SubnetId": subnet, "VpcId": VPC, "CidrBlock": cidr, "AvailabilityZone": region + zone,
            "AvailabilityZoneId": ec2._az_id_for_zone_name(region + zone), "AvailableIpAddressCount": 4091,
            "State": "available", "DefaultForAz": True, "MapPublicIpOnLaunch": True, "OwnerId": account,
        }
    ec2._internet_gateways[INTERNET_GATEWAY] = {
        "InternetGatewayId": INTERNET_GATEWAY, "OwnerId": account, "Attachments": [{"VpcId": VPC, "State": "available"}],
    }
    ec2._route_tables[ROUTES] = {
        "RouteTableId": ROUTES, "VpcId": VPC, "OwnerId": account,
        "Routes": [
            {"DestinationCidrBlock": CIDR, "GatewayId": "local", "State": "active", "Origin": "CreateRouteTable"},
            {"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": INTERNET_GATEWAY, "State": "active", "Origin": "CreateRoute"},
        ],
        "Associations": [{"RouteTableAssociationId": "rtbassoc-0b1f3a5c7d9e02468", "RouteTableId": ROUTES, "Main": True,
                          "AssociationState": {"State": "associated"}}],
    }


ministack_ec2._init_defaults = _seed


def _stored(place: Place, store, key=None):
    with request_scope(place.account.number, place.region):
        ministack_ec2._ensure_defaults_initialized()
        return store.values() if key is None else store.get(key)


def vpc(place: Place, vpc_id: str) -> dict:
    found = _stored(place, ministack_ec2._vpcs, vpc_id)
    if not found:
        raise Fault("InvalidVpcID.NotFound", f"The vpc ID '{vpc_id}' does not exist")
    return found


def vpcs(place: Place) -> list[dict]:
    return _stored(place, ministack_ec2._vpcs)


def subnet(place: Place, subnet_id: str) -> dict:
    found = _stored(place, ministack_ec2._subnets, subnet_id)
    if not found:
        raise Fault("InvalidSubnetID.NotFound", f"The subnet ID '{subnet_id}' does not exist")
    return found


def dns(place: Place, vpc_id: str) -> bool:
    """Whether private DNS works there; AWS's defaults are support on, host names off."""
    record = vpc(place, vpc_id)
    return bool(record.get("EnableDnsSupport", True) and record.get("EnableDnsHostnames", False))


def has_nat(place: Place, subnet_id: str) -> bool:
    """Whether the subnet's way out is a NAT gateway. An internet gateway is no way out for a function, which has no public address."""
    tables = [table for table in _stored(place, ministack_ec2._route_tables)
              if table["VpcId"] == subnet(place, subnet_id)["VpcId"]]
    own = [table for table in tables if any(each.get("SubnetId") == subnet_id for each in table["Associations"])]
    main = [table for table in tables if any(each.get("Main") for each in table["Associations"])]
    for table in own or main:
        for route in table["Routes"]:
            if route.get("DestinationCidrBlock") == "0.0.0.0/0" and route.get("NatGatewayId"):
                return True
    return False


def inside(cidr: str, outer: str) -> bool:
    try:
        return ipaddress.ip_network(cidr).subnet_of(ipaddress.ip_network(outer))
    except (ValueError, TypeError):
        return False
