"""Reads commands of the AWS CLI, one a line, and says which of them AWS has no such service, operation or parameter for.

By the API models that botocore ships, from which the AWS CLI makes its commands and flags.
"""
import shlex
import sys

import botocore.session
from botocore import xform_name

# Of the CLI itself, or commands that it does not make from a model.
OF_ALL = {"region", "profile", "query", "output"}
OWN = {"configure list", "configure list-profiles", "sso login", "logs tail"}
# Flags that the CLI makes from the members of lists and of yes-or-no values.
PAIRED = "no-"


def problem(session, words):
    if " ".join(words[1:3]) in OWN:
        return None
    service, operation, *rest = words[1:]
    if service not in session.get_available_services():
        return f"no service {service}"
    model = session.get_service_model(service)
    names = {xform_name(name, "-"): name for name in model.operation_names}
    if operation not in names:
        return f"{service} has no {operation}"
    shape = model.operation_model(names[operation]).input_shape
    members = {xform_name(name, "-") for name in (shape.members if shape else {})}
    flags = [word[2:].split("=")[0] for word in rest if word.startswith("--")]
    unknown = [flag for flag in flags if flag not in members | OF_ALL and flag.removeprefix(PAIRED) not in members]
    return f"{service} {operation} has no --{unknown[0]}" if unknown else None


def main():
    session = botocore.session.Session()
    for line in sys.stdin:
        found = problem(session, shlex.split(line))
        if found:
            print(f"{line.strip()}: {found}")


main()
