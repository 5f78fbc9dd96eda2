"""The part of EC2 that a deployment uses. VPCs, subnets and routes stay MiniStack's (`vpc`); security groups
(`groups`) and endpoints (`endpoints`) are ours, since their rules, states and refusals are what matters here."""
