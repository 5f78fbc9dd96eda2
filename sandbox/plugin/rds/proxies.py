"""RDS Proxies, as far as describing them goes: they know secrets and take no connections.

https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBProxy.html
"""
import dataclasses
import random
import string

from ..ec2 import vpc
from ..ec2.groups import Groups
from ..registry import Request, operations
from ..world import After, Fault, Place
from . import tags
from .pages import page

# What a client's password is taken as, where nothing is said: UserAuthConfig, ClientPasswordAuthType.
_PASSWORDS = {"POSTGRESQL": "POSTGRES_SCRAM_SHA_256", "MYSQL": "MYSQL_CACHING_SHA2_PASSWORD", "SQLSERVER": "SQL_SERVER_AUTHENTICATION"}
IDLE_CLIENT_TIMEOUT = 1800


@dataclasses.dataclass
class Proxy:
    place: Place
    name: str
    vpc_id: str
    asked: dict
    tags: dict[str, str]
    ready: After
    created: float
    gone: After | None = None
    resource_id: str = dataclasses.field(default_factory=lambda: "prx-" + "".join(random.choices(string.hexdigits[:16], k=17)))

    @property
    def arn(self) -> str:
        return self.place.arn("rds", f"db-proxy:{self.resource_id}")

    @property
    def status(self) -> str:
        return "deleting" if self.gone is not None else "available" if self.ready else "creating"

    def shown(self) -> dict:
        asked, host = self.asked, f"{self.name.lower()}.proxy-{self.place.account.number}.{self.place.region}.rds.amazonaws.com"
        return {
            "DBProxyName": self.name, "DBProxyArn": self.arn, "Status": self.status, "EngineFamily": asked["EngineFamily"],
            "VpcId": self.vpc_id, "VpcSecurityGroupIds": asked.get("VpcSecurityGroupIds", []), "VpcSubnetIds": asked["VpcSubnetIds"],
            "DefaultAuthScheme": asked.get("DefaultAuthScheme", "NONE"),
            "Auth": [{"AuthScheme": "SECRETS", "IAMAuth": "DISABLED", "ClientPasswordAuthType": _PASSWORDS[asked["EngineFamily"]], **each}
                     for each in asked.get("Auth", [])],
            "RoleArn": asked["RoleArn"], "Endpoint": host, "RequireTLS": asked.get("RequireTLS", False),
            "IdleClientTimeout": asked.get("IdleClientTimeout", IDLE_CLIENT_TIMEOUT), "DebugLogging": asked.get("DebugLogging", False),
            "CreatedDate": self.created, "UpdatedDate": self.created,
            "EndpointNetworkType": "IPV4", "TargetConnectionNetworkType": "IPV4",
        }


class Proxies:
    def __init__(self, place: Place):
        self.place = place
        self._all: list[Proxy] = []

    def all(self) -> list[Proxy]:
        self._all = [each for each in self._all if not each.gone]
        return self._all

    def tags_of(self, arn: str) -> dict[str, str] | None:
        return next((each.tags for each in self.all() if each.arn == arn), None)

    def get(self, name: str) -> Proxy:
        found = next((each for each in self.all() if each.name.lower() == name.lower()), None)
        if found is None:
            raise Fault("DBProxyNotFoundFault", f"The specified proxy name doesn't correspond to a proxy: {name}")
        return found


def _create(request: Request) -> dict:
    place, params = request.place, request.params
    proxies, name = place.of(Proxies), params["DBProxyName"]
    if any(each.name.lower() == name.lower() for each in proxies.all()):
        raise Fault("DBProxyAlreadyExistsFault", f"A DB proxy with the name {name} already exists.")
    _check_auth(params)
    vpc_id = _network(place, params)
    made = Proxy(place, name, vpc_id, params, tags.given(params.get("Tags")), After(place.delay("proxy_create")), place.now())
    proxies.all().append(made)
    return {"DBProxy": made.shown()}


def _check_auth(params: dict) -> None:
    """Without a scheme of its own for all, a proxy needs secrets; the code is not verified on AWS."""
    if not params.get("Auth") and params.get("DefaultAuthScheme", "NONE") != "IAM_AUTH":
        raise Fault("InvalidParameterCombination", "Auth is required unless DefaultAuthScheme is IAM_AUTH.")
    for each in params.get("Auth", []):
        arn = each.get("SecretArn", "").split(":", 6)
        if each.get("AuthScheme", "SECRETS") == "SECRETS" and (len(arn) < 7 or arn[2] != "secretsmanager" or arn[5] != "secret"):
            raise Fault("InvalidParameterValue", f"{each.get('SecretArn')} is not the ARN of a secret.")


def _network(place: Place, params: dict) -> str:
    """The VPC. RDS wants two zones, and says so with InvalidSubnet, the only such code that CreateDBProxy lists."""
    found = []
    for each in params["VpcSubnetIds"]:
        try:
            found.append(vpc.subnet(place, each))
        except Fault as fault:
            raise Fault("InvalidSubnet", f"The subnet {each} does not exist.") from fault
    if len({each["VpcId"] for each in found}) != 1:
        raise Fault("InvalidSubnet", "The subnets of a proxy must be in one VPC.")
    if len({each["AvailabilityZone"] for each in found}) < 2:
        raise Fault("InvalidSubnet", "A proxy needs subnets of two Availability Zones at least.")
    for each in params.get("VpcSecurityGroupIds", []):
        try:
            elsewhere = place.of(Groups).get(each).vpc_id != found[0]["VpcId"]
        except Fault:
            elsewhere = True
        if elsewhere:
            raise Fault("InvalidParameterValue", f"The security group {each} is not in {found[0]['VpcId']}.")
    return found[0]["VpcId"]


def _describe(request: Request) -> dict:
    proxies, params = request.place.of(Proxies), request.params
    if params.get("Filters"):
        raise Fault("InvalidParameterValue", "This operation takes no filters.")
    found = [proxies.get(params["DBProxyName"])] if "DBProxyName" in params else proxies.all()
    part, marker = page([each.shown() for each in found], params)
    return {"DBProxies": part, "Marker": marker}


def _delete(request: Request) -> dict:
    proxy = request.place.of(Proxies).get(request.params["DBProxyName"])
    if proxy.status != "available":
        raise Fault("InvalidDBProxyStateFault", f"The proxy {proxy.name} is {proxy.status}.")
    proxy.gone = After(request.place.delay("proxy_delete"))
    return {"DBProxy": proxy.shown()}


operations("rds", CreateDBProxy=_create, DescribeDBProxies=_describe, DeleteDBProxy=_delete)
