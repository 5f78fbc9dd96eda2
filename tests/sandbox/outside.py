"""The tests' own way to AWS and to the database, beside pgrotate: a JSON object a line, an answer a line."""
import datetime
import json
import os
import sys

import botocore.session
import psycopg
from botocore.exceptions import ClientError

SESSION = botocore.session.Session()
CLIENTS = {}


def aws(service):
    if service not in CLIENTS:
        CLIENTS[service] = SESSION.create_client(service)
    return CLIENTS[service]


def call(service, operation, **parameters):
    try:
        answer = getattr(aws(service), operation)(**parameters)
    except ClientError as error:
        return {"error": error.response["Error"]["Code"]}
    answer.pop("ResponseMetadata", None)
    return answer


def passwords():
    """Every password that any version of any secret holds now."""
    manager, found = aws("secretsmanager"), set()
    for secret in manager.list_secrets(MaxResults=100)["SecretList"]:
        versions = manager.list_secret_version_ids(SecretId=secret["ARN"], IncludeDeprecated=True)["Versions"]
        for version in versions:
            try:
                text = manager.get_secret_value(SecretId=secret["ARN"], VersionId=version["VersionId"])["SecretString"]
            except manager.exceptions.ResourceNotFoundException:
                continue  # a version without a value yet
            found.add(json.loads(text)["password"])
    return sorted(found)


def connect(value):
    return psycopg.connect(
        host=value["host"], port=value["port"], user=value["username"], password=value["password"],
        dbname=value["dbname"], sslmode="verify-full", sslrootcert=os.environ["PGROTATE_CA_BUNDLE"], connect_timeout=20)


staying = []


def stay(secret):
    """Logs in as an application that stays, until `leave`."""
    staying.append(connect(json.loads(aws("secretsmanager").get_secret_value(SecretId=secret)["SecretString"])))


def leave():
    """All that stay say goodbye; the server has heard it once it has ended their sessions."""
    while staying:
        staying.pop().close()


def login(secret, stage="AWSCURRENT"):
    """Logs in as an application would, the server's certificate and name verified. Says so where there is nothing to
    log in with, or the server refuses it; all else is a failure of the test."""
    manager = aws("secretsmanager")
    try:
        value = json.loads(manager.get_secret_value(SecretId=secret, VersionStage=stage)["SecretString"])
    except (manager.exceptions.ResourceNotFoundException, manager.exceptions.InvalidRequestException) as error:
        return {"refused": error.response["Error"]["Code"]}
    try:
        connection = connect(value)
    except psycopg.OperationalError as error:
        if "FATAL:" not in str(error):  # no answer of the server's
            raise
        return {"refused": str(error)}
    with connection:
        # Not current_user: a clone works in its base role's name.
        (user,) = connection.execute("select session_user").fetchone()
        return {"user": user, "tls": bool(connection.pgconn.ssl_in_use)}


def sql(statement, instance="my-postgres-instance", cluster=None, password=None):
    """As the master, which is how people change things behind our back; answers with the rows, if any. His password is in
    RDS's own secret, unless it is given."""
    if cluster:
        found = aws("rds").describe_db_clusters(DBClusterIdentifier=cluster)["DBClusters"][0]
        found["Endpoint"] = {"Address": found["Endpoint"], "Port": found["Port"]}
    else:
        found = aws("rds").describe_db_instances(DBInstanceIdentifier=instance)["DBInstances"][0]
    if password is None:
        secret = found["MasterUserSecret"]["SecretArn"]
        value = json.loads(aws("secretsmanager").get_secret_value(SecretId=secret)["SecretString"])
    else:
        value = {"username": found["MasterUsername"], "password": password}
    with psycopg.connect(host=found["Endpoint"]["Address"], port=found["Endpoint"]["Port"], user=value["username"],
                         password=value["password"], dbname="postgres", sslmode="verify-full", connect_timeout=20,
                         sslrootcert=os.environ["PGROTATE_CA_BUNDLE"]) as connection:
        done = connection.execute(statement)
        return done.fetchall() if done.description else []


DOES = {"call": call, "passwords": passwords, "login": login, "sql": sql, "stay": stay, "leave": leave}


def plain(value):
    if isinstance(value, datetime.datetime):
        return value.timestamp()
    return str(value)


for line in sys.stdin:
    asked = json.loads(line)
    try:
        answer = {"ok": DOES[asked.pop("do")](**asked)}
    except Exception as error:  # told to the test, which fails with it
        answer = {"failed": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer, default=plain), flush=True)
