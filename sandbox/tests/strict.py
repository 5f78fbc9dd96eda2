"""What AWS refuses, as tables: each row becomes a test of its own, in an account that a class of rows shares."""
import dataclasses
import re
from typing import Callable

from .support import Case

# Where a row's code is known from, when it is no page of the reference.
MODEL = "API model"
# LocalStack's tests (tests/aws/services/…/*.snapshot.json) keep what AWS itself answered to them.
RECORDED = "recorded from AWS in LocalStack's snapshots"
# The rule is documented, the code is what the operation lists for such requests.
CODE_UNVERIFIED = "documented rule; the code is not verified on AWS"


def slug(what: str) -> str:
    """A name for what a row would make, so that what gets through does not stand in the way of other rows."""
    return "new-" + re.sub(r"[^a-z0-9]+", "-", what.lower())[:40].strip("-")


@dataclasses.dataclass(frozen=True)
class Refusal:
    what: str
    code: str
    # In botocore's spelling; with the service in front, where it is not the class's: "secretsmanager.put_secret_value".
    operation: str
    # Or a function of what `prepare` made.
    parameters: dict | Callable[["Strict"], dict]
    source: str

    @property
    def method(self) -> str:
        return "test_" + re.sub(r"\W+", "_", self.what.lower()).strip("_")


class Strict(Case):
    """`prepare` makes, once, what the rows refer to; since every row is refused, none disturbs another."""

    SERVICE = ""
    CASES: tuple[Refusal, ...] = ()
    made: "Strict"

    def __init_subclass__(cls):
        for case in cls.CASES:
            if case.method in vars(cls):
                raise ValueError(f"{cls.__name__} has two rows of the name {case.method}")
            setattr(cls, case.method, _test(case))

    @classmethod
    def setUpClass(cls):
        made = cls.made = cls()
        Case.setUp(made)
        cls.addClassCleanup(made.doCleanups)
        made.delays("none")
        made.prepare()
        made.before = made.seen()

    def setUp(self):
        self.state, self.account, self._clients = self.made.state, self.made.account, self.made._clients

    def prepare(self):
        raise NotImplementedError

    def seen(self):
        """What a request that got through could have changed."""
        raise NotImplementedError


def _test(case: Refusal):
    def test(self: Strict):
        service, _, operation = case.operation.rpartition(".")
        parameters = case.parameters(self.made) if callable(case.parameters) else case.parameters
        try:
            self.refused(case.code, getattr(self.aws(service or self.SERVICE), operation), **parameters)
        finally:
            # Told once: what gets through here is not to fail the rows after it.
            before, self.made.before = self.made.before, self.seen()
        self.assertEqual(self.made.before, before, "the refused request left something behind")
    test.__doc__ = f"{case.what}: {case.code} ({case.source})"
    return test


def without_metadata(answer: dict) -> dict:
    return {key: value for key, value in answer.items() if key != "ResponseMetadata"}
