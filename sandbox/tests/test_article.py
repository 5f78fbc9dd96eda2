"""The article's commands, as typed, with the AWS CLI; only its function comes from a bucket of our own."""
import json

import psycopg

from .support import ROTATE, SUBNETS, VPC, Case, ctl, until, zipped

SETTINGS = f'''
set -eu
SUBNET_ID1="{SUBNETS[0]}"; SUBNET_ID2="{SUBNETS[1]}"; VPC_ID="{VPC}"; MY_REGION="eu-north-1"
group() {{ aws ec2 describe-security-groups --filters Name=group-name,Values=my-rds-sg --query 'SecurityGroups[0].GroupId' --output text; }}
'''
DATABASE = '''
aws rds create-db-subnet-group --db-subnet-group-name my-db-subnet-group --db-subnet-group-description "My DB subnet group" --subnet-ids $SUBNET_ID1 $SUBNET_ID2
RDS_SG_ID=$(aws ec2 create-security-group --group-name my-rds-sg --description "Security group for RDS instance" --vpc-id $VPC_ID --query 'GroupId' --output text)
aws ec2 authorize-security-group-ingress --group-id $RDS_SG_ID --protocol tcp --port 5432 --cidr 203.0.113.7/32
aws ec2 authorize-security-group-ingress --group-id $RDS_SG_ID --protocol tcp --port 5432 --source-group $RDS_SG_ID
aws rds create-db-instance --db-instance-identifier my-postgres-instance --db-instance-class db.t3.micro --engine postgres \\
    --master-username postgres --master-user-password 'YourMasterPasswordHere' --allocated-storage 20 --storage-type gp3 \\
    --vpc-security-group-ids $RDS_SG_ID --db-subnet-group-name my-db-subnet-group --backup-retention-period 7 \\
    --publicly-accessible --no-multi-az --copy-tags-to-snapshot --tags Key=Name,Value=my-postgres-instance
'''
SECRETS = '''
RDS_ENDPOINT=$(aws rds describe-db-instances --db-instance-identifier my-postgres-instance --query 'DBInstances[0].Endpoint.Address' --output text)
aws secretsmanager create-secret --name rotator_admin_secret --description "Secret for rotator_admin user" \\
    --secret-string "{\\"username\\":\\"rotator_admin\\",\\"password\\":\\"admin-pw\\",\\"engine\\":\\"postgres\\",\\"host\\":\\"$RDS_ENDPOINT\\",\\"port\\":5432,\\"dbname\\":\\"postgres\\"}" \\
    --tags Key=Name,Value=rotator_admin_secret
ROTATOR_ADMIN_SECRET_ARN=$(aws secretsmanager describe-secret --secret-id rotator_admin_secret --query 'ARN' --output text)
aws secretsmanager create-secret --name test_user1_secret --description "Secret for test_user1 with Automated rotation" \\
    --secret-string "{\\"username\\":\\"test_user1\\",\\"password\\":\\"user-pw\\",\\"engine\\":\\"postgres\\",\\"host\\":\\"$RDS_ENDPOINT\\",\\"port\\":5432,\\"dbname\\":\\"postgres\\",\\"masterarn\\":\\"$ROTATOR_ADMIN_SECRET_ARN\\",\\"dbInstanceIdentifier\\":\\"my-postgres-instance\\"}" \\
    --tags Key=Name,Value=test_user1_secret
'''
FUNCTION = '''
aws s3api create-bucket --bucket code-$AWS_ACCESS_KEY_ID --create-bucket-configuration LocationConstraint=$MY_REGION
aws s3 cp --quiet function.zip s3://code-$AWS_ACCESS_KEY_ID/function.zip
aws cloudformation create-stack --stack-name pgpasslambda-stack --template-body file://template.json \\
    --capabilities CAPABILITY_NAMED_IAM CAPABILITY_AUTO_EXPAND \\
    --parameters ParameterKey=functionName,ParameterValue=pgpasslambda ParameterKey=bucket,ParameterValue=code-$AWS_ACCESS_KEY_ID \\
                 ParameterKey=vpcSecurityGroupIds,ParameterValue=$(group) ParameterKey=vpcSubnetIds,ParameterValue=$SUBNET_ID1
SERVICE_NAME="com.amazonaws.${MY_REGION}.secretsmanager"
aws ec2 create-vpc-endpoint --vpc-id $VPC_ID --vpc-endpoint-type Interface --service-name $SERVICE_NAME --subnet-ids $SUBNET_ID1 $SUBNET_ID2 \\
    --security-group-ids $(group) --private-dns-enabled
aws ec2 authorize-security-group-ingress --group-id $(group) --protocol tcp --port 443 --source-group $(group)
'''
ROTATION = '''
ROTATION_LAMBDA_ARN=$(aws lambda get-function --function-name pgpasslambda --query 'Configuration.FunctionArn' --output text)
aws secretsmanager rotate-secret --secret-id test_user1_secret --rotation-lambda-arn $ROTATION_LAMBDA_ARN --rotation-rules AutomaticallyAfterDays=10
aws lambda get-function-configuration --function-name pgpasslambda --query '{FunctionName:FunctionName, VpcConfig:VpcConfig}'
'''
LOGS = '''
LATEST_LOG_STREAM=$(aws logs describe-log-streams --log-group-name /aws/lambda/pgpasslambda --order-by LastEventTime --descending --limit 1 \\
    --query 'logStreams[0].logStreamName' --output text)
aws logs get-log-events --log-group-name /aws/lambda/pgpasslambda --log-stream-name $LATEST_LOG_STREAM --limit 20 --query 'events[*].message' --output text
'''
CLEAN_UP = '''
aws rds delete-db-instance --db-instance-identifier my-postgres-instance --skip-final-snapshot
aws secretsmanager delete-secret --secret-id rotator_admin_secret --force-delete-without-recovery
aws secretsmanager delete-secret --secret-id test_user1_secret --force-delete-without-recovery
aws lambda delete-function --function-name pgpasslambda
VPC_ENDPOINT_ID=$(aws ec2 describe-vpc-endpoints --filters "Name=vpc-id,Values=$VPC_ID" --query "VpcEndpoints[].VpcEndpointId" --output text)
aws ec2 delete-vpc-endpoints --vpc-endpoint-ids $VPC_ENDPOINT_ID
aws cloudformation delete-stack --stack-name pgpasslambda-stack
aws rds wait db-instance-deleted --db-instance-identifier my-postgres-instance
aws rds delete-db-subnet-group --db-subnet-group-name my-db-subnet-group
aws cloudformation wait stack-delete-complete --stack-name pgpasslambda-stack
'''
TEMPLATE = {
    "Parameters": {name: {"Type": "String"} for name in ("functionName", "bucket", "vpcSecurityGroupIds", "vpcSubnetIds")},
    "Resources": {
        "Role": {"Type": "AWS::IAM::Role", "Properties": {
            "AssumeRolePolicyDocument": {"Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]},
            "Policies": [{"PolicyName": "p", "PolicyDocument": {"Statement": [{
                "Effect": "Allow", "Resource": "*", "Action": "ec2:*NetworkInterface*"}, {
                "Effect": "Allow", "Resource": "*", "Action": ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue",
                                                               "secretsmanager:PutSecretValue", "secretsmanager:UpdateSecretVersionStage"],
                "Condition": {"StringEquals": {"secretsmanager:resource/AllowRotationLambdaArn":
                              {"Fn::Sub": "arn:aws:lambda:${AWS::Region}:${AWS::AccountId}:function:${functionName}"}}}}]}}]}},
        "Function": {"Type": "AWS::Lambda::Function", "Properties": {
            "FunctionName": {"Ref": "functionName"}, "Runtime": "provided.al2023", "Handler": "bootstrap", "Timeout": 30,
            "Role": {"Fn::GetAtt": ["Role", "Arn"]}, "Code": {"S3Bucket": {"Ref": "bucket"}, "S3Key": "function.zip"},
            "VpcConfig": {"SecurityGroupIds": [{"Ref": "vpcSecurityGroupIds"}], "SubnetIds": [{"Ref": "vpcSubnetIds"}]}}},
        "Permission": {"Type": "AWS::Lambda::Permission", "Properties": {
            "FunctionName": {"Ref": "Function"}, "Action": "lambda:InvokeFunction", "Principal": "secretsmanager.amazonaws.com"}}}}


class Article(Case):
    def shell(self, script: str) -> str:
        folder = self.folder
        (folder / "template.json").write_text(json.dumps(TEMPLATE))
        (folder / "function.zip").write_bytes(zipped(ROTATE))
        done = ctl("exec", "--dir", folder, "--account", self.account, "--", "bash", "-c", SETTINGS + script, cwd=folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def setUp(self):
        super().setUp()
        from . import support
        self.folder = support._directory

    def test_all_of_it(self):
        manager = self.aws("secretsmanager")
        self.delays("rotation_retry=0.5")
        self.shell(DATABASE)
        instance = self.available("my-postgres-instance")
        self.shell(SECRETS)
        self.shell(FUNCTION)
        until(lambda: self.aws("cloudformation").describe_stacks()["Stacks"][0]["StackStatus"] == "CREATE_COMPLETE", "the stack")
        self.assertIn(VPC, self.shell(ROTATION))
        # As the article has it, the users do not exist yet: its first rotation fails.
        until(lambda: "password authentication failed" in self.shell(LOGS), "the first rotation's failure in the logs")
        self.assertNotIn("LastRotatedDate", manager.describe_secret(SecretId="test_user1_secret"))
        with psycopg.connect(host=instance["Endpoint"]["Address"], user="postgres", password="YourMasterPasswordHere", dbname="postgres",
                             sslmode="verify-full", sslrootcert=self.state["ca"], autocommit=True) as connection:
            connection.execute("CREATE USER test_user1 WITH PASSWORD 'user-pw'")
            connection.execute("CREATE USER rotator_admin WITH PASSWORD 'admin-pw'")
            connection.execute("GRANT rds_superuser TO rotator_admin")
        self.ctl("clock", "+11d")
        until(lambda: "LastRotatedDate" in manager.describe_secret(SecretId="test_user1_secret"), "a later attempt")
        value = json.loads(manager.get_secret_value(SecretId="test_user1_secret")["SecretString"])
        self.assertNotEqual(value["password"], "user-pw")
        psycopg.connect(host=value["host"], user=value["username"], password=value["password"], dbname="postgres", sslmode="require").close()
        self.shell(CLEAN_UP)
        self.assertEqual((manager.list_secrets()["SecretList"], self.aws("rds").describe_db_instances()["DBInstances"]), ([], []))
        group = self.aws("ec2").describe_security_groups(Filters=[{"Name": "group-name", "Values": ["my-rds-sg"]}])["SecurityGroups"][0]["GroupId"]
        until(lambda: not self.aws("ec2").describe_vpc_endpoints()["VpcEndpoints"], "the endpoint is gone")
        # Its own rules name it, which does not hold it.
        self.aws("ec2").delete_security_group(GroupId=group)
