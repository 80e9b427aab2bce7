package policy

// reason says in a few words what an action is for. A function and not a variable: agents link this package and never
// ask.
func reason(action string) string {
	switch action {
	case "autoscaling:CancelInstanceRefresh":
		return "ends an upgrade that another one replaces"
	case "autoscaling:CreateAutoScalingGroup":
		return "makes the sidecar's group"
	case "autoscaling:CreateOrUpdateTags":
		return "the version that is shown by a tag changes with an upgrade"
	case "autoscaling:DeleteAutoScalingGroup":
		return "removes the group and its instances"
	case "autoscaling:DescribeAutoScalingGroups":
		return "which instances of the sidecar are in service"
	case "autoscaling:DescribeScalingActivities":
		return "why a sidecar's instance does not launch"
	case "autoscaling:StartInstanceRefresh":
		return "replaces the sidecar's instances, one at a time"
	case "autoscaling:UpdateAutoScalingGroup":
		return "size, subnets and template version"
	case "cloudwatch:GetMetricData":
		return "metrics of scaling policies, many in one call"
	case "dynamodb:BatchGetItem":
		return "looks whether any of several values has changed, in one call"
	case "dynamodb:ConditionCheckItem":
		return "no write by a sidecar that has lost its lease"
	case "dynamodb:CreateTable":
		return "makes the store"
	case "dynamodb:DeleteItem":
		return "removes a value"
	case "dynamodb:DeleteTable":
		return "removes the store when nothing is declared in it"
	case "dynamodb:DescribeTable":
		return "whether the table is there and one of farmhand's"
	case "dynamodb:GetItem":
		return "reads a value"
	case "dynamodb:ListTagsOfResource":
		return "whether farmhand made the table"
	case "dynamodb:PutItem":
		return "writes a value"
	case "dynamodb:Query":
		return "reads the values under a prefix, within one partition"
	case "dynamodb:Scan":
		return "whether anything is left in the table"
	case "dynamodb:TagResource":
		return "the table's tags"
	case "dynamodb:UpdateContinuousBackups":
		return "turns point-in-time recovery on"
	case "dynamodb:UpdateItem":
		return "writes a value and counts its revision up"
	case "dynamodb:UpdateTimeToLive":
		return "lets old events expire"
	case "ec2:AllocateAddress":
		return "an Elastic IP for an index (elastic_ip)"
	case "ec2:AssociateAddress":
		return "the address follows its index to the next instance"
	case "ec2:AttachVolume":
		return "a data volume follows its index to the next instance"
	case "ec2:CreateFleet":
		return "launches many instances in one call"
	case "ec2:CreateLaunchTemplate":
		return "what a generation's instances are made from"
	case "ec2:CreateLaunchTemplateVersion":
		return "the same, changed"
	case "ec2:CreateSecurityGroup":
		return "the sidecar's own group, without any inbound rule"
	case "ec2:CreateSnapshot":
		return "a volume's data at a moment: as its backup, or on its way to another zone"
	case "ec2:CreateTags":
		return "tags of what is being made"
	case "ec2:CreateVolume":
		return "a data volume for an index"
	case "ec2:DeleteLaunchTemplate":
		return "of a generation that is gone"
	case "ec2:DeleteSecurityGroup":
		return "removes the sidecar's group"
	case "ec2:DeleteSnapshot":
		return "that is kept no longer, or whose volume has arrived"
	case "ec2:DeleteVolume":
		return "data that goes with its role"
	case "ec2:DescribeAddresses":
		return "which Elastic IPs there are"
	case "ec2:DescribeImages":
		return "architecture and root device of the AMI"
	case "ec2:DescribeInstanceStatus":
		return "failed checks, scheduled retirement"
	case "ec2:DescribeInstanceTypes":
		return "architecture of the type"
	case "ec2:DescribeInstances":
		return "the farm's instances, by tag"
	case "ec2:DescribeKeyPairs":
		return "whether the key pair is there"
	case "ec2:DescribeLaunchTemplateVersions":
		return "which versions there are"
	case "ec2:DescribeLaunchTemplates":
		return "which templates there are"
	case "ec2:DescribeSecurityGroups":
		return "whether the groups are there and of the same VPC"
	case "ec2:DescribeSnapshots":
		return "which snapshots there are, and how far they have come"
	case "ec2:DescribeSubnets":
		return "zone and VPC of the subnets"
	case "ec2:DescribeVolumes":
		return "the farm's data volumes, by tag"
	case "ec2:DetachVolume":
		return "before it follows its index"
	case "ec2:DisassociateAddress":
		return "before it follows its index"
	case "ec2:GetConsoleOutput":
		return "what a failed boot printed"
	case "ec2:ReleaseAddress":
		return "with its role"
	case "ec2:ModifyVolume":
		return "a volume grows in place, or changes its type"
	case "ec2:RunInstances":
		return "launches an instance"
	case "ec2:StartInstances":
		return "an instance of the warm pool comes into service"
	case "ec2:StopInstances":
		return "an instance goes into the warm pool"
	case "ec2:TerminateInstances":
		return "scaling in, healing, destroying"
	case "elasticloadbalancing:DeregisterTargets":
		return "a draining instance leaves"
	case "elasticloadbalancing:DescribeTargetGroups":
		return "whether the groups are there"
	case "elasticloadbalancing:DescribeTargetHealth":
		return "what the balancer thinks of instances"
	case "elasticloadbalancing:RegisterTargets":
		return "a serving instance comes in"
	case "iam:AddRoleToInstanceProfile":
		return "ties the two together"
	case "iam:CreateInstanceProfile":
		return "what an instance is launched with"
	case "iam:CreateRole":
		return "what it may do"
	case "iam:CreateServiceLinkedRole":
		return "AWS makes the role of a service of its own"
	case "iam:DeleteInstanceProfile":
		return "on destroy"
	case "iam:DeleteRole":
		return "on destroy"
	case "iam:DeleteRolePolicy":
		return "on destroy"
	case "iam:GetInstanceProfile":
		return "whether it is there"
	case "iam:GetRole":
		return "whether it is there, and farmhand's by its tags"
	case "iam:PassRole":
		return "hands the role to an instance"
	case "iam:PutRolePolicy":
		return "writes the policy that this command prints"
	case "iam:RemoveRoleFromInstanceProfile":
		return "on destroy"
	case "iam:TagInstanceProfile":
		return "its tags"
	case "iam:TagRole":
		return "its tags"
	case "kms:CreateGrant":
		return "EC2 uses the key for the disk"
	case "kms:Decrypt":
		return "EC2 uses the key for the disk"
	case "kms:DescribeKey":
		return "whether the key is there"
	case "kms:GenerateDataKeyWithoutPlaintext":
		return "a new disk's own key"
	case "kms:ReEncryptFrom":
		return "a disk made from a snapshot"
	case "kms:ReEncryptTo":
		return "a disk made from a snapshot"
	case "logs:CreateLogStream":
		return "a stream for each instance of the sidecar"
	case "logs:DescribeLogGroups":
		return "whether the group is there, in the plan"
	case "logs:PutLogEvents":
		return "writes the sidecar's log"
	case "route53:ChangeResourceRecordSets":
		return "one batch for each change of the farm's names"
	case "route53:GetHostedZone":
		return "the zone's name"
	case "route53:ListResourceRecordSets":
		return "which records are there, and whose"
	case "s3:AbortMultipartUpload":
		return "a large upload that was broken off"
	case "s3:CreateBucket":
		return "makes the bucket"
	case "s3:DeleteBucket":
		return "removes the empty bucket"
	case "s3:DeleteObject":
		return "removes releases and executables"
	case "s3:GetBucketTagging":
		return "whether farmhand made the bucket"
	case "s3:GetObject":
		return "reads a release or an executable"
	case "s3:ListBucket":
		return `tells "not there" from "not permitted"`
	case "s3:PutBucketPublicAccessBlock":
		return "closes it to the public"
	case "s3:PutBucketTagging":
		return "its tags"
	case "s3:PutEncryptionConfiguration":
		return "encrypts it"
	case "s3:PutLifecycleConfiguration":
		return "ends uploads that were broken off"
	case "s3:PutObject":
		return "writes a release or an executable"
	case "sqs:GetQueueAttributes":
		return "depth and age of a queue, for scaling policies"
	case "sts:GetCallerIdentity":
		return "the account's number"
	}
	return ""
}
