package policy

import (
	"slices"
	"strings"
)

// Instance is what a farm's instances may do; the scope has one farm. It reaches that farm's partition, and writes
// only what agents say of themselves.
func Instance(s Scope) Document {
	var read, write []string
	for _, f := range s.Farms {
		read = append(read, f, Agents(f))
		write = append(write, Agents(f))
	}
	statements := []Statement{
		{
			Sid: "ReadOwnFarm", Action: []string{"dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query"}, Resource: s.table(), Condition: partitions(read...),
			Why: "An agent reads what its instance is to be, and where the rest of its farm is. It sees no other farm.",
		},
		{
			Sid: "WriteOwnReports", Action: []string{"dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"}, Resource: s.table(), Condition: partitions(write...),
			Why: "An agent writes its reports. What the sidecar decides stands in another partition, so that no instance can change it.",
		},
		{
			Sid: "LookAtTable", Action: []string{"dynamodb:DescribeTable"}, Resource: s.table(),
			Why: "The store looks whether the table is one of its own before it uses it.",
		},
		{
			Sid: "ReadReleases", Action: []string{"s3:GetObject"}, Resource: s.blobs(),
			Why: "Applications' releases and farmhand's own executable, each named by its hash.",
		},
	}
	return document(slices.Concat(statements, s.backups(), s.sources())...)
}

// backups are the rights on the places that the scope's farms are backed up to.
func (s Scope) backups() []Statement {
	if len(s.Backups) == 0 {
		return nil
	}
	var objects, buckets []string
	for _, place := range s.Backups {
		bucket, prefix, _ := strings.Cut(strings.Trim(place, "/"), "/")
		buckets = append(buckets, s.arn("s3", bucket))
		if prefix != "" {
			prefix += "/"
		}
		farm := "" // of several: whole, since a role's policies have a limit
		if len(s.Farms) == 1 {
			farm = s.Farms[0] + "/"
		}
		objects = append(objects, s.arn("s3", bucket+"/"+prefix+farm+"*"))
	}
	slices.Sort(buckets)
	return []Statement{
		{
			Sid: "Backups", Action: []string{"s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"}, Resource: objects,
			Why: "Database servers store their farm's backups there, restore them, and delete what is kept no longer.",
		},
		{
			Sid: "ListBackups", Action: []string{"s3:ListBucket"}, Resource: slices.Compact(buckets),
			Why: "Which backups there are.",
		},
	}
}

// Sidecar is what a sidecar on EC2 may do: keep the farms of the scope.
func Sidecar(s Scope) Document {
	statements := []Statement{
		{
			Sid:      "Store",
			Action:   []string{"dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:ConditionCheckItem"},
			Resource: s.table(), Condition: s.farmPartitions(),
			Why: "Declarations are read, and what is decided of them is written.",
		},
		{
			Sid: "LookAtTable", Action: []string{"dynamodb:DescribeTable"}, Resource: s.table(),
			Why: "The store looks whether the table is one of its own before it uses it.",
		},
		{
			Sid: "Releases", Action: []string{"s3:GetObject"}, Resource: s.blobs(),
			Why: "Applications' releases and executables are looked at before instances are told of them.",
		},
		{
			Sid: "SeeReleases", Action: []string{"s3:ListBucket"}, Resource: []string{s.arn("s3", s.Bucket)},
			Why: "Without it S3 answers that one that is missing is forbidden.",
		},
		{
			Sid: "Look",
			Action: []string{
				"ec2:DescribeAddresses", "ec2:DescribeImages", "ec2:DescribeInstanceStatus", "ec2:DescribeInstanceTypes",
				"ec2:DescribeInstances", "ec2:DescribeKeyPairs", "ec2:DescribeLaunchTemplateVersions", "ec2:DescribeLaunchTemplates", "ec2:DescribeSecurityGroups",
				"ec2:DescribeSnapshots", "ec2:DescribeSubnets", "ec2:DescribeVolumes",
				"elasticloadbalancing:DescribeTargetGroups", "elasticloadbalancing:DescribeTargetHealth",
				"cloudwatch:GetMetricData", "sqs:GetQueueAttributes",
			},
			Resource: []string{"*"},
			Why:      "What there is. AWS lets most of these not be narrowed to resources; none of them changes anything.",
		},
		{
			Sid: "ConsoleOutput", Action: []string{"ec2:GetConsoleOutput"}, Resource: s.ec2("instance"), Condition: s.tagged(),
			Why: "The last lines of a boot that failed, for the error message.",
		},
		{
			Sid: "LaunchTagged", Action: []string{"ec2:RunInstances", "ec2:CreateFleet"}, Resource: s.ec2("instance", "volume", "fleet"), Condition: s.requested(),
			Why: "Instances are launched with the farm's tag from their first moment on, or not at all.",
		},
		{
			Sid: "LaunchFrom", Action: []string{"ec2:RunInstances", "ec2:CreateFleet"}, Resource: s.ec2("image", "snapshot", "key-pair", "security-group", "subnet", "network-interface", "spot-instances-request"),
			Why: "What a launch names and does not make: image, subnet, security groups, key pair.",
		},
		{
			Sid: "LaunchTemplatesInUse", Action: []string{"ec2:RunInstances", "ec2:CreateFleet"}, Resource: s.ec2("launch-template"), Condition: s.tagged(),
			Why: "Launches use the farm's own launch templates.",
		},
		{
			Sid: "MakeTagged", Action: []string{"ec2:CreateLaunchTemplate", "ec2:CreateVolume", "ec2:CreateSnapshot", "ec2:AllocateAddress"},
			Resource: s.ec2("launch-template", "volume", "snapshot", "elastic-ip"), Condition: s.requested(),
			Why: "Launch templates (one for each generation of a role), data volumes, their snapshots, and addresses carry the farm's tag from the first.",
		},
		{
			Sid: "FromOwnVolumes", Action: []string{"ec2:CreateSnapshot", "ec2:CreateVolume"}, Resource: s.ec2("volume", "snapshot"), Condition: s.tagged(),
			Why: "A volume moves to another zone by a snapshot of itself, and volumes are made of snapshots that were taken of the farm's.",
		},
		{
			Sid: "TagWhatIsMade", Action: []string{"ec2:CreateTags"},
			Resource: s.ec2("instance", "volume", "snapshot", "launch-template", "elastic-ip", "fleet", "network-interface", "spot-instances-request"),
			Condition: Condition{"StringEquals": {"ec2:CreateAction": {
				"AllocateAddress", "CreateFleet", "CreateLaunchTemplate", "CreateSnapshot", "CreateVolume", "RunInstances",
			}}},
			Why: "Tags are given in the call that makes a thing, and only there.",
		},
		{
			Sid: "TagOwn", Action: []string{"ec2:CreateTags"}, Resource: s.ec2("instance", "volume", "snapshot", "elastic-ip"), Condition: s.tagged(),
			Why: "A stopped instance of a warm pool is tagged anew when it comes into service. The thing must carry the farm's tag already.",
		},
		{
			Sid: "KeepOwn",
			Action: []string{
				"ec2:TerminateInstances", "ec2:StopInstances", "ec2:StartInstances",
				"ec2:AttachVolume", "ec2:DetachVolume", "ec2:DeleteVolume", "ec2:ModifyVolume", "ec2:DeleteSnapshot",
				"ec2:AssociateAddress", "ec2:DisassociateAddress", "ec2:ReleaseAddress",
				"ec2:CreateLaunchTemplateVersion", "ec2:DeleteLaunchTemplate",
			},
			Resource:  s.ec2("instance", "volume", "snapshot", "elastic-ip", "launch-template", "network-interface"),
			Condition: s.tagged(),
			Why:       "What is changed or ended carries the farm's tag. Nothing else in the account can be.",
		},
		{
			Sid: "HandOverInstanceRole", Action: []string{"iam:PassRole"}, Resource: s.instanceRoles(),
			Condition: Condition{"StringEquals": {"iam:PassedToService": {ec2Service(s.Region)}}},
			Why:       "Instances are launched with their farm's own role, and with no other.",
		},
		s.serviceRole("SpotRole", "spot.amazonaws.com", "AWS makes this role of its own at the account's first Spot instance, if whoever launches that may. It can be left out where it is there, or no role takes Spot."),
		{
			Sid: "Balancers", Action: []string{"elasticloadbalancing:RegisterTargets", "elasticloadbalancing:DeregisterTargets"}, Resource: []string{s.arn("elasticloadbalancing", "targetgroup/*")},
			Why: "Serving instances are registered in target groups that roles name, and draining ones leave them. Narrow it to those groups if the account has others.",
		},
		{
			Sid: "Names", Action: []string{"route53:ChangeResourceRecordSets", "route53:GetHostedZone", "route53:ListResourceRecordSets"}, Resource: []string{s.arn("route53", "hostedzone/*")},
			Why: "The farm's names are published in the hosted zone that the farm names. Narrow it to that zone if the account has others.",
		},
		{
			Sid: "DisksOfOwnKey", Action: []string{"kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptFrom", "kms:ReEncryptTo"}, Resource: []string{s.arn("kms", "key/*")},
			Condition: Condition{"StringEquals": {"kms:ViaService": {"ec2." + s.region() + ".amazonaws.com"}}},
			Why:       "Disks of a key of one's own (volume.kms_key): through EC2 only. It can be left out where no role names a key.",
		},
	}
	return document(slices.Concat(statements, s.backups(), s.sources(), s.logs())...)
}

// logs is the right to write to the log group that is named.
func (s Scope) logs() []Statement {
	if s.LogGroup == "" {
		return nil
	}
	return []Statement{{
		Sid: "Log", Action: []string{"logs:CreateLogStream", "logs:PutLogEvents"}, Resource: []string{s.arn("logs", "log-group:"+s.LogGroup+":*")},
		Why: "The sidecar's own log, in the group that farmhand_sidecar names: a stream for each instance.",
	}}
}

// serviceRole lets AWS make a service's own role on the caller's behalf. https://docs.aws.amazon.com/IAM/latest/UserGuide/create-service-linked-role.html
func (s Scope) serviceRole(sid, service, why string) Statement {
	return Statement{Sid: sid, Action: []string{"iam:CreateServiceLinkedRole"}, Resource: []string{s.arn("iam", "role/aws-service-role/"+service+"/*")},
		Condition: Condition{"StringEquals": {"iam:AWSServiceName": {service}}}, Why: why}
}

// Provider is what whoever runs terraform apply may do: make and remove the store, roles and sidecars, beside what the
// sidecar may, in whose place a destroy acts where none lives.
func Provider(s Scope) Document {
	own := []string{s.arn("iam", "role/farmhand-*"), s.arn("iam", "instance-profile/farmhand-*")}
	sidecars := Condition{"StringLike": {"aws:ResourceTag/" + SidecarTag: {"*"}}}
	asked := Condition{"StringLike": {"aws:RequestTag/" + SidecarTag: {"*"}}}
	statements := []Statement{
		{
			Sid: "WhoAmI", Action: []string{"sts:GetCallerIdentity"}, Resource: []string{"*"},
			Why: "The account's number is part of names. AWS allows this to everybody.",
		},
		{
			Sid: "MakeTable",
			Action: []string{"dynamodb:CreateTable", "dynamodb:DeleteTable", "dynamodb:DescribeTable", "dynamodb:ListTagsOfResource",
				"dynamodb:TagResource", "dynamodb:UpdateContinuousBackups", "dynamodb:UpdateTimeToLive"},
			Resource: s.table(),
			Why:      "The store's table is made at the first apply and removed with the last sidecar.",
		},
		{
			Sid: "SeeThatTableIsEmpty", Action: []string{"dynamodb:Scan"}, Resource: s.table(),
			Why: "Before the table is removed it is looked whether anything is left in it.",
		},
		{
			Sid: "MakeBucket",
			Action: []string{"s3:CreateBucket", "s3:DeleteBucket", "s3:GetBucketTagging", "s3:ListBucket", "s3:PutBucketPublicAccessBlock", "s3:PutBucketTagging",
				"s3:PutEncryptionConfiguration", "s3:PutLifecycleConfiguration"},
			Resource: []string{s.arn("s3", s.Bucket)},
			Why:      "The store's bucket, closed to the public and encrypted.",
		},
		{
			Sid: "PutReleases", Action: []string{"s3:PutObject", "s3:GetObject", "s3:DeleteObject", "s3:AbortMultipartUpload"}, Resource: s.blobs(),
			Why: "Releases and executables are uploaded, each under its hash.",
		},
		{
			Sid: "MakeRoles",
			Action: []string{"iam:AddRoleToInstanceProfile", "iam:CreateInstanceProfile", "iam:CreateRole", "iam:DeleteInstanceProfile", "iam:DeleteRole", "iam:DeleteRolePolicy", "iam:GetInstanceProfile", "iam:GetRole",
				"iam:PutRolePolicy", "iam:RemoveRoleFromInstanceProfile", "iam:TagInstanceProfile", "iam:TagRole"},
			Resource: own,
			Why:      "A role and a profile for each farm's instances and for each sidecar. They can be made by somebody else: then name them by instance_profile, and this is not needed.",
		},
		{
			Sid: "HandOverSidecarRole", Action: []string{"iam:PassRole"}, Resource: []string{s.arn("iam", "role/farmhand-*")},
			Condition: Condition{"StringEquals": {"iam:PassedToService": {ec2Service(s.Region)}}},
			Why:       "The sidecar's launch template names its role.",
		},
		{
			Sid: "LookAtSidecars", Action: []string{"autoscaling:DescribeAutoScalingGroups", "autoscaling:DescribeScalingActivities"}, Resource: []string{"*"},
			Why: "What there is of sidecars. AWS lets this not be narrowed.",
		},
		{
			Sid: "SeeLogGroups", Action: []string{"logs:DescribeLogGroups"}, Resource: []string{s.arn("logs", "log-group:*")},
			Why: "Whether the log group that a sidecar is to write to is there. It can be left out where none is named.",
		},
		{
			Sid: "MakeSidecar", Action: []string{"autoscaling:CreateAutoScalingGroup"}, Resource: []string{s.arn("autoscaling", "autoScalingGroup:*:autoScalingGroupName/farmhand-*")}, Condition: asked,
			Why: "A sidecar is an Auto Scaling group of one, or of two where one stands by.",
		},
		s.serviceRole("AutoScalingRole", "autoscaling.amazonaws.com", "AWS makes this role of its own with the account's first Auto Scaling group, if whoever makes that may. It can be left out where it is there."),
		{
			Sid: "KeepSidecar", Action: []string{"autoscaling:CancelInstanceRefresh", "autoscaling:CreateOrUpdateTags", "autoscaling:DeleteAutoScalingGroup", "autoscaling:StartInstanceRefresh", "autoscaling:UpdateAutoScalingGroup"},
			Resource: []string{s.arn("autoscaling", "autoScalingGroup:*:autoScalingGroupName/farmhand-*")}, Condition: sidecars,
			Why: "Upgrades replace its instances; a destroy removes it.",
		},
		{
			Sid: "MakeSidecarParts", Action: []string{"ec2:CreateLaunchTemplate", "ec2:CreateSecurityGroup", "ec2:RunInstances"},
			Resource: s.ec2("launch-template", "security-group", "instance", "volume", "network-interface"), Condition: asked,
			Why: "Its launch template and its security group, which lets nothing in. Auto Scaling checks that whoever makes a group could launch what the group launches.",
		},
		{
			Sid: "MakeSidecarIn", Action: []string{"ec2:CreateSecurityGroup", "ec2:RunInstances"}, Resource: s.ec2("vpc", "subnet", "image", "key-pair", "security-group", "launch-template", "snapshot"),
			Why: "What they name and do not make.",
		},
		{
			Sid: "TagSidecarParts", Action: []string{"ec2:CreateTags"}, Resource: s.ec2("launch-template", "security-group", "instance", "volume"),
			Condition: Condition{"StringEquals": {"ec2:CreateAction": {"CreateLaunchTemplate", "CreateSecurityGroup", "RunInstances"}}},
			Why:       "Tags are given in the call that makes a thing.",
		},
		{
			Sid: "KeepSidecarParts", Action: []string{"ec2:CreateLaunchTemplateVersion", "ec2:DeleteLaunchTemplate", "ec2:DeleteSecurityGroup"},
			Resource: s.ec2("launch-template", "security-group"), Condition: sidecars,
			Why: "An upgrade is a new version of the template; a destroy removes both.",
		},
	}
	d := document(statements...)
	for _, st := range Sidecar(s).Statement {
		if st.Sid == "LookAtTable" || st.Sid == "Releases" || st.Sid == "SeeReleases" {
			continue // has more already, or is the sidecar's own
		}
		st.Sid = "As" + strings.ToUpper(st.Sid[:1]) + st.Sid[1:]
		d.Statement = append(d.Statement, st)
	}
	return d
}

func document(statements ...Statement) Document {
	for i := range statements {
		statements[i].Effect = "Allow"
	}
	return Document{Version: version, Statement: statements}
}
