"""Look-ups by tag (tag:GetResources) over what is ours, which MiniStack's stores do not hold."""
from ministack.core.responses import get_account_id, get_region
from ministack.services import tagging

from .ec2.endpoints import Endpoints
from .ec2.groups import Groups
from .rds.clusters import Clusters
from .rds.instances import Instances
from .rds.subnets import SubnetGroups
from .secrets.store import Secrets
from .world import WORLD, tag_list


def _collector(*kinds):
    def collect():
        place = WORLD.place(get_account_id(), get_region())
        for kind in kinds:
            yield from ((arn, tag_list(tags)) for arn, tags in place.of(kind).tagged())
    return collect


def install() -> None:
    tagging._COLLECTORS.update({"rds": _collector(Instances, Clusters, SubnetGroups), "ec2": _collector(Groups, Endpoints),
                                "secretsmanager": _collector(Secrets)})
