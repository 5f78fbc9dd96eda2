"""Security groups and their rules, each rule a thing of its own with an id and tags."""
import dataclasses
import ipaddress
import re

from ..registry import Request, operations
from ..world import Fault, Place, new_id, tag_list, tag_map
from . import vpc
from .filters import page, passes

_NUMBERS = {"6": "tcp", "17": "udp", "1": "icmp", "58": "icmpv6", "all": "-1"}
_TEXT = re.compile(r"[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]{0,255}")
_ID = re.compile(r"sg-[0-9a-f]{8}(?:[0-9a-f]{9})?")
# For each group, inbound and outbound each: https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html
RULES_MAX = 60
# https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html
TAGS_MAX = 50
# Each tells what, besides rules of other groups, uses a group: (place, group id) → bool.
USERS = []


@dataclasses.dataclass
class Rule:
    rule_id: str
    egress: bool
    protocol: str
    low: int
    high: int
    peer_kind: str  # CidrIpv4, CidrIpv6, PrefixListId or GroupId
    peer: str
    description: str | None = None
    tags: dict[str, str] = dataclasses.field(default_factory=dict)

    def key(self):
        return self.egress, self.protocol, self.low, self.high, self.peer_kind, self.peer

    def covers(self, port: int) -> bool:
        return self.protocol == "-1" or self.protocol == "tcp" and (self.low == -1 or self.low <= port <= self.high)


@dataclasses.dataclass
class Group:
    group_id: str
    name: str
    description: str
    vpc_id: str
    tags: dict[str, str]
    rules: dict[str, Rule] = dataclasses.field(default_factory=dict)


class Groups:
    def __init__(self, place: Place):
        self.place = place
        self._by_id: dict[str, Group] = {}

    def all(self) -> list[Group]:
        for record in vpc.vpcs(self.place):  # each VPC has its default group
            if not any(group.vpc_id == record["VpcId"] and group.name == "default" for group in self._by_id.values()):
                group = self._new("default", "default VPC security group", record["VpcId"], {})
                rule = Rule(new_id("sgr"), False, "-1", -1, -1, "GroupId", group.group_id)
                group.rules[rule.rule_id] = rule
        return list(self._by_id.values())

    def _new(self, name: str, description: str, vpc_id: str, tags: dict[str, str]) -> Group:
        group = Group(new_id("sg"), name, description, vpc_id, tags)
        egress = Rule(new_id("sgr"), True, "-1", -1, -1, "CidrIpv4", "0.0.0.0/0")
        group.rules[egress.rule_id] = egress
        self._by_id[group.group_id] = group
        return group

    def create(self, name: str, description: str, vpc_id: str, tags: dict[str, str]) -> Group:
        if any(group.name == name and group.vpc_id == vpc_id for group in self.all()):
            raise Fault("InvalidGroup.Duplicate", f"The security group '{name}' already exists for VPC '{vpc_id}'")
        return self._new(name, description, vpc_id, tags)

    def get(self, group_id: str) -> Group:
        self.all()
        if group_id not in self._by_id:
            if not _ID.fullmatch(group_id):
                raise Fault("InvalidGroupId.Malformed", f'Invalid id: "{group_id}" (expecting "sg-...")')
            raise Fault("InvalidGroup.NotFound", f"The security group '{group_id}' does not exist")
        return self._by_id[group_id]

    def default(self, vpc_id: str) -> Group:
        return next(group for group in self.all() if group.vpc_id == vpc_id and group.name == "default")

    def delete(self, group: Group) -> None:
        if group.name == "default":
            raise Fault("CannotDelete", f"the specified group: \"{group.group_id}\" name: \"default\" cannot be deleted by a user")
        referred = any(rule.peer == group.group_id for other in self.all() if other is not group
                       for rule in other.rules.values())
        if referred or any(uses(self.place, group.group_id) for uses in USERS):
            raise Fault("DependencyViolation", f"resource {group.group_id} has a dependent object")
        del self._by_id[group.group_id]

    def tags_of(self, resource_id: str) -> dict[str, str] | None:
        for group in self.all():
            if group.group_id == resource_id:
                return group.tags
            if resource_id in group.rules:
                return group.rules[resource_id].tags
        return None

    def tagged(self):
        for group in self.all():
            yield self.place.arn("ec2", f"security-group/{group.group_id}"), group.tags
            for rule in group.rules.values():
                yield self.place.arn("ec2", f"security-group-rule/{rule.rule_id}"), rule.tags


# --- what the API shows and takes -----------------------------------------------------------------

def _shown_rule(place: Place, group: Group, rule: Rule) -> dict:
    shown = {
        "SecurityGroupRuleId": rule.rule_id, "GroupId": group.group_id, "GroupOwnerId": place.account.number,
        "IsEgress": rule.egress, "IpProtocol": rule.protocol, "FromPort": rule.low, "ToPort": rule.high,
        "Description": rule.description, "Tags": tag_list(rule.tags),
        "SecurityGroupRuleArn": place.arn("ec2", f"security-group-rule/{rule.rule_id}"),
    }
    if rule.peer_kind == "GroupId":
        shown["ReferencedGroupInfo"] = {"GroupId": rule.peer, "UserId": place.account.number}
    else:
        shown[rule.peer_kind] = rule.peer
    return shown


def _permissions(place: Place, group: Group, egress: bool) -> list[dict]:
    """The older view of the rules: one entry for each protocol and port range."""
    entries: dict[tuple, dict] = {}
    for rule in group.rules.values():
        if rule.egress != egress:
            continue
        entry = entries.setdefault((rule.protocol, rule.low, rule.high), {
            "IpProtocol": rule.protocol, "IpRanges": [], "Ipv6Ranges": [], "PrefixListIds": [], "UserIdGroupPairs": []})
        if rule.protocol != "-1":
            entry["FromPort"], entry["ToPort"] = rule.low, rule.high
        kept = {"Description": rule.description} if rule.description else {}
        where, what = {"CidrIpv4": ("IpRanges", "CidrIp"), "CidrIpv6": ("Ipv6Ranges", "CidrIpv6"),
                       "PrefixListId": ("PrefixListIds", "PrefixListId"), "GroupId": ("UserIdGroupPairs", "GroupId")}[rule.peer_kind]
        pair = {"UserId": place.account.number} if rule.peer_kind == "GroupId" else {}
        entry[where].append({what: rule.peer, **pair, **kept})
    return list(entries.values())


def shown_group(place: Place, group: Group) -> dict:
    return {
        "GroupId": group.group_id, "GroupName": group.name, "Description": group.description, "VpcId": group.vpc_id,
        "OwnerId": place.account.number, "Tags": tag_list(group.tags),
        "SecurityGroupArn": place.arn("ec2", f"security-group/{group.group_id}"),
        "IpPermissions": _permissions(place, group, False), "IpPermissionsEgress": _permissions(place, group, True),
    }


def _asked_rules(groups: Groups, group: Group, params: dict, egress: bool) -> list[Rule]:
    permissions = params.get("IpPermissions") or []
    if not permissions and "IpProtocol" in params:
        permissions = [{key: params[key] for key in ("IpProtocol", "FromPort", "ToPort") if key in params}
                       | {"IpRanges": [{"CidrIp": params["CidrIp"]}] if "CidrIp" in params else []}]
    if not permissions:
        raise Fault("MissingParameter", "Either 'ipPermissions' or 'securityGroupRuleIds' should be provided.")
    rules = []
    for each in permissions:
        protocol, low, high = _ports(each)
        peers = [("CidrIpv4", "CidrIp", peer) for peer in each.get("IpRanges", [])]
        peers += [("CidrIpv6", "CidrIpv6", peer) for peer in each.get("Ipv6Ranges", [])]
        peers += [("PrefixListId", "PrefixListId", peer) for peer in each.get("PrefixListIds", [])]
        peers += [("GroupId", "GroupId", peer) for peer in each.get("UserIdGroupPairs", [])]
        if not peers:
            raise Fault("MissingParameter", "Missing source specification: include source security group or CIDR information")
        for kind, key, peer in peers:
            value = peer.get(key)
            if kind == "GroupId":
                other = groups.get(value) if value else next(
                    (each for each in groups.all() if each.name == peer.get("GroupName")), None)
                if other is None or other.vpc_id != group.vpc_id:
                    raise Fault("InvalidGroup.NotFound", "You have specified two resources that belong to different networks.")
                value = other.group_id
            elif kind.startswith("Cidr"):
                value = _cidr(value, 6 if kind == "CidrIpv6" else 4)
            rules.append(Rule(new_id("sgr"), egress, protocol, low, high, kind, value, _text(peer.get("Description"))))
    return rules


def _ports(permission: dict) -> tuple[str, int, int]:
    protocol = str(permission.get("IpProtocol", "")).lower()
    protocol = _NUMBERS.get(protocol, protocol)
    if protocol == "-1":
        return protocol, -1, -1
    if protocol not in ("tcp", "udp", "icmp", "icmpv6") and not protocol.isdigit():
        raise Fault("InvalidParameterValue", f"Invalid value '{protocol}' for IP protocol. Unknown protocol.")
    low, high = permission.get("FromPort"), permission.get("ToPort")
    if protocol in ("tcp", "udp"):
        if low is None or high is None:
            raise Fault("InvalidParameterValue", "Invalid value for portRange. Must specify both from and to ports with TCP/UDP.")
        if not 0 <= low <= 65535 or not low <= high <= 65535:
            raise Fault("InvalidParameterValue", f"Invalid port range: {low}-{high}.")
    return protocol, -1 if low is None else low, -1 if high is None else high


def _cidr(text: str | None, version: int) -> str:
    """As EC2 keeps it, its host bits cleared: it takes 10.1.2.3/8 for 10.0.0.0/8 (ansible issue 25403)."""
    try:
        read = ipaddress.IPv4Network if version == 4 else ipaddress.IPv6Network
        return str(read(text or "", strict=False))
    except ValueError as wrong:
        raise Fault("InvalidParameterValue", f"CIDR block {text} is malformed") from wrong


def _text(text: str | None) -> str | None:
    if text is not None and not _TEXT.fullmatch(text):
        raise Fault("InvalidParameterValue", "Invalid rule description. Valid descriptions are strings less than 256 "
                    "characters from the following set:  a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*")
    return text or None


def given_tags(params: dict, kind: str) -> dict[str, str]:
    tags: dict[str, str] = {}
    for each in params.get("TagSpecifications", []):
        if each.get("ResourceType") != kind:
            raise Fault("InvalidParameterValue", f"'{each.get('ResourceType')}' is not a valid taggable resource type for this operation.")
        tags |= tag_map(each.get("Tags"))
    check_tags(tags, tags)
    return tags


def check_tags(given: dict[str, str], then: dict[str, str]) -> None:
    """What a request asks for, and what a resource would have after it."""
    if any(key.lower().startswith("aws:") for key in given):
        raise Fault("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use")
    if len(then) > TAGS_MAX:
        raise Fault("TagLimitExceeded", f"More than {TAGS_MAX} tags on one resource")


# --- operations -----------------------------------------------------------------------------------

def _create(request: Request) -> dict:
    params, place = request.params, request.place
    name, vpc_id = params["GroupName"], params.get("VpcId") or vpc.VPC
    vpc.vpc(place, vpc_id)
    if name.startswith("sg-") or not _TEXT.fullmatch(name) or name == "default":
        raise Fault("InvalidParameterValue", "Invalid security group name. Group names may not be in the format sg-* and not 'default'.")
    if not _TEXT.fullmatch(params["Description"]):
        raise Fault("InvalidParameterValue", "Invalid security group description.")
    group = place.of(Groups).create(name, params["Description"], vpc_id, given_tags(params, "security-group"))
    return {"GroupId": group.group_id, "Tags": tag_list(group.tags),
            "SecurityGroupArn": place.arn("ec2", f"security-group/{group.group_id}")}


def _named(request: Request) -> Group:
    groups, params = request.place.of(Groups), request.params
    if "GroupId" in params:
        return groups.get(params["GroupId"])
    found = [group for group in groups.all() if group.name == params.get("GroupName")]
    if not found:
        raise Fault("InvalidGroup.NotFound", f"The security group '{params.get('GroupName')}' does not exist")
    return found[0]


def _delete(request: Request) -> dict:
    group = _named(request)
    request.place.of(Groups).delete(group)
    return {"Return": True, "GroupId": group.group_id}


def _describe(request: Request) -> dict:
    params, place = request.params, request.place
    groups = place.of(Groups)
    wanted = params.get("GroupIds")
    shown = [groups.get(each) for each in wanted] if wanted else groups.all()
    if names := params.get("GroupNames"):
        missing = [name for name in names if not any(group.name == name for group in shown)]
        if missing:
            raise Fault("InvalidGroup.NotFound", f"The security group '{missing[0]}' does not exist in default VPC '{vpc.VPC}'")
        shown = [group for group in shown if group.name in names]
    shown = [group for group in shown if passes(params.get("Filters"), {
        "group-id": group.group_id, "group-name": group.name, "vpc-id": group.vpc_id, "description": group.description,
        "owner-id": place.account.number}, group.tags)]
    part, token = page([shown_group(place, group) for group in shown], params)
    return {"SecurityGroups": part, "NextToken": token}


def _describe_rules(request: Request) -> dict:
    params, place = request.params, request.place
    wanted = set(params.get("SecurityGroupRuleIds", []))
    shown = []
    for group in place.of(Groups).all():
        for rule in group.rules.values():
            if wanted and rule.rule_id not in wanted:
                continue
            wanted.discard(rule.rule_id)
            if passes(params.get("Filters"), {"group-id": group.group_id, "security-group-rule-id": rule.rule_id}, rule.tags):
                shown.append(_shown_rule(place, group, rule))
    if params.get("SecurityGroupRuleIds") and wanted:
        raise Fault("InvalidSecurityGroupRuleId.NotFound", f"The security group rule ID '{sorted(wanted)[0]}' does not exist")
    part, token = page(shown, params)
    return {"SecurityGroupRules": part, "NextToken": token}


def _authorize(request: Request) -> dict:
    groups, group = request.place.of(Groups), _named(request)
    tags = given_tags(request.params, "security-group-rule")
    rules = _asked_rules(groups, group, request.params, request.operation.endswith("Egress"))
    if tags and len(rules) > 1:
        raise Fault("InvalidParameterValue", "Tags can be specified for one rule at a time only.")
    if len({rule.key() for rule in rules}) < len(rules):
        raise Fault("InvalidParameterValue", "The same permission must not appear multiple times")
    known = {rule.key() for rule in group.rules.values()}
    for rule in rules:
        if rule.key() in known:  # one duplicate, and none of the request's rules is made
            ports = "ALL" if rule.protocol == "-1" else f"{rule.protocol.upper()}, from port: {rule.low}, to port: {rule.high}"
            raise Fault("InvalidPermission.Duplicate", f'the specified rule "peer: {rule.peer}, {ports}, ALLOW" already exists')
    if sum(rule.egress == rules[0].egress for rule in group.rules.values()) + len(rules) > RULES_MAX:
        raise Fault("RulesPerSecurityGroupLimitExceeded", "The maximum number of rules per security group has been reached.")
    for rule in rules:
        rule.tags = dict(tags)
        group.rules[rule.rule_id] = rule
    return {"Return": True, "SecurityGroupRules": [_shown_rule(request.place, group, rule) for rule in rules]}


def _revoke(request: Request) -> dict:
    groups, group, params = request.place.of(Groups), _named(request), request.params
    egress = request.operation.endswith("Egress")
    if ids := params.get("SecurityGroupRuleIds"):
        gone = [group.rules.get(each) for each in ids]
        missing = [each for each, rule in zip(ids, gone) if rule is None or rule.egress != egress]
        if missing:
            raise Fault("InvalidSecurityGroupRuleId.NotFound", f"The security group rule ID '{missing[0]}' does not exist")
    else:
        by_key = {rule.key(): rule for rule in group.rules.values()}
        gone = [by_key.get(rule.key()) for rule in _asked_rules(groups, group, params, egress)]
        if None in gone:
            raise Fault("InvalidPermission.NotFound", "The specified rule does not exist in this security group.")
    for rule in gone:
        group.rules.pop(rule.rule_id, None)
    revoked = [{key: value for key, value in _shown_rule(request.place, group, rule).items()
                if key not in ("Tags", "ReferencedGroupInfo", "SecurityGroupRuleArn", "GroupOwnerId")} for rule in gone]
    return {"Return": True, "RevokedSecurityGroupRules": revoked}


def _modify_rules(request: Request) -> dict:
    groups, group = request.place.of(Groups), _named(request)
    for each in request.params["SecurityGroupRules"]:
        rule, asked = group.rules.get(each["SecurityGroupRuleId"]), each.get("SecurityGroupRule", {})
        if rule is None:
            raise Fault("InvalidSecurityGroupRuleId.NotFound", f"The security group rule ID '{each['SecurityGroupRuleId']}' does not exist")
        protocol, low, high = _ports(asked)
        peer = next(((kind, asked[key]) for kind, key in (("CidrIpv4", "CidrIpv4"), ("CidrIpv6", "CidrIpv6"),
                     ("PrefixListId", "PrefixListId"), ("GroupId", "ReferencedGroupId")) if key in asked), None)
        if peer is None:
            raise Fault("MissingParameter", "A rule needs a CIDR, a prefix list or a security group as its peer.")
        value = groups.get(peer[1]).group_id if peer[0] == "GroupId" else peer[1] if peer[0] == "PrefixListId" else \
            _cidr(peer[1], 6 if peer[0] == "CidrIpv6" else 4)
        rule.protocol, rule.low, rule.high, rule.peer_kind, rule.peer = protocol, low, high, peer[0], value
        rule.description = _text(asked.get("Description"))
    return {"Return": True}


def _describe_text(request: Request) -> dict:
    """UpdateSecurityGroupRuleDescriptions…"""
    groups, group, params = request.place.of(Groups), _named(request), request.params
    by_id = {each.get("SecurityGroupRuleId"): each.get("Description") for each in params.get("SecurityGroupRuleDescriptions", [])}
    by_key = {}
    if params.get("IpPermissions"):
        by_key = {rule.key(): rule.description for rule in
                  _asked_rules(groups, group, params, request.operation.endswith("Egress"))}
    for rule in group.rules.values():
        if rule.rule_id in by_id or rule.key() in by_key:
            rule.description = _text(by_id.get(rule.rule_id, by_key.get(rule.key())))
    return {"Return": True}


operations("ec2", CreateSecurityGroup=_create, DeleteSecurityGroup=_delete, DescribeSecurityGroups=_describe,
           DescribeSecurityGroupRules=_describe_rules, AuthorizeSecurityGroupIngress=_authorize,
           AuthorizeSecurityGroupEgress=_authorize, RevokeSecurityGroupIngress=_revoke, RevokeSecurityGroupEgress=_revoke,
           ModifySecurityGroupRules=_modify_rules, UpdateSecurityGroupRuleDescriptionsIngress=_describe_text,
           UpdateSecurityGroupRuleDescriptionsEgress=_describe_text)
